"""Results are those of the field of the study: exact values in every normalisation, one run read in all its forms."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latflow as lf
from latflow.actions import exact
from latflow.archive.collection import collect_runs
from latflow.cli import main
from latflow.report.many_runs import runs_markdown
from latflow.report.summary import summary_lines
from latflow.report.tables import headline, study_lines
from latflow.results import EstimateRecord, FlowFigures, Normalisation, Observable, Results, read, write
from latflow.stats.evidence import Check, Verdict
from latflow.study.config import StudyConfig, load_study
from latflow.study.context import Silent
from latflow.study.free_energy import free_energy_differences
from latflow.study.run import run_stages
from latflow.study.theories import house_log_z, known_values, normalisation
from latflow.study.wording import read_results

MASS, COUPLING, KAPPA = 0.3, 0.7, 0.2

FORMS: dict[str, tuple[dict[str, Any], Callable[[np.ndarray, np.ndarray], np.ndarray]]] = {
    "house": (
        {"kind": "phi4", "mass_squared": MASS, "coupling": COUPLING},
        lambda a, b: 2 * (a - b) ** 2 + sum(MASS * x**2 + COUPLING * x**4 for x in (a, b)),
    ),
    "half": (
        {"kind": "phi4", "mass_squared": MASS, "coupling": COUPLING, "normalisation": "half"},
        lambda a, b: (a - b) ** 2 + sum(MASS * x**2 / 2 + COUPLING * x**4 / 4 for x in (a, b)),
    ),
    "factorial": (
        {"kind": "phi4", "mass_squared": MASS, "coupling": COUPLING, "normalisation": "factorial"},
        lambda a, b: (a - b) ** 2 + sum(MASS * x**2 / 2 + COUPLING * x**4 / 24 for x in (a, b)),
    ),
    "hopping": (
        {"kind": "phi4_hopping", "kappa": KAPPA, "coupling": COUPLING},
        lambda a, b: -4 * KAPPA * a * b + sum((1 - 2 * COUPLING) * x**2 + COUPLING * x**4 for x in (a, b)),
    ),
}
"""The table of a study, and S of two sites, each the neighbour of the other on both sides."""


def of(action: dict[str, Any], shape: tuple[int, ...]) -> StudyConfig:
    return StudyConfig.model_validate({"name": "t", "lattice": {"shape": shape}, "action": action})


@pytest.mark.parametrize("form", FORMS)
def test_two_sites_by_quadrature(form: str) -> None:
    """∫∫ exp(−S) in the variables of the formula itself; trapezoidal sums of such functions converge to rounding."""
    table, action = FORMS[form]
    x = np.linspace(-9, 9, 721)
    weight = np.exp(-action(x[:, None], x[None, :]))
    z = float(weight.sum()) * (x[1] - x[0]) ** 2

    def mean(values: np.ndarray) -> float:
        return float(np.sum(weight * values) / weight.sum())

    known = known_values(of(table, (2,)))
    product = mean(x[:, None] * x[None, :])
    square = mean(x[:, None] ** 2 + 0 * x[None, :])
    assert known["log_z"].value == pytest.approx(math.log(z), abs=1e-9)
    assert known["free_energy_density"].value == pytest.approx(-math.log(z) / 2, abs=1e-9)
    assert known["phi_squared"].value == pytest.approx(square, rel=1e-9)
    assert known["ising_energy"].value == pytest.approx(product, rel=1e-9)
    assert known["susceptibility"].value == pytest.approx(square + product, rel=1e-9)


@pytest.mark.parametrize(
    ("table", "kernel"),
    [
        ({"kind": "phi4", "mass_squared": 0.5, "coupling": 0.0, "normalisation": "half"}, lambda c: 2 - 2 * c + 0.5),
        ({"kind": "phi4", "mass_squared": 0.5, "coupling": 0.0}, lambda c: 2 * (2 - 2 * c + 0.5)),
        ({"kind": "phi4_hopping", "kappa": 0.3, "coupling": 0.0}, lambda c: 2 * (1 - 2 * 0.3 * c)),
    ],
)
def test_free_fields_by_their_determinant(table: dict[str, Any], kernel: Callable[[float], float]) -> None:
    """S = ½ Σ_p K(p)|φ_p|², so that ln Z = ½ Σ_p ln(2π/K) and ⟨φ²⟩ = (1/V) Σ_p 1/K, at four momenta."""
    eigenvalues = [kernel(math.cos(2 * math.pi * n / 4)) for n in range(4)]
    known = known_values(of(table, (4,)))
    assert known["log_z"].value == pytest.approx(sum(0.5 * math.log(2 * math.pi / k) for k in eigenvalues), abs=1e-9)
    assert known["phi_squared"].value == pytest.approx(sum(1 / k for k in eigenvalues) / 4, rel=1e-9)


def test_measures_of_the_forms() -> None:
    """(V/2) ln 2 of half and factorial, (V/2) ln(κ_B/κ_A) = 7.25 on 16×8 sites from κ = .25 to .28."""
    shifts = {name: normalisation(of(table, (16, 8))).log_z_shift for name, (table, _) in FORMS.items()}
    assert (shifts["house"], shifts["half"], shifts["factorial"]) == (0.0, *2 * (pytest.approx(64 * math.log(2)),))
    a, b = (normalisation(of({**FORMS["hopping"][0], "kappa": k}, (16, 8))).log_z_shift for k in (0.25, 0.28))
    assert a - b == pytest.approx(7.253, abs=5e-4)
    assert a == pytest.approx(-64 * math.log(0.25))


def test_trainings_know_the_house_field() -> None:
    """Flows have densities of the house field: the log Z that their KL needs is that of its measure."""
    config = of(FORMS["half"][0], (2, 2))
    house = exact.phi_four_2x2(mass_squared=MASS, coupling=COUPLING).log_z
    assert house_log_z(config) == house
    assert known_values(config)["log_z"].value == pytest.approx(house + 2 * math.log(2))


RUN = """
name = "ring"
seed = 1
[lattice]
shape = [2, 2]
[action]
{action}
[sampling]
configurations = 2048
samplers = ["hmc"]
block_size = 1024
[hmc]
n_steps = 2
chains = 8
warmup = 150
"""
ACTIONS = {
    "house": 'kind = "phi4"\nmass_squared = -4.0\ncoupling = 8.0',
    "factorial": 'kind = "phi4"\nmass_squared = -4.0\ncoupling = 48.0\nnormalisation = "factorial"',
}
POWERS = {
    "phi_squared": 2,
    "susceptibility": 2,
    "abs_susceptibility": 2,
    "ising_energy": 2,
    "abs_magnetization": 1,
    "two_point": 2,
    "correlator": 2,
    "binder_cumulant": 0,
    "action_density": 0,
    "effective_mass": 0,
    "pole_mass": 0,
    "pole_mass_times_length": 0,
}


FLOW = """
[flow]
kind = "real_nvp"
layers = 2
network = "dense"
hidden = [4]
[training]
batch_size = 64
evaluate_every = 20
evaluation_draws = 128
warmup_steps = 0
stop = { steps = 20 }
"""
STAGES = ("sample", "measure", "analyse")


def finished(directory: Path, action: str, *, flow: bool = False) -> Path:
    directory.mkdir()
    study = directory / "study.toml"
    text = RUN.format(action=action)
    study.write_text(text.replace('["hmc"]', '["flow"]') + FLOW if flow else text, encoding="utf-8")
    run_stages(load_study(study), directory, stages=("train", *STAGES) if flow else STAGES, progress=Silent())
    return directory


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One theory in two normalisations: the same configurations, bit for bit."""
    root = tmp_path_factory.mktemp("normalisations")
    return {name: finished(root / name, action) for name, action in ACTIONS.items()}


