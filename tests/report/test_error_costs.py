"""Costs of errors with values by hand: seconds for a goal, gains, when training has paid off, what is not claimed."""

from typing import Any

import pytest

from costs_by_hand import AGREE, HMC, QUASI, TRAINING, results
from latflow.report import summary_lines
from latflow.report.error_costs import error_cost_lines, error_cost_table
from latflow.results import ErrorCost, Results, error_costs
from latflow.results.error_costs import is_ahead
from latflow.results.records import Normalisation
from latflow.results.rescaling import rescaled
from latflow.stats.evidence import Verdict
from latflow.study.config.methods import BASELINE


def three(found: Results) -> tuple[ErrorCost, ErrorCost, ErrorCost]:
    """HMC, plain quasi-random draws and those with variates."""
    hmc, plain, corrected = error_costs(found, baseline=BASELINE)
    assert (hmc.corrected, plain.corrected, corrected.corrected) == (False, False, True)
    return hmc, plain, corrected


def test_seconds_and_squared_errors_make_the_cost() -> None:
    found = three(results())
    assert [c.seconds for c in found] == pytest.approx([25.0, 10.0, 12.5])
    assert [c.cost for c in found] == pytest.approx([0.01, 6.4e-4, 2e-4])
    assert [c.goal for c in found] == pytest.approx([0.002] * 3)
    assert [c.seconds_for_goal for c in found] == pytest.approx([2500.0, 160.0, 50.0])


def test_gain_and_break_even_with_hmc() -> None:
    """After 100 s of HMC its squared error is 1e-4, as that of 2 s of draws; 98 s went into the training."""
    hmc, plain, corrected = three(results())
    assert hmc.gain is hmc.break_even is None
    assert corrected.against == "hmc"
    assert corrected.gain == pytest.approx(50.0)
    assert corrected.gain_error == pytest.approx(12.5)  # 33 scramblings: √(2/32)
    assert corrected.break_even == pytest.approx(100.0)
    assert plain.break_even == pytest.approx(TRAINING / (1 - 6.4e-4 / 0.01))


def test_the_method_must_have_begun() -> None:
    """T = 6, T₀ = 10, gain 2: the formula says 2 s, when neither has an average; at 6 s the draws begin."""
    quasi = QUASI.model_copy(update={"training_seconds": 6.0})
    found = results(
        hmc=HMC.model_copy(update={"setup_seconds": 10.0}),
        quasi=quasi,
        points={"error": 0.02 * 1.25**0.5, "plain_value": None, "plain_error": None},  # 10 s · σ² = 0.005
    )
    _, points = error_costs(found, baseline=BASELINE)
    assert points.gain == pytest.approx(2.0)
    assert points.break_even == 6.0


@pytest.mark.parametrize(("gain", "ahead"), [(1.6, None), (1.7, True), (1 / 1.6, None), (1 / 1.7, False)])
def test_a_claim_takes_two_standard_deviations(gain: float, ahead: bool | None) -> None:
    """33 scramblings: 0.25 of the gain; exp(0.5) = 1.65, and the inverse on the other side."""
    error = (0.01 / 10 / gain) ** 0.5
    found = results(points={"error": error, "plain_value": None, "plain_error": None})
    _, points = error_costs(found, baseline=BASELINE)
    assert points.gain == pytest.approx(gain)
    assert is_ahead(gain, points.gain_error or 0.0) is ahead
    assert (points.break_even is not None) == bool(ahead)


def test_the_warm_up_of_hmc_counts_too() -> None:
    """At 99 s HMC has sampled for 50 s, the flow for 1 s: equal errors."""
    *_, corrected = three(results(hmc=HMC.model_copy(update={"setup_seconds": 49.0})))
    assert corrected.break_even == pytest.approx(99.0)


def test_what_came_once_is_added_up() -> None:
    reduced = HMC.model_copy(
        update={"setup_seconds": 3.0, "correction_seconds": 5.0, "correction_training_seconds": 40.0}
    )
    row = {"plain_value": 2.0, "plain_error": 0.02, "error": 0.004}
    found = {
        c.corrected: c for c in error_costs(results(hmc=reduced, chain=row), baseline=BASELINE) if c.sampler == "hmc"
    }
    assert [found[True].seconds_once, found[False].seconds_once] == [43.0, 3.0]
    assert [found[True].seconds, found[False].seconds] == pytest.approx([30.0, 25.0])
    assert found[False].gain is None  # plain HMC is what others are compared with
    assert found[True].gain == pytest.approx(0.01 / (30 * 0.004**2))


def test_weighted_averages_share_the_draws_of_the_flow() -> None:
    found = results(points={"sampler": "reweighted"}, cost={"hmc": HMC, "flow": QUASI})
    assert three(found)[2].gain == pytest.approx(50.0)
    assert not error_costs(results(points={"sampler": "reverse"}), baseline=BASELINE)[1:]


