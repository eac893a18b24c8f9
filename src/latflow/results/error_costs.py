r"""What a smaller error costs: seconds per unit of squared error of every sampler, and when training has paid off.

An average whose error is σ after t seconds has the cost $t\sigma^2$, which does not depend on t: an error ε takes
$t\sigma^2/\varepsilon^2$ seconds. Training, warm-up and tuning, T seconds, come once. Flow and HMC have the same error
at the same time $t^*$ where $c_\mathrm{HMC}/(t^*-T_\mathrm{HMC})=c/(t^*-T)$; docs/decisions/0017 says the rest.
Nothing is gained by an error that is not to be relied on, nor by seconds that were not recorded.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from latflow.results.records import ErrorCost, EstimateRecord, Results, SamplerCost
from latflow.stats.estimates import FEWEST_INDEPENDENT, NOT_JUDGED, RELIABLE

GOAL = 1e-3
"""Error that seconds are given for, in units of the value."""

ACROSS_RUNS = math.log(2)
"""Standard deviation of ln of a ratio of seconds from two runs: what else a machine does changes them by a factor 2."""

_CLAIMED = 2.0
"""Standard deviations that ln of a gain must be away from zero for one of two averages to be called cheaper."""

_SIGNIFICANT = 5.0
"""A value closer to zero than that many errors sets no scale."""

_SHARED = {"reweighted": "flow"}
_NO_ENSEMBLE = "reverse"


@dataclass(frozen=True)
class _Average:
    """One average, plain or corrected."""

    row: EstimateRecord
    corrected: bool
    value: float
    error: float
    paid: SamplerCost
    doubt: str
    run: int

    @property
    def seconds(self) -> float | None:
        """Sampling, measuring and correction."""
        correction = self.paid.correction_seconds if self.corrected else 0.0
        each, measuring = self.paid.seconds_per_configuration, self.paid.measuring_seconds_per_configuration
        if each is None or self.paid.configurations is None or correction is None:
            return None
        return (each + (measuring or 0.0)) * self.paid.configurations + correction

    @property
    def once(self) -> float | None:
        """Training, warm-up and tuning."""
        parts = [self.paid.training_seconds, self.paid.setup_seconds]
        parts += [self.paid.correction_training_seconds] if self.corrected else []
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None

    @property
    def cost(self) -> float | None:
        """t·σ²."""
        return None if self.seconds is None else self.seconds * self.error**2

    @property
    def uncertainty(self) -> float:
        """Relative standard deviation of σ²: that of τ_int, or by the number of scramblings."""
        if self.paid.scramblings:
            return math.sqrt(2 / (self.paid.scramblings - 1))
        tau, error = self.row.tau_int, self.row.tau_int_error
        return error / tau if isinstance(tau, float) and isinstance(error, float) and tau > 0 else 0.0


def error_costs(results: Results, *, baseline: str) -> tuple[ErrorCost, ...]:
    """Cost of the error of every scalar average, plain and corrected, in the order of the estimates.

    Args:
        results: Estimates, costs of samplers, chains and verdict; costs of errors that are in it do not count.
        baseline: The sampler whose plain averages others are compared with; the first chains where it has none.
    """
    (found,) = error_costs_beside([results], baseline=baseline, of=0)
    return found


def error_costs_beside(runs: Sequence[Results], *, baseline: str, of: int) -> tuple[tuple[ErrorCost, ...], ...]:
    """Costs of the errors of several runs of one theory, for one goal and against one average of every observable.

    Args:
        runs: What each has found.
        baseline: The sampler whose plain averages others are compared with; the first chains where it has none.
        of: Number of the run whose averages those are.

    Returns:
        For each run what `error_costs` returns.
    """
    found = [average for i, run in enumerate(runs) for row in run.estimates for average in _averages(run, row, i)]
    names = dict.fromkeys(each.row.observable for each in found)
    told: list[list[ErrorCost]] = [[] for _ in runs]
    for name in names:
        group = [each for each in found if each.row.observable == name]
        goal, compared = _goal(group), _baseline([each for each in group if each.run == of], baseline, runs[of])
        for each in group:
            told[each.run].append(_record(each, goal, compared))
    return tuple(tuple(each) for each in told)


def is_ahead(gain: float, spread: float) -> bool | None:
    """Whether a gain is above 1, by its logarithm, so that two averages exchanged give the opposite answer.

    Args:
        gain: Cost of one average over that of another.
        spread: Its standard deviation.

    Returns:
        None where it is not two standard deviations away from 1.
    """
    return gain > 1 if abs(math.log(gain)) > _CLAIMED * spread / gain else None


def sampled_as(sampler: str) -> str:
    """The sampler whose ensemble an average is made of: weighted averages share the draws of a flow."""
    return _SHARED.get(sampler, sampler.removesuffix("_reweighted"))


def _averages(results: Results, row: EstimateRecord, run: int) -> Iterable[_Average]:
    """The plain average of a row, and the corrected one where there is one; none without an error."""
    paid = results.cost.get(sampled_as(row.sampler), SamplerCost())
    corrected = isinstance(row.plain_value, float) and isinstance(row.plain_error, float)
    pairs = [(row.plain_value, row.plain_error, False)] if corrected else []
    for value, error, is_corrected in (*pairs, (row.value, row.error, corrected)):
        if isinstance(value, float) and isinstance(error, float) and error > 0 and row.sampler != _NO_ENSEMBLE:
            yield _Average(row, is_corrected, value, error, paid, _doubt(results, row, paid), run)


def _doubt(results: Results, row: EstimateRecord, paid: SamplerCost) -> str:
    """Why an error, or its seconds, is not to be relied on; empty if nothing is known."""
    chains, n, tau = results.chains.get(row.sampler), row.n, row.tau_int
    drawn = row.sampler not in results.chains and paid.training_seconds != 0
    independent = n / (2 * tau) if n is not None and isinstance(tau, float) and tau > 0 else math.inf
    reasons = {
        "seconds of sampling not recorded": paid.seconds_per_configuration is None,
        row.state or "": row.state not in (None, RELIABLE),
        f"averages {NOT_JUDGED}": drawn and row.state is None,
        f"flow: {results.verdict.status}": drawn and results.verdict.status != "exact",
        "chains do not agree (R̂)": chains is not None and chains.agree is False,
        "chains too short to say whether they agree": chains is not None and chains.agree is None,
        "a sector that never moved": chains is not None and bool(chains.still),
        f"fewer than {FEWEST_INDEPENDENT} independent configurations": independent < FEWEST_INDEPENDENT,
        "seconds of measuring not recorded": paid.measuring_seconds_per_configuration is None,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _goal(group: list[_Average]) -> tuple[float, bool]:
    """The error that seconds are given for, by the best average of an observable, and whether it is relative."""
    best = min([each for each in group if not each.doubt] or group, key=lambda each: each.error)
    relative = abs(best.value) > _SIGNIFICANT * best.error
    return (GOAL * abs(best.value) if relative else GOAL), relative


def _baseline(group: Iterable[_Average], baseline: str, results: Results) -> _Average | None:
    """The plain average that others are compared with: of that sampler, or of the first chains where it has none."""
    plain = {each.row.sampler: each for each in group if not each.corrected and each.seconds is not None}
    names = [baseline, *results.chains]
    return next((plain[name] for name in names if name in plain), None)


def _record(each: _Average, goal: tuple[float, bool], baseline: _Average | None) -> ErrorCost:
    error, relative = goal
    gain, spread = _gain(each, baseline)
    return ErrorCost(
        observable=each.row.observable,
        sampler=each.row.sampler,
        corrected=each.corrected,
        seconds=each.seconds,
        seconds_once=each.once,
        error=each.error,
        cost=each.cost,
        goal=error,
        relative=relative,
        seconds_for_goal=None if each.cost is None else each.cost / error**2,
        against="" if baseline is None else baseline.row.sampler,
        gain=gain,
        gain_error=spread,
        break_even=None if baseline is None else _break_even(each, baseline, gain, spread),
        doubt=each.doubt,
    )


def _gain(each: _Average, baseline: _Average | None) -> tuple[float | None, float | None]:
    """Cost of the baseline over that of an average, with its standard deviation; None where either is doubted."""
    if baseline is None or each is baseline or baseline.doubt or each.doubt:
        return None, None
    if baseline.paid.compilation_included or not each.cost or baseline.cost is None:
        return None, None
    gain = baseline.cost / each.cost
    seconds = 0.0 if each.run == baseline.run else ACROSS_RUNS
    return gain, gain * math.hypot(each.uncertainty, baseline.uncertainty, seconds)


def _break_even(each: _Average, baseline: _Average, gain: float | None, spread: float | None) -> float | None:
    """t* = (T − T₀/gain) / (1 − 1/gain), T₀ the warm-up of the baseline; None where the gain is not above 1.

    A way with T < T₀ is ahead from T on, when it begins and the baseline has nothing yet.
    """
    if gain is None or spread is None or not is_ahead(gain, spread) or each.once is None:
        return None
    return max(each.once, (each.once - (baseline.once or 0.0) / gain) / (1 - 1 / gain))
