"""Sine-Gordon theory: exact values of rings of sites, the free limit, and a run from study to report."""

import itertools
import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from displays import Listening
from latflow.actions import exact
from latflow.cli.models import _changed
from latflow.errors import ConfigError, UsageError
from latflow.lattice import Lattice
from latflow.report.trend import trend, trend_figure, trend_lines
from latflow.samplers.chains import advance, starts, warm_up
from latflow.samplers.local import LocalMetropolis
from latflow.stats.gamma import gamma_estimate
from latflow.study.build import study_flow
from latflow.study.card_maker import sampling_study
from latflow.study.config import load_study
from latflow.study.config.study import with_overrides
from latflow.study.context import Silent
from latflow.study.free_energy import free_energy_differences
from latflow.study.models import adapted, load_foreign_flow
from latflow.study.run import run_stages
from latflow.study.wording import read_results
from latflow.theories.phi4.table import PhiFourTable
from latflow.theories.scalar.known import free_values
from latflow.theories.sine_gordon.known import known_values
from latflow.theories.sine_gordon.physics import SineGordon
from latflow.theories.sine_gordon.table import SineGordonTable


def table(mass_squared: float, alpha: float) -> SineGordonTable:
    return SineGordonTable(kind="sine_gordon", mass_squared=mass_squared, alpha=alpha)


@pytest.mark.parametrize("shape", [(2, 2), (5,)])
def test_rings_without_potential_are_the_free_field(shape: tuple[int, ...]) -> None:
    """The transfer matrix at a potential too small to matter against sums over momenta."""
    ring = known_values(table(0.4, 1e-13), shape)
    free = free_values(shape, mass_squared=0.4)
    for name in ("susceptibility", "phi_squared", "log_z"):
        assert ring[name].value == pytest.approx(free[name].value, rel=1e-9)
    assert ring["cos_phi"].value == pytest.approx(known_values(table(0.4, 0.0), shape)["cos_phi"].value, rel=1e-9)


def test_a_ring_of_two_sites_against_a_sum_over_both() -> None:
    """Every average as a plain double sum over the weight exp(−S), with S written out here."""
    mass_squared, alpha = 0.3, 1.7
    x = np.linspace(-25, 25, 2001)
    a, b = np.meshgrid(x, x, indexing="ij")
    # two sites in one direction: each is both neighbours of the other
    s = 2 * (a - b) ** 2 + mass_squared * (a**2 + b**2) + alpha * (2 - np.cos(a) - np.cos(b))
    weight = np.exp(-s)
    z = weight.sum()
    known = known_values(table(mass_squared, alpha), (2,))
    assert known["log_z"].value == pytest.approx(math.log(z * (x[1] - x[0]) ** 2), rel=1e-10)
    assert known["phi_squared"].value == pytest.approx((weight * a**2).sum() / z, rel=1e-10)
    assert known["cos_phi"].value == pytest.approx((weight * np.cos(a)).sum() / z, rel=1e-10)
    assert known["ising_energy"].value == pytest.approx((weight * a * b).sum() / z, rel=1e-10)


def test_the_action_against_a_loop_over_sites() -> None:
    action = SineGordon(Lattice((3, 2)), mass_squared=0.4, alpha=1.3)
    phi = np.random.default_rng(1).normal(size=(3, 2)) * 2
    expected = 0.0
    for i, j in itertools.product(range(3), range(2)):
        expected += (phi[(i + 1) % 3, j] - phi[i, j]) ** 2 + (phi[i, (j + 1) % 2] - phi[i, j]) ** 2
        expected += 0.4 * phi[i, j] ** 2 + 1.3 * (1 - math.cos(phi[i, j]))
    assert float(action(jnp.asarray(phi))) == pytest.approx(expected, rel=1e-13)


