"""Runs beside each other: differences, costs against another run's HMC, and what is not compared."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from costs_by_hand import results
from latflow.archive.comparison import compare_runs
from latflow.cli import main
from latflow.report.comparison import comparison_lines
from latflow.results import Provenance, Results, Theory, write

ACTION = {"kind": "phi4", "mass_squared": -4.0, "coupling": 6.975}


def made(path: Path, found: Results, *, seed: int = 1, device: str = "cpu, A", **action: Any) -> Path:
    """A run directory with nothing but results."""
    path.mkdir(parents=True)
    origin = Provenance(inputs={}, seed=seed, versions={}, device=device, precision="float64", threads=2)
    theory = Theory(lattice=(6, 6), action={**ACTION, **action})
    write(found.model_copy(update={"provenance": origin, "theory": theory}), path / "results.json")
    return path


@pytest.fixture
def chains(tmp_path: Path) -> Path:
    """HMC alone: χ = 2.00(2) after 25 s."""
    return made(tmp_path / "chains", only("hmc"))


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    """Quasi-random draws alone: χ = 2.07(4e-3) after 12.5 s with variates and 98 s of training."""
    return made(tmp_path / "flow", only("quasi", value=2.07, plain_value=2.07), seed=2)


def only(sampler: str, **changes: Any) -> Results:
    """The results of one sampler."""
    found = results(chain=changes if sampler == "hmc" else None, points=changes if sampler == "quasi" else None)
    rows = tuple(row for row in found.estimates if row.sampler == sampler)
    cost = {name: each for name, each in found.cost.items() if name == sampler}
    kept = {name: each for name, each in found.chains.items() if name == sampler}
    return found.model_copy(update={"estimates": rows, "cost": cost, "chains": kept})


def test_a_flow_is_compared_with_the_chains_of_another_run(chains: Path, flow: Path) -> None:
    """0.01 s per squared error of HMC against 2e-4; after 100 s HMC is where the flow is 2 s after its training."""
    found = compare_runs([flow, chains])
    assert found.names == ("flow", "chains")
    assert found.baseline == 1
    assert found.warnings == ()
    plain, corrected = found.costs[0]
    (hmc,) = found.costs[1]
    assert (hmc.gain, plain.gain, corrected.gain) == (None, pytest.approx(0.01 / 6.4e-4), pytest.approx(50.0))
    assert corrected.break_even == pytest.approx(100.0)
    assert (corrected.against, corrected.goal) == ("hmc", pytest.approx(2.07e-3))
    (difference,) = found.differences
    assert difference.pull == pytest.approx(0.07 / (0.02**2 + 0.004**2) ** 0.5)
    assert {found.names[each.run]: each.pull for each in found.averages} == {"flow": difference.pull, "chains": None}


@pytest.mark.parametrize(("error", "even"), [(0.0104, None), (0.0096, 0.0)])
def test_one_sampler_in_two_runs_is_not_ahead_of_itself(
    chains: Path, tmp_path: Path, error: float, even: float | None
) -> None:
    """Seconds of two runs are known to a factor of 2, two standard deviations to one of 4: gains of 3.7 and 4.3."""
    other = made(tmp_path / "other", only("hmc", error=error), seed=2)
    found = compare_runs([chains, other])
    (again,) = found.costs[1]
    assert again.gain == pytest.approx((0.02 / error) ** 2)
    assert again.gain_error == pytest.approx(again.gain * math.log(2))
    assert again.break_even == even
    lines = comparison_lines(found)
    (line,) = [line for line in lines if "(÷ " in line]
    assert line.endswith("at once" if even is not None else "not told apart")
    assert "Seconds of different runs are known to a factor of two: a way of another run is ahead above ÷ 4." in lines


def test_what_is_printed(chains: Path, flow: Path) -> None:
    lines = comparison_lines(compare_runs([flow, chains]))
    assert lines[:2] == ["baseline: chains", ""]
    assert "flow    quasi with variates  2.0700(40)  +3.4!  reliable" in lines
    assert "chains  HMC                  2.000(20)   –      chains agree" in lines
    assert any(
        "1 difference between runs, the largest +3.4: flow quasi with variates − chains HMC, χ." in line
        for line in lines
    )
    (corrected,) = [line for line in lines if "with variates" in line and "(÷ " in line]
    assert corrected.split("  ")[-1] == "47 s (÷ 50), after 1 min 40 s"
    assert any(line.startswith("÷: seconds of chains HMC over these") for line in lines)


def test_compilation_is_marked_as_in_the_report_of_a_run(flow: Path, tmp_path: Path) -> None:
    compiled = only("hmc")
    cost = {"hmc": compiled.cost["hmc"].model_copy(update={"compilation_included": True})}
    once = made(tmp_path / "once", compiled.model_copy(update={"cost": cost}), seed=3)
    lines = comparison_lines(compare_runs([once, flow]))
    assert any(line.startswith("once  ") and "HMC*" in line for line in lines)
    assert lines[-1] == "*: one block, compilation included, so nothing is compared with HMC."


def test_corrected_averages_are_said_and_signs_are_those_of_the_table(chains: Path, tmp_path: Path) -> None:
    better = only("hmc", value=1.95, error=0.01, plain_value=2.0, plain_error=0.02)
    found = compare_runs([chains, made(tmp_path / "other", better, seed=2)])
    (difference,) = found.differences
    assert difference.pull == pytest.approx(-0.05 / (0.02**2 + 0.01**2) ** 0.5)
    assert difference.pull == found.averages[1].pull
    lines = comparison_lines(found)
    assert "other   HMC reduced  1.950(10)  −2.2  chains agree" in lines
    assert any("the largest −2.2: other HMC reduced − chains HMC, χ." in line for line in lines)


def test_another_baseline_claims_nothing_where_it_has_no_chains(chains: Path, flow: Path) -> None:
    found = compare_runs([chains, flow], baseline=flow)
    assert found.baseline == 1
    assert all(cost.gain is cost.break_even is None for costs in found.costs for cost in costs)
    assert found.averages[0].pull == pytest.approx(-0.07 / (0.02**2 + 0.004**2) ** 0.5)


@pytest.mark.parametrize("changes", [{"coupling": 7.0}, {"mass_squared": -4.1}])
def test_seconds_are_not_compared_across_theories(chains: Path, tmp_path: Path, changes: dict[str, float]) -> None:
    other = made(tmp_path / "other", only("quasi"), seed=2, **changes)
    found = compare_runs([chains, other])
    (key,) = changes
    (warning,) = found.warnings
    assert f"action.{key} (chains: {ACTION[key]}, other: {changes[key]})" in warning
    assert all(cost.gain is cost.break_even is None for cost in found.costs[1])
    assert [cost.seconds_for_goal for cost in found.costs[1]] == pytest.approx([160.0, 50.0])
    assert comparison_lines(found)[0] == f"warning: {warning}"


def test_keys_that_only_a_newer_run_names_are_no_difference(chains: Path, tmp_path: Path) -> None:
    newer = made(tmp_path / "newer", only("quasi"), seed=2, normalisation="house")
    assert compare_runs([chains, newer]).warnings == ()


def test_seconds_of_another_machine_are_said(chains: Path, tmp_path: Path) -> None:
    other = made(tmp_path / "other", only("quasi"), seed=2, device="cpu, B")
    (warning,) = compare_runs([chains, other]).warnings
    assert warning == "seconds are of different machines: chains: cpu, A, 2 threads, other: cpu, B, 2 threads"


@pytest.mark.parametrize(("seed", "independent"), [(1, False), (2, True)])
def test_runs_with_one_seed_have_no_independent_difference(
    chains: Path, tmp_path: Path, seed: int, independent: bool
) -> None:
    other = made(tmp_path / "other", only("hmc", value=2.05), seed=seed)
    found = compare_runs([chains, other])
    assert [each.pull for each in found.averages] == [
        None,
        pytest.approx(0.05 / 0.02 / 2**0.5) if independent else None,
    ]
    assert len(found.differences) == independent


def test_nothing_is_compared_with_what_is_not_to_be_believed(chains: Path, tmp_path: Path) -> None:
    apart = results().chains["hmc"].model_copy(update={"agree": False})
    bad = only("hmc", value=3.0).model_copy(update={"chains": {"hmc": apart}})
    bound = only("quasi", value=3.0, state="error underestimated")
    found = compare_runs([chains, made(tmp_path / "bad", bad, seed=2), made(tmp_path / "bound", bound, seed=3)])
    assert found.differences == ()
    assert all(cost.gain is None for costs in found.costs for cost in costs)
    lines = comparison_lines(found)
    assert "bad     HMC                  3.000(20)    –     chains do not agree" in lines
    assert "bound   quasi with variates  3.0000(≥40)  –     error underestimated" in lines
    assert "(≥ …): a lower bound of the error, which is not known." in lines


def test_an_ensemble_stands_for_its_averages(chains: Path, tmp_path: Path) -> None:
    both = made(tmp_path / "both", results(), seed=2)
    (both / "ensembles" / "quasi").mkdir(parents=True)
    found = compare_runs([chains, both / "ensembles" / "quasi"])
    assert found.names == ("chains", "both/quasi")
    assert {(each.run, each.estimate.sampler) for each in found.averages} == {(0, "hmc"), (1, "quasi")}
    assert {(i, c.sampler) for i, costs in enumerate(found.costs) for c in costs} == {(0, "hmc"), (1, "quasi")}
    assert (
        compare_runs([both / "ensembles" / "quasi", chains]).baseline == 1
    )  # the other chains of its run do not count


def test_the_command(chains: Path, flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(chains.parent), "--json", "--baseline", str(chains)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["baseline"] == "chains"
    assert told["runs"] == {"chains": str(chains), "flow": str(flow)}
    assert [each["pull"] for each in told["averages"]] == [None, pytest.approx(0.07 / (0.02**2 + 0.004**2) ** 0.5)]
    assert [(c["run"], c["corrected"], c["gain"]) for c in told["error_costs"]] == [
        ("chains", False, None),
        ("flow", False, pytest.approx(15.625)),
        ("flow", True, pytest.approx(50.0)),
    ]
    assert main(["compare", str(chains), str(flow), "--samplers", "quasi"]) == 0
    assert "flow  quasi" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["chains"], 64, "compare: 1 run(s); allowed: two or more"),
        (["chains", "chains"], 64, "compare: the same run; allowed: two or more"),
        (["chains", "third/../chains"], 64, "compare: the same run"),
        (["chains", "nowhere"], 66, "nowhere: no analysed run"),
        (["chains", "flow", "--baseline", "nowhere"], 66, "nowhere: no analysed run"),
        (["chains", "flow", "--baseline", "third"], 64, "--baseline: third; allowed: chains, flow"),
        (["chains", "flow", "--observables", "psi"], 64, "--observables: 'psi'; allowed: chi"),
        (["chains", "flow", "--samplers", "local"], 64, "--samplers: 'local'; allowed: hmc, quasi"),
        (["chains", "damaged"], 65, "damaged/results.json"),
    ],
)
def test_bad_input_is_one_line(
    chains: Path,
    flow: Path,
    arguments: list[str],
    code: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = chains.parent
    made(folder / "third", results())
    damaged = made(folder / "damaged", results()) / "results.json"
    damaged.write_text(damaged.read_text().replace("2.0", "3.0", 1))
    monkeypatch.chdir(folder)
    assert main(["compare", *arguments]) == code
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert words in line
