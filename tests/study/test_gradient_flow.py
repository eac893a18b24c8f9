"""The gradient flow and smeared loops in a study: numbers, identity of what was measured, what may change."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from latflow.errors import ConfigError, MissingInputError
from latflow.fields.field_strength import charge
from latflow.fields.gradient_flow import GradientFlow
from latflow.fields.smearing import ape
from latflow.observables.gauge import WilsonLoops
from latflow.report import summary_lines, write_report
from latflow.report.charge import charge_series
from latflow.report.data import load
from latflow.report.tables import observable_tables, vector_tables
from latflow.results import read, write
from latflow.stats.flow_scale import flow_scale_estimates
from latflow.stats.gamma import chain_estimates, gamma_estimate
from latflow.store.ensemble import Ensemble
from latflow.study.config import StudyConfig, load_study
from latflow.study.config.study import with_overrides
from latflow.study.context import Silent
from latflow.study.run import run_stages
from latflow.study.theories import build_link_action

LINKS = """
name = "flowed"
seed = 5
[lattice]
shape = [3, 3, 3, 3]
[action]
kind = "wilson"
group = "SU(2)"
beta = 1.0
[sampling]
configurations = 48
samplers = ["hmc"]
block_size = 24
[hmc]
chains = 3
warmup = 12
n_steps = 3
[gradient_flow]
kind = "wilson"
spacing = 0.05
records = 5
tolerance = 1e-4
[smearing]
kind = "ape"
steps = 2
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> StudyConfig:
    path = tmp_path_factory.mktemp("flow") / "flowed.toml"
    path.write_text(LINKS)
    return load_study(path)


