"""Figures of densities on compact spaces: arms with their goals, where tips are, shares of goals, maps of the sphere.

As everywhere in the report, every plotted number stands in the run directory.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from latflow.report import data
from latflow.report.canvas import FAINT, INK, ONE_ROW, PAGE_INCHES, Omitted, Picture, encode, legend_above, single_axes
from latflow.report.data import Run
from latflow.report.names import SAMPLERS, sampler_style

SHOWN_ARMS = 60
"""Arms drawn of each sampler."""

SHOWN_POINTS = 600
"""Points on a sphere drawn of each sampler."""

_TIPS, _VECTOR = "tip", "direction"
_S2 = 3
_BINS = 80
_ROUND = np.linspace(0, 2 * np.pi, 201)


def arms(run: Run) -> Picture | Omitted:
    """Sampled arms of every sampler, with the goals as circles of one width."""
    name, title = "arms", "Sampled arms"
    found = {s: shown for s in SAMPLERS if (shown := data.configurations(run, s, SHOWN_ARMS, picture=lambda x: x))}
    if not found:
        return Omitted(name, title, "no ensemble holds a configuration yet")
    figure, panels = _row(len(found))
    lengths = np.asarray(_action(run)["lengths"])
    for (sampler, shown), axes in zip(found.items(), panels, strict=True):
        angles = np.cumsum(np.asarray(shown.planes), axis=1)
        ways = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * lengths[:, None]
        joints = np.concatenate([np.zeros((len(ways), 1, 2)), np.cumsum(ways, axis=1)], axis=1)
        style = sampler_style(sampler)
        axes.plot(*joints.transpose(2, 1, 0), color=style.colour, linewidth=0.5, alpha=0.45)
        axes.plot(*joints[:, -1].T, "o", color=style.colour, markersize=1.5)
        axes.set_title(style.label, color=style.colour)
        _goals(run, axes, lengths.sum())
    svg, pdf = encode(figure)
    numbers = "; ".join(f"{sampler_style(s).label}: {len(shown.planes)}" for s, shown in found.items())
    caption = f"Arms from the base at the origin to the tip; circles are the goals, of radius σ. {numbers} arms."
    return Picture(name, title, caption, f"Arms by sampler, {numbers}.", svg, pdf, wide=True)


def tips(run: Run) -> Picture | Omitted:
    """How often the tip of every sampler is where."""
    name, title = "tips", "Density of the tip"
    found = {s: _vectors(tip, 2) for s in SAMPLERS if (tip := data.series(run, s, _TIPS)) is not None}
    if not found:
        return Omitted(name, title, "no sampler's tips have been measured yet")
    figure, panels = _row(len(found))
    reach = float(np.sum(_action(run)["lengths"]))
    edges = np.linspace(-reach, reach, _BINS + 1)
    for (sampler, points), axes in zip(found.items(), panels, strict=True):
        density, _, _ = np.histogram2d(*points, bins=(edges, edges), density=True)
        axes.imshow(density.T, origin="lower", extent=(-reach, reach, -reach, reach), cmap="Blues")
        axes.set_title(sampler_style(sampler).label, color=sampler_style(sampler).colour)
        _goals(run, axes, reach)
    svg, pdf = encode(figure)
    counts = "; ".join(f"{sampler_style(s).label}: {points.shape[1]}" for s, points in found.items())
    caption = f"Histogram of the tip along the chains; circles are the goals, of radius σ. Configurations: {counts}."
    return Picture(name, title, caption, f"Histograms of the tip, {counts} configurations.", svg, pdf, wide=True)


def goal_shares(run: Run) -> Picture | Omitted:
    """Share of every goal by the side of the elbow, with the exact share of the goal."""
    name, title = "goal_shares", "Shares of goals and elbows"
    columns = {s: (data.series(run, s, "mode"), data.series(run, s, "elbow")) for s in SAMPLERS}
    found = {s: (mode, elbow) for s, (mode, elbow) in columns.items() if mode is not None and elbow is not None}
    if not found:
        return Omitted(name, title, "no sampler's goals have been measured yet")
    n = len(_action(run)["goals"])
    figure, axes = single_axes(above=ONE_ROW)
    width, told = 0.8 / len(found), []
    for i, (sampler, (mode, elbow)) in enumerate(found.items()):
        style, x = sampler_style(sampler), np.arange(1, n + 1) + width * (i - (len(found) - 1) / 2)
        right = np.array([np.mean((mode == j) & (elbow > 0)) for j in range(n)])
        left = np.array([np.mean((mode == j) & (elbow <= 0)) for j in range(n)])
        axes.bar(x, right, width, color=style.colour, label=style.label)
        axes.bar(x, left, width, bottom=right, color=style.colour, alpha=0.4)
        told.append(f"{style.label}: " + ", ".join(f"{a:.3f} + {b:.3f}" for a, b in zip(right, left, strict=True)))
    rows = (row for row in run.results.of("shares") if row.reference is not None)
    exact = next((data.vector(row.reference) for row in rows), np.zeros(0))
    for j, share in enumerate(exact, start=1):
        axes.plot([j - 0.45, j + 0.45], [share, share], "--", color=INK, linewidth=0.9, label="exact" * (j == 1))
    axes.set_xticks(range(1, n + 1))
    axes.set_xlabel("goal")
    axes.set_ylabel("share")
    legend_above(figure, axes, columns=3)
    svg, pdf = encode(figure)
    caption = (
        "Share of every goal along the chains, dark with the elbow on the right of the line from base to tip and light "
        "with the elbow on the left." + (" Dashed: the exact share of the goal." if exact.size else "")
    )
    return Picture(name, title, caption, f"Shares right + left by goal. {'; '.join(told)}.", svg, pdf)


def sphere(run: Run) -> Picture | Omitted:
    """Points of every sampler on the density of the sphere, in Mollweide's projection."""
    name, title = "sphere", "Points on the sphere"
    table = _action(run)
    of_three = len(table.get("directions", ((),))[0]) == _S2
    columns = {s: data.series(run, s, _VECTOR) for s in SAMPLERS if of_three}
    found = {s: _vectors(column, _S2) for s, column in columns.items() if column is not None}
    if not found:
        return Omitted(name, title, "shown for one unit vector of three components")
    figure = Figure(figsize=(PAGE_INCHES, 1.5 * (len(found) + 1) // 2 * 1.15))
    horizontal, vertical, grid = _mollweide_grid()
    directions = np.asarray(table["directions"], dtype=float)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    density = np.sum(np.exp(table["concentration"] * (grid @ directions.T - 1)), axis=-1)
    for i, (sampler, points) in enumerate(found.items()):
        axes: Any = figure.add_subplot(-(-len(found) // 2), 2, i + 1, aspect="equal")
        axes.contourf(horizontal, vertical, density, levels=12, cmap="Greys")
        axes.plot(2 * np.cos(_ROUND), np.sin(_ROUND), color=INK, linewidth=0.8)
        some = points[:, :: max(1, points.shape[1] // SHOWN_POINTS)]
        axes.plot(*_mollweide(some), ".", color=sampler_style(sampler).colour, markersize=0.8, alpha=0.6)
        axes.axis("off")
        axes.set_title(sampler_style(sampler).label, color=sampler_style(sampler).colour)
    svg, pdf = encode(figure)
    counts = "; ".join(f"{sampler_style(s).label}: {points.shape[1]}" for s, points in found.items())
    caption = (
        "Exact density, dark where it is large, and configurations along the chains, in Mollweide's projection: equal "
        f"areas are equal measure. The first component is up. Configurations, of which some are drawn: {counts}."
    )
    return Picture(
        name, title, caption, f"Maps of the sphere by sampler, {counts} configurations.", svg, pdf, wide=True
    )


def _mollweide(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of unit vectors in the ellipse with half axes 2 and 1, the first component up: equal areas stay equal."""
    half = np.linspace(-np.pi / 2, np.pi / 2, 2001)
    turned = np.interp(np.clip(points[0], -1, 1), (2 * half + np.sin(2 * half)) / np.pi, half)
    return 2 / np.pi * np.arctan2(points[2], points[1]) * np.cos(turned), np.sin(turned)


def _mollweide_grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places in the ellipse, and the unit vectors there. Rows go from one edge to the other."""
    turned, share = np.linspace(-np.pi / 2, np.pi / 2, 61)[:, None], np.linspace(-1, 1, 97)[None]
    up = (2 * turned + np.sin(2 * turned)) / np.pi
    level, longitude = np.sqrt(np.clip(1 - up**2, 0, 1)), np.pi * share
    grid = np.stack([up + 0 * share, level * np.cos(longitude), level * np.sin(longitude)], axis=-1)
    return 2 * share * np.cos(turned), np.sin(turned) + 0 * share, grid


def _action(run: Run) -> Any:
    """The table ``[action]`` of the study."""
    return run.study.get("action", {})


def _vectors(column: np.ndarray, n: int) -> np.ndarray:
    """A measured vector as (component, configuration), however the axes of its history stand."""
    return column.reshape(n, -1) if column.shape[0] == n else column.reshape(-1, n).T


def _row(n: int) -> tuple[Figure, list[Any]]:
    """Square panels side by side."""
    figure = Figure(figsize=(PAGE_INCHES, 0.32 + (PAGE_INCHES - 0.2) / max(n, 2)))
    return figure, [figure.add_subplot(1, n, i + 1) for i in range(n)]


def _goals(run: Run, axes: Any, reach: float) -> None:
    """Circles at the goals; equal scales on both axes."""
    turn, sigma = np.linspace(0, 2 * np.pi, 61), _action(run)["width"]
    for x, y in _action(run)["goals"]:
        axes.plot(x + sigma * np.cos(turn), y + sigma * np.sin(turn), color=INK, linewidth=0.9)
    axes.plot(0, 0, "+", color=FAINT)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
