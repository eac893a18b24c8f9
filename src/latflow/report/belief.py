"""What of a run may be believed, in one sentence: from the states of its averages, the verdict and its chains."""

from latflow.report.footnotes import listed
from latflow.report.names import SAMPLERS, order_of, sampler_style
from latflow.report.starts import of_one_configuration
from latflow.report.tables import pull_of
from latflow.results import EstimateRecord, Results
from latflow.stats.estimates import NOT_JUDGED, RELIABLE
from latflow.stats.evidence import SIGMAS
from latflow.study.config.methods import DRAWS, METHODS, REVERSE, SCRAMBLINGS

_DRAWS = {*SCRAMBLINGS, *(name for method in DRAWS for name in (method, METHODS[method].reweighted))}

_TRUSTED = "may be believed with their errors"


def belief(results: Results) -> str:
    """Whose averages may be believed with their errors, whose not and why, and of whose that is not known.

    Returns:
        One sentence; empty where nothing has been analysed.
    """
    trusted: list[str] = []
    against: dict[str, list[str]] = {}
    unknown: dict[str, list[str]] = {}
    names = {row.sampler for row in results.estimates if row.sampler != REVERSE}
    for sampler in sorted(names, key=lambda name: order_of(name, SAMPLERS)):
        row, label = _spoken_for(results, sampler)
        doubt, reason = _judged(results, row)
        group = against if doubt else unknown
        (trusted if not reason else group.setdefault(reason, [])).append(label)
    parts = [f"averages of {_joined(trusted)} {_TRUSTED}"] if trusted else []
    for groups, verb in ((against, "must not be believed"), (unknown, "are open")):
        for why, labels in groups.items():
            parts.append(f"{'those of' if parts else 'averages of'} {_joined(labels)} {verb}: {why}")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _spoken_for(results: Results, sampler: str) -> tuple[EstimateRecord, str]:
    """An average that stands for those of a sampler, and its label, with the exceptions among those of draws."""
    rows, label = [row for row in results.estimates if row.sampler == sampler], sampler_style(sampler).label
    bad = {row.observable for row in rows if row.state not in (None, RELIABLE)}
    good = [row for row in rows if row.state == RELIABLE]
    if sampler in _DRAWS and bad and good:
        return good[-1], f"{label} (but for {listed(results, bad)})"
    return rows[-1], label


def _judged(results: Results, row: EstimateRecord) -> tuple[bool, str]:
    """Whether the averages of a sampler must not be believed, or only may not, and why; no reason where they may."""
    if far := _far_from_known(results, row.sampler):
        return True, far
    if results.chains.get(row.sampler) is not None:
        return _of_chains(results, row.sampler)
    if row.state is None:
        of_draws = row.sampler in _DRAWS
        return False, f"their weights were {NOT_JUDGED}" if of_draws else "nothing tells whether their chains agree"
    if row.state != RELIABLE:
        return True, f"{row.state}, by their weights"
    status = results.verdict.status
    if status == "collapsed":
        return True, "the flow has not drawn a part of the theory"
    if status == "exact":
        return False, ""
    return False, f"their weights look good, but there is {_article(status)}"


def _far_from_known(results: Results, sampler: str) -> str:
    """The average that is farthest from its known value, where it is too far; empty where none is."""
    rows = [row for row in results.estimates if row.sampler == sampler and not row.is_array]
    pulls = {row.observable: pull_of(row.number, row.known) or 0.0 for row in rows}
    worst = max(pulls, key=lambda name: abs(pulls[name]), default="")
    if not worst or abs(pulls[worst]) <= SIGMAS:
        return ""
    return f"{results.words(worst).title} is {abs(pulls[worst]):.2g}σ from its known value"


def _of_chains(results: Results, sampler: str) -> tuple[bool, str]:
    agree = results.chains[sampler].agree
    if agree is None:
        return False, "nothing tells whether their chains agree"
    if not agree:
        return True, "their chains do not agree (R̂)"
    if still := results.chains[sampler].still:
        named = ", ".join(results.words(name).title for name in still)
        return False, f"{named} never moved, and what its motion adds to the errors is not known"
    one = of_one_configuration(results, sampler)
    return False, "their chains agree, but all began in or near one configuration" if one else ""


def _article(status: str) -> str:
    return "no verdict on what the flow may never draw" if status == "no verdict" else f"a doubt: {status}"


def _joined(labels: list[str]) -> str:
    *first, last = labels
    return f"{', '.join(first)} and {last}" if first else last