def test_local_updates_reproduce_a_ring() -> None:
    """2×2 sites: 64 chains of 400 records; sees 5 % of ⟨φ²⟩ and 0.5 % of ⟨cos φ⟩ at 5σ."""
    mass_squared, alpha = 0.5, 2.0
    action = SineGordon(Lattice((2, 2)), mass_squared=mass_squared, alpha=alpha)
    kernel = LocalMetropolis(action, width=jnp.asarray(0.5))
    key = jax.random.key(7)
    kernel, x, _ = warm_up(kernel, key, starts(key, action.space, chains=64), n_steps=100, target_acceptance=0.5)
    _, records = advance(kernel, jax.random.fold_in(key, 1), x, first=0, n_records=400, thin=4)
    fields = np.asarray(records.x).reshape(400, 64, 4)
    known = known_values(table(mass_squared, alpha), (2, 2))
    for name, values in {"phi_squared": fields**2, "cos_phi": np.cos(fields)}.items():
        found = gamma_estimate(values.mean(axis=-1).T)
        assert abs(found.value - known[name].value) < 5 * found.error
        assert found.error < {"phi_squared": 0.01, "cos_phi": 0.001}[name] * known[name].value


def test_a_matrix_that_is_too_large_is_not_made() -> None:
    assert known_values(table(1e-4, 1.0), (2, 2)) == {}
    assert known_values(table(0.3, 1.0), (3, 3)) == {}
    assert exact.ring(2, np.linspace(-5, 5, 101), np.linspace(-5, 5, 101) ** 2, bond=0.0).means == {}


STUDY = """
name = "sg"
[lattice]
shape = [2, 2]
[action]
kind = "sine_gordon"
mass_squared = 0.5
alpha = 1.0
[sampling]
configurations = 2048
block_size = 1024
samplers = ["hmc", "cluster"]
[hmc]
inner_steps = 2
warmup = 50
[cluster]
warmup = 50
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sg")
    (folder / "study.toml").write_text(STUDY)
    config = load_study(folder / "study.toml")
    run_stages(config, folder / "run", stages=("sample", "measure", "analyse"), progress=Silent())
    return folder / "run"


def test_a_run_has_its_own_names_and_references(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    known = known_values(table(0.5, 1.0), (2, 2))
    rows = {row["observable"]: row for row in results["estimates"] if row["sampler"] == "hmc"}
    referenced = {name for name, row in rows.items() if row["reference"] is not None}
    assert referenced == set(known) - {"log_z"}  # chains give no log Z
    for name in referenced:
        assert rows[name]["reference"] == pytest.approx(known[name].value)
        assert abs(rows[name]["value"] - known[name].value) < 5 * rows[name]["error"]
    assert results["observables"]["cos_phi"]["title"] == "mean cosine"
    assert "cos" in results["theory"]["formula"]


def test_an_observable_less_or_more_keeps_what_is_measured(run: Path) -> None:
    """The list changes in a finished run: columns that are there are not measured again, bit for bit."""
    config = load_study(run / "study.toml")
    few = with_overrides(config, {"measure.observables": "cos_phi"})
    run_stages(few, run, stages=("measure", "analyse"), progress=Silent())
    manifest = json.loads((run / "measurements/hmc/manifest.json").read_text())
    assert "two_point" not in manifest["identity"]["observables"]
    names = {row["observable"] for row in json.loads((run / "results.json").read_text())["estimates"]}
    assert names == {"cos_phi"}
    said = Listening()
    run_stages(config, run, stages=("measure", "analyse"), progress=said)
    assert any("columns kept" in line and "two_point" in line and "cos_phi" not in line for line in said.lines)
    assert not (run / "earlier").exists()


def test_a_trend_in_alpha(run: Path, tmp_path: Path) -> None:
    steeper = with_overrides(load_study(run / "study.toml"), {"action.alpha": "1.5", "sampling.samplers": "hmc"})
    run_stages(steeper, tmp_path / "steeper", stages=("sample", "measure", "analyse"), progress=Silent())
    found = trend([tmp_path / "steeper", run], ["cos_phi"])
    assert found.key == "action.alpha"
    assert [(point.sampler, point.x) for point in found.points] == [("hmc", 1.0), ("hmc", 1.5), ("cluster", 1.0)]
    lines = trend_lines(found)
    assert lines[2].startswith("| alpha | sampler |")
    assert any(line.startswith("| 1.5 | HMC |") for line in lines)
    assert b"<svg" in trend_figure(found, "cos_phi")
    with pytest.raises(UsageError, match=r"lattice\.shape|allowed"):
        trend([run, run], ["cos_phi"])


RANGE = """
[flow]
parameter = "alpha"
coupling_range = [0.5, 2.0]
hidden = 3
contexts = 2
features = 2
times = 2
radius = 1
steps = 2
[training]
batch_size = 64
warmup_steps = 2
learning_rate = 0.02
evaluate_every = 20
evaluation_draws = 96
stop = { steps = 40 }
"""


@pytest.fixture(scope="module")
def ranged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One training over α from 0.5 to 2, drawn from at α = 1 and, with the same model, at α = 0.5."""
    folder = tmp_path_factory.mktemp("range")
    (folder / "study.toml").write_text(STUDY + RANGE)
    config = with_overrides(load_study(folder / "study.toml"), {"sampling.samplers": "flow"})
    stages = ("train", "sample", "measure", "analyse")
    run_stages(config, folder / "run", stages=stages, progress=Silent())
    weak = with_overrides(config, {"action.alpha": "0.5"})
    said = Listening()
    run_stages(weak, folder / "run", stages=stages[1:], progress=said, fork=True)
    assert not any(line.startswith(("train ", "warning")) for line in said.lines)
    (fork,) = folder.glob("run-*")
    return folder / "run", fork