@pytest.fixture(scope="module")
def results(runs: dict[str, Path]) -> dict[str, Results]:
    return {name: read(run / "results.json") for name, run in runs.items()}


def test_values_have_the_powers_of_their_field(results: dict[str, Results]) -> None:
    """Every estimate, its error and its reference; ratios and masses not at all."""
    house, factorial = results["house"], results["factorial"]
    for one, other in zip(house.estimates, factorial.estimates, strict=True):
        assert one.observable == other.observable
        assert factorial.observables[one.observable].power == POWERS[one.observable]
        for field in ("value", "error", "reference", "reference_error"):
            before, after = (np.array(getattr(row, field) or math.nan, dtype=float) for row in (one, other))
            np.testing.assert_allclose(after, math.sqrt(2) ** POWERS[one.observable] * before, rtol=1e-9)
    known = next(row for row in factorial.of("phi_squared") if row.sampler == "hmc")
    assert known.reference == pytest.approx(2 * exact.phi_four_2x2(mass_squared=-4.0, coupling=8.0).phi_squared)


def test_averages_of_a_flow_have_the_powers_of_their_field(tmp_path: Path) -> None:
    """Of the accept/reject chain through its draws, and of the draws with their weights."""
    runs = {name: finished(tmp_path / name, action, flow=True) for name, action in ACTIONS.items()}
    house, factorial = (read(runs[name] / "results.json") for name in ("house", "factorial"))
    pairs = [pair for pair in zip(house.estimates, factorial.estimates, strict=True) if pair[0].observable in POWERS]
    assert {one.sampler for one, _ in pairs if one.value is not None} == {"flow", "reweighted"}
    for one, other in pairs:
        for field in ("value", "error"):
            before, after = (np.array(getattr(row, field) or math.nan, dtype=float) for row in (one, other))
            np.testing.assert_allclose(after, math.sqrt(2) ** POWERS[one.observable] * before, rtol=1e-6)


