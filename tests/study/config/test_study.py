"""Studies: reading, defaults, overrides, identity, and the way back to a file."""

import math
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from latflow.errors import ConfigError
from latflow.study.config import StudyConfig, load_study
from latflow.theories.phi4.table import HoppingPhiFourTable, PhiFourTable

MINIMAL = """
name = "demo"
[lattice]
shape = [4, 6]
[action]
kind = "phi4"
mass_squared = -4
coupling = 6.975
"""


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    path = tmp_path / "demo.toml"
    path.write_text(MINIMAL, encoding="utf-8")
    return path


def test_minimal_study_has_sensible_defaults(study_file: Path) -> None:
    study = load_study(study_file)
    assert study.lattice.shape == (4, 6)
    assert (study.action.kind, study.action.house(2)) == ("phi4", (-4.0, 6.975))
    assert study.sampling.samplers == ("flow", "hmc", "local")
    assert study.training.stop.steps == 20000
    assert study.training.stop.minutes is None


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("6.5", "action.coupling", 6.5),
        ("6", "action.coupling", 6.0),
        (".5", "action.coupling", 0.5),
        ("1e-3", "training.learning_rate", 1e-3),
        ("150", "training.stop.steps", 150),
        ("1_000", "training.stop.steps", 1000),
        ("1e3", "training.stop.steps", 1000),
        ("2.5E3", "sampling.configurations", 2500),
        ("1e1 8", "lattice.shape", (10, 8)),
        ("1e1", "action.coupling", 10.0),
        ("0.5", "training.stop.acceptance", 0.5),
        ("{ steps = 10, minutes = 1.0 }", "training.stop", {"steps": 10, "minutes": 1.0}),
        ("8 8", "lattice.shape", (8, 8)),
        ("8,8", "lattice.shape", (8, 8)),
        ("[8, 8]", "lattice.shape", (8, 8)),
        ("8", "lattice.shape", (8,)),
        ("hmc", "sampling.samplers", ("hmc",)),
        ("flow hmc", "sampling.samplers", ("flow", "hmc")),
        ('["flow", "hmc"]', "sampling.samplers", ("flow", "hmc")),
        ("flow", "hmc.target_acceptance", "flow"),
        ("0.6", "hmc.target_acceptance", 0.6),
        ("z2", "flow.mixture", "z2"),
        ("24", "flow.hidden", 24),
        ("multiscale", "flow.kind", "multiscale"),
        ("123", "name", "123"),
        ("7", "seed", 7),
        ("factorial", "action.normalisation", "factorial"),
    ],
)
def test_override(study_file: Path, text: str, key: str, expected: object) -> None:
    overrides = {key: text, **({"training.warmup_steps": "5"} if "stop" in key else {})}
    found: object = load_study(study_file, overrides)
    for part in key.split("."):
        found = getattr(found, part)
    if isinstance(expected, dict):
        assert found.model_dump(include=set(expected)) == expected
    else:
        assert found == expected
        assert type(found) is type(expected)


