"""Whether averages that are called reliable are: coverage of their errors over flows of all qualities.

Every flow has a theory whose averages are known. Its draws are cut into samples; each is judged as latflow judges it
(`latflow.stats.reliability`), and its weighted averages and those of the accept/reject chain are compared with the
known ones: how often is the difference within one and within three of the printed errors?

Flows: the free field with wrong widths and means of its modes, many of them too narrow; heavy tails, normal proposals
for Student's density; two vacua of which one is drawn rarely or never, with and without a symmetry between them; and
real NVPs for φ⁴ on 2 × 2 (transfer matrix) and on 4 × 4 (HMC of 64 chains), from the first steps of a training to its
end. Samples are judged once with draws of the target at hand, as `latflow run` has them, and once without, as
`lf.sample`, which looks at images of the draws where there is a symmetry, here φ → −φ.
"""

import argparse
import dataclasses
import itertools
import math
import time
from collections.abc import Callable
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", val=True)

import equinox as eqx  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from latflow.actions.exact import momentum_propagator, phi_four_2x2  # noqa: E402
from latflow.actions.scalar import PhiFour  # noqa: E402
from latflow.errors import DataError  # noqa: E402
from latflow.execution import EVALUATION_DRAWS  # noqa: E402
from latflow.flows.architectures import real_nvp  # noqa: E402
from latflow.flows.weighted import FlowSampler  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.report.canvas import encode, style  # noqa: E402
from latflow.samplers.chains import advance, starts, warm_up  # noqa: E402
from latflow.samplers.hmc import HMC  # noqa: E402
from latflow.samplers.independence import accept_sequence  # noqa: E402
from latflow.samplers.integrators import SCHEMES  # noqa: E402
from latflow.stats.estimates import RELIABLE, UNDERESTIMATED, UNRESOLVED, Estimate  # noqa: E402
from latflow.stats.gamma import gamma_estimate  # noqa: E402
from latflow.stats.images import representatives, unseen  # noqa: E402
from latflow.stats.reliability import (  # noqa: E402
    FEWEST_EFFECTIVE,
    TAIL_LIMIT,
    FromTarget,
    Reliability,
    judge_draws,
    with_images,
)
from latflow.stats.sides import forward_side, reverse_side  # noqa: E402
from latflow.stats.weights import independence_acceptance, pareto_k, reweighting_ess, weighted_estimates  # noqa: E402
from latflow.training.losses import ReverseKL  # noqa: E402
from latflow.training.schedules import adam, schedule  # noqa: E402
from latflow.training.steps import TrainingState, run_steps  # noqa: E402

SIZES = {1024: 16, 4096: 48, 16384: 16}
"""Draws of a sample, and samples of each flow."""

POOL = 2**18

VACUA, EQUAL = "two vacua", "two equal vacua"


@dataclasses.dataclass(frozen=True)
class Draws:
    """Draws of a flow, cut into samples by the caller.

    Attributes:
        family: Of the flow.
        name: Of the flow.
        log_weights: ln w of all draws.
        columns: Observables by name.
        known: Their means in the theory, with errors.
        target: ln w at draws of the target, chains × records × 1.
        at_images: ln w at −φ of draws with these numbers; None without such a symmetry.
    """

    family: str
    name: str
    log_weights: np.ndarray
    columns: dict[str, np.ndarray]
    known: dict[str, Estimate]
    target: np.ndarray
    at_images: Callable[[np.ndarray], np.ndarray] | None = None


@dataclasses.dataclass(frozen=True)
class Sample:
    """One sample of a flow: its judgements, and how far its averages are from the known ones, in their errors."""

    family: str
    flow: int
    n: int
    found: Reliability
    blind: Reliability
    acceptance: float
    true_ess: float
    true_tail: float
    weighted: tuple[float, ...]
    chain: tuple[float, ...]


