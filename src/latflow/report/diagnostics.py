"""Figures of sampling and training: rejection runs, errors against N, weights, training curves.

They show whether error bars can be trusted: a flow that misses part of the target shows it in long rejection runs
and in the right tail of log w before any mean value is visibly wrong.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from latflow.report import data
from latflow.report.canvas import (
    FAINT,
    INK,
    ONE_ROW,
    SECOND_AXIS,
    TWO_ROWS,
    Omitted,
    Picture,
    encode,
    legend_above,
    readable_log,
    single_axes,
)
from latflow.report.data import Run
from latflow.report.names import SAMPLERS, sampler_style
from latflow.report.numbers import count, is_number, plain
from latflow.stats.estimates import ConstantSeriesError, Estimate, NonFiniteSeriesError, TooShortError
from latflow.stats.runs import error_against_n
from latflow.stats.runs import rejection_runs as count_rejection_runs
from latflow.stats.weights import weighted_estimates
from latflow.study.config.methods import FLOW, HMC


@dataclass(frozen=True)
class Followed:
    """A column whose error is plotted against N: its name, its symbol in plain text and in TeX, and its meaning."""

    column: str
    words: str
    math: str
    remark: str = ""


FOLLOWED = (
    Followed("magnetization_squared", "⟨M²⟩", r"$\langle M^2\rangle$", " (= χ₂/V where ⟨φ⟩ = 0)"),
    Followed("plaquette", "the plaquette", r"$P$"),
)
"""Candidates: the first of them that was measured is plotted; else the first observable that is a column itself."""

SMALLEST_SIZE = 100
"""Fewest records for which an error is estimated in the scaling figure."""

LONG_RUN = 30
"""Rejection runs longer than this are shown in logarithmic bins."""


def rejection_runs(run: Run) -> Picture | Omitted:
    """Distribution of the lengths of rejection runs, flow beside HMC, with the memoryless expectation."""
    name, title = "rejection_runs", "Rejection runs"
    flags = {s: found for s in (FLOW, HMC) if (found := data.accepted(run, s)) is not None and not found.all()}
    lengths = {s: count_rejection_runs(found) for s, found in flags.items()}
    lengths = {s: histogram for s, histogram in lengths.items() if len(histogram) > 1 and histogram[1:].sum() > 0}
    if not lengths:
        return Omitted(name, title, "neither the flow nor HMC has rejected a proposal in this run")
    figure, axes = single_axes(above=ONE_ROW)
    longest = max(len(histogram) - 1 for histogram in lengths.values())
    edges = _run_edges(longest)
    axes.set_yscale("log")
    axes.set_xscale("log" if longest > LONG_RUN else "linear")
    for sampler, histogram in lengths.items():
        _draw_runs(axes, sampler, histogram, acceptance=float(flags[sampler].mean()), edges=edges)
    axes.set_xlabel("length $k$ of a rejection run (proposals)")
    axes.set_ylabel("fraction of runs (per unit $k$)")
    _integer_ticks(axes, longest)
    axes.set_ylim(top=2)
    legend_above(figure, axes, columns=2)
    svg, pdf = encode(figure)
    words = [
        f"{sampler_style(s).label}: acceptance {plain(flags[s].mean())}, {count(int(h[1:].sum()))} runs, "
        f"longest {len(h) - 1}"
        for s, h in lengths.items()
    ]
    caption = (
        "Runs of consecutive rejections. Lines: the geometric law a(1−a)^{k−1} of a memoryless chain with the same "
        f"acceptance a. {'; '.join(words)}.{_acceptance_warning(flags)}"
    )
    return Picture(name, title, caption, f"Histogram on a logarithmic axis. {'; '.join(words)}.", svg, pdf)


def error_scaling(run: Run) -> Picture | Omitted:
    """Relative error of an observable against the number of configurations, with 1/√N."""
    name, title = "error_scaling", "Errors against N"
    followed = _followed(run)
    if followed is None:
        return Omitted(name, title, f"no sampler has {SMALLEST_SIZE * 2} measurements of a scalar observable yet")
    curves = {s: curve for s in SAMPLERS if (curve := _error_curve(run, s, followed.column)) is not None}
    if not curves:
        return Omitted(name, title, f"no sampler has {SMALLEST_SIZE * 2} measurements of {followed.column} yet")
    figure, axes = single_axes(above=TWO_ROWS)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for sampler, (sizes, errors) in curves.items():
        look = sampler_style(sampler)
        axes.plot(sizes, errors, look.marker, color=look.colour, label=look.label)
        axes.plot(sizes, errors[-1] * np.sqrt(sizes[-1] / sizes), "--", color=look.colour, linewidth=0.8, alpha=0.8)
    axes.plot([], [], "--", color=FAINT, linewidth=0.8, label=r"$\propto 1/\sqrt{N}$")
    readable_log(axes.yaxis)
    readable_log(axes.xaxis)
    axes.set_xlabel("configurations $N$ (all chains together)")
    axes.set_ylabel(f"relative error of {followed.math}")
    legend_above(figure, axes, columns=3)
    svg, pdf = encode(figure)
    caption = (
        f"Relative statistical error of {followed.words}{followed.remark} from the first N configurations. Dashed: "
        "1/√N through the last point. A sampler that leaves the line has not yet seen its own slowest fluctuation."
    )
    words = [f"{sampler_style(s).label} {e[-1]:.2g} at N = {count(n[-1])}" for s, (n, e) in curves.items()]
    return Picture(name, title, caption, f"Relative errors fall with N: {', '.join(words)}.", svg, pdf)


def _followed(run: Run) -> Followed | None:
    """The column whose errors are shown for this run."""
    known = next((each for each in FOLLOWED if each.column in run.columns), None)
    if known is not None:
        return known
    names = (name for name in run.results.in_order(run.results.observables) if name in run.columns)
    scalars = (name for name in names if run.results.words(name).axis is None)
    found = next(scalars, None)
    return None if found is None else Followed(found, run.results.words(found).title, run.results.words(found).math)


def log_weights(run: Run) -> Picture | Omitted:
    """Histogram of log w − log Z with the Gaussian of its mean and variance and the log-normal law."""
    name, title = "log_weights", "Weights of the flow draws"
    weights = data.log_weights(run)
    finite = np.array([]) if weights is None else weights[np.isfinite(weights)]
    if len(finite) < 2 or finite.std() == 0:
        return Omitted(name, title, "no flow draws with finite, unequal weights in this run")
    mean = float(np.logaddexp.reduce(finite) - math.log(len(finite)))
    x, sigma = finite - mean, float(finite.std(ddof=1))
    figure, axes = single_axes(above=TWO_ROWS)
    axes.set_yscale("log")
    heights, edges = np.histogram(x, bins=min(80, max(10, int(len(x) ** 0.4))))
    density = heights / (len(x) * np.diff(edges))
    colour = sampler_style("flow").colour
    axes.stairs(density, edges, fill=True, color=colour, alpha=0.35)
    axes.stairs(density, edges, color=colour, linewidth=1, label=f"{count(len(x))} draws")
    grid = np.linspace(edges[0], edges[-1], 200)
    axes.plot(grid, _gauss(grid, x.mean(), sigma), color=INK, label="Gaussian of same moments")
    law = _gauss(grid, -(sigma**2) / 2, sigma)
    axes.plot(grid, law, "--", color=FAINT, label="log-normal law")
    axes.set_ylim(0.5 * density[density > 0].min(), 4 * density.max())
    axes.set_xlabel(r"$\log w-\log Z$")
    axes.set_ylabel("probability density")
    legend_above(figure, axes, columns=2)
    svg, pdf = encode(figure)
    words, log_z = _weight_law(run, sigma, float(x.mean())), plain(mean + run.log_z_shift, 6)
    dropped = len(weights) - len(x) if weights is not None else 0
    caption = (
        f"log w = −S − log q of every draw, log Z = {log_z} from the same draws. Dashed: a Gaussian of mean "
        f"−σ²/2, as every flow with Gaussian log w has. {words}"
    )
    if dropped:
        caption += f" {dropped} draws with zero or undefined weight are not shown."
    return Picture(name, title, caption, f"Histogram of log weights, σ = {plain(sigma, 3)}. {words}", svg, pdf)


def training_loss(run: Run) -> Picture | Omitted:
    """Loss against steps and seconds, with the floor −log Z."""
    floor = run.flow.log_z

    def draw(axes: Axes) -> None:
        _line(axes, run, "loss", colour=SAMPLERS["flow"].colour, label="loss")
        if floor is not None:
            axes.axhline(-floor, color=FAINT, linestyle="--", linewidth=1, label=r"floor $-\log Z$")
            axes.legend(loc="best")
        _show_after_start(axes, run, "loss", floor=floor)
        axes.set_ylabel(r"loss $\langle\log q+S\rangle_q$ (nats)")

    caption = (
        "Training loss ⟨log q + S⟩ on fresh draws, with the measure of log Z; its smallest possible value is −log Z. "
        "The first tenth of the steps may lie above the frame."
    )
    return _training(run, "training_loss", "Training: loss", caption, "loss", draw)


def training_kl(run: Run) -> Picture | Omitted:
    """Reverse Kullback–Leibler divergence against steps and seconds, logarithmic."""

    def draw(axes: Axes) -> None:
        axes.set_yscale("log")
        _line(axes, run, "kl", colour=SAMPLERS["flow"].colour, label="KL")
        readable_log(axes.yaxis)
        axes.set_ylabel(r"KL$(q\|p)$ (nats)")

    caption = "Reverse KL divergence ⟨log q + S⟩ + log Z; log Z known, or estimated from the weights of the evaluation."
    return _training(run, "training_kl", "Training: KL divergence", caption, "kl", draw)


def training_quality(run: Run) -> Picture | Omitted:
    """Acceptance and reweighting ESS against steps and seconds."""

    def draw(axes: Axes) -> None:
        _line(axes, run, "acceptance", colour=SAMPLERS["flow"].colour, label="acceptance")
        _line(axes, run, "reweighting_ess", colour=SAMPLERS["reweighted"].colour, label="reweighting ESS", dashes="--")
        axes.set_ylim(0, 1.02)
        axes.set_ylabel("fraction")
        axes.legend(loc="best")

    caption = (
        "Expected acceptance of the independence Metropolis and reweighting ESS (Σw)²/(NΣw²), both from the evaluation "
        "draws; small batches bias both upwards."
    )
    return _training(run, "training_quality", "Training: acceptance and ESS", caption, "acceptance", draw)


def training_gradient(run: Run) -> Picture | Omitted:
    """Gradient norm and learning rate against steps and seconds."""

    def draw(axes: Axes) -> None:
        axes.set_yscale("log")
        _line(axes, run, "gradient_norm", colour=SAMPLERS["flow"].colour, label="gradient norm")
        _line(axes, run, "learning_rate", colour=SAMPLERS[HMC].colour, label="learning rate", dashes="--")
        axes.set_ylabel("norm, rate")
        axes.legend(loc="best")

    caption = "Norm of the gradient before clipping, and the learning rate."
    return _training(run, "training_gradient", "Training: gradient and rate", caption, "gradient_norm", draw)


def _training(
    run: Run, name: str, title: str, caption: str, key: str, draw: Callable[[Axes], None]
) -> Picture | Omitted:
    """A training curve: steps below, seconds above."""
    x, y = _history(run, key)
    if len(x) < 2:
        return Omitted(name, title, f"the training log holds fewer than two records of {key.replace('_', ' ')}")
    figure, axes = single_axes(above=SECOND_AXIS)
    draw(axes)
    axes.set_xlabel("training step")
    _seconds_above(axes, run)
    svg, pdf = encode(figure)
    alt = f"{title} from {plain(y[0])} at step {x[0]:.0f} to {plain(y[-1])} at step {x[-1]:.0f}."
    return Picture(name, title, caption, alt, svg, pdf)


def _history(run: Run, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of one key of the training log, records without a finite value left out."""
    pairs = [(r["step"], r[key]) for r in run.training if is_number(r.get(key))]
    x, y = np.array(pairs, dtype=float).reshape(-1, 2).T
    # a training knows densities of the house field only
    return x, y - run.log_z_shift if key == "loss" else y