def test_an_override_repairs_a_wrong_file(study_file: Path) -> None:
    study_file.write_text(MINIMAL.replace("6.975", "-1"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"demo\.toml: action\.coupling: -1"):
        load_study(study_file)
    assert load_study(study_file, {"action.coupling": "1"}).action.house(2) == (-4.0, 1.0)


def test_a_line_break_smuggles_in_no_key(study_file: Path) -> None:
    with pytest.raises(ConfigError, match="seed"):
        load_study(study_file, {"seed": "2\nname = 3"})


def test_all_complaints_at_once(study_file: Path) -> None:
    study_file.write_text(MINIMAL.replace("[4, 6]", "[3, 6]") + "couplng = 1\n[hmc]\nthin = 0\n", encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_study(study_file, {"seed": "-1", "flow.hiden": "3"})
    keys = [complaint.split(": ")[1] for complaint in refused.value.complaints]
    assert keys == ["--flow.hiden", "action.couplng", "--seed", "hmc.thin", "lattice.shape"]


def test_windows_line_ends_and_byte_order_mark(study_file: Path) -> None:
    expected = load_study(study_file)
    study_file.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert load_study(study_file) == expected


def test_equal_content_equal_digest(study_file: Path) -> None:
    study = load_study(study_file)
    study_file.write_text(
        'action = { coupling = 6.9750, kind = "phi4", mass_squared = -4.0 }\nlattice.shape = [4,6]\nname = "demo"',
        encoding="utf-8",
    )
    again = load_study(study_file)
    assert again.digest() == study.digest()
    assert again.action.digest() == study.action.digest()


def test_every_value_enters_the_digest(study_file: Path) -> None:
    overrides = {
        "name": "other", "seed": "2", "lattice.shape": "4 8", "action.coupling": "6.9750000000000005",
        "action.normalisation": "half", "flow.radius": "2", "training.stop.minutes": "1", "sampling.samplers": "flow",
        "hmc.thin": "2", "local.warmup": "7",
    }  # fmt: skip
    digests = {load_study(study_file, {key: text}).digest() for key, text in overrides.items()}
    assert len(digests | {load_study(study_file).digest()}) == len(overrides) + 1


@pytest.mark.parametrize("commented", [False, True])
@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"training.learning_rate": "1e-05", "action.mass_squared": "1e-300", "training.stop.ess": "0.1"},
        {"sampling.samplers": "hmc", "lattice.shape": "3", "hmc.target_acceptance": "0.1234567890123456"},
    ],
)
def test_the_resolved_file_is_the_study(study_file: Path, overrides: dict[str, str], *, commented: bool) -> None:
    study = load_study(study_file, overrides)
    study_file.write_text(study.to_toml(commented=commented), encoding="utf-8")
    again = load_study(study_file)
    assert again == study
    assert again.to_toml(commented=commented) == study.to_toml(commented=commented)


def test_frozen_and_closed(study_file: Path) -> None:
    study = load_study(study_file)
    with pytest.raises(ValidationError):
        study.seed = 2
    with pytest.raises(ValidationError):
        StudyConfig.model_validate({**study.model_dump(), "extra": 1})


def test_rules_hold_without_a_file(study_file: Path) -> None:
    plain = load_study(study_file).model_dump()
    plain["lattice"]["shape"] = (3, 3)
    with pytest.raises(ConfigError, match="even extents"):
        StudyConfig.model_validate(plain)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_house_normalisation_gives_the_same_action(ndim: int) -> None:
    # Loops over sites in the user's own normalisation, at the field rescaled as docs/conventions.md says.
    field = np.random.default_rng(0).normal(size=(2, 3, 4)[:ndim])
    forward = [np.roll(field, -1, axis=mu) for mu in range(ndim)]

    def house(mass_squared: float, coupling: float) -> float:
        gradient = sum(np.sum((f - field) ** 2) for f in forward)
        return gradient + mass_squared * np.sum(field**2) + coupling * np.sum(field**4)

    def canonical(mass_squared: float, quartic: float) -> float:
        x = math.sqrt(2) * field
        gradient = sum(np.sum((np.roll(x, -1, axis=mu) - x) ** 2) for mu in range(ndim))
        return 0.5 * gradient + 0.5 * mass_squared * np.sum(x**2) + quartic * np.sum(x**4)

    kappa, coupling = 0.21, 0.8
    y = field / math.sqrt(kappa)
    neighbours = sum(np.sum(y * np.roll(y, -1, axis=mu)) for mu in range(ndim))
    hopping = -2 * kappa * neighbours + (1 - 2 * coupling) * np.sum(y**2) + coupling * np.sum(y**4)

    def phi4(normalisation: str) -> tuple[float, float]:
        config = {"kind": "phi4", "mass_squared": -1.5, "coupling": 2.4, "normalisation": normalisation}
        return PhiFourTable.model_validate(config).house(ndim)

    assert house(*phi4("half")) == pytest.approx(canonical(-1.5, 2.4 / 4), rel=1e-13)
    assert house(*phi4("factorial")) == pytest.approx(canonical(-1.5, 2.4 / 24), rel=1e-13)
    own = HoppingPhiFourTable(kind="phi4_hopping", kappa=kappa, coupling=coupling).house(ndim)
    assert house(*own) == pytest.approx(hopping, rel=1e-13)


def test_an_unknown_option_lists_the_keys_of_the_kind_that_was_chosen(study_file: Path) -> None:
    """Keys of other kinds of action are no alternatives, whichever option stands first."""
    overrides = {"action.gamma": "1", "action.kind": "free"}
    with pytest.raises(ConfigError) as caught:
        load_study(study_file, overrides)
    line = next(line for line in caught.value.complaints if "gamma" in line)
    assert "unknown key; allowed: kind, mass_squared" in line
