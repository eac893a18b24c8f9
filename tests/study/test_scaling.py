"""A scaling study end to end, tiny: resumed, not redone, and its page; its tables from results made up by hand."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from latflow.errors import ConfigError, Interrupted
from latflow.report import write_report
from latflow.report.scaling import scaling_lines, write_scaling_report
from latflow.study.config import load_study
from latflow.study.config.scaling import ScalingConfig, load_scaling
from latflow.study.context import Silent
from latflow.study.scaling import Done, collect, run_scaling
from latflow.study.trajectory import prices

TINY = """
name = "tiny-scaling"
seed = 3
[points]
extents = [4, 6]
couplings = [7.0, 6.975]
mass_squared = -4.0
acceptances = [0.2, 0.3]
[flow]
kind = "real_nvp"
layers = 4
network = "convolutional"
hidden = [8]
kernel_size = 5
[training]
batch_size = 64
learning_rate = 0.01
evaluate_every = 50
evaluation_draws = 512
warmup_steps = 10
stop = { steps = 600 }
[sampling]
configurations = 4096
block_size = 1024
samplers = ["flow", "hmc", "local", "cluster"]
[hmc]
chains = 8
warmup = 60
target_acceptance = 0.8
[local]
chains = 8
warmup = 60
thin = 2
[cluster]
chains = 8
warmup = 60
sweeps = 1
"""


@pytest.fixture
def config(tmp_path: Path) -> ScalingConfig:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return load_scaling(path)


def made_up(extent: int, samplers: tuple[str, ...], *, acceptance: float = 0.35) -> dict[str, Any]:
    """Results whose τ_int are L² / 20, half of it for records two updates apart, and whose values all agree."""
    tau = {"flow": 1.5, "hmc": extent**2 / 20, "local": extent**2 / 40, "cluster": 1.0}
    cost = {"flow": 1e-4, "hmc": 3e-4, "local": 1e-4, "cluster": 5e-5}
    rows = [
        {
            "observable": name,
            "sampler": s,
            "value": value,
            "error": 0.1,
            "tau_int": tau[s],
            "tau_int_error": 0.1 * tau[s],
        }
        for s in samplers
        for name, value in (("susceptibility", 1.0), ("phi_squared", 0.2))
    ]
    vector = {key: [row, 2 * row] for key, row in rows[0].items() if key not in ("observable", "sampler")}
    rows.append({"observable": "two_point", "sampler": samplers[0], **vector})
    return {
        "estimates": rows,
        "cost": {s: {"seconds_per_independent": cost[s]} for s in samplers},
        "flow": {"acceptance": acceptance, "training_seconds": 20.0, "training_steps": 100, "stopped_by": "acceptance"},
        "verdict": {"status": "exact"},
    }


@pytest.fixture
def found(config: ScalingConfig) -> dict[str, Any]:
    samplers = ("flow", "hmc", "local", "cluster")
    done = {}
    for name, study in config.runs():
        extent, loose = study.lattice.shape[0], "a20" in name
        results = made_up(extent, ("flow", "hmc"), acceptance=0.1) if loose else made_up(extent, samplers)
        done[name] = Done(study, results)
    return collect(config, done)


def test_what_is_collected(found: dict[str, Any]) -> None:
    names = {(e["sampler"], e["extent"]) for e in found["samplers"]}
    assert names == {(s, n) for s in ("flow 30 %", "flow 20 %", "hmc", "local", "cluster") for n in (4, 6)}
    (local,) = [e for e in found["samplers"] if (e["sampler"], e["extent"]) == ("local", 6)]
    assert local["tau_int"]["susceptibility"] == [pytest.approx(36 / 20), pytest.approx(3.6 / 20)]  # thinned by two
    (flow,) = [e for e in found["samplers"] if (e["sampler"], e["extent"]) == ("flow 30 %", 4)]
    assert flow["estimates"]["two_point_0"]["value"] == 1.0


def test_laws(found: dict[str, Any]) -> None:
    laws = {(fit["sampler"], fit["observable"]): fit for fit in found["fits"]}
    assert laws["hmc", "susceptibility"]["z"] == pytest.approx(2.0)
    assert laws["local", "phi_squared"]["z"] == pytest.approx(2.0)
    assert laws["cluster", "susceptibility"]["z"] == pytest.approx(0.0, abs=1e-12)
    # the loose flow has half of the acceptance asked for: shown, not fitted
    assert ("flow 20 %", "susceptibility") not in laws
    assert ("flow 30 %", "susceptibility") in laws


def test_pulls_and_overtaking(found: dict[str, Any]) -> None:
    assert all(pull["pull"] == 0 for pull in found["pulls"])
    # ten pairs of samplers at either size, two observables; G_c(0) of the two flows
    assert len(found["pulls"]) == 2 * (10 * 2 + 1)
    sizes = {(p["flow"], p["sampler"], p["extent"]): p["independent_configurations"] for p in found["overtaking"]}
    assert sizes["flow 30 %", "hmc", 4] == pytest.approx(20.0 / 2e-4)
    assert sizes["flow 30 %", "cluster", 4] is None
    assert sizes["flow 30 %", "local", 4] is None
    assert "z" in found["fits"][0]
    assert any("largest" in line for line in scaling_lines(found))
    json.dumps(found, allow_nan=False)


class StopAfterOneRun:
    """Stops the study, as a signal would, when the second run begins to train."""

    def __init__(self) -> None:
        self.trained = 0

    def stage(self, name: str, detail: str) -> None:
        self.trained += name == "train"
        if self.trained == 2:
            raise Interrupted("planned stop")

    def update(self, name: str, done: float, total: float, fields: dict[str, Any]) -> None:
        """Shows nothing."""

    def line(self, text: str) -> None:
        """Shows nothing."""


def test_prices_of_trajectories(config: ScalingConfig) -> None:
    """More steps are longer trajectories at the same acceptance, and τ_int falls."""
    (_, study), *_ = config.runs()
    few, many = prices(study, candidates=(1, 8))
    assert many.n_steps * many.step_size > 2 * few.n_steps * few.step_size
    assert many.tau_int < few.tau_int
    assert few.cost == few.tau_int


@pytest.mark.nightly
def test_two_sizes_end_to_end(config: ScalingConfig, tmp_path: Path) -> None:
    directory = tmp_path / "scaling"
    with pytest.raises(Interrupted):
        run_scaling(config, directory, progress=StopAfterOneRun(), write_report=write_report)
    first = (directory / "L04" / "results.json").stat().st_mtime_ns
    found = run_scaling(config, directory, progress=Silent(), write_report=write_report)
    assert (directory / "L04" / "results.json").stat().st_mtime_ns == first
    assert len(found["samplers"]) == 10
    assert {fit["sampler"] for fit in found["fits"]} >= {"hmc", "local", "cluster"}
    assert all(math.isfinite(fit["z"]) for fit in found["fits"])
    # errors of flows with an acceptance of a fifth are not to be believed at this length
    classical = [p["pull"] for p in found["pulls"] if not any("flow" in sampler for sampler in p["samplers"])]
    assert len(classical) == 2 * 3 * 5
    assert max(map(abs, classical)) < 5
    trajectories = {e["trajectory"]["n_steps"] for e in found["samplers"] if e["trajectory"]}
    stored = {load_study(directory / name / "study.toml").hmc.n_steps for name in ("L04", "L06")}
    assert trajectories == stored
    page = write_scaling_report(directory).read_text()
    assert "tau_susceptibility" in page
    assert (directory / "figures" / "tau_susceptibility.pdf").exists()
    other = config.model_copy(update={"seed": 4})
    with pytest.raises(ConfigError, match="seed: 3 → 4"):
        run_scaling(other, directory, progress=Silent())
