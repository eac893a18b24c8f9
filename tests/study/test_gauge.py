"""Gauge theories through the stages of a study: exact values, restarts, frozen charges, verification, report."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from latflow.actions.gauge import ImprovedAction
from latflow.errors import ConfigError, Interrupted, UsageError
from latflow.report import summary_lines, write_report
from latflow.report.data import load
from latflow.report.html import DRAWINGS
from latflow.report.trend import trend, trend_figure, trend_lines
from latflow.results import read
from latflow.samplers.heatbath import HeatBath
from latflow.samplers.integrators import FORCE_GRADIENT, Level, Nested, n_forces
from latflow.samplers.link_metropolis import LinkMetropolis
from latflow.store.ensemble import Ensemble
from latflow.store.interrupts import Interrupts
from latflow.study.build import STREAMS
from latflow.study.config import StudyConfig, load_study
from latflow.study.config.methods import BUILT_IN
from latflow.study.config.study import with_overrides
from latflow.study.context import RunContext, Silent
from latflow.study.methods import build_kernel
from latflow.study.plan import plan
from latflow.study.run import run_stages
from latflow.study.stages.chains import load_start
from latflow.study.theories import build_link_action, build_local_action, known_values
from latflow.study.verify import verify

STAGES = ("train", "sample", "measure", "analyse")

LINKS = """
name = "links"
seed = 4
[lattice]
shape = [4, 4]
[action]
kind = "wilson"
group = "U(1)"
beta = 1.5
[sampling]
configurations = 2048
samplers = ["hmc", "heatbath", "metropolis"]
block_size = 1024
[hmc]
n_steps = 4
chains = 8
warmup = 60
thin = 2
[heatbath]
chains = 8
warmup = 30
[metropolis]
chains = 8
warmup = 60
thin = 2
"""

SAMPLERS = ("hmc", "heatbath", "metropolis")


class StopAfter(Silent):
    """A display that stops the run at its n-th unit of work."""

    def __init__(self, n: int) -> None:
        self.left = n

    def update(self, name: str, done: float, total: float, fields: dict[str, object]) -> None:
        del name, done, total, fields
        self.left -= 1
        if self.left == 0:
            raise Interrupted("planned stop")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> StudyConfig:
    path = tmp_path_factory.mktemp("gauge") / "links.toml"
    path.write_text(LINKS)
    return load_study(path)


@pytest.fixture(scope="module")
def finished(config: StudyConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("gauge-run") / "links"
    run_stages(config, directory, stages=STAGES, progress=Silent())
    write_report(directory)
    return directory


def results_of(directory: Path) -> dict:
    return json.loads((directory / "results.json").read_text())


def test_all_samplers_agree_with_exact_values(finished: Path) -> None:
    # A relative error of 5 % of the plaquette would be seen.
    rows = results_of(finished)["estimates"]
    exact = {"plaquette", "rectangle", "wilson_loop_2x2", "topological_charge_squared", "action_density"}
    for sampler in SAMPLERS:
        compared = [row for row in rows if row["sampler"] == sampler and isinstance(row["reference"], float)]
        assert exact <= {row["observable"] for row in compared}
        for row in compared:
            assert row["reference_source"] == "exact"
            assert abs(row["value"] - row["reference"]) < 5 * row["error"], row
        plaquette = next(row for row in compared if row["observable"] == "plaquette")
        assert plaquette["error"] < 0.01 * plaquette["value"]


def test_the_charge_is_distributed_as_it_must_be(finished: Path) -> None:
    for row in results_of(finished)["estimates"]:
        if row["observable"] == "topological_charge_distribution":
            shares, errors, known = (np.array(row[key], dtype=float) for key in ("value", "error", "reference"))
            assert shares.sum() == pytest.approx(1)
            seen = np.isfinite(errors)
            assert 3 <= seen.sum() < len(shares)
            assert np.all(np.abs(shares - known)[seen] < 5 * errors[seen])


def test_chains_of_all_starts_agree(finished: Path) -> None:
    for entry in results_of(finished)["chains"].values():
        assert (entry["chains"], entry["records"]) == (8, 256)
        assert set(entry["r_hat"]) == {"plaquette", "rectangle", "polyakov_squared", "topological_charge"}
        assert entry["agree"]


def test_results_hold_the_settings_that_warm_up_tuned(config: StudyConfig, finished: Path) -> None:
    found = results_of(finished)["samplers"]
    assert set(found) == set(SAMPLERS)
    scale = {s: Ensemble.open(finished / "ensembles" / s).manifest["scale"] for s in SAMPLERS}
    hmc = found["hmc"]
    assert (hmc["step_size"], hmc["trajectory_length"]) == (scale["hmc"], 4 * scale["hmc"])
    # tuning has moved it
    assert hmc["trajectory_length"] != config.hmc.trajectory_length
    assert found["metropolis"]["width"] == scale["metropolis"]
    assert "width" not in found["heatbath"]
    assert (found["heatbath"]["overrelaxation"], found["metropolis"]["thin"], hmc["start"]) == (1, 2, "mixed")
    for sampler in SAMPLERS:
        seen = Ensemble.open(finished / "ensembles" / sampler).column("acceptance").mean()
        assert found[sampler]["acceptance"] == pytest.approx(seen, rel=1e-12)
    page = (finished / "report.html").read_text()
    assert all(f"{number:.4g}" in page for number in (scale["hmc"], 4 * scale["hmc"], scale["metropolis"]))
    assert "model/train.jsonl" not in page
    assert all(work in page for work in ("151 (2003) 272", "36 (1987) 515"))


def test_frozen_chains_are_told(config: StudyConfig, tmp_path: Path) -> None:
    # At β = 40 a local update never crosses from one charge to another: every chain keeps that of its start.
    changes = {"action.beta": "40", "sampling.samplers": "heatbath", "sampling.configurations": "1024"}
    study = with_overrides(config, {**changes, "lattice.shape": "6 6", "heatbath.overrelaxation": "0"})
    run_stages(study, tmp_path / "frozen", stages=STAGES, progress=Silent())
    entry = results_of(tmp_path / "frozen")["chains"]["heatbath"]
    assert not entry["agree"]
    assert entry["r_hat"]["topological_charge"] is None
    words = summary_lines(read(tmp_path / "frozen" / "results.json"))[-1]
    assert "do NOT agree" in words
    assert "topological charge ∞" in words
    page = write_report(tmp_path / "frozen").read_text()
    assert "8 chains do not agree" in page


def test_an_interrupted_run_ends_with_the_same_bits(config: StudyConfig, finished: Path, tmp_path: Path) -> None:
    directory = tmp_path / "links"
    for stop in (1, 2, 2, 2):
        with pytest.raises(Interrupted):
            run_stages(config, directory, stages=STAGES, progress=StopAfter(stop))
    run_stages(config, directory, stages=STAGES, progress=Silent())
    assert results_of(directory)["estimates"] == results_of(finished)["estimates"]
    for sampler in SAMPLERS:
        old, new = (Ensemble.open(path / "ensembles" / sampler) for path in (finished, directory))
        assert [entry.sha256 for entry in old.entries] == [entry.sha256 for entry in new.entries]


def test_verification_passes_and_finds_links_outside_the_group(finished: Path, monkeypatch) -> None:
    checks = verify(finished)
    assert all(check.passed for check in checks)
    assert sum("lie in their space" in check.name for check in checks) == 3
    monkeypatch.setattr("latflow.groups.u1.U1.defect", lambda *_: np.float64(1e-3))
    wrong = [check.name for check in verify(finished) if not check.passed]
    assert wrong == [f"ensembles/{name}: last configurations lie in their space" for name in sorted(SAMPLERS)]


def test_the_report_shows_what_there_is_and_nothing_of_flows(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    names = {path.stem for path in (finished / "figures").glob("*.svg")}
    assert {"wilson_loops", "static_potential", "plaquette_history", "charge_history", "charge_histogram"} <= names
    run = load(finished)
    assert len(names) == sum(drawing.wanted(run) for drawings in DRAWINGS.values() for drawing in drawings)
    assert "8 chains agree" in page
    for words in ("Training", "reweighting ESS", "Verdict", "Flow"):
        assert words not in page


def test_a_trend_of_two_couplings(finished: Path, config: StudyConfig, tmp_path: Path) -> None:
    lower = with_overrides(config, {"action.beta": "1.0", "sampling.samplers": "hmc", "hmc.thin": "3"})
    run_stages(lower, tmp_path / "lower", stages=STAGES, progress=Silent())
    found = trend([finished, tmp_path / "lower"], ["topological_charge_squared", "plaquette"])
    assert found.key == "action.beta"
    charges = [point for point in found.points if point.observable == "topological_charge_squared"]
    assert [(p.sampler, p.x) for p in charges] == [
        ("hmc", 1.0), ("hmc", 1.5), ("heatbath", 1.5), ("metropolis", 1.5)
    ]  # fmt: skip
    rows = {row["observable"]: row for row in results_of(tmp_path / "lower")["estimates"]}
    assert charges[0].tau_int == 3 * rows["topological_charge_squared"]["tau_int"]
    assert [point.length for point in charges] == [768, 512, 256, 512]
    assert not any(point.is_bound for point in charges)
    assert [row.x for row in found.freezing] == [1.0, 1.5]
    # Charges that do not remember have <ΔQ²> = 2<Q²>.
    assert all(abs(row.gamma - 1) < 0.3 for row in found.freezing)
    lines = trend_lines(found)
    assert sum(line.startswith("| 1.5 |") for line in lines) == 2 * 3 + 1
    assert b"<svg" in trend_figure(found, "plaquette")
    assert not any(point.is_unseen for point in charges if point.thin == 1)
    assert dataclasses.replace(charges[0], tau_int=1.05).is_unseen
    short = dataclasses.replace(charges[0], length=10)
    assert short.is_bound
    assert "≥" in "".join(trend_lines(dataclasses.replace(found, points=[short])))


def test_a_trend_needs_one_coupling_that_differs(finished: Path) -> None:
    with pytest.raises(UsageError, match="differ in nothing"):
        trend([finished, finished], ["plaquette"])


def test_groups_and_actions_go_through(tmp_path: Path, config: StudyConfig) -> None:
    changes = {"action.group": "SU(2)", "lattice.shape": "2 2 2", "sampling.configurations": "64", "hmc.warmup": "10"}
    improved = {"action.kind": "improved", "action.improvement": "iwasaki", "sampling.samplers": "hmc"}
    study = with_overrides(config, {**changes, **improved, "hmc.chains": "4", "sampling.block_size": "32"})
    run_stages(study, tmp_path / "improved", stages=STAGES, progress=Silent())
    rows = {row["observable"]: row for row in results_of(tmp_path / "improved")["estimates"]}
    assert len(rows["plaquette_planes"]["value"]) == 3
    assert rows["plaquette"]["reference"] is None
    assert np.mean(rows["plaquette_planes"]["value"]) == pytest.approx(rows["plaquette"]["value"])
    write_report(tmp_path / "improved")


def test_the_heat_bath_has_nothing_to_tune(config: StudyConfig, finished: Path) -> None:
    kernel, start = load_start(RunContext(config, finished, Silent(), Interrupts()), "heatbath")
    assert isinstance(kernel, HeatBath)
    assert start.shape == (8, 2, 4, 4)
    manifest = json.loads((finished / "ensembles" / "heatbath" / "manifest.json").read_text())
    assert manifest["scale"] is None


def test_metropolis_serves_both_link_actions(config: StudyConfig) -> None:
    assert isinstance(build_kernel(config, "metropolis"), LinkMetropolis)
    kernel = build_kernel(
        with_overrides(config, {"action.kind": "improved", "sampling.samplers": "metropolis"}), "metropolis"
    )
    assert isinstance(kernel, LinkMetropolis)
    assert isinstance(kernel.action, ImprovedAction)


def test_plaquettes_get_steps_of_their_own(config: StudyConfig) -> None:
    wanted = {"action.kind": "improved", "hmc.integrator": "force-gradient", "sampling.samplers": "hmc"}
    plain = with_overrides(config, wanted)
    nested = with_overrides(config, {**wanted, "hmc.inner_steps": "3"})
    assert build_kernel(plain, "hmc").scheme == FORCE_GRADIENT
    kernel = build_kernel(nested, "hmc")
    assert kernel.scheme == Nested((Level(FORCE_GRADIENT, terms=(0,)), Level(FORCE_GRADIENT, 3, terms=(1,))))
    assert [type(part).__name__ for part in kernel.scheme.parts(kernel.action)] == ["RectangleAction", "WilsonAction"]
    assert n_forces(kernel.scheme, 4) == (4 * 3 + 1, 4 * 2 * 3 * 3 + 1)
    assert plan(nested)["seconds"]["sample_hmc"] > plan(plain)["seconds"]["sample_hmc"]


def test_streams_keep_their_numbers() -> None:
    numbers = {method.name: method.streams for method in BUILT_IN}
    chains = {"hmc": (4,), "local": (5,), "cluster": (7,), "heatbath": (13,), "metropolis": (14,), "files": ()}
    assert numbers == {"flow": (2, 3), "quasi": (15,), "messages": (16, 17), **chains}
    taken = [*STREAMS.values(), *(number for streams in numbers.values() for number in streams)]
    assert sorted(taken) == list(range(18))


def test_builders_refuse_what_is_not_theirs(config: StudyConfig) -> None:
    improved = with_overrides(config, {"action.kind": "improved", "sampling.samplers": "hmc"})
    with pytest.raises(ConfigError, match="allowed: actions of sites"):
        build_local_action(config)
    with pytest.raises(ConfigError, match="allowed: Wilson"):
        build_kernel(improved, "heatbath")
    with pytest.raises(ConfigError, match="allowed: sites with neighbours"):
        build_kernel(config, "cluster")
    scalar = with_overrides(load_study(Path(__file__).parents[2] / "studies" / "phi4-quick.toml"), {})
    with pytest.raises(ConfigError, match="allowed: actions of links"):
        build_link_action(scalar)


def test_known_values_of_four_dimensions(config: StudyConfig) -> None:
    changes = {"action.group": "SU(3)", "action.beta": "6.0", "lattice.shape": "8 8 8 8"}
    known = known_values(with_overrides(config, changes))
    assert (known["plaquette"].value, known["plaquette"].error) == (0.59409, 0.00025)
    assert known_values(with_overrides(config, {**changes, "action.beta": "6.1"})) == {}


def test_the_plan_counts_links(config: StudyConfig) -> None:
    three = plan(with_overrides(config, {"action.group": "SU(3)", "lattice.shape": "4 4 4 4"}))
    configuration = 4 * 9 * 4**4 * 16
    assert three["disk_bytes"] == 3 * 2048 * (configuration + 40)
    assert three["parameters"] == 0
    assert three["memory_bytes"]["training"] == 0


def test_the_plan_counts_updates_of_links(config: StudyConfig) -> None:
    """Twice the configurations and warm-up, twice the seconds beyond those of compiling; overrelaxation is work too."""

    def seconds(**changes: str) -> dict[str, float]:
        wanted = {key.replace("__", "."): value for key, value in changes.items()}
        found = plan(with_overrides(config, {"action.group": "SU(3)", **wanted}))["seconds"]
        return {name: found[f"sample_{name}"] for name in SAMPLERS if f"sample_{name}" in found}

    once = seconds()
    warmups = {f"{name}.warmup": str(2 * getattr(config, name).warmup) for name in SAMPLERS}
    twice = seconds(sampling__configurations="4096", **warmups)
    wide = seconds(lattice__shape="4 8")
    for name in SAMPLERS:
        compiling = 2 * once[name] - twice[name]
        assert 1 < compiling < once[name]
        assert wide[name] == pytest.approx(twice[name])
    relaxed = seconds(heatbath__overrelaxation="5")
    assert relaxed["heatbath"] > once["heatbath"]
    assert relaxed["hmc"] == once["hmc"]
    improved = {"action__kind": "improved", "sampling__samplers": "hmc metropolis"}
    assert all(seconds(**improved)[name] > once[name] for name in ("hmc", "metropolis"))


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["u1-2d", "u1-freezing", "su2-2d", "su3-2d", "su2-4d", "su3-4d"])
def test_every_shipped_gauge_study_runs(name: str, tmp_path: Path) -> None:
    """On two sites a side, from sampling to the report; references that are left are met within 5σ."""
    study = load_study(Path(__file__).parents[2] / "studies" / f"{name}.toml")
    changes = {"lattice.shape": " ".join("2" for _ in study.lattice.shape), "sampling.configurations": "512"}
    counts = {f"{word}.{key}": n for word in SAMPLERS for key, n in (("chains", "8"), ("warmup", "30"), ("thin", "1"))}
    small = with_overrides(study, {**changes, **counts, "sampling.block_size": "512"})
    run_stages(small, tmp_path / name, stages=STAGES, progress=Silent())
    rows = results_of(tmp_path / name)["estimates"]
    assert {row["sampler"] for row in rows} == set(study.sampling.samplers)
    if len(study.lattice.shape) == 2 and name != "u1-freezing":
        plaquettes = [row for row in rows if row["observable"] == "plaquette"]
        assert all(abs(row["value"] - row["reference"]) < 5 * row["error"] for row in plaquettes)
    assert write_report(tmp_path / name).exists()
