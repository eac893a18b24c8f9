"""Figures of the gradient flow: t²⟨E⟩ with its scales, and the topological charge at the end of the flow.

In four dimensions the charge by the clover is no integer on rough links; the histogram says how far it is from one.
"""

import numpy as np

from latflow.report import data
from latflow.report.canvas import FAINT, INK, ONE_ROW, TWO_ROWS, Omitted, Picture, encode, legend_above, single_axes
from latflow.report.charge import charge_series, distances
from latflow.report.data import Run
from latflow.report.names import SAMPLERS, sampler_style
from latflow.report.numbers import compact, plain
from latflow.report.scales import unreached
from latflow.stats.estimates import Estimate
from latflow.stats.flow_scale import LEVEL

_ABSENT = "no gradient flow was measured; gradient_flow.kind asks for one"
_CHARGELESS = "U(1) has no topological charge in four dimensions"
_BINS = 21
_COARSE = 0.1
"""Relative difference of the two t₀ from which on the caption mentions it."""


def flow_energy(run: Run) -> Picture | Omitted:
    """t²⟨E⟩ against the flow time: bands by the clover, dashed by plaquettes, the level and t₀."""
    name, title = "flow_energy", "Energy along the gradient flow"
    times = data.flow_times(run.results)
    curves = {s: found for s in SAMPLERS if (found := _curve(run, s, "flow_energy", times)) is not None}
    if not curves:
        return Omitted(name, title, _ABSENT)
    figure, axes = single_axes(height=2.8, above=TWO_ROWS)
    axes.axhline(LEVEL, color=FAINT, linewidth=0.9, linestyle=":")
    for position, (sampler, (t, value, error)) in enumerate(curves.items()):
        # where samplers agree to the width of a line, those drawn first look out beside those drawn later
        look, above = sampler_style(sampler), len(curves) - 1 - position
        width, size = 0.9 + 0.9 * above, 4 + 2.5 * above
        axes.fill_between(t, value - error, value + error, color=look.colour, alpha=0.3, linewidth=0)
        axes.plot(t, value, color=look.colour, linewidth=width, label=f"{look.label}, clover")
        rough = _curve(run, sampler, "flow_energy_plaquette", times)
        if rough is not None:
            dashes = {"color": look.colour, "linewidth": width, "linestyle": "--"}
            axes.plot(*rough[:2], label=f"{look.label}, plaquettes", **dashes)
        scale = _number(run, "t0", sampler)
        if scale is not None:
            at = {"x": [scale.value], "y": [LEVEL], "xerr": [[scale.error]]}
            drawn = axes.errorbar(**at, fmt=look.marker, color=look.colour, zorder=4)
            drawn.lines[0].set(markersize=size, markeredgecolor=INK, markeredgewidth=0.4)
    top = max([2 * LEVEL, *(float(value[-1]) for _, value, _ in curves.values())])
    axes.set_ylim(0, 1.25 * top)
    axes.set_xlim(0, 1.02 * times[-1])
    axes.text(0.01 * times[-1], LEVEL, f"{LEVEL:g}", color=FAINT, fontsize=7, va="bottom")
    axes.set_xlabel(r"flow time $t$ (lattice units)")
    axes.set_ylabel(r"$t^2\langle E(t)\rangle$")
    legend_above(figure, axes, columns=2)
    svg, pdf = encode(figure)
    caption = (
        f"t²⟨E(t)⟩, lines through the {len(times) - 1} records; bands: one standard deviation. Full: E by the clover; "
        f"dashed: by plaquettes, cut where it leaves the figure. Markers at {LEVEL:g}: t_{{0}} by the clover. "
        f"{_verdict(run, list(curves))} At the end of the flow √(8t) = {np.sqrt(8 * times[-1]):.3g} sites."
    )
    ends = "; ".join(
        f"{sampler_style(s).label}: {compact(v[-1], e[-1])} at t = {t[-1]:g}" for s, (t, v, e) in curves.items()
    )
    return Picture(name, title, caption, f"t²⟨E⟩ by the clover against t. {ends}.", svg, pdf)


def charge_histogram(run: Run) -> Picture | Omitted:
    """How often the charge at the end of the flow fell where, every sampler as steps."""
    name, title = "charge_histogram", "Distribution of the topological charge"
    found = {s: charges.ravel() for s in SAMPLERS if (charges := charge_series(run, s)) is not None}
    if not found:
        return Omitted(name, title, _CHARGELESS if data.flow_times(run.results).size else _ABSENT)
    figure, axes = single_axes(above=ONE_ROW)
    widest = max(float(np.max(np.abs(q))) for q in found.values()) or 1.0
    edges = np.linspace(-widest, widest, _BINS + 1)
    for sampler, q in found.items():
        density, _ = np.histogram(q, bins=edges, density=True)
        axes.stairs(density, edges, color=sampler_style(sampler).colour, label=sampler_style(sampler).label)
    axes.set_xlabel(r"topological charge $Q$ at the end of the flow")
    axes.set_ylabel("density")
    legend_above(figure, axes, columns=3)
    svg, pdf = encode(figure)
    caption = (
        "Share of configurations per unit of Q, by the clover, not rounded. Mean distance from the nearest integer: "
        f"{distances(run)}; 0.25 where Q prefers none, as on links that are still rough at the end of the flow."
    )
    spread = "; ".join(f"{sampler_style(s).label}: {q.size} between {plain(q.min(), 3)} and {plain(q.max(), 3)}"
                       for s, q in found.items())  # fmt: skip
    return Picture(name, title, caption, f"Histogram of Q. {spread}.", svg, pdf)


def _verdict(run: Run, samplers: list[str]) -> str:
    """Where t₀ is, or that it was not reached, and the value by the other definition."""
    coarse: list[str] = []
    notes = [note for name in ("t0", "w0") if (note := unreached(run.results, name))]
    for sampler in samplers:
        clover, rough = (_number(run, name, sampler) for name in ("t0", "t0_plaquette"))
        if clover is not None and rough is not None and abs(clover.value - rough.value) > _COARSE * clover.value:
            coarse.append(f"{clover.value:.3g} and {rough.value:.3g} ({sampler_style(sampler).label})")
    if coarse:
        notes.append(
            f"By clover and plaquettes t_{{0}} is {', '.join(coarse)}: a difference of the cut-off, too large here for "
            "either to stand for the continuum."
        )
    return " ".join(notes)


def _number(run: Run, observable: str, sampler: str) -> Estimate | None:
    """A scalar estimate; None where it is absent."""
    row = run.results.estimate(observable, sampler)
    return None if row is None else row.number


def _curve(
    run: Run, sampler: str, observable: str, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Times from 0 on, values and errors; None where the sampler was not measured."""
    row = run.results.estimate(observable, sampler)
    value, error = data.vector(row and row.value), data.vector(row and row.error)
    if times.size < 2 or value.size != times.size - 1 or error.size != value.size:
        return None
    return times, np.concatenate([[0.0], value]), np.concatenate([[0.0], np.nan_to_num(error)])