def test_results_say_which_field(results: dict[str, Results]) -> None:
    assert results["house"].normalisation == Normalisation(name="house", rescaling=1.0, measure="∏_{x} dφ_{x}", sites=4)
    found = results["factorial"].normalisation
    assert found is not None
    assert (found.name, found.rescaling**2) == ("factorial", pytest.approx(2))


def test_older_results_are_converted_when_read(results: dict[str, Results], tmp_path: Path) -> None:
    """Those of the house field in a study of another are what an earlier program wrote; log Z and the verdict, too."""
    checks = ("log Z, forward", "phi squared, flow − target", "binder cumulant, flow − target", "starts")
    verdict = Verdict("exact", evidence=tuple(Check(name, 0.5, 0.1, "", passed=True) for name in checks))
    rows = (
        EstimateRecord(observable="log_z", sampler="reweighted", value=1.5, error=0.1, reference=1.4),
        EstimateRecord(observable="free_energy_density", sampler="reweighted", value=-0.375, error=0.1),
    )
    house, now = results["house"], results["factorial"]
    old = {
        "normalisation": None,
        "theory": now.theory,
        "verdict": verdict,
        "flow": FlowFigures(log_z=1.5, kl=0.2),
        "estimates": (*house.estimates, *rows),
        "observables": {
            **house.observables,
            **{row.observable: Observable(title="", symbol="", math="") for row in rows},
        },
    }
    write(house.model_copy(update=old), tmp_path / "results.json")
    found = read_results(tmp_path / "results.json")
    assert found.normalisation == now.normalisation
    for one, other in zip(found.estimates, now.estimates, strict=False):
        for field in ("value", "error", "reference"):
            pair = (np.array(getattr(row, field) or math.nan, dtype=float) for row in (one, other))
            np.testing.assert_allclose(*pair, rtol=1e-9)
    partition, density = found.estimates[-2:]
    shift = 2 * math.log(2)
    assert (partition.value, partition.error, partition.reference) == pytest.approx((1.5 + shift, 0.1, 1.4 + shift))
    assert density.value == pytest.approx(-(1.5 + shift) / 4)
    assert found.flow is not None
    assert (found.flow.log_z, found.flow.kl) == (pytest.approx(1.5 + shift), 0.2)
    values = [(check.value, check.error) for check in found.verdict.evidence]
    assert values == [pytest.approx(pair) for pair in ((0.5 + shift, 0.1), (1.0, 0.2), (0.5, 0.1), (0.5, 0.1))]