def free_fields(rng: np.random.Generator, n: int, pool: int):
    """Free fields on 4 × 4 in momentum space: widths of the modes off by a common and by random factors, means too."""
    widths = np.sqrt(momentum_propagator(Lattice((4, 4)), mass_squared=0.5).reshape(-1))
    known = {"phi squared": Estimate(float(np.mean(widths**2)), 0.0), "zero mode": Estimate(float(widths[0] ** 2), 0.0)}
    for _ in range(n):
        scatter = 0.4 * rng.random() ** 1.5
        common = rng.choice([-0.15, -0.08, -0.03, 0.0, 0.05, 0.1])
        factor = np.exp(common + scatter * rng.normal(size=16))
        mean = 0.2 * rng.random() * rng.normal(size=16)

        def log_weights(x: np.ndarray, factor=factor, mean=mean) -> np.ndarray:
            return np.sum(np.log(factor) + 0.5 * ((x - mean) / factor) ** 2 - 0.5 * x**2, axis=-1)

        target = log_weights(rng.normal(size=(64, 64, 16)))[..., None]
        x = mean + factor * rng.normal(size=(pool, 16))
        fields = widths * x
        columns = {"phi squared": np.mean(fields**2, axis=1), "zero mode": fields[:, 0] ** 2}
        name = f"scatter {scatter:.2f}, all {common:+.2f}"
        images = lambda i, x=x, log_weights=log_weights: log_weights(-x[i])  # noqa: E731
        yield Draws("free field", name, log_weights(x), columns, known, target, images)


def heavy_tails(rng: np.random.Generator, n: int, pool: int):
    """Student's density in four dimensions, component by component, from normal proposals: no moment of w exists."""
    freedom = 7.0
    norm = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - 0.5 * math.log(freedom * math.pi)

    def log_p(x: np.ndarray) -> np.ndarray:
        return np.sum(norm - (freedom + 1) / 2 * np.log1p(x**2 / freedom), axis=-1)

    known = {
        "square": Estimate(freedom / (freedom - 2), 0.0),
        "modulus": Estimate(2 * math.exp(norm) * freedom / (freedom - 1), 0.0),
    }
    for i in range(n):
        width = 0.6 + 1.2 * (i + 0.5) / n

        def log_q(x: np.ndarray, width=width) -> np.ndarray:
            return np.sum(-0.5 * (x / width) ** 2 - math.log(width) - 0.5 * math.log(2 * math.pi), axis=-1)

        x = width * rng.normal(size=(pool, 4))
        columns = {"square": np.mean(x**2, axis=1), "modulus": np.mean(np.abs(x), axis=1)}
        y = rng.standard_t(freedom, size=(64, 64, 4))
        target = (log_p(y) - log_q(y))[..., None]
        yield Draws("heavy tails", f"width {width:.2f}", log_p(x) - log_q(x), columns, known, target)


def two_vacua(rng: np.random.Generator, n: int, pool: int, family: str, weight: float):
    """Two narrow vacua in eight dimensions, the second of this weight; the flow draws it with a share from 0 to 1/2."""
    at = 2.0

    def log_mixture(x: np.ndarray, share: float, width: float) -> np.ndarray:
        parts = [np.sum(-0.5 * ((x - a) / width) ** 2, axis=-1) for a in (at, -at)]
        with np.errstate(divide="ignore"):
            both = np.logaddexp(math.log1p(-share) + parts[0], np.log(share) + parts[1])
        return both - 8 * (math.log(width) + 0.5 * math.log(2 * math.pi))

    def draw(size: tuple[int, ...], share: float, width: float) -> np.ndarray:
        sign = np.where(rng.random(size) < share, -1.0, 1.0)
        return at * sign[..., None] + width * rng.normal(size=(*size, 8))

    known = {"mean field": Estimate(at * (1 - 2 * weight), 0.0), "square": Estimate(at**2 + 1.0, 0.0)}
    for i in range(n):
        share = 0.0 if i % 4 == 0 else 0.5 * 10 ** (-4 * rng.random())
        width = rng.choice([0.92, 0.98, 1.04, 1.15])
        x, y = draw((pool,), share, width), draw((64, 64), weight, 1.0)
        log_w = log_mixture(x, weight, 1.0) - log_mixture(x, share, width)
        target = (log_mixture(y, weight, 1.0) - log_mixture(y, share, width))[..., None]
        columns = {"mean field": np.mean(x, axis=1), "square": np.mean(x**2, axis=1)}

        def images(i: np.ndarray, x=x, share=share, width=width) -> np.ndarray:
            return log_mixture(-x[i], weight, 1.0) - log_mixture(-x[i], share, width)

        even = images if weight == 0.5 else None
        yield Draws(family, f"share {share:.1e}, width {width}", log_w, columns, known, target, even)