def test_a_value_of_zero_sets_no_scale() -> None:
    hmc, *_ = three(results(chain={"value": 0.01}, points={"value": 0.001, "plain_value": 0.02}))
    assert (hmc.relative, hmc.goal) == (False, 0.001)
    assert hmc.seconds_for_goal == pytest.approx(0.01 / 1e-6)


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"points": {"state": "error underestimated"}}, "error underestimated"),
        ({"points": {"state": None}}, "averages not judged"),
        ({"verdict": Verdict("no verdict")}, "flow: no verdict"),
        ({"quasi": QUASI.model_copy(update={"seconds_per_configuration": None})}, "seconds of sampling not recorded"),
        (
            {"quasi": QUASI.model_copy(update={"measuring_seconds_per_configuration": None})},
            "seconds of measuring not recorded",
        ),
    ],
)
def test_nothing_is_gained_by_what_is_not_to_be_relied_on(changes: dict[str, Any], doubt: str) -> None:
    hmc, plain, corrected = three(results(**changes))
    assert (hmc.doubt, plain.doubt, corrected.doubt) == ("", doubt, doubt)
    assert plain.gain is corrected.gain is corrected.break_even is None


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"chains": {"hmc": AGREE.model_copy(update={"agree": False})}}, "chains do not agree (R̂)"),
        ({"chains": {"hmc": AGREE.model_copy(update={"agree": None})}}, "chains too short to say whether they agree"),
        ({"chains": {"hmc": AGREE.model_copy(update={"still": ("charge",)})}}, "a sector that never moved"),
        ({"chain": {"tau_int": 5.5}}, "fewer than 100 independent configurations"),
    ],
)
def test_nothing_is_gained_over_chains_that_are_not_to_be_relied_on(changes: dict[str, Any], doubt: str) -> None:
    hmc, _, corrected = three(results(**changes))
    assert (hmc.doubt, corrected.doubt) == (doubt, "")
    assert corrected.against == "hmc"
    assert corrected.gain is corrected.break_even is None
    assert error_cost_table(results(**changes)).words == ""  # pyright: ignore[reportOptionalMemberAccess]


def test_nothing_is_gained_over_compilation() -> None:
    found = results(hmc=HMC.model_copy(update={"compilation_included": True}))
    assert three(found)[2].gain is None
    table = error_cost_table(found)
    assert table is not None
    assert table.rows[0][0] == "HMC*" or table.rows[-1][0] == "HMC*"
    assert table.notes == ["*: one block, compilation included, so nothing is compared with HMC."]


def test_a_training_that_was_not_recorded_is_unknown_and_not_zero() -> None:
    found = results(quasi=QUASI.model_copy(update={"training_seconds": None}))
    *_, corrected = three(found)
    assert corrected.seconds_once is corrected.break_even is None
    assert corrected.gain == pytest.approx(50.0)
    table = error_cost_table(found)
    assert table is not None
    assert ["quasi with variates", "unknown", "50 s (÷ 50)"] in table.rows
    assert ["quasi with variates", "ahead; training unknown"] in table.even
    assert "once unknown: not recorded: training of the flow (quasi, quasi with variates)." in table.notes


def test_configurations_of_another_code_have_no_seconds() -> None:
    found = results(cost={"quasi": QUASI})
    hmc, *_ = three(found)
    assert hmc.seconds is hmc.cost is hmc.seconds_once is None
    table = error_cost_table(found)
    assert table is not None
    assert ["HMC", "unknown", "unknown"] in table.rows
    assert (table.even, table.against) == ([], "")
    assert error_cost_lines(results(cost={})) == []


def test_what_a_stranger_reads() -> None:
    table = error_cost_table(results())
    assert table is not None
    assert table.observables == ["χ"]
    assert table.rows == [
        ["quasi", "1 min 38 s", "2 min 40 s (÷ 16)"],
        ["quasi with variates", "1 min 38 s", "50 s (÷ 50)"],
        ["HMC", "0 s", "41 min 40 s"],
    ]
    assert table.even == [["quasi", "1 min 45 s"], ["quasi with variates", "1 min 40 s"]]
    expected = "quasi: after 1 min 45 s; quasi with variates: after 1 min 40 s."
    assert table.words == f"Susceptibility, ahead of HMC, training included: {expected}"
    lines = summary_lines(results())
    assert "seconds for 0.1% error  once        chi" in lines
    assert table.words in lines


def test_behind_and_not_told_apart() -> None:
    slow = results(points={"error": 0.05, "plain_error": None, "plain_value": None})
    assert error_cost_table(slow).even == [["quasi", "never"]]  # pyright: ignore[reportOptionalMemberAccess]
    even = results(points={"error": 0.03, "plain_error": None, "plain_value": None})  # 9e-3 beside 1e-2
    assert error_cost_table(even).even == [["quasi", "not told apart"]]  # pyright: ignore[reportOptionalMemberAccess]


def test_costs_are_those_of_the_field_of_the_study() -> None:
    """Twice the field: χ is four times as large, and so is its error; gains stay."""
    found = results()
    found = found.model_copy(update={"error_costs": error_costs(found, baseline=BASELINE)})
    twice = rescaled(
        found, Normalisation(name="half", rescaling=2.0, sites=4), {"chi": 2}, baseline=BASELINE
    ).error_costs
    assert [c.cost for c in twice] == pytest.approx([0.16, 16 * 6.4e-4, 16 * 2e-4])
    assert [c.seconds_for_goal for c in twice] == pytest.approx([2500.0, 160.0, 50.0])
    assert twice[2].break_even == pytest.approx(100.0)
