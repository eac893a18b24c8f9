"""Trained weights as the start of another training: a curriculum, another lattice, and what is refused."""

import json
import tomllib
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from displays import Listening
from latflow.errors import Interrupted, MissingInputError
from latflow.flows.tables import RealNVPTable
from latflow.store.ensemble import Ensemble
from latflow.study import models
from latflow.study.build import build_flow
from latflow.study.config import StudyConfig
from latflow.study.context import Silent
from latflow.study.models import adapted, course, load_foreign_flow, require_start, with_steps
from latflow.study.run import run_stages
from latflow.study.verify import verify
from latflow.training.model_file import ModelMismatchError

FLOW = {"kind": "continuous", "hidden": 3, "contexts": 2, "features": 2, "times": 2, "radius": 1, "steps": 2}


def study(path: Path, **changes: Any) -> StudyConfig:
    data: dict[str, Any] = tomllib.loads(path.read_text())
    data["lattice"]["shape"] = [4, 4]
    data["flow"] = dict(FLOW)
    data["training"] |= {"evaluate_every": 4, "stop": {"steps": 8}}
    data["training"]["curriculum"] = {"extents": [2, 3], "couplings": [8.0, 7.5], "steps": [8, 4]}
    data["sampling"] |= {"samplers": ["flow"], "configurations": 128}
    data["hmc"]["target_acceptance"] = 0.8
    for key, value in changes.items():
        section, _, name = key.partition("__")
        data[section][name] = value
    return StudyConfig.model_validate(data)


class StopAfter:
    """A display that asks for an interruption at one update."""

    def __init__(self, updates: int) -> None:
        self.left = updates

    def stage(self, name: str, detail: str) -> None:
        """Not counted."""

    def line(self, text: str) -> None:
        """Not counted."""

    def update(self, name: str, done: float, total: float, fields: dict[str, Any]) -> None:
        self.left -= 1
        if self.left == 0:
            raise Interrupted("stopped by the test")


