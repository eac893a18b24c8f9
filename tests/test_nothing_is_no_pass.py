"""A check that has nothing to look at is uninformative or fails: all are fed with nothing, NaN, one value, no error.

"reverse − forward log Z 0(6·10²¹), within 5σ of 0" was a pass; zeros with one log-weight of 30 gave −.295 ± 2.5e-11.
"""

import dataclasses
import math

import numpy as np
import pytest

from latflow.cli.judgement import print_checks
from latflow.errors import DataError, PhysicsStop
from latflow.report.belief import belief
from latflow.report.chains import chain_tables
from latflow.report.verdict_box import DOUBTFUL, verdict_box
from latflow.results import ChainAgreement, EstimateRecord, Observable, Results
from latflow.results.scaling import ScalingEntry, TrainingRecord
from latflow.samplers.watch import Creutz, Watch
from latflow.stats.estimates import ConstantSeriesError, Estimate, NonFiniteSeriesError, TooShortError, worst
from latflow.stats.evidence import Check, Comparison, Evidence, SectorShare, Verdict, no_verdict, verdict_on
from latflow.stats.free_energy import independent_difference
from latflow.stats.gamma import chain_estimates, gamma_estimate
from latflow.stats.reliability import FromTarget, Reliability, judge_chain, judge_draws, with_evidence, with_images
from latflow.stats.runs import r_hat
from latflow.stats.sides import Side
from latflow.stats.weights import log_z, weighted_estimates
from latflow.study.verify import _deviation, _largest
from latflow.testing.result import judge, judge_mean

NAN, INF = math.nan, math.inf
SIDE = Side(7.0, 0.002, 0.8, 0.3, 100_000)
HALF = SectorShare("weight at positive mean field", 0.502, 0.001, 0.5, "½ by symmetry")
ONE = Estimate(0.3, 0.01)
GOOD = Evidence(
    forward=SIDE,
    reverse=Side(7.01, 0.01, 0.7, 0.2, 8192),
    starts=64,
    records=128,
    r_hat=1.01,
    shares=(HALF,),
    compared=(Comparison("phi_squared", ONE, ONE),),
    known=Estimate(7.0, 0.0),
    reliability=Reliability("reliable", (), 4000, effective=3000.0),
)


def sides(**changes):
    return {name: dataclasses.replace(SIDE, **changes) for name in ("forward", "reverse")}


NOTHING = {
    "reverse − forward log Z": [sides(error=6e21), sides(error=INF), sides(error=NAN), sides(log_z=NAN)],
    "smallest lost weight seen at 5σ": [sides(error=NAN)],
    HALF.name: [
        {"shares": (dataclasses.replace(HALF, **each),)} for each in ({"value": NAN}, {"error": INF}, {"error": 1})
    ],
    "starts of the target chains": [{"starts": 0}, {"starts": 1}],
    "records of a target chain": [{"records": 0}, {"records": 1}],
    "R̂ across starts": [{"r_hat": NAN}, {"records": 1}, {"records": 31}],
    "averages of the flow reliable; N·ESS": [{"reliability": Reliability("reliable", (), n)} for n in (0, 1)],
    "k̂ of w over flow draws": [sides(tail=NAN), sides(tail=INF)],
    "k̂ of 1/w over target draws": [sides(tail=NAN), sides(tail=INF)],
    "phi squared, flow − target": [
        {"compared": (Comparison("phi_squared", found, ONE),)}
        for found in (Estimate(NAN, 0.01), Estimate(0.3, NAN), Estimate(0.3, INF))
    ],
    "log Z, flow − reference": [{"known": Estimate(7.0, INF)}, {"known": Estimate(NAN, 0.0)}, sides(error=INF)],
}
"""Every check behind a verdict, and evidence that holds nothing for it."""

COUNTED = {"starts of the target chains", "records of a target chain"}
"""Numbers that are never missing: too few of them fail."""


def test_every_check_of_a_verdict_is_in_the_audit():
    assert [check.name for check in verdict_on(GOOD).evidence if check.limit] == list(NOTHING)
    assert verdict_on(GOOD).status == "exact"


@pytest.mark.parametrize(("name", "changes"), [(name, changes) for name, cases in NOTHING.items() for changes in cases])
def test_nothing_behind_a_check_is_no_pass(name, changes):
    verdict = verdict_on(dataclasses.replace(GOOD, **changes))
    (check,) = [check for check in verdict.evidence if check.name == name]
    assert not check.passed
    assert verdict.status == "no verdict"
    infinite = changes.get("forward", SIDE).tail == INF
    assert check.informative == (name in COUNTED or infinite)
    (cells,) = [cells for cells in verdict_box(verdict).evidence if cells.name == name]
    assert cells.outcome == ("FAIL" if check.informative else "uninformative")


def test_a_difference_is_marked_in_checks_as_in_tables():
    """ "pass" stood beside "−4.7 !" for the same difference."""
    checks = [
        Check("d", 0.35, 0.1, "within 4.2σ of 0", passed=True),
        Check("d", 0.25, 0.1, "within 4.2σ of 0", passed=True),
    ]
    assert [each.outcome for each in verdict_box(Verdict("exact", evidence=tuple(checks))).evidence] == [
        DOUBTFUL,
        "pass",
    ]


