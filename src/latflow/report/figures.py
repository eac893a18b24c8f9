"""Figures of the physics: configurations, two-point function, effective mass, agreement of samplers.

Each function takes the run and returns a finished picture, or says what is missing. Every plotted number stands in the
run directory; nothing is recomputed that `results.json` already gives.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from latflow.report import data
from latflow.report.canvas import (
    FAINT,
    INK,
    ONE_ROW,
    PAGE_INCHES,
    Omitted,
    Picture,
    encode,
    legend_above,
    readable_log,
    single_axes,
)
from latflow.report.data import Run
from latflow.report.names import SAMPLERS, sampler_style
from latflow.report.numbers import compact, signed
from latflow.report.tables import pull_of
from latflow.report.tunnelling import tunnelling
from latflow.stats.estimates import Estimate
from latflow.study.config.methods import HMC

PANELS_PER_SAMPLER = 4
"""Configurations shown of each sampler, two by two."""

EXAMPLES = "Example configurations"
"""Title of that figure."""

_DODGE = 0.07
"""Horizontal shift between samplers at the same abscissa, in units of one step."""


@dataclass(frozen=True)
class Look:
    """How a configuration is shown.

    Attributes:
        picture: From a configuration to a plane of numbers; None for a scalar field itself.
        label: Of the colour scale, in TeX.
        caption: What the numbers are, without full stop.
        positive: Whether they are never negative: zero is then one end of the scale and not its middle.
    """

    picture: Callable[[np.ndarray], np.ndarray] | None
    label: str
    caption: str
    positive: bool = False


SCALAR_FIELD = Look(None, r"field $\phi_x$ (lattice units)", "Field values")


def configurations(run: Run, look: Look = SCALAR_FIELD) -> Picture | Omitted:
    """Configurations of the samplers side by side on one colour scale, centred at zero or beginning there."""
    name, title = "configurations", EXAMPLES
    found_of = {s: data.configurations(run, s, PANELS_PER_SAMPLER, picture=look.picture) for s in SAMPLERS}
    shown = {s: found for s, found in found_of.items() if found and found.planes}
    if not shown:
        return Omitted(name, title, "no ensemble holds a configuration yet")
    limit = max(float(np.quantile(np.abs(plane), 0.995)) for found in shown.values() for plane in found.planes)
    figure, grid = _panel_grid(len(shown))
    norm, colours = (Normalize(0, limit), "Reds") if look.positive else (Normalize(-limit, limit), "RdBu_r")
    for (sampler, found), block in zip(shown.items(), grid, strict=True):
        middle = (block[0].get_position().x0 + block[1].get_position().x1) / 2
        style = sampler_style(sampler)
        figure.text(middle, 0.99, style.label, color=style.colour, fontsize=9, weight="bold", ha="center", va="top")
        for axes, plane in zip(block, found.planes, strict=False):
            aspect = "auto" if plane.shape[1] == 1 else "equal"
            axes.imshow(plane.T, origin="lower", cmap=colours, norm=norm, interpolation="nearest", aspect=aspect)
    bar = figure.colorbar(
        ScalarMappable(norm, colours),
        cax=_bar_axes(figure),
        orientation="horizontal",
        extend="max" if look.positive else "both",
    )
    bar.set_label(look.label)
    svg, pdf = encode(figure)
    signs = "white for zero" if look.positive else "red positive, blue negative"
    lists = "; ".join(f"{sampler_style(s).label}: {found.label}" for s, found in shown.items())
    sites = "×".join(str(n) for n in (run.shape or next(iter(shown.values())).planes[0].shape))
    caption = f"{look.caption} on the {sites} lattice, same colour scale for all, {signs}. {lists}." + (
        " Samplers of one theory must be indistinguishable here." if len(shown) > 1 else ""
    )
    scale = f"0 to {limit:.2g}" if look.positive else f"±{limit:.2g}"
    alt = f"Colour maps of {', '.join(sampler_style(s).label for s in shown)} configurations, scale {scale}."
    return Picture(name, title, caption, alt, svg, pdf, wide=True)


def two_point(run: Run) -> Picture | Omitted:
    """Connected two-point function along the axes, logarithmic."""
    name, title = "two_point", "Two-point function"
    curves = _curves(run, "two_point")
    if not curves:
        return Omitted(name, title, "no sampler's two-point function has been analysed yet")
    figure, axes = single_axes(above=ONE_ROW)
    axes.set_yscale("log")
    _draw_curves(axes, curves)
    readable_log(axes.yaxis)
    axes.set_xlabel(r"distance $r$ along an axis (lattice units)")
    axes.set_ylabel(r"$G_c(r)$ (lattice units)")
    legend_above(figure, axes, columns=len(curves))
    svg, pdf = encode(figure)
    caption = (
        "Connected two-point function G_{c}(r) = ⟨φ_{y} φ_{y+r}⟩ − ⟨φ⟩², averaged over translations and equal axes. "
        "Samplers are shifted slightly sideways. Errors: Γ method, or linear propagation of weighted averages."
    )
    return Picture(name, title, caption, f"G_c(r) on a logarithmic axis. {_spoken(curves)}", svg, pdf)


def effective_mass(run: Run) -> Picture | Omitted:
    """Effective mass with the fitted or published pole mass as a band."""
    name, title = "effective_mass", "Effective mass"
    curves = _curves(run, "effective_mass")
    if not curves:
        return Omitted(name, title, "no sampler's effective mass has been analysed yet")
    figure, axes = single_axes(above=ONE_ROW)
    known = _pole_mass_reference(run)
    if known is not None:
        value, error = known.value, known.error
        axes.axhspan(value - error, value + error, color=FAINT, alpha=0.35, linewidth=0)
        axes.axhline(value, color=FAINT, linewidth=0.8)
    _draw_curves(axes, curves)
    axes.set_xlabel(r"time separation $t$ (lattice units)")
    axes.set_ylabel(r"$m_\mathrm{eff}(t)$ (lattice units)")
    _show_informative_range(axes, curves)
    legend_above(figure, axes, columns=4)
    svg, pdf = encode(figure)
    caption = (
        "m_{eff}(t) = arccosh[(C(t+1) + C(t−1)) / 2C(t)] of the zero-momentum correlator C(t)."
        + (f" Band: reference pole mass {compact(known.value, known.error)}." if known else "")
        + " The plotted range is chosen from points with errors below 15 %."
        + (f" {told}" if (told := tunnelling(run.results, name)) else "")
    )
    return Picture(name, title, caption, f"Effective mass against time. {_spoken(curves)}", svg, pdf)


def agreement(run: Run) -> Picture | Omitted:
    """Pulls of every sampler against the reference, or against HMC where there is none."""
    name, title = "agreement", "Agreement between samplers"
    names = run.results.in_order({row.observable for row in run.results.estimates})
    found = {observable: _pulls(run, observable) for observable in names}
    rows = {observable: pulls for observable, pulls in found.items() if pulls}
    if not rows:
        return Omitted(name, title, "no scalar observable has a reference, or estimates beside HMC's, to compare with")
    figure, axes = single_axes(height=0.46 + ONE_ROW + 0.2 * max(4, len(rows)), above=ONE_ROW)
    axes.axvspan(-3, 3, color=FAINT, alpha=0.12, linewidth=0)
    axes.axvspan(-1, 1, color=FAINT, alpha=0.22, linewidth=0)
    axes.axvline(0, color=FAINT, linewidth=0.8)
    _draw_pulls(axes, list(rows.values()))
    axes.set_yticks(range(len(rows)), [run.results.words(o).math + _star(run, o) for o in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    drawn = {(o, s): pull for o, pulls in rows.items() for s, pull in pulls.items()}
    worst = max(drawn, key=lambda key: abs(drawn[key]))
    widest = max(3.5, 1.1 * abs(drawn[worst]))
    axes.set_xlim(-widest, widest)
    axes.set_xlabel("pull (combined standard deviations)")
    axes.grid(visible=False, axis="y")
    legend_above(figure, axes, columns=4)
    svg, pdf = encode(figure)
    caption = (
        "Pull = (estimate − yardstick) / combined error. Yardstick: the reference value; the HMC estimate where "
        "marked *. Shaded: one and three standard deviations."
    )
    largest = f"{signed(drawn[worst])} ({worst[0].replace('_', ' ')}, {worst[1]})"
    return Picture(name, title, caption, f"Pulls of {len(rows)} observables. Largest: {largest}.", svg, pdf)


def _panel_grid(samplers: int) -> tuple[Figure, list[list[Axes]]]:
    """Two by two square panels per sampler, blocks side by side, room for names above and the scale below."""
    between, within, above, below = 0.16, 0.04, 0.24, 0.56
    side = min(1.0, (PAGE_INCHES - (samplers - 1) * between - samplers * within) / (2 * samplers))
    height = above + 2 * side + within + below
    left = (PAGE_INCHES - samplers * (2 * side + within) - (samplers - 1) * between) / 2
    figure = Figure(figsize=(PAGE_INCHES, height))
    blocks = []
    for block in range(samplers):
        start = left + block * (2 * side + within + between)
        corners = [(start + i * (side + within), below + j * (side + within)) for j in (1, 0) for i in (0, 1)]
        panels = [figure.add_axes((x / PAGE_INCHES, y / height, side / PAGE_INCHES, side / height)) for x, y in corners]
        for axes in panels:
            axes.set_axis_off()
        blocks.append(panels)
    return figure, blocks


def _bar_axes(figure: Figure) -> Axes:
    """Where the colour scale goes: centred under the panels."""
    height = figure.get_size_inches()[1]
    return figure.add_axes((0.25, 0.4 / height, 0.5, 0.08 / height))


Curves = dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Abscissae, values and errors by sampler."""


