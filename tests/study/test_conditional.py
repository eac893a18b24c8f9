"""Studies with a range of couplings: one model, sampled at any of them."""

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from latflow.cli.models import _changed
from latflow.errors import ConfigError, Interrupted
from latflow.flows.conditional import ConditionalFlow
from latflow.flows.mixture import Z2Mixture
from latflow.store.ensemble import Ensemble
from latflow.store.interrupts import Interrupts
from latflow.study.build import build_action, build_flow, class_range
from latflow.study.card_maker import sampling_study
from latflow.study.config import StudyConfig
from latflow.study.context import RunContext, Silent
from latflow.study.models import adapted, load_foreign_flow
from latflow.study.plan import plan
from latflow.study.run import run_stages
from latflow.study.stages.training import load_flow
from latflow.study.verify import verify
from latflow.training.model_file import ModelMismatchError, read_header

FLOW = {"kind": "continuous", "hidden": 3, "contexts": 2, "features": 2, "times": 2, "radius": 1, "steps": 2}
RANGE = {"coupling_range": [6.5, 9.0], "coupling_order": 2}


def study(path: Path, **changes: Any) -> StudyConfig:
    data: dict[str, Any] = tomllib.loads(path.read_text())
    data["flow"] = FLOW | RANGE
    data["training"] |= {"evaluate_every": 10, "evaluation_draws": 96, "stop": {"steps": 20}}
    data["sampling"] |= {"samplers": ["flow"], "configurations": 128}
    data["hmc"]["target_acceptance"] = 0.8
    for key, value in changes.items():
        section, _, name = key.partition("__")
        data[section][name] = value
    return StudyConfig.model_validate(data)


class Listener:
    """A display that remembers lines and may ask for an interruption at one update."""

    def __init__(self, updates: int = -1) -> None:
        self.left, self.lines = updates, []

    def stage(self, name: str, detail: str) -> None:
        self.lines.append(f"stage {name}")

    def line(self, text: str) -> None:
        self.lines.append(text)

    def update(self, name: str, done: float, total: float, fields: dict[str, Any]) -> None:
        self.left -= 1
        if self.left == 0:
            raise Interrupted("stopped by the test")