def _line(axes: Axes, run: Run, key: str, *, colour: str, label: str, dashes: str = "-") -> None:
    x, y = _history(run, key)
    if axes.get_yscale() == "log":
        x, y = x[y > 0], y[y > 0]
    axes.plot(x, y, dashes, color=colour, label=label)


def _seconds_above(axes: Axes, run: Run) -> None:
    """The seconds that had passed at the steps marked below; they start after compilation, not at zero."""
    steps, seconds = _history(run, "seconds")
    top = axes.twiny()
    limits = axes.get_xlim()
    top.set_xlim(limits)
    top.grid(visible=False)
    top.spines["top"].set_visible(True)
    top.set_xlabel("training seconds")
    marked = [tick for tick in axes.get_xticks() if len(steps) and max(limits[0], steps[0]) <= tick <= limits[1]]
    passed = np.interp(marked, steps, seconds) if marked else []
    labels = [[f"{value:.{decimals}f}" for value in passed] for decimals in (0, 1, 2)]
    top.set_xticks(marked, next((words for words in labels if len(set(words)) == len(words)), labels[-1]))


def _show_after_start(axes: Axes, run: Run, key: str, *, floor: float | None) -> None:
    """Limits from the records after the first tenth of the steps: the fall from the start would flatten the rest."""
    x, y = _history(run, key)
    late = y[x > x[-1] / 10]
    high = float(late.max())
    low = float(late.min()) if floor is None else min(float(late.min()), -floor)
    margin = 0.06 * (high - low) or 0.1
    axes.set_ylim(low - margin, high + margin)


