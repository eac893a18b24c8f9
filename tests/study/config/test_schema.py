"""The table of keys is complete and says what the models accept."""

import pytest

from latflow.study.config import StudyConfig
from latflow.study.config.schema import REQUIRED, key_table, keys, toml_value


def _model_paths(model: type, prefix: str = "") -> set[str]:
    """The keys found by walking the models themselves."""
    paths = set()
    for name, field in model.model_fields.items():
        paths.add(f"{prefix}{name}")
        members = getattr(field.annotation, "__args__", (field.annotation,))
        for member in members:
            if hasattr(member, "model_fields"):
                paths |= _model_paths(member, f"{prefix}{name}.")
    return paths


def test_every_key_is_listed() -> None:
    assert {key.path for key in keys(StudyConfig)} == _model_paths(StudyConfig)


def test_every_key_is_explained() -> None:
    for key in keys(StudyConfig):
        assert key.description
        assert key.allowed
        assert "\n" not in key.description + key.allowed
        assert len(key.description) < 100


@pytest.mark.parametrize(
    ("path", "variant", "allowed", "default", "shape"),
    [
        ("seed", "", "integer ≥ 0 and ≤ 4294967295", 1, "scalar"),
        ("name", "", "up to 100 letters, digits and . _ + -, the first a letter or digit", REQUIRED, "text"),
        ("lattice", "", "a table", REQUIRED, "table"),
        ("lattice.shape", "", "list of 1 to 6 entries, each integer ≥ 1 and ≤ 16777216", REQUIRED, "list"),
        ("action.coupling", "phi4", "number ≥ 0 and ≤ 1e6", REQUIRED, "scalar"),
        ("training.stop.ess", "", "number > 0 and < 1", None, "scalar"),
        ("flow.network", "real_nvp", '"dense" or "convolutional"', "dense", "text"),
        ("hmc.target_acceptance", "", 'number > 0 and < 1 or "flow"', 0.8, "scalar"),
    ],
)
def test_key(path: str, variant: str, allowed: str, default: object, shape: str) -> None:
    (key,) = [key for key in keys(StudyConfig) if (key.path, key.variant) == (path, variant)]
    assert (key.allowed, key.shape) == (allowed, shape)
    assert key.default is default or key.default == default


def test_toml_values() -> None:
    assert [toml_value(v) for v in (1, 1.0, 1e-5, True, 'a"b\\', (1, 2))] == [
        "1", "1.0", "1e-05", "true", '"a\\"b\\\\"', "[1, 2]",
    ]  # fmt: skip


def test_table_has_one_row_per_value() -> None:
    rows = key_table(StudyConfig).splitlines()[2:]
    assert len(rows) == sum(key.shape != "table" for key in keys(StudyConfig))
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows)