def _curves(run: Run, observable: str) -> Curves:
    """Array-valued estimates of every sampler, points without a value dropped."""
    curves: Curves = {}
    for sampler in SAMPLERS:
        found = data.curve(run, observable, sampler)
        if found[0].size:
            curves[sampler] = found
    return curves


def _draw_curves(axes: Axes, curves: Curves) -> None:
    """Points with errors, samplers side by side; on a logarithmic axis only positive values exist."""
    logarithmic = axes.get_yscale() == "log"
    for position, (sampler, (x, y, error)) in enumerate(curves.items()):
        kept = (y > 0) if logarithmic else np.full(y.shape, fill_value=True)
        below = np.minimum(error, 0.999 * np.abs(y)) if logarithmic else error
        look = sampler_style(sampler)
        shift = _DODGE * (position - (len(curves) - 1) / 2)
        bars = np.stack([below, error])[:, kept]
        axes.errorbar(
            x[kept] + shift, y[kept], bars, fmt=look.marker, color=look.colour, label=look.label, elinewidth=1
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _show_informative_range(axes: Axes, curves: Curves) -> None:
    """Limits from points known to 15 %, so that one noisy point at large t does not flatten the plateau."""
    good = [(y[i] - e[i], y[i] + e[i]) for _, y, e in curves.values() for i in range(len(y)) if e[i] < 0.15 * abs(y[i])]
    if good:
        low, high = min(low for low, _ in good), max(high for _, high in good)
        pad = 0.25 * (high - low) or 0.1
        axes.set_ylim(low - pad, high + pad)


def _spoken(curves: Curves) -> str:
    """First and last point of every curve in words, for alternative texts."""
    parts = []
    for sampler, (x, y, e) in curves.items():
        ends = f"{compact(y[0], e[0])} at {x[0]} to {compact(y[-1], e[-1])} at {x[-1]}"
        parts.append(f"{sampler_style(sampler).label}: {ends}")
    return "; ".join(parts) + "."


def _pole_mass_reference(run: Run) -> Estimate | None:
    """Known pole mass: its own reference, or that of m_p L divided by the extent."""
    known = data.reference(run, "pole_mass")
    times_length = data.reference(run, "pole_mass_times_length")
    if known is None and times_length is not None and run.shape:
        return Estimate(times_length.value / run.shape[-1], times_length.error / run.shape[-1])
    return known


def _pulls(run: Run, observable: str) -> dict[str, float]:
    """Pull of each sampler against the reference, or of each other sampler against HMC where there is none."""
    known, hmc = data.reference(run, observable), run.results.estimate(observable, HMC)
    yardstick = known or (None if hmc is None else hmc.number)
    pulls = {}
    for sampler in SAMPLERS:
        row = run.results.estimate(observable, sampler)
        if row is not None and (known is not None or row is not hmc):
            pulls[sampler] = pull_of(row.number, yardstick)
    return {sampler: pull for sampler, pull in pulls.items() if pull is not None}


def _draw_pulls(axes: Axes, rows: list[dict[str, float]]) -> None:
    """Markers, one row per observable, samplers a little above one another."""
    present = [sampler for sampler in SAMPLERS if any(sampler in pulls for pulls in rows)]
    for position, sampler in enumerate(present):
        look, shift = SAMPLERS[sampler], 0.13 * (position - (len(present) - 1) / 2)
        x, y = np.array([(pulls[sampler], row + shift) for row, pulls in enumerate(rows) if sampler in pulls]).T
        axes.plot(x, y, look.marker, color=look.colour, label=look.label, markeredgecolor=INK, markeredgewidth=0.3)


def _star(run: Run, observable: str) -> str:
    return " *" if data.reference(run, observable) is None else ""