def _run_edges(longest: int) -> np.ndarray:
    """Bin edges on half-integers: single lengths, or logarithmic bins beyond ten when runs are long."""
    if longest <= LONG_RUN:
        return np.arange(0.5, longest + 1)
    coarse = np.unique(np.geomspace(11, longest + 1, num=max(3, int(8 * math.log10(longest / 10)))).astype(int))
    return np.unique(np.concatenate([np.arange(1, 11), coarse, [longest + 1]])) - 0.5


def _draw_runs(axes: Axes, sampler: str, histogram: np.ndarray, *, acceptance: float, edges: np.ndarray) -> None:
    """Measured fractions with Poisson errors, and the geometric law as a line."""
    look = sampler_style(sampler)
    lengths = np.arange(1, len(histogram))
    inside, _ = np.histogram(lengths, bins=edges, weights=histogram[1:])
    width, total = np.diff(edges), histogram[1:].sum()
    kept = inside > 0
    centres = np.sqrt(edges[:-1] * edges[1:]) if axes.get_xscale() == "log" else (edges[:-1] + edges[1:]) / 2
    centres = np.where(width == 1, np.round((edges[:-1] + edges[1:]) / 2), centres)
    y, error = inside / (width * total), np.sqrt(inside) / (width * total)
    bars = np.stack([np.minimum(error, 0.6 * y), error])[:, kept]
    label = f"{look.label}, acceptance {acceptance:.2f}"
    axes.errorbar(centres[kept], y[kept], bars, fmt=look.marker, color=look.colour, label=label, elinewidth=0.9)
    k = np.arange(1, edges[-1] + 0.5)
    law = acceptance * (1 - acceptance) ** (k - 1)
    shown = law > 0.1 * y[kept].min()
    axes.plot(k[shown], law[shown], "--", color=look.colour, linewidth=0.9, alpha=0.9)


