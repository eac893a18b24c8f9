r"""Two-sided evidence against a lost mode, and the verdict it allows.

A flow that lost a mode looks perfect from its own draws: weights are even, only their mean is too small. With
$w=e^{-S}/q$, draws of the flow give $\ln\langle w\rangle_q$ and draws of the target give $-\ln\langle1/w\rangle_p$.
Both are $\ln Z$ if either set of draws has seen all that it should; a mode that no draw of the flow reached is missing
from the first alone, so $1-e^{-\mathrm{gap}}$ is the weight that is lost. Nothing here is "exact" by default: every
statement that could not be made is a reason against.

References:
    arXiv:2107.00734 and arXiv:2302.14082, both estimators; arXiv:1507.02646, the tail shape k̂.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Float
from scipy import special

from latflow.stats.estimates import ConstantSeriesError, Estimate
from latflow.stats.gamma import gamma_estimate
from latflow.stats.propagation import MINIMUM_RECORDS
from latflow.stats.weights import independence_acceptance, log_z, pareto_k, reweighting_ess

SIGMAS = 5.0
"""A difference counts from here on: one false alarm in 1.7 million, and errors are taken from their larger side."""

TAIL_LIMIT = 0.7
"""Largest k̂ with which the error of a mean of weights can be believed (arXiv:1507.02646, section 3)."""

R_HAT_LIMIT = 1.1
"""Largest R̂ across starts with which target draws count as equilibrated (Gelman et al., section 11.5)."""

R_HAT_RECORDS = 32
"""Records per chain from which on a small R̂ says that chains agree; in shorter ones a drift is not seen."""

RESOLUTION_LIMIT = 0.1
"""Largest weight that a mode may have and still escape at 5σ; a Z₂ vacuum has 0.5."""

LEAST_STARTS = 8
"""Chains of target draws: two each from hot, cold and either vacuum."""

FALSE_ALARMS = 1e-4
"""Chance that a flawless flow and flawless target chains differ too much in any of the observables compared."""

_SMALLEST_ACCEPTANCE = 1e-12
_CARRIED = 0.999


@dataclasses.dataclass(frozen=True)
class Side:
    """Log Z from one direction.

    Args:
        log_z: The estimate.
        error: One standard deviation, the larger of what the draws scatter and what their acceptance implies.
        ess: (Σu)²/(NΣu²) of the averaged weights u, which are w or 1/w.
        tail: Pareto k̂ of u.
        n: Draws.
    """

    log_z: float
    error: float
    ess: float
    tail: float
    n: int


@dataclasses.dataclass(frozen=True)
class Comparison:
    """An observable that does not tell the sectors apart, from both directions.

    Args:
        name: The observable.
        flow: From the weighted draws of the flow.
        target: From the chains of target draws, independent of them.
    """

    name: str
    flow: Estimate
    target: Estimate

    @property
    def difference(self) -> Estimate:
        """Flow minus target."""
        return Estimate(self.flow.value - self.target.value, math.hypot(self.flow.error, self.target.error))


@dataclasses.dataclass(frozen=True)
class Evidence:
    """Everything the verdict looks at.

    Args:
        forward: From draws of the flow.
        reverse: From draws of the target.
        starts: Independent chains of target draws, from over-dispersed starts.
        r_hat: Largest R̂ of them over observables that do not tell the sectors apart.
        positive: Weight of the draws of the flow with positive mean field, Σw over those / Σw.
        positive_error: Its error; at least that of a fair coin with as many effective draws.
        symmetric: Whether φ → −φ is a symmetry, so that `positive` is ½ and target draws count with their images.
        compared: Observables that are the same in every sector.
    """

    forward: Side
    reverse: Side
    starts: int
    r_hat: float
    positive: float
    positive_error: float
    symmetric: bool
    compared: tuple[Comparison, ...] = ()

    @property
    def gap(self) -> Estimate:
        """Reverse minus forward log Z."""
        error = math.hypot(self.forward.error, self.reverse.error)
        return Estimate(self.reverse.log_z - self.forward.log_z, error, n=self.forward.n)

    @property
    def lost_weight(self) -> Estimate:
        """1 − e^{−gap}: the weight of the target that the draws of the flow do not account for."""
        kept = math.exp(-self.gap.value)
        return Estimate(1 - kept, kept * self.gap.error, n=self.forward.n)

    @property
    def resolution(self) -> float:
        """Smallest lost weight that would have been seen."""
        return -math.expm1(-SIGMAS * self.gap.error)


@dataclasses.dataclass(frozen=True)
class Check:
    """One line of the evidence.

    Args:
        name: What was measured.
        value: The number; None where it is not finite.
        error: Its error, if it has one.
        limit: What is allowed, in words; empty where nothing is asked of it.
        passed: Whether it is allowed.
    """

    name: str
    value: float | int | None
    error: float | None
    limit: str
    passed: bool

    @property
    def is_finite(self) -> bool:
        """Whether the value is a number."""
        return self.value is not None and math.isfinite(self.value)

    def recorded(self) -> "Check":
        """The same for a record: what is not finite is absent."""
        value = self.value if self.is_finite else None
        return dataclasses.replace(self, value=value, error=_finite(self.error))


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What may be said, as it stands in ``results.json``: numbers that are not finite are None.

    Args:
        status: "exact", "unresolved sectors", "collapsed" or "no verdict".
        reasons: Sentences in support.
        lost_weight: If collapsed, the weight that is lost.
        lost_weight_error: Its error.
        evidence: The checks behind it, line by line.
    """

    status: str
    reasons: tuple[str, ...] = ()
    lost_weight: float | None = None
    lost_weight_error: float | None = None
    evidence: tuple[Check, ...] = ()


