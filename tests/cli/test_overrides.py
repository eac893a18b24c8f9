"""Keys of the study among the options: which words belong to which."""

import pytest

from latflow.cli.overrides import TOP_LEVEL, as_mapping, gather_overrides
from latflow.errors import UsageError
from latflow.study.config import StudyConfig
from latflow.study.config.schema import keys


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("run x.toml --json", "run x.toml --json"),
        ("run x.toml --action.coupling 6.5", "run x.toml --set action.coupling=6.5"),
        ("run x.toml --action.coupling=6.5 --json", "run x.toml --set action.coupling=6.5 --json"),
        ("run --action.coupling 6.5 x.toml", "run --set action.coupling=6.5 x.toml"),
        ("inspect --shape 4 4 8 dir/cfg --json", "inspect dir/cfg --json --shape 4 4 8"),
        ("measure --samplers hmc flow x.toml", "measure x.toml --samplers hmc flow"),
        ("table --observables a b runs/ --samplers hmc", "table runs/ --observables a b --samplers hmc"),
        ("inspect cfg --shape 4 4", "inspect cfg --shape 4 4"),
        ("inspect --shape 4 4 -- cfg", "inspect --shape 4 4 -- cfg"),
        ("run --action.mass_squared -4 x.toml", "run --set action.mass_squared=-4 x.toml"),
        ("run x.toml --lattice.shape 8 8 --json", "run x.toml --set|lattice.shape=8 8|--json"),
        ("run --lattice.shape 8 8 x.toml --seed 2", "run|--set|lattice.shape=8 8|x.toml|--set|seed=2"),
        ("run x.toml --sampling.samplers flow hmc", "run|x.toml|--set|sampling.samplers=flow hmc"),
        ("run x.toml --name=a=b", "run x.toml --set name=a=b"),
        ("run x.toml --run-dir runs/a.b --samplers flow", "run x.toml --run-dir runs/a.b --samplers flow"),
        ("run x.toml --run-dir=runs/a.b", "run x.toml --run-dir=runs/a.b"),
        ("run x.toml --no.such 1", "run x.toml --set no.such=1"),
        ("run -- --action.coupling 6.5", "run -- --action.coupling 6.5"),
    ],
)
def test_rewriting(line: str, expected: str) -> None:
    if "|" in expected:
        words = [word for part in expected.split("|") for word in ([part] if "=" in part else part.split())]
    else:
        words = expected.split()
    assert gather_overrides(line.split()) == words


@pytest.mark.parametrize("line", ["run x.toml --action.coupling", "run x.toml --lattice.shape --json", "run --seed"])
def test_a_key_needs_a_value(line: str) -> None:
    with pytest.raises(UsageError, match="no value"):
        gather_overrides(line.split())


def test_top_level_keys_are_those_of_the_schema() -> None:
    assert tuple(key.path for key in keys(StudyConfig) if "." not in key.path and key.shape != "table") == TOP_LEVEL


def test_mapping() -> None:
    assert as_mapping(["a.b=1", "c.d=x=y"]) == {"a.b": "1", "c.d": "x=y"}
    with pytest.raises(UsageError, match=r"--a\.b: given twice"):
        as_mapping(["a.b=1", "a.b=1"])