def _integer_ticks(axes: Axes, longest: int) -> None:
    """Ticks at whole lengths, written as plain numbers."""
    if longest > LONG_RUN:
        ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000) if t <= longest]
        axes.set_xticks(ticks, [str(t) for t in ticks])
        axes.tick_params(axis="x", which="minor", bottom=False)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _acceptance_warning(flags: dict[str, np.ndarray]) -> str:
    """A warning where the two chains have different acceptances: their rejection runs cannot be compared."""
    if len(flags) < 2:
        return f" Only {sampler_style(next(iter(flags))).label} is in this run."
    rates = [float(found.mean()) for found in flags.values()]
    apart = abs(rates[0] - rates[1])
    if apart <= 0.05:
        return ""
    return f" The acceptances differ by {plain(apart, 2)}: compare each with its own line, not the lengths of both."


def _error_curve(run: Run, sampler: str, column: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Sizes and relative errors of a mean from the first N configurations; None where there is nothing to estimate."""
    try:
        found = _weighted_errors(run, column) if sampler == "reweighted" else _chain_errors(run, sampler, column)
    except (TooShortError, ConstantSeriesError, NonFiniteSeriesError):
        return None
    if found is None:
        return None
    sizes, estimates = found
    kept = [i for i, e in enumerate(estimates) if e.exists and e.error > 0 and e.value != 0]
    relative = np.array([estimates[i].error / abs(estimates[i].value) for i in kept])
    return (np.array(sizes, dtype=float)[kept], relative) if kept else None


def _weighted_errors(run: Run, column: str) -> tuple[list[int], list[Estimate]] | None:
    found = data.draws(run, column)
    if found is None or len(found[0]) < 2 * SMALLEST_SIZE:
        return None
    values, weights = found
    sizes = _sizes(len(values))
    return sizes, [_weighted(values[:n], weights[:n]) for n in sizes]


def _chain_errors(run: Run, sampler: str, column: str) -> tuple[list[int], list[Estimate]] | None:
    history = data.series(run, sampler, column)
    if history is None or history.size < 2 * SMALLEST_SIZE:
        return None
    estimates = error_against_n(history, _sizes(history.size))
    return [e.n for e in estimates], estimates


def _sizes(largest: int) -> list[int]:
    """About seven sizes from `SMALLEST_SIZE` to `largest`, evenly spaced in the logarithm."""
    return sorted({int(n) for n in np.geomspace(SMALLEST_SIZE, largest, num=7).round()})


def _weighted(values: np.ndarray, log_weight: np.ndarray) -> Estimate:
    return weighted_estimates({"mean": values}, log_weight, lambda means: means)["mean"][0]


def _weight_law(run: Run, sigma: float, mean: float) -> str:
    """Measured acceptance, ESS and KL beside those of exactly Gaussian log w of the same variance."""
    flow = run.flow
    return (
        f"σ = {plain(sigma, 3)}; the log-normal law predicts acceptance erfc(σ/2) = {plain(math.erfc(sigma / 2), 3)} "
        f"(measured {plain(flow.acceptance, 3)}), ESS exp(−σ²) = {plain(math.exp(-(sigma**2)), 3)} "
        f"(measured {plain(flow.reweighting_ess, 3)}), KL σ²/2 = {plain(sigma**2 / 2, 3)} "
        f"(from these draws {plain(-mean, 3)})."
    )


def _gauss(x: np.ndarray, mean: float, sigma: float) -> np.ndarray:
    return np.exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
