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

from scipy import special

from latflow.stats.estimates import RELIABLE, Estimate
from latflow.stats.reliability import TAIL_LIMIT, FromTarget, Reliability
from latflow.stats.sides import Side

SIGMAS = 5.0
"""Differences of more σ than this are significant: one false alarm in 1.7 million. Errors are upper estimates."""

R_HAT_LIMIT = 1.1
"""Largest R̂ across starts with which target draws count as equilibrated (Gelman et al., section 11.5)."""

R_HAT_SHORT = 3.0
"""The same of shorter chains, whose R̂ scatters far: beyond it they disagree however few the records."""

R_HAT_RECORDS = 32
"""Fewest records per chain for R̂ to be used; in shorter chains it does not detect a drift."""

RESOLUTION_LIMIT = 0.1


def agreement(largest: float, *, records: int, tau: float) -> bool | None:
    """Whether chains agree: the one rule for the samplers of a run and for the target draws of a verdict.

    Chains of fewer than `R_HAT_RECORDS` independent records, 2τ apart, disagree only where R̂ is above `R_HAT_SHORT`,
    since it scatters far; and they agree only if there are as many records and R̂ is at most `R_HAT_LIMIT`.

    Args:
        largest: Largest R̂ of the columns in which they must agree; NaN if there is none.
        records: Of each chain.
        tau: Longest τ_int, in records.

    Returns:
        None where they are too short to say so, or nothing tells.
    """
    if math.isnan(largest):
        return None
    limit = R_HAT_LIMIT if records / (2 * tau) >= R_HAT_RECORDS else R_HAT_SHORT
    if largest > limit:
        return False
    return True if records >= R_HAT_RECORDS and largest <= R_HAT_LIMIT else None


def too_short(records: int | str, least: int | str = R_HAT_RECORDS) -> str:
    """What is said of chains for which `agreement` is open, in words."""
    return f"too short to say whether they agree: {records} records each, at least {least} independent ones wanted"


"""Largest weight that a mode may have and still escape at 5σ; a Z₂ vacuum has 0.5."""

UNINFORMATIVE = math.log(2)
"""A gap whose error is larger says nothing by being within 5σ of zero: not even half the weight lost would show."""

LEAST_STARTS = 8
"""Chains of target draws: two each from hot, cold and either vacuum."""

FALSE_ALARMS = 1e-4
"""Chance that a flawless flow and flawless target chains differ too much in any of the observables compared."""


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
class SectorShare:
    """The weight of a sector among the draws of the flow, Σw over those that lie there / Σw.

    Args:
        name: Words for it.
        value: The weight.
        error: At least that of so many effective draws from a coin of the expected weight.
        expected: The exact weight; None where it is not known.
        source: Why it is known.
    """

    name: str
    value: float
    error: float
    expected: float | None
    source: str

    @property
    def agrees(self) -> bool:
        """Whether it is the expected one; a number that is none does not agree."""
        return self.expected is None or abs(self.value - self.expected) <= SIGMAS * self.error

    @property
    def informs(self) -> bool:
        """Whether it could have disagreed: it is a number, and its error not so large that any weight would agree."""
        if self.expected is None or math.isnan(self.value):
            return self.expected is None
        return SIGMAS * self.error <= max(self.expected, 1 - self.expected)


@dataclasses.dataclass(frozen=True)
class Evidence:
    """Everything the verdict looks at.

    Args:
        forward: From draws of the flow.
        reverse: From draws of the target.
        starts: Independent chains of target draws, from over-dispersed starts.
        records: Of each of these chains.
        r_hat: Largest R̂ of them over observables that do not tell the sectors apart.
        shares: Weights of sectors among the draws of the flow.
        compared: Observables that are the same in every sector.
        known: Log Z where it is known, with its error; None elsewhere.
        reliability: Of the averages of the flow; None where it was not judged.
        tau: Longest τ_int of the target chains, in records.
    """

    forward: Side
    reverse: Side
    starts: int
    records: int
    r_hat: float
    shares: tuple[SectorShare, ...] = ()
    compared: tuple[Comparison, ...] = ()
    known: Estimate | None = None
    reliability: Reliability | None = None
    tau: float = 0.5

    @property
    def agree(self) -> bool | None:
        """Whether the chains agree, see `agreement`."""
        return agreement(self.r_hat, records=self.records, tau=self.tau)

    def told(self, beyond: float) -> FromTarget | None:
        """What the target draws say about those of the flow; None if they are too few, too short or disagree.

        Args:
            beyond: Part of them whose weight is larger than that of any draw of the flow.
        """
        if self.starts < LEAST_STARTS or not self.agree:
            return None
        return FromTarget(self.gap if self.reverse.tail <= TAIL_LIMIT else None, beyond)

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
        passed: Whether it is allowed; never without information.
        informative: False where there was nothing to measure it from, or it could not have failed.
    """

    name: str
    value: float | int | None
    error: float | None
    limit: str
    passed: bool
    informative: bool = True

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
    """The verdict on a flow, as it stands in ``results.json``: numbers that are not finite are None.

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