@eqx.filter_jit
def drawn(sampler: FlowSampler, key: jax.Array, n: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Fields, log-weights and even observables of fresh draws."""

    def one(k: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        draw = sampler.draw(k)
        return draw.x, draw.log_weight, observables(draw.x)

    return jax.lax.map(one, jax.random.split(key, n), batch_size=EVALUATION_DRAWS)


def observables(x: jax.Array) -> jax.Array:
    """φ², |M̄| and V·M̄²."""
    mean = jnp.mean(x)
    return jnp.stack([jnp.mean(x**2), jnp.abs(mean), x.size * mean**2])


NAMES = ("phi squared", "abs magnetization", "susceptibility")


@eqx.filter_jit
def at_target(sampler: FlowSampler, fields: jax.Array) -> jax.Array:
    return jax.vmap(lambda x: -sampler.action(x) - sampler.flow.log_prob(x))(fields)


@eqx.filter_jit
def measured(fields: jax.Array) -> jax.Array:
    return jax.vmap(observables)(fields)


def chains_of(action: PhiFour, key: jax.Array, n_records: int) -> np.ndarray:
    """HMC of 64 chains from over-dispersed starts."""
    kernel = HMC(action, SCHEMES["omf2"], step_size=jnp.asarray(0.25), n_steps=4)
    keys = jax.random.split(key, 3)
    kernel, x, _ = warm_up(
        kernel, keys[1], starts(keys[0], action.space, chains=64), n_steps=500, target_acceptance=0.8
    )
    return np.asarray(advance(kernel, keys[2], x, first=0, n_records=n_records, thin=4)[1].x)


def trained(extent: int, couplings: list[float], steps: list[int], pool: int, n_records: int, seed: int, **network):
    """Real NVPs for φ⁴ with m² = −4 at `steps` of one training per coupling; all share one program."""
    lattice = Lattice((extent, extent))
    optimiser = adam(schedule("constant", learning_rate=2e-3, n_steps=steps[-1], warmup_steps=0), gradient_clip=10.0)
    for i, coupling in enumerate(couplings):
        key = jax.random.fold_in(jax.random.key(seed), 100 * extent + i)
        action = PhiFour(lattice, mass_squared=-4.0, coupling=coupling)
        fields = chains_of(action, jax.random.fold_in(key, 0), n_records)
        columns = np.asarray(measured(fields.reshape(-1, extent, extent))).reshape(*fields.shape[:2], -1)
        known = {name: gamma_estimate(np.swapaxes(columns[..., j], 0, 1)) for j, name in enumerate(NAMES)}
        if extent == 2:
            exact = phi_four_2x2(mass_squared=-4.0, coupling=coupling)
            known |= {NAMES[0]: Estimate(exact.phi_squared, 0.0), NAMES[2]: Estimate(exact.susceptibility, 0.0)}
        thinned = fields[:: max(1, n_records // 64)][:64].reshape(-1, extent, extent)
        flow = real_nvp(jax.random.fold_in(key, 1), lattice, **network)
        state = TrainingState.start(flow, optimiser)
        for target in steps:
            state, outcome = run_steps(
                state, jax.random.fold_in(key, 2), target, action=action, loss=ReverseKL(128), optimiser=optimiser
            )
            assert bool(outcome.finite)
            sampler = FlowSampler(state.flow, action)
            x, log_w, values = map(np.asarray, drawn(sampler, jax.random.fold_in(key, 10 + target), pool))
            there = np.asarray(at_target(sampler, jnp.asarray(thinned))).reshape(-1, 64).T[..., None]
            found = dict(zip(NAMES, values.T, strict=True))
            images = lambda i, x=x, sampler=sampler: np.asarray(at_target(sampler, jnp.asarray(-x[i])))  # noqa: E731
            name = f"λ = {coupling:g}, {target} steps"
            yield Draws(f"φ⁴ {extent} × {extent}", name, log_w, found, known, there, images)


def samples_of(flow: int, draws: Draws, sizes: dict[int, int], rng: np.random.Generator):
    """Judge the samples of a flow and compare their averages with the known ones."""
    truth = reweighting_ess(draws.log_weights), pareto_k(draws.log_weights)
    reverse = reverse_side(draws.target)
    for n, repeats in sizes.items():
        for r in range(min(repeats, draws.log_weights.size // n)):
            cut = slice(r * n, (r + 1) * n)
            log_w, columns = draws.log_weights[cut], {name: c[cut] for name, c in draws.columns.items()}
            index, accepted = accept_sequence(log_w, np.log1p(-rng.random(n)))
            forward = forward_side(log_w)
            gap = Estimate(reverse.log_z - forward.log_z, math.hypot(forward.error, reverse.error))
            told = FromTarget(gap if reverse.tail <= TAIL_LIMIT else None, float(np.mean(draws.target > log_w.max())))
            weighted = weighted_estimates(columns, log_w, lambda means: means)
            blind = judge_draws(log_w, accepted, columns=columns)
            if draws.at_images is not None:
                at_images = draws.at_images(r * n + representatives(log_w))
                blind = with_images(blind, unseen(at_images[:, None], log_w))
            yield Sample(
                draws.family,
                flow,
                n,
                judge_draws(log_w, accepted, evidence=told, columns=columns),
                blind,
                independence_acceptance(log_w),
                *truth,
                tuple(pulled(weighted[name][0], known) for name, known in draws.known.items()),
                tuple(pulled(chain(columns[name][index]), known) for name, known in draws.known.items()),
            )


def chain(series: np.ndarray) -> Estimate:
    try:
        return gamma_estimate(series[None])
    except DataError:  # a chain that never moved
        return Estimate(float(series[-1]), 0.0)


def pulled(found: Estimate, known: Estimate) -> float:
    error = math.hypot(found.error, known.error)
    return (found.value - known.value) / error if error > 0 else math.inf


def flows(arguments: argparse.Namespace):
    """All flows, each with its draws."""
    rng = np.random.default_rng(arguments.seed)
    if arguments.quick:
        yield from free_fields(rng, 8, 2**13)
        yield from heavy_tails(rng, 3, 2**13)
        yield from two_vacua(rng, 4, 2**13, VACUA, 0.3)
        yield from two_vacua(rng, 4, 2**13, EQUAL, 0.5)
        yield from trained(2, [8.0], [20, 200], 2**13, 64, arguments.seed, n_layers=4, hidden=(16,))
        return
    yield from free_fields(rng, 80, POOL)
    yield from heavy_tails(rng, 12, POOL)
    yield from two_vacua(rng, 32, POOL, VACUA, 0.3)
    steps = [0, 10, 20, 30, 45, 60, 80, 110, 150, 200, 300, 450, 700, 1000, 1500]
    couplings = [4.0, 6.0, 8.0, 12.0]
    yield from trained(2, couplings, [*steps[1::2], 3000], POOL, 4000, arguments.seed, n_layers=4, hidden=(16,))
    yield from trained(4, couplings, steps, POOL, 20_000, arguments.seed, n_layers=4, hidden=(16,))
    even = {"n_layers": 6, "hidden": (32,), "kernel_size": 3, "z2": True}
    later = [50, 100, 200, 400, 800, 1500, 2500, 4000]
    yield from trained(4, couplings, later, POOL, 20_000, arguments.seed + 1, **even)
    yield from two_vacua(rng, 16, POOL, EQUAL, 0.5)


def coverage(pulls: list[tuple[float, ...]]) -> tuple[float, float]:
    """Parts of the averages within one and three errors; NaN for none."""
    z = np.abs(np.concatenate(pulls)) if pulls else np.array([math.nan])
    return float(np.mean(z <= 1)) if pulls else math.nan, float(np.mean(z <= 3)) if pulls else math.nan


def covered(samples: list[Sample]) -> str:
    """Cells of a table: weighted averages, those of the chain, and both."""
    kinds = [s.weighted for s in samples], [s.chain for s in samples]
    pairs = [*(coverage(kind) for kind in kinds), coverage([*kinds[0], *kinds[1]])]
    return " | ".join(f"{one:.3f}, {three:.4f}" for one, three in pairs)


HEAD = "samples | weighted: 1σ, 3σ | chain: 1σ, 3σ | both: 1σ, 3σ"


def table(first: str, rows: dict[str, list[Sample]]) -> list[str]:
    body = [f"| {name} | {len(found)} | {covered(found)} |" for name, found in rows.items()]
    return [f"| {first} | {HEAD} |", "|---|---|---|---|---|", *body, ""]


def by_state(samples: list[Sample], judged: Callable[[Sample], Reliability]) -> dict[str, list[Sample]]:
    states = (RELIABLE, UNDERESTIMATED, UNRESOLVED)
    return {state: [s for s in samples if judged(s).state == state] for state in states}


def good_flows(samples: list[Sample]) -> list[Sample]:
    """Samples of flows that need no judgement: all their draws together say so, and their errors cover."""
    groups: dict[tuple[int, int], list[Sample]] = {}
    for s in samples:
        wide = s.true_ess >= 0.1 and s.true_tail <= 0.4 and s.n * s.true_ess >= 200
        if wide and s.family not in (VACUA, EQUAL):
            groups.setdefault((s.flow, s.n), []).append(s)
    right = []
    for found in groups.values():
        one, three = coverage([*(s.weighted for s in found), *(s.chain for s in found)])
        if 0.62 <= one <= 0.74 and three >= 0.99:
            right += found
    return right


def lines_of(samples: list[Sample]) -> list[str]:
    """The tables of the page."""
    reliable = by_state(samples, lambda s: s.found)[RELIABLE]
    families = {name: [s for s in reliable if s.family == name] for name in dict.fromkeys(s.family for s in samples)}
    sizes = {str(n): [s for s in reliable if s.n == n] for n in sorted({s.n for s in samples})}
    alone = by_state(samples, lambda s: s.blind)[RELIABLE]
    good = good_flows(samples)
    refused = [sum(not judged(s).is_reliable for s in good) for judged in (lambda s: s.found, lambda s: s.blind)]
    extremes = f"{min(s.acceptance for s in samples):.2g} to {max(s.acceptance for s in samples):.2g}"
    shares = [f"{100 * number / max(len(good), 1):.1f} %" for number in refused]
    return [
        f"{len({s.flow for s in samples})} flows; {len(samples)} samples, of acceptance {extremes}.",
        "",
        "With draws of the target, as in `latflow run`:",
        "",
        *table("state", by_state(samples, lambda s: s.found)),
        "Without them, as in `lf.sample`:",
        "",
        *table("state", by_state(samples, lambda s: s.blind)),
        "*Reliable* without them, flows of two vacua (70 : 30; 50 : 50 with the symmetry φ → −φ) and all others:",
        "",
        *table(
            "flow",
            {
                VACUA: [s for s in alone if s.family == VACUA],
                EQUAL: [s for s in alone if s.family == EQUAL],
                "others": [s for s in alone if s.family not in (VACUA, EQUAL)],
            },
        ),
        "*Reliable*, with draws of the target, by kind of flow and by draws:",
        "",
        *table("flow", families),
        *table("N", sizes),
        f"Good flows: {len({s.flow for s in good})}, {len(good)} samples.",
        f"Of these are refused: {shares[0]} with draws of the target, {shares[1]} without.",
    ]


def figure(samples: list[Sample], path: Path) -> None:
    """Coverage at one and three errors against k̂ and N·ESS, of all samples and of those called reliable."""
    with style():
        drawn = Figure(figsize=(7.0, 2.8), layout="constrained")
        panels = drawn.subplots(1, 2, sharey=True)
        edges = [np.array([-0.5, 0, 0.2, 0.4, 0.6, 0.7, 0.9, 1.2, 2]), np.geomspace(3, 16384, 10)]
        names = ["Pareto k̂", "N·ESS"]
        values = [[s.blind.tail for s in samples], [s.blind.effective for s in samples]]
        for axes, name, x, edge in zip(panels, names, values, edges, strict=True):
            for label, colour, mark, chosen in (
                ("all", "#999999", "o", [True] * len(samples)),
                ("reliable", "#0072B2", "s", [s.found.is_reliable for s in samples]),
            ):
                points = []
                for low, high in itertools.pairwise(edge):
                    here = [s for s, v, c in zip(samples, x, chosen, strict=True) if c and low <= v < high]
                    if len(here) >= 20:
                        middle = math.sqrt(low * high) if name == "N·ESS" else (low + high) / 2
                        points.append((middle, *coverage([*(s.weighted for s in here), *(s.chain for s in here)])))
                at, one, three = np.array(points).T
                axes.plot(at, one, mark + "-", color=colour, label=f"{label}, 1σ", markersize=4)
                axes.plot(at, three, mark + "--", color=colour, label=f"{label}, 3σ", mfc="none", markersize=4)
            axes.axhline(0.683, color="0.6", linewidth=0.8)
            axes.axhline(0.997, color="0.6", linewidth=0.8)
            axes.set_xlabel(name)
        panels[1].set_xscale("log")
        panels[0].axvline(TAIL_LIMIT, color="0.6", linewidth=0.8, linestyle=":")
        panels[1].axvline(FEWEST_EFFECTIVE, color="0.6", linewidth=0.8, linestyle=":")
        panels[0].set_ylabel("part of the averages within")
        panels[1].legend(loc="lower right")
        path.write_bytes(encode(drawn)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="21 flows and a few samples")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--page", type=Path, help="put the tables into this page, and the figure beside it")
    arguments = parser.parse_args()
    start, cpu = time.perf_counter(), time.process_time()
    sizes = {1024: 3, 4096: 1} if arguments.quick else SIZES
    rng = np.random.default_rng(arguments.seed + 1)
    samples = [s for i, draws in enumerate(flows(arguments)) for s in samples_of(i, draws, sizes, rng)]
    lines = lines_of(samples)
    print("\n".join(lines))
    print(f"\n{time.perf_counter() - start:.0f} s, {time.process_time() - cpu:.0f} s of the processor")
    if arguments.page is not None:
        figure(samples, arguments.page.with_suffix(".svg"))
        before, _, rest = arguments.page.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        arguments.page.write_text("\n".join([before + BEGIN, "", *lines, "", END + after]))


BEGIN, END = "<!-- printed by benchmarks/reliability.py -->", "<!-- end of what was printed -->"


if __name__ == "__main__":
    main()