def no_verdict(*reasons: str) -> Verdict:
    """The verdict where evidence could not be collected."""
    return Verdict("no verdict", reasons)


def forward_side(log_weights: Float[np.ndarray, " n"]) -> Side:
    """Log Z as ln⟨w⟩ over draws of the flow."""
    estimate = log_z(log_weights)
    error = max(estimate.error, _implied_error(log_weights, effective=log_weights.size))
    return Side(estimate.value, error, reweighting_ess(log_weights), pareto_k(log_weights), log_weights.size)


def reverse_side(log_weights: Float[np.ndarray, "chains n images"]) -> Side:
    """Log Z as −ln⟨1/w⟩ over chains of target draws.

    Args:
        log_weights: ln w at every draw and, where there is a symmetry, at its images, which are draws of the target
            with the same right.

    Returns:
        The side; infinite log Z if the flow has no density at any draw.
    """
    inverse = -log_weights
    top = float(inverse.max())
    if top == -math.inf:
        return Side(math.inf, 0.0, 0.0, -math.inf, log_weights.size)
    terms = np.exp(inverse - top).mean(axis=-1)
    try:
        mean = gamma_estimate(terms)
    except ConstantSeriesError:
        mean = Estimate(float(terms.mean()), 0.0, tau_int=0.5, n=terms.size)
    flat = inverse.reshape(-1)
    implied = _implied_error(flat, effective=terms.size / max(1.0, 2 * (mean.tau_int or 0.5)))
    error = max(mean.error / mean.value, implied)
    return Side(-top - math.log(mean.value), error, reweighting_ess(flat), pareto_k(flat), flat.size)