def verdict_on(evidence: Evidence) -> Verdict:
    """The verdict on a flow.

    Tested in this order. Too few starts of target chains: no verdict. Target chains that disagree among each other:
    unresolved sectors. Chains that agree but are too short to show a drift: no verdict. Gap above 5σ: collapsed,
    provided that the reverse estimate is reliable. Averages of the flow that are not reliable: no verdict, since every
    difference may then be the flow's own. Gap below −5σ, where the target draws miss something: unresolved sectors, and
    the same for sectors with wrong weights. A difference in an observable that is the same in every sector: unresolved
    sectors, since either side may lack fields between them. Evidence that would have missed a lost mode: no verdict.
    """
    checks = _checks(evidence)
    passed = {check.name: check.passed for check in checks}
    silent = {check.name for check in checks if not check.informative}
    gap, error = evidence.gap.value, evidence.gap.error
    told = f"reverse − forward log Z = {gap:.4g} ± {error:.2g}"

    def verdict(status: str, *reasons: str, lost: Estimate | None = None) -> Verdict:
        weight = (None, None) if lost is None else (_finite(lost.value), _finite(lost.error))
        return Verdict(status, reasons, *weight, tuple(check.recorded() for check in checks))

    if not passed[STARTS]:
        return verdict("no verdict", f"target draws from {evidence.starts} starts; at least {LEAST_STARTS} are needed")
    if R_HAT in silent:
        return verdict("no verdict", _why_silent(evidence))
    if not passed[R_HAT]:
        return verdict("unresolved sectors", f"the target chains disagree among each other, R̂ = {evidence.r_hat:.3g}")
    if gap > SIGMAS * error:
        if not passed[REVERSE_TAIL]:
            return verdict(
                "no verdict", told, f"weights of the target draws have tails of k̂ = {evidence.reverse.tail:.2g}"
            )
        return verdict("collapsed", told, "the flow has not drawn what is missing", lost=evidence.lost_weight)
    if evidence.reliability is not None and not evidence.reliability.is_reliable:
        given = evidence.reliability
        return verdict("no verdict", f"averages of the flow: {given.state}", *given.reasons[:1])
    if GAP in silent:
        return verdict("no verdict", told, "so large an error says nothing")
    if not passed[GAP]:
        return verdict("unresolved sectors", told, "the target draws miss what the flow has, or were not independent")
    wrong = [share for share in evidence.shares if share.informs and not share.agrees]
    if wrong:
        return verdict("unresolved sectors", *(f"{s.name} {s.value:.4g} ± {s.error:.2g}, {_known(s)}" for s in wrong))
    failed = [check for check in checks if not check.passed]
    if failed:
        # A difference is significant only if errors are reliable, hence only if nothing but differences failed.
        differ = all(_is_difference(check) for check in failed)
        return verdict("unresolved sectors" if differ else "no verdict", *(_sentence(check) for check in failed))
    return verdict("exact", f"{told}; a lost weight of {evidence.resolution:.2g} would have been seen")


STARTS, RECORDS = "starts of the target chains", "records of a target chain"
R_HAT, GAP = "R̂ across starts", "reverse − forward log Z"
RESOLUTION = "smallest lost weight seen at 5σ"
FORWARD_TAIL, REVERSE_TAIL = "k̂ of w over flow draws", "k̂ of 1/w over target draws"
DIFFERENCE, KNOWN = ", flow − target", ", flow − reference"


def _why_silent(evidence: Evidence) -> str:
    """Why R̂ does not tell whether target chains agree."""
    if math.isnan(evidence.r_hat):
        return "no observable along the target chains tells whether they agree among each other"
    return f"the target chains are {too_short(evidence.records)}"


def _is_difference(check: Check) -> bool:
    return check.name.endswith((DIFFERENCE, KNOWN)) and check.is_finite and check.informative


