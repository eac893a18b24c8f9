"""A scaling study as text: its runs, and everything that is refused at once."""

from pathlib import Path

import pytest

from latflow.errors import ConfigError
from latflow.study.config.scaling import ScalingConfig, load_scaling

STUDIES = Path(__file__).parents[3] / "studies"

TINY = """
name = "tiny"
[points]
extents = [4, 6]
couplings = [7.0, 6.975]
mass_squared = -4.0
acceptances = [0.3, 0.2]
[flow]
kind = "real_nvp"
[sampling]
configurations = 1024
samplers = ["flow", "hmc", "cluster"]
[hmc]
target_acceptance = 0.8
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.toml"
    file.write_text(TINY)
    return file


def test_runs(path: Path) -> None:
    runs = dict(load_scaling(path).runs())
    assert list(runs) == ["L04", "L04-a20", "L06", "L06-a20"]
    assert [study.lattice.shape for study in runs.values()] == [(4, 4), (4, 4), (6, 6), (6, 6)]
    assert [study.training.stop.acceptance for study in runs.values()] == [0.3, 0.2, 0.3, 0.2]
    assert runs["L06"].sampling.samplers == ("flow", "hmc", "cluster")
    assert runs["L06-a20"].sampling.samplers == ("flow", "hmc")
    assert runs["L06"].action.house(2) == (-4.0, 6.975)
    # two flows with one seed would share their latent draws
    assert len({study.seed for study in runs.values()}) == 4


def test_what_it_writes_it_reads(path: Path, tmp_path: Path) -> None:
    config = load_scaling(path)
    written = tmp_path / "written.toml"
    written.write_text(config.to_toml(commented=True))
    assert load_scaling(written) == config


def test_quick_is_smaller_and_elsewhere(path: Path) -> None:
    quick = load_scaling(path, {"sampling.configurations": "1000000"}).quick()
    assert quick.name == "tiny-quick"
    assert quick.sampling.configurations < 10000


def test_a_quick_training_ends_by_steps_and_never_by_the_clock() -> None:
    """A clock would count compilation, and leave a slow machine with untrained flows."""
    whole = load_scaling(STUDIES / "phi4-critical.toml")
    assert whole.training.stop.minutes is not None
    runs = dict(whole.quick().runs())
    # the three smallest sizes, one flow each: the least from which a power law can be tested
    assert [(study.lattice.shape[0], study.action.house(2)[1]) for study in runs.values()] == [
        (6, 6.975),
        (8, 6.008),
        (10, 5.55),
    ]
    for study in runs.values():
        stop = study.training.stop
        assert (stop.minutes, stop.acceptance, stop.steps) == (None, 0.7, whole.training.stop.steps // 5)


def test_quick_takes_the_smallest_sizes_with_their_couplings(path: Path) -> None:
    listed = {"points.extents": "12 4 10 6", "points.couplings": "4.0 7.0 5.0 6.0"}
    quick = load_scaling(path, listed).quick()
    assert quick.points.extents == (4, 6, 10)
    assert quick.points.couplings == (7.0, 6.0, 5.0)


def test_the_shipped_one_is_the_published_set() -> None:
    config = load_scaling(STUDIES / "phi4-critical.toml")
    assert type(config) is ScalingConfig
    assert config.points.extents == (6, 8, 10, 12, 14)
    assert config.points.couplings == (6.975, 6.008, 5.55, 5.276, 5.113)
    assert config.points.acceptances == (0.5, 0.7)
    assert set(config.sampling.samplers) == {"flow", "hmc", "local", "cluster"}


@pytest.mark.parametrize(
    ("overrides", "wrong"),
    [
        ({"points.couplings": "7.0"}, ["points.couplings: 1 entries; allowed: one per extent, 2"]),
        ({"points.extents": "6 6"}, ["points.extents"]),
        ({"points.acceptances": "0.5 0.5"}, ["points.acceptances"]),
        ({"points.acceptances": "1.5"}, ["points.acceptances"]),
        ({"training.stop.acceptance": "0.5"}, ["training.stop.acceptance"]),
        ({"sampling.samplers": "hmc cluster"}, ["sampling.samplers"]),
        ({"points.extents": "5 7"}, ["lattice.shape: [7, 7]", "lattice.shape: [5, 5]"]),
        ({"points.couplings": "0.0 1.0"}, ["action.mass_squared"]),
        ({"points.extent": "6"}, ["points.extent: unknown key"]),
        ({"points.extents": "4", "flow.layers": "1"}, ["flow.layers"]),
        ({"points.extents": "4", "sampling.samplers": "hmc"}, ["points.couplings", "sampling.samplers"]),
    ],
)
def test_complaints(path: Path, overrides: dict[str, str], wrong: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_scaling(path, overrides)
    text = "\n".join(caught.value.complaints)
    assert all(line.startswith(str(path)) for line in caught.value.complaints)
    assert all(part in text for part in wrong), text


SINE_GORDON = """
name = "sg"
[points]
parameter = "alpha"
extents = [4, 6]
couplings = [0.5, 2.0]
acceptances = [0.3]
[action]
kind = "sine_gordon"
mass_squared = 0.5
alpha = 1.0
[flow]
kind = "real_nvp"
[sampling]
configurations = 1024
samplers = ["flow", "hmc"]
"""


@pytest.fixture
def sine_gordon(tmp_path: Path) -> Path:
    file = tmp_path / "sg.toml"
    file.write_text(SINE_GORDON)
    return file


def test_another_theory_along_its_parameter(sine_gordon: Path) -> None:
    config = load_scaling(sine_gordon)
    assert config.kind() == "sine_gordon"
    runs = dict(config.runs())
    assert [(study.action.kind, study.action.values()) for study in runs.values()] == [
        ("sine_gordon", {"mass_squared": 0.5, "alpha": 0.5}),
        ("sine_gordon", {"mass_squared": 0.5, "alpha": 2.0}),
    ]
    of_mass = dict(load_scaling(sine_gordon, {"points.parameter": "mass_squared"}).runs())
    assert [study.action.values() for study in of_mass.values()] == [
        {"mass_squared": 0.5, "alpha": 1.0},
        {"mass_squared": 2.0, "alpha": 1.0},
    ]


@pytest.mark.parametrize(
    ("overrides", "wrong"),
    [
        ({"points.parameter": "beta"}, 'points.parameter: \'beta\'; allowed: "mass_squared" or "alpha"'),
        ({"points.mass_squared": "0.5"}, "points.mass_squared: 0.5; allowed: this, or a table [action]"),
        ({"action.alpha": "-1.0"}, "action.alpha: -1.0"),
        (
            {"points.couplings": "0.0 1.0", "points.parameter": "mass_squared"},
            "points.couplings: 0.0; allowed: number > 0",
        ),
        ({"points.couplings": "0.5 -2.0"}, "points.couplings: -2.0; allowed: number ≥ 0"),
        ({"action.coupling": "1.0"}, "action.coupling: unknown key"),
    ],
)
def test_complaints_about_another_theory(sine_gordon: Path, overrides: dict[str, str], wrong: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_scaling(sine_gordon, overrides)
    assert wrong in "\n".join(caught.value.complaints).replace("--", "")
