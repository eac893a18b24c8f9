"""Differences of free energy between runs: two couplings on 2×2 sites, where log Z is known, and a broken phase."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

import latflow as lf
from latflow.actions import exact
from latflow.cli import main
from latflow.cli.models import _show_draws
from latflow.errors import MissingInputError, UsageError
from latflow.results import read, write
from latflow.stats.evidence import Verdict
from latflow.store.ensemble import Ensemble
from latflow.study.config import load_study
from latflow.study.context import Silent
from latflow.study.free_energy import Difference, free_energy_differences
from latflow.study.run import run_stages

ACTIONS = ("coupling = 8.0", 'coupling = 41.85\nnormalisation = "factorial"')
EXACT = -(1.17318471 - 0.91443398) - 2 * math.log(2)
"""F(6.975) − F(8) from the transfer matrix, in eight decimals, and (V/2) ln 2: the field of B is √2 times as large."""


def finished(directory: Path, couplings: str, *, shape: str = "[2, 2]", seed: int = 1) -> Path:
    directory.mkdir()
    path = directory / "study.toml"
    path.write_text(
        f"""
name = "ring"
seed = {seed}
[lattice]
shape = {shape}
[action]
kind = "phi4"
mass_squared = -4.0
{couplings}
[flow]
kind = "real_nvp"
layers = 4
network = "convolutional"
hidden = [8]
kernel_size = 3
[training]
batch_size = 128
learning_rate = 0.01
warmup_steps = 0
evaluate_every = 60
evaluation_draws = 256
stop = {{ steps = 120 }}
[sampling]
configurations = 8192
block_size = 4096
samplers = ["flow", "hmc"]
[hmc]
chains = 32
warmup = 200
"""
    )
    run_stages(load_study(path), directory, stages=("train", "sample", "measure", "analyse"), progress=Silent())
    return directory


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("rings")
    a, b = (finished(root / name, action, seed=i) for i, (name, action) in enumerate(zip("ab", ACTIONS, strict=True)))
    return a, b


@pytest.fixture(scope="module")
def differences(runs: tuple[Path, Path]) -> dict[str, Difference]:
    return {row.way: row for row in free_energy_differences(*runs)}


def test_the_closed_form_stands_beside(differences: dict[str, Difference]) -> None:
    row = differences["reference, exact"]
    assert row.value == pytest.approx(EXACT, abs=2e-8)
    assert row.value == pytest.approx(
        exact.phi_four_2x2(mass_squared=-4.0, coupling=8.0).log_z
        - exact.phi_four_2x2(mass_squared=-4.0, coupling=6.975).log_z
        - 2 * math.log(2),
        abs=1e-10,
    )
    assert (row.error, row.per_site) == (0.0, pytest.approx(EXACT / 4, abs=1e-8))


@pytest.mark.parametrize(
    ("way", "largest_error"),
    [
        ("A → B, flow draws of A", 0.015),
        ("A → B, hmc draws of A", 0.015),
        ("B → A, flow draws of B", 0.015),
        ("B → A, hmc draws of B", 0.015),
        ("two log Z, of the flows", 0.03),
        ("two log Z, from draws of the targets", 0.04),
    ],
)
def test_every_way_gives_the_exact_difference(
    way: str, largest_error: float, differences: dict[str, Difference]
) -> None:
    """A wrong sign or the wrong way round would be far away, a measure forgotten or counted twice by 1.39."""
    row = differences[way]
    assert 0 < row.error < largest_error
    assert abs(row.value - EXACT) < 5 * row.error, row
    assert row.per_site == row.value / 4
    assert row.per_site_error == row.error / 4


def test_the_other_way_round_is_the_negative(runs: tuple[Path, Path], differences: dict[str, Difference]) -> None:
    back = {row.way: row for row in free_energy_differences(runs[1], runs[0])}
    assert back["A → B, hmc draws of A"].value == pytest.approx(-differences["B → A, hmc draws of B"].value, abs=1e-12)
    assert len(back) == len(differences) == 7


def test_log_z_of_a_flow_is_that_of_the_field_of_the_study(runs: tuple[Path, Path]) -> None:
    """In rows, figures, both directions of the verdict, its comparison with the reference, and weights read back."""
    run = lf.open_run(runs[1])
    known = exact.phi_four_2x2(mass_squared=-4.0, coupling=6.975).log_z + 2 * math.log(2)
    checks = {check.name: check for check in run.results.verdict.evidence}
    for row in run.estimates("log_z"):
        assert row.number is not None
        assert row.reference == pytest.approx(known, abs=1e-9)
        assert abs(row.number.value - known) < 5 * row.number.error < 0.15
    for direction in ("log Z, forward", "log Z, reverse"):
        assert checks[direction].value == pytest.approx(known, abs=0.1)
    assert checks["log Z, flow − reference"].value == pytest.approx(0, abs=0.1)
    weights = run.ensemble("flow").log_weight
    assert np.logaddexp.reduce(weights) - math.log(len(weights)) == pytest.approx(run.flow.log_z, abs=1e-12)


def test_log_z_of_draws_is_printed_with_its_measure(
    runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """What `latflow sample --model` prints of its draws."""
    _show_draws(runs[1], asked=8192, machine=True)
    told = json.loads(capsys.readouterr().out)
    assert told["normalisation"]["name"] == "factorial"
    assert told["log_z"] == pytest.approx(lf.open_run(runs[1]).flow.log_z, abs=1e-12)
    _show_draws(runs[1], asked=8192, machine=False)
    assert "(measure ∏_x dφ_x of φ in the factorial normalisation" in capsys.readouterr().out


FORWARD = ("two log Z, of the flows", "A → B, flow draws of A")
REVERSE = "two log Z, from draws of the targets"


@pytest.mark.parametrize(
    ("status", "doubted"),
    [
        ("exact", ()),
        ("collapsed", FORWARD),
        ("unresolved sectors", (*FORWARD, REVERSE)),
        ("no verdict", (*FORWARD, REVERSE)),
    ],
)
def test_a_flow_is_believed_as_far_as_its_verdict_goes(
    status: str, doubted: tuple[str, ...], runs: tuple[Path, Path], tmp_path: Path
) -> None:
    a, b = (with_verdict(run, tmp_path / run.name, word) for run, word in zip(runs, (status, "exact"), strict=True))
    found = {row.way: row.doubt for row in free_energy_differences(a, b)}
    assert {way: doubt for way, doubt in found.items() if doubt} == dict.fromkeys(doubted, f"flow of A: {status}")
    assert len(found) == 7


def with_verdict(run: Path, copy: Path, status: str) -> Path:
    shutil.copytree(run, copy)
    results = read(copy / "results.json")
    write(results.model_copy(update={"verdict": Verdict(status)}), copy / "results.json")
    return copy


def test_theories_without_overlap_are_doubted(runs: tuple[Path, Path], tmp_path: Path) -> None:
    """The target of an action that is far away: a finite number with an error, both worth nothing."""
    far = tmp_path / "far"
    far.mkdir()
    (far / "study.toml").write_text((runs[0] / "study.toml").read_text().replace("coupling = 8.0", "coupling = 0.001"))
    found = {row.way: row for row in free_energy_differences(runs[0], far)}
    assert "too little overlap" in found["A → B, hmc draws of A"].doubt
    assert found["A → B, hmc draws of A"].tail > 0.7


def test_the_command(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["free-energy", *map(str, runs)]) == 0
    out = capsys.readouterr().out
    assert "F_B − F_A" in out
    assert f"{EXACT:.6g}".replace("-", "−") in out
    assert main(["free-energy", *map(str, runs), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["differences"]
    assert len(rows) == 7
    assert all(math.isfinite(row["value"]) for row in rows)


def test_refusals(runs: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no run"):
        free_energy_differences(runs[0], tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    text = (runs[0] / "study.toml").read_text().replace("[2, 2]", "[2, 4]")
    (other / "study.toml").write_text(text)
    with pytest.raises(UsageError, match=r"lattices \[2, 2\] and \[2, 4\]"):
        free_energy_differences(runs[0], other)
    with pytest.raises(MissingInputError, match="no draws to compare"):
        free_energy_differences(other, other)


LINKS = Path(__file__).parents[1] / "data" / "runs-v1" / "links"


def beside_links(directory: Path, old: str, new: str) -> Path:
    """A run without draws whose study is that of the stored links, but for one text."""
    directory.mkdir()
    study = (LINKS / "study.toml").read_text(encoding="utf-8")
    assert study.count(old) == 1
    (directory / "study.toml").write_text(study.replace(old, new), encoding="utf-8")
    return directory


def test_links_are_reweighted_configuration_by_configuration(tmp_path: Path) -> None:
    """U(1) on 4 × 4 from β = 2 to 1.9: every sampler within five standard errors of the character expansion."""
    other = beside_links(tmp_path / "other", "beta = 2.0", "beta = 1.9")
    closed, *rows = free_energy_differences(LINKS, other)
    assert closed.way.startswith("reference")
    assert len(rows) == 3
    for row in rows:
        sampler = row.way.split(", ")[1].split()[0]
        assert row.n == Ensemble.open(LINKS / "ensembles" / sampler, writable=False).n_records
        assert abs(row.value - closed.value) < 5 * row.error
        assert row.error < 0.1 * abs(closed.value)


def test_different_fields_are_refused(tmp_path: Path) -> None:
    group = next(line for line in (LINKS / "study.toml").read_text().splitlines() if line.startswith("group"))
    other = beside_links(tmp_path / "other", group, 'group = "SU(2)"')
    with pytest.raises(UsageError, match="two runs with the same fields"):
        free_energy_differences(LINKS, other)