@pytest.mark.parametrize("n", [1, 5, 9])
def test_a_few_equal_weights_are_no_average(n):
    assert judge_draws(np.zeros(n)).state == "not resolved"


def test_draws_and_chains_that_are_not_there_are_not_reliable():
    for bad in (np.zeros(0), np.array([NAN]), np.full(20, -INF)):
        with pytest.raises(NonFiniteSeriesError):
            judge_draws(bad)
    for shape in ((0, 0), (0, 100), (4, 0), (4, 1)):
        assert judge_chain(np.zeros(shape, dtype=bool)).state == "not resolved"
    poor = judge_draws(np.zeros(50) + np.arange(50) % 2)
    for told in (FromTarget(None, 0.0), FromTarget(Estimate(0.0, 6e21), 0.0), FromTarget(Estimate(NAN, NAN), 0.0)):
        assert with_evidence(poor, told).state == poor.state != "reliable"
    good = judge_draws(0.1 * np.random.default_rng(1).normal(size=1000))
    assert not with_evidence(good, FromTarget(None, NAN)).is_reliable
    assert not with_images(good, NAN).is_reliable


@pytest.mark.parametrize("statistic", [r_hat, gamma_estimate])
@pytest.mark.parametrize(
    ("series", "error"),
    [
        (np.zeros((4, 0)), TooShortError),
        (np.zeros((0, 100)), TooShortError),
        (np.zeros((4, 1)), TooShortError),
        (np.full((4, 100), NAN), NonFiniteSeriesError),
        (np.full((4, 100), 2.0), ConstantSeriesError),
    ],
)
def test_series_that_tell_nothing_are_refused(statistic, series, error):
    with pytest.raises(error):
        statistic(series)


def test_laws_do_not_hold_for_nothing():
    assert not judge("law", NAN, limit=1.0).passed
    for samples in (np.zeros(0), np.ones(1), np.full(5, NAN), np.full(5, INF)):
        assert not judge_mean("law", samples, expected=1.0).passed
    noisy = np.array([1e100, -1e100, 1.0])
    assert not judge_mean("law", noisy, expected=1.0, max_error=1.0).passed


def test_a_watch_without_numbers_stops():
    for bad in (Watch(NAN, 0, Creutz(1.0, 0.1, 0.0), 0), Watch(0.0, 2, Creutz(NAN, NAN, NAN), 0)):
        with pytest.raises(PhysicsStop):
            bad.check()


def test_nothing_to_verify_is_no_pass(capsys):
    assert print_checks([], DataError, subject="run", machine=False) == DataError.exit_code
    capsys.readouterr()
    bad = np.array([0.0, NAN])
    assert not _deviation("x", bad, bad, limit=1.0).passed
    assert not _largest([(bad, bad), (np.zeros(2), np.zeros(2))]) <= 1.0
    assert not _largest([(np.zeros(2), np.zeros(2)), (bad, bad)]) <= 1.0


def test_a_report_without_data_praises_nothing():
    assert belief(Results(study="s")) == ""
    assert verdict_box(no_verdict()).tone == verdict_box(Verdict("no verdict")).tone == "open"
    silent = ChainAgreement(chains=8, records=1, r_hat={}, limit=1.1, agree=None)
    (table,) = chain_tables(Results(study="s", chains={"hmc": silent}))
    assert (table.tone, "uninformative" in table.words) == ("open", True)


def test_an_average_that_nobody_has_judged_is_not_called_reliable():
    """Until now the default of an estimate was *reliable*."""
    assert Estimate(1.0, 0.1).state is None
    assert weighted_estimates({"a": np.arange(40.0)}, np.zeros(40), lambda means: means)["a"][0].state is None
    assert chain_estimates({"a": np.arange(40.0)[None] % 7}, lambda means: means)["a"][0].state is None
    assert log_z(np.arange(40.0) / 40).state is None
    assert worst("reliable", None) is None
    assert worst("error underestimated", None) == "error underestimated"
    assert independent_difference(Estimate(1.0, 0.1, state="reliable"), Estimate(1.0, 0.1)).state is None


@pytest.mark.parametrize(
    ("state", "says"), [(None, "are open: their weights were not judged"), ("reliable", "may be believed")]
)
def test_draws_without_a_judgement_are_open_whatever_the_verdict(state, says):
    words = {"phi_squared": Observable(title="field squared", symbol="φ²", math="φ²")}
    row = EstimateRecord(observable="phi_squared", sampler="flow", value=0.2, error=0.01, n=400, state=state)
    found = Results(study="x", observables=words, estimates=(row,), verdict=Verdict("exact"))
    assert says in belief(found)
    assert row.number is not None
    assert row.number.state == state


def test_a_flow_of_a_scaling_study_that_was_not_judged_is_not_held():
    training = TrainingRecord.model_construct(reached=True)
    entry = {"run": "x", "sampler": "flow", "extent": 6, "estimates": {}, "tau_int": {}, "not_estimated": ()}
    made = ScalingEntry.model_construct(**entry, training=training, trajectory=None, state=None)
    assert not made.is_held
    assert made.model_copy(update={"state": "reliable"}).is_held
    assert made.model_copy(update={"training": None}).is_held  # a classical sampler is judged by its chains