@pytest.fixture(scope="module")
def finished(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("conditional") / "run"
    run_stages(study(tiny_study), directory, stages=("train", "sample"), progress=Silent())
    return directory


def at(flow: Any, coupling: float) -> Any:
    return jax.tree.leaves(flow.at(coupling))


def test_the_model_knows_its_range_and_no_coupling(tiny_study: Path, finished: Path) -> None:
    header = read_header(finished / "model")
    assert header["coupling_range"] == [6.5, 9.0]
    assert header["identity"]["action"]["coupling"] == pytest.approx(np.sqrt(6.5 * 9.0))
    assert header["integration"]["log_prob_error"] <= 1e-7
    records = [json.loads(line) for line in (finished / "model/train.jsonl").read_text().splitlines()]
    assert [probe["coupling"] for probe in records[-1]["couplings"]] == pytest.approx([6.5, np.sqrt(58.5), 9.0])
    flow, trained = load_foreign_flow(str(finished))
    assert isinstance(flow, ConditionalFlow)
    assert trained.coupling_range() == (6.5, 9.0)
    # the weights did become different from one end to the other
    assert max(float(np.max(np.abs(a - b))) for a, b in zip(at(flow, 6.5), at(flow, 9.0), strict=True)) > 1e-3


def test_the_manifest_says_the_range(finished: Path) -> None:
    manifest = json.loads((finished / "ensembles/flow/manifest.json").read_text())
    assert (manifest["coupling_range"], manifest["inside_coupling_range"]) == ([6.5, 9.0], True)


@pytest.mark.nightly
def test_results_say_the_range_and_verify(tiny_study: Path, finished: Path) -> None:
    results = run_stages(study(tiny_study), finished, stages=("measure", "analyse"), progress=Silent())
    assert (results.flow.coupling_range, results.flow.inside_coupling_range) == ((6.5, 9.0), True)
    assert [check for check in verify(finished) if not check.passed] == []


def test_another_coupling_takes_the_same_model(tiny_study: Path, finished: Path) -> None:
    config = study(tiny_study, action__coupling=6.975)
    with pytest.raises(ConfigError, match=r"action\.coupling: 8\.0 → 6\.975; use --fork"):
        run_stages(config, finished, stages=("sample",), progress=Silent())
    listener = Listener()
    run_stages(config, finished, stages=("sample",), progress=listener, fork=True)
    (fork,) = finished.parent.glob("run-*")
    assert "stage train" not in listener.lines
    assert [line for line in listener.lines if "warning" in line] == []
    assert (fork / "model/model.json").read_bytes() == (finished / "model/model.json").read_bytes()
    ensemble = Ensemble.open(fork / "ensembles/flow")
    assert ensemble.manifest["identity"]["action"]["coupling"] == 6.975
    # S is that of the new coupling, and the flow is the one there
    block = ensemble.read(0).arrays
    x, action = block["fields"], jax.vmap(build_action(config))(block["fields"])
    np.testing.assert_allclose(block["action"], action, rtol=1e-12)
    old = Ensemble.open(finished / "ensembles/flow").read(0).arrays["fields"]
    assert float(np.max(np.abs(x - old))) > 1e-3


def test_outside_the_range_is_said(tiny_study: Path, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "model", tmp_path / "run/model")
    listener = Listener()
    run_stages(study(tiny_study, action__coupling=9.5), tmp_path / "run", stages=("sample",), progress=listener)
    (warning,) = [line for line in listener.lines if line.startswith("warning")]
    assert "action.coupling = 9.5 is outside the range [6.5, 9]" in warning
    assert "its flow at 9" in warning
    manifest = json.loads((tmp_path / "run/ensembles/flow/manifest.json").read_text())
    assert manifest["inside_coupling_range"] is False


@pytest.mark.parametrize("ends", [[6.0, 9.0], None])
def test_a_model_of_another_range_is_refused(tiny_study: Path, finished: Path, ends: Any) -> None:
    config = study(tiny_study, flow__coupling_range=ends)
    context = RunContext(config=config, directory=finished, progress=Silent(), interrupts=Interrupts())
    with pytest.raises(ModelMismatchError, match="range of couplings" if ends else "another shape"):
        load_flow(context)


@pytest.mark.nightly
def test_an_interrupted_training_ends_with_the_same_bits(tiny_study: Path, finished: Path, tmp_path: Path) -> None:
    config = study(tiny_study, training__checkpoint_minutes=1e-9)
    with pytest.raises(Interrupted):
        run_stages(config, tmp_path, stages=("train",), progress=Listener(2))
    run_stages(config, tmp_path, stages=("train",), progress=Silent())
    weights = "model/weights.safetensors"
    assert (tmp_path / weights).read_bytes() == (finished / weights).read_bytes()


def test_a_conditional_model_starts_others(tiny_study: Path, finished: Path) -> None:
    """At one coupling, over another range, on another lattice; and another mass changes no weight."""
    flow, trained = load_foreign_flow(str(finished))
    assert isinstance(flow, ConditionalFlow)
    one = adapted(flow, trained, study(tiny_study, flow__coupling_range=None, action__coupling=7.0))
    for found, expected in zip(jax.tree.leaves(one), at(flow, 7.0), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    narrow = adapted(flow, trained, study(tiny_study, flow__coupling_range=[7.0, 8.0]))
    assert isinstance(narrow, ConditionalFlow)
    for found, expected in zip(at(narrow, 7.5), at(flow, 7.5), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert adapted(flow, trained, study(tiny_study, lattice__shape=[3, 3])).shape == (3, 3)
    heavier = adapted(flow, trained, study(tiny_study, action__mass_squared=-3.0))
    for found, expected in zip(jax.tree.leaves(heavier), jax.tree.leaves(flow), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_curriculum_widens_into_the_range(tiny_study: Path) -> None:
    course = {"extents": [2], "couplings": [8.0], "steps": [10]}
    first, last = study(tiny_study, lattice__shape=[3, 3], training__curriculum=course).course()
    assert (first.coupling_range(), last.coupling_range()) == (None, (6.5, 9.0))
    wide = adapted(build_flow(first), first, last)
    assert isinstance(wide, ConditionalFlow)
    assert wide.shape == (3, 3)


def test_ranges_in_the_normalisation_of_the_study(tiny_study: Path) -> None:
    config = study(
        tiny_study, action__normalisation="factorial", action__coupling=48.0, flow__coupling_range=[39.0, 54.0]
    )
    assert class_range(config) == (6.5, 9.0)
    assert not config.outside_range()
    assert study(tiny_study, action__coupling=6.4).outside_range()


def test_mixtures_have_ranges_too(tiny_study: Path) -> None:
    flow = build_flow(study(tiny_study, flow__mixture="z2"))
    assert isinstance(flow, ConditionalFlow)
    assert isinstance(flow.at(7.0), Z2Mixture)


def test_the_plan_knows_that_draws_cost_the_same(tiny_study: Path) -> None:
    plain, ranged = plan(study(tiny_study, flow__coupling_range=None)), plan(study(tiny_study))
    assert ranged["parameters"] == 3 * plain["parameters"]
    assert ranged["seconds"]["sample_flow"] == pytest.approx(plain["seconds"]["sample_flow"], rel=0.01)


def test_the_model_alone_serves_another_coupling_but_no_other_theory(finished: Path) -> None:
    config = sampling_study(finished / "model", name="draws", draws=128)
    assert _changed(config, {"action.coupling": "6.975"}).action.coupling == 6.975
    with pytest.raises(ConfigError, match=r"action\.mass_squared: -4\.0 → -3\.0"):
        _changed(config, {"action.mass_squared": "-3.0"})
    ordinary = config.model_copy(update={"flow": config.flow.model_copy(update={"coupling_range": None})})
    with pytest.raises(ConfigError, match=r"action\.coupling"):
        _changed(ordinary, {"action.coupling": "6.975"})