def _checks(e: Evidence) -> tuple[Check, ...]:
    """The lines of the evidence. Comparisons are written so that NaN fails; what could not fail is uninformative."""
    gap, sigmas = e.gap, allowed_sigmas(len(e.compared))
    within = abs(gap.value) <= SIGMAS * gap.error
    told = not math.isnan(gap.value + gap.error) and (gap.error <= UNINFORMATIVE or not within)
    return (
        Check(GAP, gap.value, gap.error, f"within {SIGMAS:g}σ of 0", told and within, informative=told),
        _at_most(RESOLUTION, e.resolution, RESOLUTION_LIMIT),
        *(_share(share) for share in e.shares),
        Check(STARTS, e.starts, None, f"≥ {LEAST_STARTS}", e.starts >= LEAST_STARTS),
        Check(RECORDS, e.records, None, f"≥ {R_HAT_RECORDS}", e.records >= R_HAT_RECORDS),
        _agreement(e),
        *([] if e.reliability is None else [_reliable(e.reliability)]),
        _at_most(FORWARD_TAIL, e.forward.tail, TAIL_LIMIT),
        _at_most(REVERSE_TAIL, e.reverse.tail, TAIL_LIMIT),
        *(_compared(comparison, sigmas) for comparison in e.compared),
        *([] if e.known is None else [_held_to(e.known, e.forward)]),
        Check("log Z, forward", e.forward.log_z, e.forward.error, "", passed=True),
        Check("log Z, reverse", e.reverse.log_z, e.reverse.error, "", passed=True),
        Check("ESS of w over flow draws", e.forward.ess, None, "", passed=True),
        Check("ESS of 1/w over target draws", e.reverse.ess, None, "", passed=True),
    )


def _agreement(e: Evidence) -> Check:
    """R̂, which shows that short chains disagree only where it is large, and that they agree only if they are long."""
    return Check(R_HAT, e.r_hat, None, f"≤ {R_HAT_LIMIT:g}", e.agree is True, informative=e.agree is not None)


def _reliable(found: Reliability) -> Check:
    """The judgement on the averages of the flow; their N·ESS is its number."""
    name, told = f"averages of the flow {found.state}; N·ESS", found.effective is not None and found.n > 0
    return Check(name, found.effective, None, RELIABLE, told and found.is_reliable, informative=told)


def _at_most(name: str, value: float, limit: float) -> Check:
    return Check(name, value, None, f"≤ {limit:g}", value <= limit, informative=not math.isnan(value))


def _share(share: SectorShare) -> Check:
    """Nothing is asked of a weight that is not known: it is compared with that of the target draws."""
    limit = "" if share.expected is None else _known(share)
    passed = share.informs and share.agrees
    return Check(share.name, share.value, share.error, limit, passed, informative=share.informs)


def _vanishes(name: str, found: Estimate, sigmas: float, limit: str) -> Check:
    """A difference, which says nothing where it is no number, or has no finite error."""
    told = not math.isnan(found.value) and math.isfinite(found.error)
    within = told and abs(found.value) <= sigmas * found.error
    return Check(name, found.value, found.error, f"within {limit}σ of 0", within, informative=told)


def _held_to(known: Estimate, forward: Side) -> Check:
    """Both directions may miss the same sector; a known log Z tells."""
    difference = Estimate(forward.log_z - known.value, math.hypot(forward.error, known.error))
    return _vanishes(f"log Z{KNOWN}", difference, SIGMAS, f"{SIGMAS:g}")


def _known(share: SectorShare) -> str:
    return f"{share.expected:.4g}, exact" if share.source == "exact" else share.source


def allowed_sigmas(n: int) -> float:
    """Limit in σ for each of `n` differences such that all pass with probability 1 − `FALSE_ALARMS` if they vanish.

    By Bonferroni's inequality, which holds for any correlations.
    """
    return math.sqrt(2) * float(special.erfcinv(FALSE_ALARMS / max(n, 1)))


def _compared(comparison: Comparison, sigmas: float) -> Check:
    name = f"{comparison.name.replace('_', ' ')}{DIFFERENCE}"
    return _vanishes(name, comparison.difference, sigmas, f"{sigmas:.1f}")


def _sentence(check: Check) -> str:
    error = "" if check.error is None else f" ± {check.error:.2g}"
    value = math.nan if check.value is None else check.value
    return f"{check.name}: {value:.3g}{error}, allowed {check.limit}"


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