@pytest.fixture(scope="module")
def finished(config: StudyConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("flow-run") / "flowed"
    run_stages(config, directory, stages=("sample", "measure", "analyse"), progress=Silent())
    return directory


def estimates_of(directory: Path) -> dict[str, dict]:
    return {row["observable"]: row for row in json.loads((directory / "results.json").read_text())["estimates"]}


def test_estimates_are_those_of_the_stored_configurations(config: StudyConfig, finished: Path) -> None:
    """Fixed small steps, one configuration after another, in place of the adaptive ones of the study."""
    fields = Ensemble.open(finished / "ensembles" / "hmc").column("fields")
    action = build_link_action(config)
    flow = GradientFlow(action.space)

    def one(x):
        end, found = flow.history(x, step_size=0.0125, n_records=5, steps_per_record=4)
        loops = WilsonLoops(action.space, 2, 2)(ape(action.space, x, alpha=0.5, n_steps=2, spatial=True))
        return found.clover_energy, found.plaquette_energy, charge(action.space, end), loops

    clover, plaquettes, q, loops = jax.jit(lambda xs: jax.lax.map(one, xs))(fields.reshape(-1, *fields.shape[2:]))

    def chains(column):
        return np.swapaxes(np.asarray(column).reshape(16, 3, *column.shape[1:]), 0, 1)

    times, found = 0.05 * np.arange(6), estimates_of(finished)
    expected = flow_scale_estimates(times, chains(clover)) | {
        f"{name}_plaquette": values for name, values in flow_scale_estimates(times, chains(plaquettes)).items()
    }
    expected["clover_charge"] = [gamma_estimate(chains(q))]
    expected["clover_charge_squared"] = [gamma_estimate(chains(q) ** 2)]
    expected["topological_susceptibility"] = [gamma_estimate(chains(q) ** 2 / 3**4)]
    expected |= chain_estimates(
        {"loops": chains(loops)},
        lambda means: {"smeared_static_potential": np.log(means["loops"][:, 0] / means["loops"][:, 1])},
    )
    for name, values in expected.items():
        for key in ("value", "error"):
            stored = np.array(found[name][key], dtype=float).reshape(-1)
            wanted = [getattr(value, key) for value in values]
            np.testing.assert_allclose(stored, wanted, rtol=2e-3, atol=1e-7, err_msg=f"{name} {key}")
    # the potential is a difference of noisy numbers, but t₀ by plaquettes must have been reached on so rough fields
    assert 0 < found["t0_plaquette"]["value"] < 0.25
    assert found["flow_charge_squared"]["value"][-1] == found["clover_charge_squared"]["value"]


def test_the_report_shows_scales_and_says_what_was_not_reached(finished: Path, tmp_path: Path) -> None:
    """A second results.json in which the clover ends below the level, as on fine lattices."""
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    results = read(copy / "results.json")
    changes = {
        "t0": {"value": None, "error": None, "tau_int": None, "tau_int_error": None},
        "t0_plaquette": {"value": 0.1234, "error": 0.0011},
    }
    rows = tuple(row.model_copy(update=changes.get(row.observable, {})) for row in results.estimates)
    results = results.model_copy(update={"estimates": rows})
    write(results, copy / "results.json")
    page = write_report(copy).read_text(encoding="utf-8")
    note = "Not reached: t²⟨E⟩ of the clover stays below 0.3 until t = 0.25, the end of the flow (HMC)."
    assert page.count(note) == 2  # in the table and under the figure
    assert "0.1234(11)" in page
    lines = summary_lines(results)
    assert any(
        line.startswith("t0") and "not reached, below 0.3 until the flow ends at t = 0.25" in line for line in lines
    )
    assert "HMC: 3 chains" in lines[-1]
    assert "too short to say whether they agree: 16 records each" in lines[-1] or "do NOT agree" in lines[-1]
    for name in ("flow_energy", "charge_histogram", "charge_history", "static_potential"):
        assert (copy / "figures" / f"{name}.svg").stat().st_size > 1000, name
    assert "open: with links in space smeared (APE)" in page
    assert "arXiv:1006.4518" in page
    # rows by planes and by flow times
    labels = {table.title: [row[0] for row in table.rows] for table in vector_tables(load(copy))}
    assert labels["plaquette by planes"] == [
        "(0,1)", "(0,2)", "(0,3) with time", "(1,2)", "(1,3) with time", "(2,3) with time"
    ]  # fmt: skip
    assert labels["energy along the gradient flow, clover"] == ["0.05", "0.1", "0.15", "0.2", "0.25"]
    charges = charge_series(load(copy), "hmc")
    stored = Ensemble.open(copy / "measurements" / "hmc").column("gradient_flow")
    np.testing.assert_array_equal(charges, stored[:, :, 2, -1].T)
    # beneath Q, Q² and the susceptibility stands whether Q is one
    off = np.mean(np.abs(stored[:, :, 2, -1] - np.round(stored[:, :, 2, -1])))
    note = f"Q at flow time t = 0.25, not rounded; mean distance from the nearest integer: HMC {off:.2g}."
    noted = [table.observable for table in observable_tables(load(copy)) if note in table.note]
    assert noted == ["clover_charge", "clover_charge_squared", "topological_susceptibility"]
    assert page.count(note) == 3


def test_other_settings_are_measured_again_on_the_same_configurations(config: StudyConfig, finished: Path) -> None:
    before = (finished / "ensembles" / "hmc" / "manifest.json").read_bytes()
    first = Ensemble.open(finished / "measurements" / "hmc")
    assert first.manifest["identity"]["gradient_flow"]["records"] == 5
    column = first.column("gradient_flow")
    shorter = with_overrides(config, {"gradient_flow.records": "3"})
    with pytest.raises(MissingInputError, match="measured with other settings"):
        run_stages(shorter, finished, stages=("analyse",), progress=Silent())
    (finished / "earlier" / "hmc").mkdir(parents=True)  # as a process leaves it that was killed while it removed them
    results = run_stages(shorter, finished, stages=("sample", "measure", "analyse"), progress=Silent())
    assert not (finished / "earlier").exists()
    assert (finished / "ensembles" / "hmc" / "manifest.json").read_bytes() == before
    second = Ensemble.open(finished / "measurements" / "hmc")
    assert second.manifest["identity"]["gradient_flow"]["records"] == 3
    assert second.column("gradient_flow").shape == (16, 3, 3, 4)
    # adaptive steps begin anew at every record: what was measured before is measured again, number for number
    np.testing.assert_array_equal(second.column("gradient_flow"), column[..., :4])
    assert results.gradient_flow.times == pytest.approx([0, 0.05, 0.1, 0.15])
    rows = estimates_of(finished)
    assert rows["t0"]["value"] is None
    # nothing changed since: nothing is measured
    third = run_stages(shorter, finished, stages=("measure", "analyse"), progress=Silent())
    assert third == results


def test_settings_that_touch_configurations_are_still_refused(config: StudyConfig, finished: Path) -> None:
    with pytest.raises(ConfigError, match="action\\.beta"):
        run_stages(with_overrides(config, {"action.beta": "1.1"}), finished, stages=("measure",), progress=Silent())