def census(magnetization: Float[np.ndarray, " n"], log_weights: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Weight of the draws with positive mean field, and its error."""
    w = np.exp(log_weights - log_weights.max())
    w /= w.sum()
    share = float(w[magnetization > 0].sum())
    influence = w * ((magnetization > 0) - share)
    coin = 0.5 * math.sqrt(float(np.sum(w**2)))
    return share, max(float(np.sqrt(np.sum(influence**2))), coin)


def judge(evidence: Evidence) -> Verdict:
    """The verdict on a flow.

    In order: target draws that disagree among themselves leave the sectors unresolved; a gap of more than 5σ is a
    collapse if the reverse estimate can be believed, and unresolved if it is the target draws that miss something;
    sectors with wrong weights are unresolved, and so is a difference in an observable that is the same in every sector:
    either side may lack the field between them; whatever could not have been seen forbids the word exact.
    """
    checks = _checks(evidence)
    passed = {check.name: check.passed for check in checks}
    gap, error = evidence.gap.value, evidence.gap.error
    told = f"reverse − forward log Z = {gap:.4g} ± {error:.2g}"

    def verdict(status: str, *reasons: str, lost: Estimate | None = None) -> Verdict:
        weight = (None, None) if lost is None else (_finite(lost.value), _finite(lost.error))
        return Verdict(status, reasons, *weight, tuple(check.recorded() for check in checks))

    if not passed[STARTS]:
        return verdict("no verdict", f"target draws from {evidence.starts} starts; at least {LEAST_STARTS} are needed")
    if not passed[R_HAT]:
        return verdict("unresolved sectors", f"the target chains disagree among each other, R̂ = {evidence.r_hat:.3g}")
    if gap > SIGMAS * error:
        if not passed[REVERSE_TAIL]:
            return verdict(
                "no verdict", told, f"weights of the target draws have tails of k̂ = {evidence.reverse.tail:.2g}"
            )
        return verdict("collapsed", told, "the flow never draws what is missing", lost=evidence.lost_weight)
    if not passed[GAP]:
        return verdict("unresolved sectors", told, "the target draws miss what the flow has, or were not independent")
    if not passed[CENSUS]:
        share = f"{evidence.positive:.4g} ± {evidence.positive_error:.2g}"
        return verdict("unresolved sectors", f"weight {share} at positive mean field, ½ by symmetry")
    failed = [check for check in checks if not check.passed]
    if failed:
        # Differences are worth their errors, and errors what the tails allow.
        differ = all(check.name.endswith(DIFFERENCE) and check.is_finite for check in failed)
        status = "unresolved sectors" if differ else "no verdict"
        return verdict(status, *(_sentence(check) for check in failed))
    return verdict("exact", f"{told}; a lost weight of {evidence.resolution:.2g} would have been seen")


STARTS, R_HAT, GAP = "starts of the target chains", "R̂ across starts", "reverse − forward log Z"
CENSUS, RESOLUTION = "weight at positive mean field", "smallest lost weight seen at 5σ"
FORWARD_TAIL, REVERSE_TAIL = "k̂ of w over flow draws", "k̂ of 1/w over target draws"
DIFFERENCE = ", flow − target"


def _checks(e: Evidence) -> tuple[Check, ...]:
    """Comparisons are written so that a number that is none fails."""
    gap, sigmas = e.gap, allowed_sigmas(len(e.compared))
    balanced = abs(e.positive - 0.5) <= SIGMAS * e.positive_error or not e.symmetric
    return (
        Check(GAP, gap.value, gap.error, f"within {SIGMAS:g}σ of 0", abs(gap.value) <= SIGMAS * gap.error),
        Check(RESOLUTION, e.resolution, None, f"≤ {RESOLUTION_LIMIT:g}", e.resolution <= RESOLUTION_LIMIT),
        Check(CENSUS, e.positive, e.positive_error, "½ by symmetry" if e.symmetric else "not known", balanced),
        Check(STARTS, e.starts, None, f"≥ {LEAST_STARTS}", e.starts >= LEAST_STARTS),
        Check(R_HAT, e.r_hat, None, f"≤ {R_HAT_LIMIT:g}", e.r_hat <= R_HAT_LIMIT),
        Check(FORWARD_TAIL, e.forward.tail, None, f"≤ {TAIL_LIMIT:g}", e.forward.tail <= TAIL_LIMIT),
        Check(REVERSE_TAIL, e.reverse.tail, None, f"≤ {TAIL_LIMIT:g}", e.reverse.tail <= TAIL_LIMIT),
        *(_compared(comparison, sigmas) for comparison in e.compared),
        Check("log Z, forward", e.forward.log_z, e.forward.error, "", passed=True),
        Check("log Z, reverse", e.reverse.log_z, e.reverse.error, "", passed=True),
        Check("ESS of w over flow draws", e.forward.ess, None, "", passed=True),
        Check("ESS of 1/w over target draws", e.reverse.ess, None, "", passed=True),
    )


def allowed_sigmas(n: int) -> float:
    """How many σ each of `n` differences may have, so that flawless ones stay below with chance 1 − `FALSE_ALARMS`.

    By Bonferroni's inequality, which asks nothing of their correlations.
    """
    return math.sqrt(2) * float(special.erfcinv(FALSE_ALARMS / max(n, 1)))


def _compared(comparison: Comparison, sigmas: float) -> Check:
    found = comparison.difference
    within = abs(found.value) <= sigmas * found.error
    name = f"{comparison.name.replace('_', ' ')}{DIFFERENCE}"
    return Check(name, found.value, found.error, f"within {sigmas:.1f}σ of 0", within)


def _sentence(check: Check) -> str:
    error = "" if check.error is None else f" ± {check.error:.2g}"
    value = math.nan if check.value is None else check.value
    return f"{check.name}: {value:.3g}{error}, allowed {check.limit}"


def _implied_error(log_weights: Float[np.ndarray, " n"], *, effective: float) -> float:
    r"""Relative error of the mean weight if ln w were Gaussian with the acceptance erfc(σ/2) that is seen.

    The sample variance of heavy-tailed weights is far too small, because it misses the rare large ones that carry the
    mean; the acceptance is known well long before. Draws that carry nothing, such as those in a mode that the other
    density lacks, are no tail: a share f of the draws carries the sum, and $\langle w^2\rangle/\langle w\rangle^2$ is
    that of these draws over f.
    """
    largest = np.sort(log_weights)[::-1]
    carried = np.cumsum(np.exp(largest - largest[0]))
    n = max(int(np.searchsorted(carried, _CARRIED * carried[-1])) + 1, MINIMUM_RECORDS)
    acceptance = max(independence_acceptance(largest[:n]), _SMALLEST_ACCEPTANCE)
    sigma = 2 * float(special.erfcinv(min(acceptance, 1.0)))
    return math.sqrt((math.exp(sigma**2) * log_weights.size / min(n, log_weights.size) - 1) / effective)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