def test_a_run_that_is_opened(runs: dict[str, Path]) -> None:
    """Configurations are of the house field, which actions take; columns and weights of that of the study."""
    house, run = (lf.open_run(runs[name]) for name in ACTIONS)
    hmc, before = run.ensemble("hmc"), house.ensemble("hmc")
    assert np.array_equal(hmc.fields(), before.fields())
    assert hmc.normalisation == run.normalisation
    scale = run.rescaling
    np.testing.assert_allclose(
        np.mean((scale * hmc.fields()) ** 2, axis=(-2, -1)), hmc.column("phi_squared"), rtol=1e-13
    )
    for name in hmc.names:
        power = POWERS.get(name, {"magnetization": 1, "magnetization_fourth": 4}.get(name, 2))
        np.testing.assert_allclose(hmc.column(name), scale**power * before.column(name), rtol=1e-13)
    (row,) = (row for row in run.estimates("phi_squared") if row.sampler == "hmc")
    assert row.value == pytest.approx(hmc.column("phi_squared").mean(), rel=1e-12)


def test_datasets_name_the_field(runs: dict[str, Path]) -> None:
    pytest.importorskip("xarray")
    found = lf.open_run(runs["factorial"]).ensemble("hmc").to_xarray(["phi_squared"])
    for attributes in (found.attrs, found["phi_squared"].attrs):
        assert (attributes["normalisation"], attributes["rescaling"]) == ("factorial", math.sqrt(2))


def test_what_is_printed_says_which_field(runs: dict[str, Path], results: dict[str, Results]) -> None:
    field = "φ in the factorial normalisation, 1.41421 × the house field"
    assert f"field: {field}" in summary_lines(results["factorial"])
    run = lf.open_run(runs["factorial"])
    assert ("Values of", field) in study_lines(run)
    assert {name: meaning for name, _, meaning in headline(run)}["log Z"].endswith(f"measure ∏_x dφ_x of {field}")
    assert "observables are those of" not in (run.theory or results["house"]).model_dump_json()


def test_tables_of_runs_in_different_normalisations(runs: dict[str, Path]) -> None:
    table = collect_runs(
        list(runs.values()), observables=["phi_squared"], samplers=["hmc"], against=["action.normalisation"]
    )
    plain = {row.plain()["normalisation"]: row.plain()["value"] for row in table.rows}
    assert plain["factorial"] == pytest.approx(2 * plain["house"])
    assert "Each value is of the field of its study: φ in the house normalisation; φ in the factorial" in runs_markdown(
        table
    )


def test_free_energies_by_reweighting_have_the_measure(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two hopping parameters: (V/2) ln(κ_B/κ_A) is many errors; and one theory in two normalisations."""
    pair = [
        finished(tmp_path / name, f'kind = "phi4_hopping"\nkappa = {kappa}\ncoupling = 0.5')
        for name, kappa in {"a": 0.25, "b": 0.265}.items()
    ]
    found = {row.way: row for row in free_energy_differences(*pair)}
    truth = found["reference, exact"].value
    ways = [row for way, row in found.items() if "hmc draws" in way]
    assert len(ways) == 2
    for row in ways:
        assert abs(row.value - truth) < 5 * row.error, row
        assert 2 * math.log(0.265 / 0.25) > 5 * row.error
    assert main(["free-energy", *map(str, pair), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["normalisation_b"]["rescaling"] == pytest.approx(1 / math.sqrt(0.265))
    assert main(["free-energy", *map(str, pair)]) == 0
    assert (
        "F_A = −log Z_A, measure ∏_x dφ_x of φ in the hopping normalisation, 2 × the house" in capsys.readouterr().out
    )
    same = free_energy_differences(runs["house"], runs["factorial"])
    assert [row.value for row in same] == pytest.approx([-2 * math.log(2)] * 3, abs=1e-9)