def test_one_model_for_a_range_of_alpha(ranged: tuple[Path, Path]) -> None:
    """Log Z at two values of α, exact within 5σ; σ < 0.05. The weights did become different along the range."""
    for directory, alpha in zip(ranged, (1.0, 0.5), strict=True):
        found = read_results(directory / "results.json").estimate("log_z", "reweighted")
        exact_value = known_values(table(0.5, alpha), (2, 2))["log_z"].value
        assert found.reference == pytest.approx(exact_value)
        assert abs(found.value - exact_value) < 5 * found.error < 0.25
    flow, trained = load_foreign_flow(str(ranged[0]))
    assert (flow.parameter, trained.conditional_parameter()) == ("alpha", "alpha")
    ends = [jax.tree.leaves(flow.at(alpha)) for alpha in (0.5, 2.0)]
    assert max(float(jnp.max(jnp.abs(a - b))) for a, b in zip(*ends, strict=True)) > 1e-3
    records = [json.loads(line) for line in (ranged[0] / "model/train.jsonl").read_text().splitlines()]
    assert [probe["alpha"] for probe in records[-1]["couplings"]] == pytest.approx([0.5, 1.0, 2.0])


def test_free_energy_between_two_values_of_alpha(ranged: tuple[Path, Path]) -> None:
    exact_row, *others = free_energy_differences(*ranged)
    assert exact_row.way == "reference, exact"
    assert {row.way for row in others} == {
        "A → B, flow draws of A", "B → A, flow draws of B", "two log Z, of the flows"
    }  # fmt: skip
    for row in others:
        assert abs(row.value - exact_row.value) < 5 * row.error < 0.25


def test_the_range_speaks_of_the_parameter_everywhere(ranged: tuple[Path, Path]) -> None:
    """Draws from the model alone take another α and no other mass; other trainings may start from it."""
    flow, trained = load_foreign_flow(str(ranged[0]))
    config = sampling_study(ranged[0] / "model", name="draws", draws=128)
    assert _changed(config, {"action.alpha": "0.7"}).action.alpha == 0.7
    with pytest.raises(ConfigError, match=r"action\.mass_squared: 0\.5 → 0\.6"):
        _changed(config, {"action.mass_squared": "0.6"})
    assert with_overrides(config, {"action.alpha": "2.1"}).outside_range()
    # over masses, the start is what the model is at the α of the study
    of_mass = {"flow.parameter": "mass_squared", "flow.coupling_range": "0.3 0.6", "action.alpha": "0.7"}
    other = adapted(flow, trained, with_overrides(trained, of_mass))
    assert (other.parameter, other.lower, other.upper) == ("mass_squared", 0.3, 0.6)
    for found, expected in zip(jax.tree.leaves(other.at(0.4)), jax.tree.leaves(flow.at(0.7)), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    phi4 = PhiFourTable(kind="phi4", mass_squared=0.5, coupling=1.0)
    with pytest.raises(ConfigError, match="PhiFour: no parameter alpha"):
        study_flow(flow, trained.model_copy(update={"action": phi4}))
