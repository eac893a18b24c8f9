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


LINKS = """
name = "links"
[lattice]
shape = [6, 2]
[action]
kind = "wilson"
group = "U(1)"
beta = 1.5
[flow]
kind = "doubling"
levels = 2
terms = 2
bins = 4
[sampling]
samplers = ["flow"]
"""


@pytest.fixture(scope="module")
def links(tmp_path_factory) -> StudyConfig:
    path: Path = tmp_path_factory.mktemp("selfcheck") / "links.toml"
    path.write_text(LINKS)
    return load_study(path)


OF_THE_FLOW = {
    "round trip, worst field",
    "log-det equals the Jacobian's",
    "log-dets of forward and inverse cancel",
    "equivariant under gauge and charge conjugation",
    "log_prob equals the sampled log q",
    "log w = -S - log q",
    "mean of p/q is 1, exact log Z",
    "prior draws Haar links",
}


class LyingLevels(AbstractBijection):
    """A map of links that counts one part in a thousand of its log-det twice."""

    inner: AbstractBijection

    def forward_and_log_det(self, x):
        y, log_det = self.inner.forward_and_log_det(x)
        return y, 1.001 * log_det

    def inverse_and_log_det(self, y):
        x, log_det = self.inner.inverse_and_log_det(y)
        return x, 1.001 * log_det


def test_a_flow_of_links_is_under_its_laws(links, monkeypatch):
    """All of them pass but the one that sees what is wrong with the flow."""
    scrambled = study._scrambled_flow

    def lying(*given, **named):
        flow = scrambled(*given, **named)
        return Flow(flow.prior, LyingLevels(flow.bijection))

    monkeypatch.setattr(study, "_scrambled_flow", lying)
    monkeypatch.setattr(study, "_gauge_laws", lambda *_: iter(()))  # slow, and tested elsewhere
    results = selfcheck(links)
    assert {result.name for result in results} > OF_THE_FLOW
    assert [result.name for result in results if not result.passed] == ["log-det equals the Jacobian's"]


def test_no_shipped_flow_is_without_laws(monkeypatch):
    """Every study that draws from a flow reaches the laws of flows; what they find is the business of other tests."""
    reached = []
    for name in ("_gauge_laws", "_action_laws", "_dynamics_laws"):
        monkeypatch.setattr(study, name, lambda *_: iter(()))
    for name in ("_flow_laws", "_link_flow_laws"):
        monkeypatch.setattr(study, name, lambda *_: (reached.append(1), iter(()))[1])
    monkeypatch.setattr(study, "_scrambled_flow", lambda *_, **__: object())
    monkeypatch.setattr(study, "_finely_integrated", lambda flow, *_: flow)
    monkeypatch.setattr(study.spaces, "SPACE_LAWS", ())
    for entry in presets():
        if entry.command != "run":
            continue
        config, before = load_study(STUDIES / f"{entry.name}.toml"), len(reached)
        selfcheck(config)
        draws = bool({"flow", "quasi"} & set(config.sampling.samplers))
        assert len(reached) - before == draws, entry.name


@pytest.mark.parametrize(
    ("shape", "group", "expected"), [((4, 4, 4, 4), "SU(3)", (2, 2, 2)), ((2, 2, 2, 2), "U(1)", (2, 2, 2, 2))]
)
def test_the_jacobian_decides_in_how_many_dimensions_flows_of_links_are_checked(links, shape, group, expected):
    plain = links.model_dump()
    given = {"lattice": {"shape": shape}, "action": {**plain["action"], "group": group}, "flow": {"kind": "loops"}}
    small = study._with_jacobian(study._on_few_links(StudyConfig.model_validate({**plain, **given})))
    assert small.lattice.shape == expected


@pytest.mark.parametrize(
    ("shape", "period", "small", "fitting"),
    [((8, 8), 8, (4, 4), 4), ((3, 6), 3, (3, 3), 3), ((9, 9, 9), 3, (4, 4, 4), 2), ((10, 5), 5, (4, 4), 4)],
)
def test_stripes_of_links_close_around_the_small_lattice(links, shape, period, small, fitting):
    plain = links.model_dump()
    flow = {"kind": "stout", "period": period, "reach": min(shape) // 2, "layers": 2}
    given = {"lattice": {"shape": shape}, "flow": flow}
    found = study._on_few_links(StudyConfig.model_validate({**plain, **given}))
    assert (found.lattice.shape, found.flow.period) == (small, fitting)
    study.build_flow(found, precision="float64")
