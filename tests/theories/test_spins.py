"""Spin models as theories: exact values, estimates against them, a run from study to report."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import latflow as lf
from latflow.bijections.spin_levels import SpinLevels
from latflow.errors import ConfigError
from latflow.flows.flow import Flow
from latflow.report import write_report
from latflow.stats.quantities import all_estimates
from latflow.study.build import build_flow
from latflow.study.config import load_study
from latflow.study.context import Silent
from latflow.study.run import run_stages
from latflow.theories.any_action import physics_of, sectors_of
from latflow.theories.sectors import NoSectors
from latflow.theories.spins.known import known_values
from latflow.theories.spins.table import ONTable, XYTable

STUDIES = Path(__file__).parents[2] / "studies"


def xy(beta: float) -> XYTable:
    return XYTable(kind="xy", beta=beta)


def o_n(components: int, beta: float) -> ONTable:
    return ONTable(kind="o_n", components=components, beta=beta)


def test_where_exact_values_are_known() -> None:
    assert set(known_values(o_n(3, 1.0), (6,))) == {
        "spin_product",
        "spin_susceptibility",
        "spin_correlation_length",
        "log_z",
    }
    assert known_values(xy(0.8), (2, 8)) == known_values(xy(0.8), (8, 2))
    assert "helicity_modulus" in known_values(xy(0.8), (2, 8))
    assert known_values(o_n(2, 0.8), (2, 8)) == known_values(xy(0.8), (2, 8))
    assert known_values(xy(0.8), (16, 16)) == known_values(o_n(3, 1.0), (3, 3)) == {}
    assert known_values(o_n(3, 1.0), (2, 2))["spin_product"].source == "exact"


def test_estimates_are_the_exact_values() -> None:
    """Of the XY model on 2 × 6 sites by clusters, 5σ; the helicity modulus and ξ are derived from two columns each."""
    action = lf.SpinModel(lf.Lattice((2, 6)), components=2, beta=0.9)
    kernel = lf.SpinClusters(action, n_clusters=2)
    chain = lf.run_chain(jax.random.key(5), kernel, n=150, chains=32, warmup=30)
    found, known = lf.estimates(action, chain), known_values(xy(0.9), (2, 6))
    for name in ("spin_product", "spin_susceptibility", "spin_correlation_length", "helicity_modulus"):
        (estimate,) = found[name]
        assert abs(estimate.value - known[name].value) < 5 * estimate.error, name
        assert estimate.error < 0.06 * abs(known[name].value), name


def test_charges_of_o3_spins_are_estimated() -> None:
    action = lf.SpinModel(lf.Lattice((4, 4)), components=3, beta=1.0)
    physics = physics_of(action)
    fields = jax.vmap(action.space.random)(jax.random.split(jax.random.key(6), 64)).reshape(4, 16, 3, 4, 4)
    flat = lf.measure(physics.observables, np.asarray(fields).reshape(64, 3, 4, 4))
    series = {name: values.reshape(4, 16, *values.shape[1:]) for name, values in flat.items()}
    found = all_estimates(physics.estimators, series, None)
    assert {"topological_susceptibility", "topological_charge_distribution", "spin_correlator"} <= set(found)
    assert physics.back is not None
    assert isinstance(sectors_of(action), NoSectors)
    with pytest.raises(TypeError, match="no observables are known for SphereModes"):
        physics_of(lf.SphereModes([(1.0, 0.0)], concentration=1.0))


def test_studies_refuse_what_has_no_heat_bath() -> None:
    with pytest.raises(ConfigError, match=r"action.components: 5; allowed: 2, 3 or 4"):
        load_study(STUDIES / "o3-16.toml", {"action.components": "5"})
    assert load_study(STUDIES / "o3-16.toml", {"action.components": "5", "sampling.samplers": "hmc"})
    with pytest.raises(ConfigError, match=r"sampling.samplers: 'local'; allowed: flow, quasi, hmc, heatbath, cluster"):
        load_study(STUDIES / "xy-16.toml", {"sampling.samplers": "local"})


@pytest.mark.parametrize(
    ("key", "value"), [("lattice.shape", "4 4 4"), ("action.components", "5"), ("action.beta", "5.5")]
)
def test_studies_refuse_what_a_flow_cannot_draw(key: str, value: str) -> None:
    changes = {key: value, "sampling.samplers": "flow"}
    with pytest.raises(ConfigError, match=rf"{key}: .*with a flow of spins"):
        load_study(STUDIES / "o3-16-flow.toml", changes)
    with pytest.raises(ConfigError, match=r'flow.kind: .*allowed: "levels"'):
        load_study(STUDIES / "o3-16-flow.toml", {"flow.kind": "continuous", "sampling.samplers": "flow"})


def _levels(**changes: str) -> tuple[Flow, SpinLevels]:
    study = load_study(STUDIES / "o3-16-flow.toml", {"lattice.shape": "4 4", **changes})
    flow = build_flow(study)
    assert isinstance(flow, Flow)
    assert isinstance(flow.bijection, SpinLevels)
    return flow, flow.bijection


def test_models_of_spins_begin_with_the_heat_bath_of_their_study() -> None:
    """At its β; weights in float32 leave fields and densities in float64."""
    assert _levels()[1].coupling == 1.3
    assert _levels(**{"action.beta": "1.1"})[1].coupling == 1.1
    flow, bijection = _levels(**{"training.precision": "float32"})
    x, log_q = flow.sample_and_log_prob(jax.random.key(1))
    assert bijection.weights[0].linear.dtype == np.float32
    assert x.dtype == log_q.dtype == bijection.coupling.dtype == np.float64
    assert log_q == pytest.approx(float(flow.log_prob(x)), abs=1e-10)


def test_a_flow_from_study_to_report(tmp_path: Path) -> None:
    """A strip, whose values are known: random draws, and log Z, within 5σ of them."""
    changes = {"lattice.shape": "2 4", "sampling.configurations": "4096", "sampling.block_size": "2048"}
    changes |= {"action.components": "2", "action.beta": "0.8", "sampling.samplers": "flow", "flow.width": "8"}
    changes |= {"flow.near": "4", "training.target_draws": "1024", "training.evaluation_draws": "256"}
    changes |= {"training.stop.steps": "150", "training.evaluate_every": "150", "training.learning_rate": "0.01"}
    study, run = load_study(STUDIES / "o3-16-flow.toml", changes), tmp_path / "run"
    stages = ("train", "sample", "measure", "analyse")
    run_stages(study, run, stages=stages, progress=Silent(), write_report=write_report)
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    known = known_values(xy(0.8), (2, 4))
    rows = [row for row in results["estimates"] if row["reference"] is not None]
    assert {"log_z", "spin_product"} <= {row["observable"] for row in rows}
    for row in rows:
        assert abs(row["value"] - row["reference"]) < 5 * row["error"], (row["observable"], row["sampler"])
        if row["observable"] in known:
            assert row["reference"] == pytest.approx(known[row["observable"]].value)
    assert results["flow"]["reweighting_ess"] > 0.9


def test_a_run_from_study_to_report(tmp_path: Path) -> None:
    """A strip, whose values are known: HMC and clusters within 5σ of them."""
    changes = {"lattice.shape": "2 4", "sampling.configurations": "2048", "sampling.block_size": "512"}
    changes |= {"sampling.samplers": "hmc cluster"}
    changes |= {f"{name}.{key}": n for name in ("hmc", "cluster") for key, n in (("chains", "16"), ("warmup", "40"))}
    study = load_study(STUDIES / "xy-16.toml", changes)
    run = tmp_path / "run"
    stages = ("sample", "measure", "analyse", "report")
    run_stages(study, run, stages=stages, progress=Silent(), write_report=write_report)
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    known = known_values(xy(0.8), (2, 4))
    rows = [row for row in results["estimates"] if row["reference"] is not None]
    samplers = {(row["observable"], row["sampler"]) for row in rows}
    assert samplers == {(name, s) for name in set(known) - {"log_z"} for s in ("hmc", "cluster")}
    for row in rows:
        assert row["reference"] == pytest.approx(known[row["observable"]].value)
        assert abs(row["value"] - row["reference"]) < 5 * row["error"], (row["observable"], row["sampler"])
    assert "helicity modulus" in (run / "report.html").read_text(encoding="utf-8")
