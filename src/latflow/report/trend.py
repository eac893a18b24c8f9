"""Trends: how autocorrelation times grow from run to run of studies that differ in one parameter.

A table in Markdown and one figure, from files alone. Times are in updates of the sampler, whatever part of them was
recorded. Where a chain is not much longer than its autocorrelation time, or chains of different starts disagree, the
time is a lower bound, and table and figure say so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from latflow.errors import DataError, UsageError
from latflow.report import data
from latflow.report.canvas import ONE_ROW, encode_as, legend_above, readable_log, single_axes, style
from latflow.report.data import Run
from latflow.report.field import field_of
from latflow.report.markdown import markdown_table, plain_symbol
from latflow.report.names import SAMPLERS, sampler_style
from latflow.report.numbers import ABSENT, compact, is_number, plain, signed
from latflow.report.tables import pull_of, samplers_of
from latflow.results import ChainAgreement, Observable
from latflow.results.records import Reals
from latflow.stats.estimates import Estimate
from latflow.stats.freezing import freezing
from latflow.study.config.methods import FLOW, HMC

LENGTH = 20.0
"""Autocorrelation times that a chain must hold for its own to be more than a lower bound."""

UNCORRELATED = 0.6
"""Records are as good as independent if their autocorrelation time is less: without any correlation it is ½."""

STRETCH = 16.0
"""Molecular-dynamics time over which the change of the charge is taken."""

_CHARGE = "topological_charge"

_COLUMNS = {
    "topological_charge_squared": _CHARGE,
    "topological_susceptibility": _CHARGE,
    "polyakov_loop_squared": "polyakov_squared",
    "wilson_loop_1x2": "rectangle",
    "action_density": "plaquette",
}
"""Columns whose R̂ is used for an observable, where their names differ."""


@dataclass(frozen=True)
class Point:
    """One observable of one sampler in one run.

    Attributes:
        x: Value of the parameter.
        observable: Name of the observable.
        sampler: Name of the sampler.
        tau_int: In updates; None where nothing moved.
        tau_int_error: Its error.
        length: Updates of one chain.
        chains: How many there are.
        value: The mean.
        error: Its error.
        reference: Exact or independent value, if there is one.
        reference_error: Its error.
        agree: Whether R̂ is below its limit, of the column that the observable is made from where it has one.
        thin: Updates per record.
    """

    x: float
    observable: str
    sampler: str
    tau_int: float | None
    tau_int_error: float | None
    length: int
    chains: int
    value: float | None
    error: float | None
    reference: float | None
    reference_error: float | None
    agree: bool
    thin: int

    @property
    def is_bound(self) -> bool:
        """Whether the chains are too short, or too far apart, for the time to be more than a lower bound."""
        return self.tau_int is None or not self.agree or self.length < LENGTH * self.tau_int

    @property
    def is_unseen(self) -> bool:
        """Whether the time is too short to be seen in records that lie several updates apart."""
        return self.tau_int is not None and self.thin > 1 and self.tau_int < UNCORRELATED * self.thin


@dataclass(frozen=True)
class Freezing:
    """γ of HMC in one run: stretches of `STRETCH` that an independent charge takes."""

    x: float
    trajectory: float
    gamma: float
    gamma_error: float


@dataclass(frozen=True)
class Trend:
    """Autocorrelation times of several runs against a coupling.

    Attributes:
        key: The parameter in which they differ, ``action.beta``.
        points: By observable, sampler and parameter.
        freezing: By parameter; empty where no charge was measured along HMC.
        words: How the observables are written.
        field: The field that values are of, in words; empty where it has no normalisation.
    """

    key: str
    points: list[Point]
    freezing: list[Freezing]
    words: Mapping[str, Observable]
    field: str = ""

    def plain(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "key": self.key,
            "field": self.field,
            "points": [{**asdict(point), "is_bound": point.is_bound} for point in self.points],
            "freezing": [asdict(row) for row in self.freezing],
        }


def trend(paths: Sequence[Path], observables: Sequence[str]) -> Trend:
    """Collect the observables of finished runs.

    Raises:
        MissingInputError: If a directory is no run.
        UsageError: If the runs do not differ in exactly one number of the action, or none of them has an observable.
        DataError: If a file is damaged.
    """
    runs = [data.load(path) for path in paths]
    key = _differing(runs)
    ordered = sorted(runs, key=lambda run: _value(run, key))
    points = [
        point
        for observable in observables
        for sampler in SAMPLERS
        for run in ordered
        if (point := _point(run, _value(run, key), observable, sampler)) is not None
    ]
    for observable in observables:
        if not any(point.observable == observable for point in points):
            known = sorted({name for run in runs for name in run.results.observables})
            raise UsageError("--observables", value=repr(observable), allowed=", ".join(known) or "of analysed runs")
    found = (_freezing(run, _value(run, key)) for run in ordered)
    words = {o: next(run for run in runs if o in run.results.observables).results.words(o) for o in observables}
    return Trend(f"action.{key}", points, [row for row in found if row is not None], words, field_of(runs))


def trend_lines(found: Trend) -> list[str]:
    """Markdown: a table for every observable, and one of γ."""
    name = found.key.rpartition(".")[2]
    lines: list[str] = []
    for observable in dict.fromkeys(point.observable for point in found.points):
        head = [name, "sampler", "τ_int, updates", "chains", "updates of a chain", "mean", "reference", "pull"]
        rows = [_row(point) for point in found.points if point.observable == observable]
        words = found.words[observable]
        lines += [f"**{plain_symbol(words.symbol)}**, {words.title}", "", *markdown_table(head, rows), ""]
    if found.freezing:
        head = [name, "trajectory", f"γ({STRETCH:g})"]
        rows = [[plain(f.x), plain(f.trajectory, 3), compact(f.gamma, f.gamma_error)] for f in found.freezing]
        words = f"**γ({STRETCH:g})** = 2⟨Q²⟩/⟨ΔQ²⟩ over {STRETCH:g} units of molecular-dynamics time, ⟨Q²⟩ exact"
        lines += [words, "", *markdown_table(head, rows), ""]
    short = f"≥: a chain holds less than {LENGTH:g} τ_int, or chains disagree (R̂)."
    if found.field:
        lines += [f"Means of {found.field}.", ""]
    return [*lines, f"{short} ≤: records, which lie several updates apart, are not correlated."]


def trend_figure(found: Trend, observable: str, *, format: str = "svg") -> bytes:
    """τ_int against the parameter, logarithmic; lower bounds are hollow.

    Args:
        found: The trend.
        observable: Name of the observable.
        format: ``svg``, ``pdf`` or ``png``.
    """
    with style():
        figure, axes = single_axes(above=ONE_ROW)
        axes.set_yscale("log")
        for sampler in SAMPLERS:
            _curve(axes, [p for p in found.points if (p.sampler, p.observable) == (sampler, observable)])
        axes.xaxis.set_major_locator(MaxNLocator(integer=all(point.x.is_integer() for point in found.points)))
        readable_log(axes.yaxis)
        letter = {"beta": r"$\beta$"}.get(found.key.rpartition(".")[2], found.key.replace("_", " "))
        axes.set_xlabel(letter)
        axes.set_ylabel(rf"$\tau_\mathrm{{int}}$ of {found.words[observable].math} (updates)")
        legend_above(figure, axes, columns=3)
        return encode_as(figure, format)


def _curve(axes: Axes, points: list[Point]) -> None:
    shown = [(point, point.tau_int, point.tau_int_error or 0.0) for point in points if point.tau_int is not None]
    if not shown:
        return
    look = sampler_style(shown[0][0].sampler)
    axes.plot([p.x for p, _, _ in shown], [tau for _, tau, _ in shown], color=look.colour, alpha=0.4, linewidth=0.9)
    for bound in (False, True):
        kept = [(p.x, tau, error) for p, tau, error in shown if p.is_bound == bound]
        if kept:
            x, tau, error = zip(*kept, strict=True)
            down = [min(e, 0.9 * t) for t, e in zip(tau, error, strict=True)]
            face = "none" if bound else look.colour
            label = None if bound and any(not p.is_bound for p, _, _ in shown) else look.label
            ink = {"color": look.colour, "mfc": face, "label": label}
            axes.errorbar(x, tau, [down, error], fmt=look.marker, elinewidth=1, **ink)


def _row(point: Point) -> list[str]:
    pull = None
    if point.value is not None and point.error and point.reference is not None:
        pull = pull_of(Estimate(point.value, point.error), Estimate(point.reference, point.reference_error or 0.0))
    bound = "≥ " if point.is_bound else "≤ " if point.is_unseen else ""
    return [
        plain(point.x),
        sampler_style(point.sampler).label,
        ABSENT if point.tau_int is None else f"{bound}{compact(point.tau_int, point.tau_int_error)}",
        str(point.chains),
        str(point.length),
        compact(point.value, point.error),
        compact(point.reference, point.reference_error),
        signed(pull),
    ]


def _differing(runs: Sequence[Run]) -> str:
    """The one number of the action that is not the same in all runs."""
    tables: list[Mapping[str, Any]] = [run.study.get("action") or {} for run in runs]
    keys = sorted({key for table in tables for key in table})
    differing = [key for key in keys if len({str(table.get(key)) for table in tables}) > 1]
    shapes = {run.shape for run in runs}
    numbers = [key for key in differing if all(is_number(table.get(key)) for table in tables)]
    if len(shapes) > 1 or len(differing) != 1 or numbers != differing:
        found = ", ".join([*differing, *(["lattice.shape"] if len(shapes) > 1 else [])]) or "nothing"
        raise UsageError("trend", value=f"runs that differ in {found}", allowed="in one number of [action]")
    return differing[0]


def _value(run: Run, key: str) -> float:
    return float(run.study["action"][key])


def _point(run: Run, x: float, observable: str, sampler: str) -> Point | None:
    row, chains = run.results.estimate(observable, sampler), run.results.chains.get(sampler)
    if sampler == FLOW and run.results.flow is not None and run.results.flow.n is not None:
        # accept/reject through independent draws: one chain, whose updates are all kept
        thin, length, n_chains, agree = 1, run.results.flow.n, 1, True
    elif chains is not None:
        thin, n_chains = int(run.study[sampler]["thin"]), chains.chains
        length, agree = thin * chains.records, _agree(chains, _COLUMNS.get(observable, observable))
    else:
        return None
    if row is None or row.is_array:
        return None
    tau, error = _scalar(row.tau_int), _scalar(row.tau_int_error)
    return Point(
        x=x,
        observable=observable,
        sampler=sampler,
        tau_int=None if tau is None else thin * tau,
        tau_int_error=None if error is None else thin * error,
        length=length,
        chains=n_chains,
        value=_scalar(row.value),
        error=_scalar(row.error),
        reference=_scalar(row.reference),
        reference_error=row.reference_error,
        agree=agree,
        thin=thin,
    )


def _scalar(value: Reals) -> float | None:
    return None if isinstance(value, tuple) else value


def _agree(chains: ChainAgreement, column: str) -> bool:
    """By the R̂ of one column, infinite where it is null; by that of all where it has none."""
    if column not in chains.r_hat:
        return bool(chains.agree)
    found = chains.r_hat[column]
    return found is not None and found <= chains.limit


def _freezing(run: Run, x: float) -> Freezing | None:
    """γ along HMC, where the charge was measured and ⟨Q²⟩ is exact."""
    charge, known = data.series(run, HMC, _CHARGE), data.reference(run, f"{_CHARGE}_squared")
    if charge is None or known is None or HMC not in samplers_of(run.results):
        return None
    trajectory = float(run.ensembles[HMC].manifest["scale"]) * int(run.study[HMC]["n_steps"])
    stretch = STRETCH / (trajectory * int(run.study[HMC]["thin"]))
    try:
        found: Estimate = freezing(charge, stretch=stretch, squared=known.value)
    except DataError:  # chains shorter than one stretch
        return None
    return Freezing(x, trajectory, found.value, found.error)
