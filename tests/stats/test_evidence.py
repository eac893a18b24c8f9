"""The verdict: a table of cases, false alarms where ln w is Gaussian, and modes that were lost on purpose."""

import dataclasses
import json
import math

import numpy as np
import pytest

from latflow.stats.evidence import Evidence, Side, census, forward_side, judge, no_verdict, reverse_side

GOOD = Evidence(
    forward=Side(7.0, 0.002, 0.8, 0.3, 100_000),
    reverse=Side(7.01, 0.01, 0.7, 0.2, 8192),
    starts=64,
    r_hat=1.01,
    positive=0.502,
    positive_error=0.001,
    symmetric=True,
)


def changed(**values):
    forward = {k[8:]: v for k, v in values.items() if k.startswith("forward_")}
    reverse = {k[8:]: v for k, v in values.items() if k.startswith("reverse_")}
    rest = {k: v for k, v in values.items() if not k.startswith(("forward_", "reverse_"))}
    sides = {
        "forward": dataclasses.replace(GOOD.forward, **forward),
        "reverse": dataclasses.replace(GOOD.reverse, **reverse),
    }
    return dataclasses.replace(GOOD, **sides, **rest)


@pytest.mark.parametrize(
    ("evidence", "status"),
    [
        (GOOD, "exact"),
        (changed(reverse_log_z=7.05), "exact"),
        (changed(reverse_log_z=7.06), "collapsed"),
        (changed(reverse_log_z=7.0 + math.log(2)), "collapsed"),
        (changed(reverse_log_z=7.0 + math.log(2), positive=1.0), "collapsed"),
        (changed(reverse_log_z=7.0 + math.log(2), forward_tail=0.9), "collapsed"),
        (changed(reverse_log_z=7.0 + math.log(2), reverse_tail=0.8), "no verdict"),
        (changed(reverse_log_z=7.0 + math.log(2), r_hat=1.2), "unresolved sectors"),
        (changed(reverse_log_z=math.inf, reverse_error=0.0), "collapsed"),
        (changed(reverse_log_z=6.9), "unresolved sectors"),
        (changed(reverse_log_z=math.nan), "unresolved sectors"),
        (changed(positive=0.51), "unresolved sectors"),
        (changed(positive=0.51, symmetric=False), "exact"),
        (changed(positive=1.0, positive_error=0.1), "exact"),
        (changed(positive=1.0, positive_error=0.09), "unresolved sectors"),
        (changed(r_hat=1.2), "unresolved sectors"),
        (changed(r_hat=math.nan), "unresolved sectors"),
        (changed(r_hat=math.inf), "unresolved sectors"),
        (changed(starts=7), "no verdict"),
        (changed(starts=7, reverse_log_z=8.0), "no verdict"),
        (changed(reverse_error=0.03), "no verdict"),
        (changed(forward_error=0.03), "no verdict"),
        (changed(forward_tail=0.75), "no verdict"),
        (changed(reverse_tail=0.75), "no verdict"),
        (changed(reverse_tail=-math.inf), "exact"),
        (changed(forward_tail=math.nan), "no verdict"),
    ],
)
def test_verdict(evidence, status):
    verdict = judge(evidence)
    assert verdict.status == status
    assert verdict.reasons
    assert all(check.passed for check in verdict.checks) == (status == "exact")
    assert (verdict.lost_weight is not None) == (status == "collapsed")
    json.dumps(verdict.plain(), allow_nan=False)


def test_lost_weight():
    lost = judge(changed(reverse_log_z=7.0 + math.log(2))).lost_weight
    assert lost.value == pytest.approx(0.5)
    assert lost.error == pytest.approx(0.5 * math.hypot(0.002, 0.01))
    assert judge(changed(reverse_log_z=math.inf, reverse_error=0.0)).lost_weight.value == 1.0


def test_nothing_collected_is_no_verdict():
    assert no_verdict("no target draws").plain()["status"] == "no verdict"


def gaussian(rng, sigma, n_flow, chains, n):
    """Log-weights of flow draws and of target draws when ln w is Gaussian; log Z is 3."""
    forward = 3 - sigma**2 / 2 + sigma * rng.normal(size=n_flow)
    reverse = 3 + sigma**2 / 2 + sigma * rng.normal(size=(chains, n, 2))
    return forward, reverse


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 2.0, 3.0, 5.0])
def test_no_false_alarm(sigma):
    """Two hundred flows without a lost mode, down to an acceptance of 0.0004: none is called collapsed.

    Those of the first four widths are resolved and exact where their tails allow it; the widest never are.
    """
    rng = np.random.default_rng(7)
    status = []
    for _ in range(200):
        forward, reverse = gaussian(rng, sigma, 4000, 16, 100)
        sides = {"forward": forward_side(forward), "reverse": reverse_side(reverse)}
        status.append(judge(dataclasses.replace(GOOD, **sides)).status)
    assert set(status) <= ({"exact", "no verdict"} if sigma < 3 else {"no verdict"}), sigma
    if sigma <= 0.5:
        assert status.count("exact") == 200


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_lost_modes_are_found(share):
    """A mode of weight `share` that the flow never draws; ln w of the rest scatters with σ = 0.5."""
    rng = np.random.default_rng(8)
    forward, reverse = gaussian(rng, 0.5, 4000, 16, 100)
    missing = rng.random(reverse.shape) < share
    # where the flow has no density 1/w is zero; elsewhere it has too much
    found = np.where(missing, 80.0, reverse + math.log1p(-share))
    sides = {"forward": forward_side(forward + math.log1p(-share)), "reverse": reverse_side(found)}
    verdict = judge(dataclasses.replace(GOOD, **sides))
    assert verdict.status == "collapsed"
    assert abs(verdict.lost_weight.value - share) < 5 * verdict.lost_weight.error
    assert verdict.lost_weight.error < 0.05


def test_a_flow_without_any_density_has_lost_everything():
    side = reverse_side(np.full((8, 10, 2), np.inf))
    assert side.log_z == math.inf
    assert judge(dataclasses.replace(GOOD, reverse=side)).status == "collapsed"


def test_equal_weights_have_no_error():
    assert reverse_side(np.full((8, 10, 1), 2.5)).log_z == pytest.approx(2.5)
    assert forward_side(np.full(100, 2.5)).error == 0.0


def test_autocorrelation_enlarges_the_reverse_error():
    rng = np.random.default_rng(9)
    independent = rng.normal(size=(16, 100, 1))
    repeated = np.repeat(rng.normal(size=(16, 10, 1)), 10, axis=1)
    assert reverse_side(repeated).error > 1.8 * reverse_side(independent).error


def test_census():
    magnetization = np.array([1.0, -1.0, 2.0, -3.0])
    share, error = census(magnetization, np.log([1.0, 2.0, 3.0, 4.0]))
    assert share == pytest.approx(0.4)
    # a fair coin with 1/Σw² effective draws
    assert error == pytest.approx(0.5 * math.sqrt(0.3))
    assert census(np.ones(100), np.zeros(100)) == (pytest.approx(1.0), pytest.approx(0.05))
