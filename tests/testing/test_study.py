"""`selfcheck` certifies a sound study and does not certify a broken flow."""

from pathlib import Path

import pytest

from latflow.bijections.base import AbstractBijection
from latflow.bijections.elementwise import Scale
from latflow.distributions import Normal
from latflow.flows.flow import Flow
from latflow.study.config import StudyConfig, load_study
from latflow.study.config.presets import presets
from latflow.testing import selfcheck, study

STUDIES = Path(__file__).parents[2] / "studies"


STUDY = """
name = "small"
seed = 5
[lattice]
shape = [4, 2]
[action]
kind = "phi4"
mass_squared = -2.0
coupling = 3.0
[flow]
kind = "real_nvp"
layers = 2
network = "dense"
hidden = [8]
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> StudyConfig:
    path: Path = tmp_path_factory.mktemp("selfcheck") / "small.toml"
    path.write_text(STUDY)
    return load_study(path)


def test_a_sound_study_passes(config):
    results = selfcheck(config)
    assert [result.line() for result in results if not result.passed] == []
    assert len({result.name for result in results}) == len(results) > 20


def test_a_study_without_a_flow_may_have_odd_extents(config, monkeypatch):
    monkeypatch.setattr(study, "_dynamics_laws", lambda *_: [])  # slow, and part of the test above
    sampling = config.sampling.model_copy(update={"samplers": ("hmc",)})
    lattice = config.lattice.model_copy(update={"shape": (3,)})
    results = selfcheck(config.model_copy(update={"sampling": sampling, "lattice": lattice}))
    assert [result.line() for result in results if not result.passed] == []
    assert len(results) > 5


@pytest.mark.parametrize(
    ("shape", "flow", "expected"),
    [
        ((14, 12), {}, (6, 6)),
        ((4, 2), {}, (4, 2)),
        ((9, 3), {"kind": "continuous"}, (5, 3)),  # odd stays odd
        ((8, 8, 10), {}, (4, 4, 4)),
        ((16, 32), {"kind": "multiscale"}, (6, 6)),
        ((14, 14), {"kernel_size": 9, "network": "convolutional"}, (8, 8)),
    ],
)
def test_laws_are_checked_on_few_sites(config, shape, flow, expected):
    plain = config.model_dump()
    samplers = ("flow",) if all(n % 2 == 0 for n in shape) else ("flow", "hmc")
    changes = {"lattice": {"shape": shape}, "flow": {"kind": "real_nvp", **flow}}
    given = StudyConfig.model_validate({**plain, **changes, "sampling": {**plain["sampling"], "samplers": samplers}})
    small = study._on_few_sites(given)
    assert small.lattice.shape == expected
    StudyConfig.model_validate(small.model_dump())  # what the flow asks of a lattice holds there too


@pytest.mark.nightly
@pytest.mark.parametrize("name", [entry.name for entry in presets() if entry.command == "run"])
def test_every_shipped_study_passes(name):
    results = selfcheck(load_study(STUDIES / f"{name}.toml"))
    assert [result.line() for result in results if not result.passed] == []


def test_a_continuous_flow_is_integrated_as_finely_as_the_laws_ask(config, monkeypatch):
    monkeypatch.setattr(study, "_dynamics_laws", lambda *_: [])
    flow = {"kind": "continuous", "hidden": 3, "contexts": 2, "features": 2, "times": 2, "radius": 1, "steps": 2}
    plain = {**config.model_dump(), "flow": flow, "lattice": {"shape": (2, 2)}}
    results = selfcheck(StudyConfig.model_validate(plain))
    assert [result.line() for result in results if not result.passed] == []
    assert "log-det equals the Jacobian's" in {result.name for result in results}


class LyingScale(AbstractBijection):
    """A scale that forgets one site in its log-det."""

    scale: Scale

    def forward_and_log_det(self, x):
        y, log_det = self.scale.forward_and_log_det(x)
        return y, log_det * (x.size - 1) / x.size

    def inverse_and_log_det(self, y):
        x, log_det = self.scale.inverse_and_log_det(y)
        return x, log_det * (y.size - 1) / y.size


def test_a_broken_flow_fails(config):
    flow = Flow(Normal((4, 2)), LyingScale(Scale(0.3)))
    failed = [result.name for result in selfcheck(config, flow=flow) if not result.passed]
    assert failed == ["log-det equals the Jacobian's"]
