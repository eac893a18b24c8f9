"""Figures of gauge theories: loops and potential, histories of plaquette and charge, the distribution of the charge.

As everywhere in the report, every plotted number stands in the run directory; references are those of `results.json`.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from latflow.report import data, figures
from latflow.report.canvas import (
    FAINT,
    ONE_ROW,
    PAGE_INCHES,
    TWO_ROWS,
    Omitted,
    Picture,
    encode,
    legend_above,
    readable_log,
    single_axes,
)
from latflow.report.charge import charge_series
from latflow.report.data import Run
from latflow.report.names import SAMPLERS, sampler_style
from latflow.report.numbers import compact, count, plain
from latflow.stats.flowed import CLOVER_CHARGE

SHOWN_CHAINS = 2
"""Chains whose histories are drawn: a hot start and a cold one."""

SHOWN_RECORDS = 500
"""Records of a history that are drawn; of longer ones every n-th."""

LOWEST = 0.9
"""How far an error reaches down on a logarithmic axis, as a share of its value: longer ones only stretch the axis."""

Points = Mapping[int, tuple[float, float]]
"""Values and errors by an integer abscissa."""

KNOWN_WELL = 0.5
"""Relative error below which a point decides the range of the static potential."""

_LOOP = re.compile(r"wilson_loop_(\d+)x(\d+)")
_DODGE = 0.07
_ANGLES, _MATRICES = 1, 3


def configurations(run: Run) -> Picture | Omitted:
    """Configurations side by side: a scalar field itself, of links their plaquettes."""
    field = data.one_field(run)
    look = figures.SCALAR_FIELD if field is None else _look(run, field)
    if look is None:
        return Omitted("configurations", figures.EXAMPLES, "for such fields no picture is known")
    return figures.configurations(run, look)


def _look(run: Run, field: np.ndarray) -> figures.Look | None:
    """What is shown of a configuration; the number of its axes tells scalar fields, U(1) and SU(N) apart."""
    further = field.ndim - len(run.shape or field.shape)
    if further == 0:
        return figures.SCALAR_FIELD
    if further == _MATRICES and np.iscomplexobj(field):
        return DEFICIT
    return CHARGE_DENSITY if further == _ANGLES and run.holds("plaquette") else None


def charge_density(field: np.ndarray) -> np.ndarray:
    """θ_P/2π of U(1) in the plane of the first two directions, through the origin of the others."""
    first, second = (_first_plane(field[mu]) for mu in range(2))
    angle = first + np.roll(second, -1, axis=0) - np.roll(first, -1, axis=1) - second
    return (angle - 2 * np.pi * np.round(angle / (2 * np.pi))) / (2 * np.pi)


def deficit(field: np.ndarray) -> np.ndarray:
    """1 − Re tr P/N of SU(N) in the same plane."""
    first, second = (_first_plane(field[mu], indices=2) for mu in range(2))
    there = np.einsum("ab...,bc...->ac...", first, np.roll(second, -1, axis=2))
    back = np.einsum("ab...,bc...->ac...", second, np.roll(first, -1, axis=3))
    return 1 - np.einsum("ab...,ab...->...", there, np.conj(back)).real / len(first)


def _first_plane(link: np.ndarray, *, indices: int = 0) -> np.ndarray:
    """Links of one direction, at zero in all directions but the first two."""
    return link[(..., *(0,) * (link.ndim - indices - 2))]


CHARGE_DENSITY = figures.Look(charge_density, r"$\theta_P/2\pi$", "Plaquette angles in units of 2π")
DEFICIT = figures.Look(
    deficit,
    r"$1-\frac{1}{N}\mathrm{Re\,tr}\,P$",
    "1 − Re tr P/N of the plaquettes in the plane of the first two axes",
    positive=True,
)


def wilson_loops(run: Run) -> Picture | Omitted:
    """Wilson loops against their area, logarithmic."""
    name, title = "wilson_loops", "Wilson loops"
    curves = {s: found for s in SAMPLERS if len(found := _loops(run, s)) > 1}
    if not curves:
        return Omitted(name, title, "no sampler's Wilson loops have been analysed yet")
    figure, axes = single_axes(above=ONE_ROW)
    axes.set_yscale("log")
    known = _known_loops(run)
    if known:
        areas = sorted(known)
        axes.plot(areas, [known[a] for a in areas], "--", color=FAINT, linewidth=0.9, label="exact")
    for position, (sampler, loops) in enumerate(curves.items()):
        _points(axes, sampler, loops, shift=_DODGE * (position - (len(curves) - 1) / 2))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    readable_log(axes.yaxis)
    axes.set_xlabel(r"area $R\times T$ (plaquettes)")
    axes.set_ylabel(r"$W(R,T)$")
    legend_above(figure, axes, columns=3)
    svg, pdf = encode(figure)
    caption = (
        "Wilson loops against their area, of R ≤ 3 steps in space and T ≤ 3 in time, R ≤ T; the first is the plaquette "
        "of all planes, the others lie in planes with time. An area law is a straight line."
        + (" Dashed: the exact values." if known else "")
    )
    return Picture(name, title, caption, f"W against area. {_spoken(curves)}", svg, pdf)


def static_potential(run: Run) -> Picture | Omitted:
    """V(R) from ratios of loops."""
    name, title = "static_potential", "Static potential"
    curves = {s: found for s in SAMPLERS if (found := _vector(run, s, "static_potential"))}
    if not curves:
        return Omitted(name, title, "no sampler's Wilson loops reach far enough in time")
    smeared = {s: found for s in SAMPLERS if (found := _vector(run, s, "smeared_static_potential"))}
    figure, axes = single_axes(above=TWO_ROWS if smeared else ONE_ROW)
    known = _known_loops(run)
    steps = 3 if 9 in known else 2
    line = {r: np.log(known[r * (steps - 1)] / known[r * steps]) for r in (1, 2, 3) if r * steps in known}
    if line:
        axes.plot(list(line), list(line.values()), "--", color=FAINT, linewidth=0.9, label="exact")
    for position, (sampler, points) in enumerate(curves.items()):
        shift = _DODGE * (position - (len(curves) - 1) / 2)
        _points(axes, sampler, points, shift=shift)
        _points(axes, sampler, smeared.get(sampler, {}), shift=shift, smeared=True)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(r"distance $R$ (lattice units)")
    axes.set_ylabel(r"$V(R)$ (lattice units)")
    known_well = _known_well([*curves.values(), *smeared.values()], also=list(line.values()))
    if known_well:
        axes.set_ylim(*known_well)
    legend_above(figure, axes, columns=2 if smeared else 3)
    svg, pdf = encode(figure)
    loops = "from unsmeared loops; open: with links in space smeared (APE)" if smeared else "from unsmeared loops"
    words = "" if run.shape and len(run.shape) == 2 else " Excited states have not died out at so short times."
    caption = (
        f"V(R) = ln [W(R,T) / W(R,T+1)] at the largest T measured, {loops}.{words}"
        + (" Dashed: exact." if line else "")
        + (f" The range is that of points with errors below {KNOWN_WELL:.0%}." if known_well else "")
    )
    return Picture(name, title, caption, f"V(R) against R. {_spoken(curves)}", svg, pdf)


def _known_well(curves: Sequence[Points], *, also: Sequence[float]) -> tuple[float, float] | None:
    """Limits of the points with small errors, so that one noisy point does not flatten all others; None if all have."""
    points = [found for curve in curves for found in curve.values()]
    good = [(v - e, v + e) for v, e in points if e < KNOWN_WELL * abs(v)]
    if not good or len(good) == len(points):
        return None
    low, high = min([*also, *(a for a, _ in good)]), max([*also, *(b for _, b in good)])
    pad = 0.25 * (high - low) or 0.1
    return low - pad, high + pad


def plaquette_history(run: Run) -> Picture | Omitted:
    """The plaquette along a hot and a cold chain of every sampler."""
    return _history(run, "plaquette", "plaquette_history", symbol=r"$P$")


def charge_history(run: Run) -> Picture | Omitted:
    """The topological charge along a hot and a cold chain of every sampler; by the clover where it was flowed."""
    name, symbol = "charge_history", r"$Q$"
    if not data.flow_times(run.results).size:
        return _history(run, "topological_charge", name, symbol=symbol)
    return _history(run, CLOVER_CHARGE, name, symbol=symbol, series=lambda run, s, _: charge_series(run, s))


def charge_histogram(run: Run) -> Picture | Omitted:
    """P(Q) of every sampler with the exact distribution."""
    name, title = "charge_histogram", "Distribution of the topological charge"
    observable = "topological_charge_distribution"
    curves = {s: found for s in SAMPLERS if (found := _vector(run, s, observable))}
    if not curves:
        return Omitted(name, title, "no topological charge was measured")
    figure, axes = single_axes(above=ONE_ROW)
    known = next((row.reference for row in run.results.of(observable) if isinstance(row.reference, tuple)), None)
    axis = run.results.words(observable).axis
    widest = max(abs(q) for points in curves.values() for q, (share, _) in points.items() if share > 0)
    if known is not None and axis is not None and axis.values is not None:
        edges = np.arange(len(known) + 1) + axis.values[0] - 0.5
        axes.stairs(data.vector(known), edges, fill=True, color=FAINT, alpha=0.3, label="exact")
    for position, (sampler, points) in enumerate(curves.items()):
        shift = 2 * _DODGE * (position - (len(curves) - 1) / 2)
        _points(axes, sampler, {q: found for q, found in points.items() if found[0] > 0}, shift=shift)
    axes.set_xlim(-widest - 1, widest + 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(r"topological charge $Q$")
    axes.set_ylabel(r"$P(Q)$")
    legend_above(figure, axes, columns=3)
    svg, pdf = encode(figure)
    caption = "Share of configurations of charge Q." + (" Bars: the exact distribution." if known else "")
    return Picture(name, title, caption, f"P(Q) against Q. {_spoken(curves)}", svg, pdf)


def _loops(run: Run, sampler: str) -> dict[int, tuple[float, float]]:
    """Loops by area; the plaquette is the first."""
    found = {1: run.results.estimate("plaquette", sampler)}
    for row in run.results.estimates:
        match = _LOOP.fullmatch(row.observable)
        if match and row.sampler == sampler:
            found[int(match[1]) * int(match[2])] = row
    numbers = {area: row.number for area, row in sorted(found.items()) if row is not None and row.error is not None}
    return {area: (number.value, number.error) for area, number in numbers.items() if number is not None}


def _known_loops(run: Run) -> dict[int, float]:
    """Exact loops by area, where the results hold them."""
    if data.reference_source(run, "plaquette") != "exact":
        return {}
    known = {1: data.reference(run, "plaquette")}
    for name in run.results.observables:
        match = _LOOP.fullmatch(name)
        if match:
            known[int(match[1]) * int(match[2])] = data.reference(run, name)
    return {area: found.value for area, found in known.items() if found is not None}


def _vector(run: Run, sampler: str, observable: str) -> dict[int, tuple[float, float]]:
    at, value, error = data.curve(run, observable, sampler)
    return {int(x): (float(v), float(e)) for x, v, e in zip(at, value, error, strict=True)}


def _points(axes: Axes, sampler: str, points: Points, *, shift: float, smeared: bool = False) -> None:
    """Points with errors, open ones of smeared loops; on a logarithmic axis only positive values exist."""
    logarithmic = axes.get_yscale() == "log"
    kept = {x: found for x, found in points.items() if found[0] > 0 or not logarithmic}
    if not kept:
        return
    x, y = np.array(list(kept), dtype=float), np.array([v for v, _ in kept.values()])
    error = np.array([e for _, e in kept.values()])
    below = np.minimum(error, LOWEST * np.abs(y)) if logarithmic else error
    look = sampler_style(sampler)
    bars = np.stack([below, error])
    label, fill = (f"{look.label}, smeared", "none") if smeared else (look.label, look.colour)
    axes.errorbar(
        x + shift, y, bars, fmt=look.marker, color=look.colour, label=label, elinewidth=1, markerfacecolor=fill
    )


def _history(
    run: Run,
    column: str,
    name: str,
    *,
    symbol: str,
    series: Callable[[Run, str, str], np.ndarray | None] = data.series,
) -> Picture | Omitted:
    """One panel per sampler, a hot chain strong and a cold one pale."""
    words = run.results.words(column)
    title = f"History of the {words.title}"
    histories = {s: found for s in SAMPLERS if (found := series(run, s, column)) is not None}
    if not histories:
        return Omitted(name, title, f"no {words.title} was measured")
    figure, panels = _stacked(len(histories))
    known = data.reference(run, column)
    borders = {s: data.borders(run, s) for s in histories}
    for (sampler, chains), axes in zip(histories.items(), panels, strict=True):
        _draw_history(axes, sampler, chains)
        for border in borders[sampler]:
            axes.axvline(border - 0.5, color=FAINT, linestyle=":", linewidth=1.1)
        if known is not None:
            axes.axhline(known.value, color=FAINT, linestyle="--", linewidth=0.9)
        axes.set_ylabel(f"{sampler_style(sampler).label}, {symbol}")
    panels[-1].set_xlabel("record of the chain")
    svg, pdf = encode(figure)
    lengths = "; ".join(
        f"{sampler_style(s).label}: {_extent(len(c), c.shape[1], len(borders[s]) + 1)}" for s, c in histories.items()
    )
    caption = (
        f"{words.title[0].upper()}{words.title[1:]} along two chains of each sampler, the first and (pale) the second: "
        f"a hot and a cold start where starts are mixed. {lengths} records."
        + (" Dashed: the reference." if known is not None else "")
        + (" Dotted: another replica begins." if any(borders.values()) else "")
    )
    ends = "; ".join(
        f"{sampler_style(s).label} from {plain(c[0, 0])} to {plain(c[0, -1])}" for s, c in histories.items()
    )
    return Picture(name, title, caption, f"First chain of {ends}.", svg, pdf, wide=True)


def _extent(chains: int, records: int, replicas: int) -> str:
    """How long a history is; replicas stand one after another in one series."""
    return f"{replicas} replicas, in all {count(records)}" if replicas > 1 else f"{chains} chains of {count(records)}"


def _draw_history(axes: Axes, sampler: str, chains: np.ndarray) -> None:
    records = np.arange(0, chains.shape[1], max(1, -(-chains.shape[1] // SHOWN_RECORDS)))
    colour = sampler_style(sampler).colour
    for chain in reversed(range(min(SHOWN_CHAINS, len(chains)))):
        strength = 0.9 if chain == 0 else 0.4
        axes.plot(records, chains[chain, records], color=colour, linewidth=0.7, alpha=strength, drawstyle="steps-post")


def _stacked(number: int) -> tuple[Figure, list[Axes]]:
    """Panels above one another on the page's width, sharing their abscissa."""
    left, right, below, above, gap, panel = 0.78, 0.1, 0.46, 0.1, 0.14, 1.05
    height = below + above + number * panel + (number - 1) * gap
    figure = Figure(figsize=(PAGE_INCHES, height))
    width = (PAGE_INCHES - left - right) / PAGE_INCHES
    bottoms = [below + (number - 1 - i) * (panel + gap) for i in range(number)]
    panels = [figure.add_axes((left / PAGE_INCHES, y / height, width, panel / height)) for y in bottoms]
    for axes in panels[:-1]:
        axes.tick_params(labelbottom=False)
    return figure, panels


def _spoken(curves: Mapping[str, Points]) -> str:
    """First and last point of every curve in words, for alternative texts."""
    parts = []
    for sampler, points in curves.items():
        first, last = next(iter(points)), list(points)[-1]
        ends = f"{compact(*points[first])} at {first} to {compact(*points[last])} at {last}"
        parts.append(f"{sampler_style(sampler).label}: {ends}")
    return "; ".join(parts) + "."