@pytest.fixture(scope="module")
def finished(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("course") / "run"
    run_stages(study(tiny_study), directory, stages=("train", "sample"), progress=Silent())
    return directory


def test_a_curriculum_ends_on_the_lattice_of_the_study(finished: Path) -> None:
    records = [json.loads(line) for line in (finished / "model/train.jsonl").read_text().splitlines()]
    lattices = [tuple(record["lattice"]) for record in records]
    assert lattices == sorted(lattices)
    assert set(lattices) == {(2, 2), (3, 3), (4, 4)}
    steps = [record["step"] for record in records]
    assert steps == sorted(steps)
    assert steps[-1] == 8 + 4 + 8
    fields = Ensemble.open(finished / "ensembles/flow", writable=False).read(0, ("fields",)).arrays["fields"]
    assert fields.shape[1:] == (4, 4)


def test_draws_are_integrated_accurately(finished: Path) -> None:
    integration = json.loads((finished / "model/model.json").read_text())["header"]["integration"]
    assert integration["scheme"] == "rk8"
    assert integration["log_prob_error"] <= 1e-7


def test_verify_allows_for_the_integration_and_no_more(finished: Path) -> None:
    checks = verify(finished)
    assert [check for check in checks if not check.passed] == []
    densities = [check for check in checks if "log_prob" in check.name]
    assert [check.limit for check in densities] == [1e-6, 1e-6]
    assert all(0 < check.value < 1e-6 for check in densities)


def test_every_stage_of_a_curriculum_has_its_learning_rate(tiny_study: Path) -> None:
    stages = {"extents": [2, 3], "couplings": [8.0, 7.5], "steps": [8, 4]}
    plain = study(tiny_study, training__learning_rate=0.3, training__curriculum=stages)
    assert [config.training.learning_rate for config in plain.course()] == [0.3, 0.3, 0.3]
    rates = {**stages, "learning_rates": [0.1, 0.2]}
    own = study(tiny_study, training__learning_rate=0.3, training__curriculum=rates)
    assert [config.training.learning_rate for config in own.course()] == [0.1, 0.2, 0.3]


def test_an_interrupted_curriculum_ends_with_the_same_bits(tiny_study: Path, finished: Path, tmp_path: Path) -> None:
    """Interrupted early, and once more further on."""
    config = study(tiny_study, training__checkpoint_minutes=1e-9)
    for updates in (2, 4):
        with pytest.raises(Interrupted):
            run_stages(config, tmp_path / "run", stages=("train",), progress=StopAfter(updates))
    run_stages(config, tmp_path / "run", stages=("train", "sample"), progress=Silent())
    weights = "model/weights.safetensors"
    assert (tmp_path / "run" / weights).read_bytes() == (finished / weights).read_bytes()


def test_training_starts_from_another_model(tiny_study: Path, finished: Path, tmp_path: Path) -> None:
    config = study(
        tiny_study,
        lattice__shape=[2, 4],
        training__start_from=str(finished),
        training__stop={"steps": 1},
        training__learning_rate=1e-9,
    )
    told = Listening()
    run_stages(config, tmp_path / "run", stages=("train",), progress=told)
    # trained on 4 × 4 already, it does not go through 2 × 2 and 3 × 3 again
    assert any(line.endswith("trained on [4, 4]; the curriculum's L = 2, 3 left out: covered") for line in told.lines)
    records = [json.loads(line) for line in (tmp_path / "run/model/train.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [0, 1]
    parent, _ = load_foreign_flow(str(finished))
    child, trained = load_foreign_flow(str(tmp_path / "run/model"))
    assert trained.lattice.shape == (2, 4)
    assert np.allclose(child.bijection.velocity.kernel, parent.bijection.velocity.kernel, atol=1e-6)
    assert np.any(np.asarray(parent.bijection.velocity.weight))


def test_a_start_covers_lattices_up_to_its_smallest_extent(
    tiny_study: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lattices(trained: list[int], start: str | None = str(finished)) -> list[tuple[int, ...]]:
        monkeypatch.setattr(models, "trained_config", lambda path: study(tiny_study, lattice__shape=trained))
        return [config.lattice.shape for config in course(study(tiny_study, training__start_from=start))]

    assert lattices([4, 4], None) == [(2, 2), (3, 3), (4, 4)]
    assert lattices([8, 8]) == [(4, 4)]
    assert lattices([2, 4]) == [(3, 3), (4, 4)]


def test_another_kind_of_flow_is_one_difference(tiny_study: Path, finished: Path) -> None:
    config = study(tiny_study, training__start_from=str(finished))
    other = config.model_copy(update={"flow": RealNVPTable(kind="real_nvp")})
    with pytest.raises(ModelMismatchError) as caught:
        require_start(other)
    assert caught.value.value == "flow.kind: continuous → real_nvp"


def test_another_flow_is_refused_key_by_key(tiny_study: Path, finished: Path) -> None:
    flow, trained = load_foreign_flow(str(finished))
    config = study(tiny_study, flow__hidden=5)
    with pytest.raises(ModelMismatchError, match=r"flow\.hidden: 3 → 5"):
        adapted(flow, trained, config)


def test_kernels_may_grow_and_not_shrink(tiny_study: Path, finished: Path) -> None:
    flow, trained = load_foreign_flow(str(finished))
    wider = study(tiny_study, flow__radius=3)
    grown = adapted(flow, trained, wider)
    assert grown.bijection.velocity.radius == 3
    x = jax.random.normal(jax.random.key(1), grown.shape)
    assert np.isclose(grown.log_prob(x), adapted(flow, trained, study(tiny_study)).log_prob(x), atol=1e-4)
    with pytest.raises(ModelMismatchError, match=r"flow\.radius: 3 → 1"):
        adapted(grown, wider, study(tiny_study))


def test_models_on_odd_lattices_are_models(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = models.read_header(finished / "model")
    header["identity"]["lattice"]["shape"] = [3, 3]
    monkeypatch.setattr(models, "read_header", lambda path: header)
    assert models.trained_config(finished / "model").lattice.shape == (3, 3)


def test_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no trained model"):
        load_foreign_flow(str(tmp_path))


def links(flow: dict[str, Any], *, shape: tuple[int, int] = (4, 4), **action: Any) -> StudyConfig:
    data = {"name": "links", "lattice": {"shape": shape}, "flow": flow, "sampling": {"samplers": ["flow"]}}
    return StudyConfig.model_validate({**data, "action": {"kind": "wilson", "group": "U(1)", "beta": 1.0, **action}})


VILLAIN = {"kind": "villain", "harmonics": 2}

OF_LINKS = [
    VILLAIN,
    {"kind": "plaquettes", "layers": 8},
    {"kind": "doubling", "terms": 3},
    {"kind": "loops", "start_beta": 1.0, "order": 1, "times": 1},
    {"kind": "link-multiscale", "coarse_layers": 0, "fine_layers": 0},
    {"kind": "identity"},
]


def same(one: Any, other: Any) -> bool:
    """Whether all numbers of two flows, or parts of them, are equal."""
    both = zip(*(jax.tree.leaves(each) for each in (one, other)), strict=True)
    return all(np.array_equal(a, b) for a, b in both)


@pytest.mark.parametrize("flow", OF_LINKS, ids=lambda flow: flow["kind"])
def test_a_flow_of_links_goes_on_at_another_coupling(flow: dict[str, Any]) -> None:
    """Weights stay what they are, also where the start depends on β, and steps or β of the start are other ones.

    The variance of Villain links, which is not trained, becomes that of the new coupling.
    """
    trained = links(flow)
    changed = {"start_beta": 2.0, "steps": 3} if flow["kind"] == "loops" else {}
    other = links({**flow, **changed}, beta=2.0)
    moved, before = adapted(build_flow(trained), trained, other), build_flow(trained)
    assert same(moved.bijection, before.bijection)
    assert same(moved.prior, (build_flow(other) if flow["kind"] == "villain" else before).prior)
    assert not same(build_flow(links(VILLAIN, beta=2.0)).prior, build_flow(links(VILLAIN)).prior)


def test_new_links_of_a_multiscale_flow_start_at_the_coupling_of_the_study() -> None:
    flow = {"kind": "link-multiscale", "coarse_layers": 0, "fine_layers": 0}
    one, other = (build_flow(links(flow, beta=beta)).bijection.fillings[-1].layers for beta in (1.0, 2.0))
    bias = [float(np.max(each.network.last_bias)) for each in (one, other)]
    assert np.allclose(bias, [1.0, 2.0], atol=1e-6)


def test_a_curriculum_of_villain_links_has_the_variance_of_every_coupling() -> None:
    """The flow of one stage as the start of the next."""
    first, last = links(VILLAIN, beta=5.0), links(VILLAIN, shape=(4, 6), beta=7.0)
    assert same(adapted(build_flow(first), first, last).prior, build_flow(last).prior)


def test_a_doubling_flow_goes_on_on_another_lattice() -> None:
    """The finest levels are carried, the coarsest of 8×4 starts at its own coupling."""
    flow = {"kind": "doubling", "terms": 3}
    trained, larger = links(flow), links(flow, shape=(8, 4), beta=2.0)
    before, fresh, found = (
        each.bijection.splits.energy
        for each in (build_flow(trained), build_flow(larger), adapted(build_flow(trained), trained, larger))
    )
    assert np.array_equal(found, np.concatenate([fresh[:1], before]))


def test_doubling_flows_of_a_range_go_on_on_another_lattice() -> None:
    """The same at every β between; a model of one β of the range is taken, too."""
    flow = {"kind": "doubling", "terms": 3}
    ranged = {**flow, "coupling_range": [1.0, 4.0], "coupling_order": 2}
    trained, larger, narrow = links(ranged), links(ranged, shape=(8, 4)), links(flow, shape=(8, 4), beta=2.0)
    before, fresh, found = build_flow(trained), build_flow(larger), adapted(build_flow(trained), trained, larger)
    for beta in (1.0, 2.3, 4.0):
        old, new, moved = (each.at(beta).bijection.splits.energy for each in (before, fresh, found))
        assert np.allclose(moved, np.concatenate([new[:1], old]), atol=1e-5)
    one = adapted(before, trained, narrow).bijection.splits.energy
    assert np.allclose(one[1:], before.at(2.0).bijection.splits.energy, atol=1e-5)


@pytest.mark.parametrize("flow", OF_LINKS[2:], ids=lambda flow: flow["kind"])
def test_a_model_of_another_group_is_refused(flow: dict[str, Any]) -> None:
    """U(1) and SU(2) have arrays of equal shapes in some flows; the weights mean something else."""
    trained = links(flow)
    with pytest.raises(ModelMismatchError, match=r"a model of U\(1\); allowed: one of SU\(2\)"):
        adapted(build_flow(trained), trained, links(flow, group="SU(2)"))


def test_weights_of_other_shapes_are_refused() -> None:
    small, large = (links({"kind": "plaquettes", "layers": n}) for n in (8, 16))
    with pytest.raises(ModelMismatchError, match="shapes that the flow of the study has"):
        with_steps(build_flow(small), large)
