"""Gauge ensembles against known numbers: exact loops and charges in two dimensions, published plaquettes in four.

Every point runs until the plaquette has the wanted error or the chains have reached their limit; errors are those of
the Γ method. In two dimensions the reference is exact on the very torus, in four it has an error of its own; σ is the
difference in units of both errors together. Heat bath is one sweep and two of overrelaxation, HMC one trajectory of
length about 1. Prints Markdown; the time is that of the processor, compilation included.
"""

import argparse
import dataclasses
import math
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from latflow.actions import exact_gauge  # noqa: E402
from latflow.actions.gauge import WilsonAction  # noqa: E402
from latflow.groups import named  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.observables.base import measure  # noqa: E402
from latflow.observables.gauge import Plaquette, TopologicalCharge, WilsonLoops  # noqa: E402
from latflow.samplers.chains import advance, warm_up  # noqa: E402
from latflow.samplers.heatbath import HeatBath  # noqa: E402
from latflow.samplers.hmc import HMC  # noqa: E402
from latflow.samplers.integrators import OMF2  # noqa: E402
from latflow.stats.gamma import chain_estimates, gamma_estimate  # noqa: E402

LARGEST_LOOP = 3
RELATIVE_ERROR = 5e-4
ROUNDS = {"flat": 40, "four": 6}
"""Largest number of blocks."""


@dataclasses.dataclass(frozen=True)
class Point:
    """A theory, and for four dimensions the plaquette with its error."""

    group: str
    shape: tuple[int, ...]
    beta: float
    reference: tuple[float, float] | None = None
    source: str = "exact"


FLAT = [Point("U(1)", (extent, extent), beta) for extent in (8, 16) for beta in (1.0, 2.0, 4.0)] + [
    Point(group, (extent, extent), beta)
    for extent in (8, 16)
    for group, betas in (("SU(2)", (1.8, 2.2, 2.7)), ("SU(3)", (4.0, 5.0, 6.0)))
    for beta in betas
]
FOUR = [
    Point("SU(2)", (8,) * 4, 2.2, (0.56947, 0.00020), "independent Monte Carlo"),
    Point("SU(3)", (8, 8, 8, 4), 3.36, (0.23439, 0.00018), "SIMULATeQCD"),
    Point("SU(3)", (8,) * 4, 5.5, (0.4964, 0.0005), "GPT"),
    Point("SU(3)", (8,) * 4, 6.0, (0.59409, 0.00025), "independent Monte Carlo"),
]


def references(point):
    """Name → (value, error)."""
    if point.reference:
        return {"plaquette": point.reference}
    volume, n = math.prod(point.shape), named(point.group).n

    def loop(area):
        if n == 1:
            return exact_gauge.u1_wilson_loop(point.beta, volume=volume, area=area)
        return exact_gauge.sun_wilson_loop(n, point.beta, volume=volume, area=area)

    steps = range(1, LARGEST_LOOP + 1)
    values = {f"loop {r}×{t}": loop(r * t) for r in steps for t in steps if r <= t and t > 1}
    values = {"plaquette": loop(1)} | values
    if n == 1:
        values["charge squared"] = exact_gauge.u1_charge_squared(point.beta, volume=volume)
    return {name: (value, 0.0) for name, value in values.items()}


def observables(space):
    flat = space.ndim == 2
    charge = (TopologicalCharge(space),) if flat and space.group.n == 1 else ()
    loops = (WilsonLoops(space, LARGEST_LOOP, LARGEST_LOOP),) if flat else ()
    return (Plaquette(space), *loops, *charge)


def derived(means):
    """Loops of R×T and T×R are equivalent on these lattices."""
    found = {"plaquette": means["plaquette"]}
    if "wilson_loops" in means:
        loops = means["wilson_loops"].reshape(LARGEST_LOOP, LARGEST_LOOP)
        loops = (loops + loops.T) / 2
        found |= {
            f"loop {r + 1}×{t + 1}": loops[r, t] for r in range(LARGEST_LOOP) for t in range(r, LARGEST_LOOP) if t
        }
    if "charge_squared" in means:
        found["charge squared"] = means["charge_squared"]
    return {name: np.asarray(value) for name, value in found.items()}


def prepared(point, sampler, quick, seed):
    """Kernel, thermalised configurations and steps between records."""
    action = WilsonAction(Lattice(point.shape), named(point.group), beta=point.beta)
    flat = len(point.shape) == 2
    chains = (32 if flat else 2) if not quick else 2
    key = jax.random.key(1000 * seed + (FLAT + FOUR).index(point))
    starts = jax.vmap(action.space.start)(jax.random.split(key, chains), jnp.arange(chains))
    n_steps = (60 if flat else 80) if not quick else 10
    if sampler == "heatbath":
        kernel = HeatBath(action, n_overrelaxation=2)
        x, _ = advance(kernel, jax.random.fold_in(key, 1), starts, first=0, n_records=1, thin=n_steps)
        return kernel, x, key
    kernel, x, _ = warm_up(
        HMC(action, OMF2, step_size=0.1, n_steps=8), jax.random.fold_in(key, 1), starts, n_steps=2 * n_steps,
        target_acceptance=0.85,
    )  # fmt: skip
    return kernel, x, key


def block_of(point, quick):
    """Records of a chain per block."""
    if quick:
        return 10
    if len(point.shape) == 4:
        return 40
    return max(50, 12800 // math.prod(point.shape))


def estimates(point, sampler, quick, seed):
    """Estimates by name, and the seconds of the processor."""
    start = time.process_time()
    kernel, x, key = prepared(point, sampler, quick, seed)
    space, columns, rounds = kernel.action.space, [], 0
    limit = 1 if quick else ROUNDS["flat" if len(point.shape) == 2 else "four"]
    while True:
        n = block_of(point, quick)
        x, records = advance(kernel, jax.random.fold_in(key, 2), x, first=rounds * n, n_records=n, thin=1)
        chains = records.x.shape[1]
        flat = measure(observables(space), np.asarray(records.x).reshape(-1, *space.shape))
        block = {name: np.swapaxes(v.reshape(n, chains, -1), 0, 1) for name, v in flat.items()}
        columns.append({name: v[..., 0] if v.shape[-1] == 1 else v for name, v in block.items()})
        rounds += 1
        plaquette = gamma_estimate(np.concatenate([c["plaquette"] for c in columns], axis=1))
        if rounds >= limit or plaquette.error <= RELATIVE_ERROR * plaquette.value:
            break
    series = {name: np.concatenate([c[name] for c in columns], axis=1) for name in columns[0]}
    if "topological_charge" in series:
        series["charge_squared"] = np.rint(series.pop("topological_charge")) ** 2
    found = {name: parts[0] for name, parts in chain_estimates(series, derived).items()}
    return found, time.process_time() - start


def printed(estimate):
    """Value with its error in the last digits."""
    digits = max(0, 1 - math.floor(math.log10(estimate.error)))
    return f"{estimate.value:.{digits}f}({round(estimate.error * 10**digits)})"


def rows(point, sampler, quick, seed=0):
    """Lines of the table, and the largest σ."""
    found, seconds = estimates(point, sampler, quick, seed)
    lattice = "×".join(map(str, point.shape))
    worst = 0.0
    for i, (name, (value, error)) in enumerate(references(point).items()):
        ours = found[name]
        if not ours.exists:
            continue
        sigma = (ours.value - value) / math.hypot(ours.error, error)
        worst = max(worst, abs(sigma))
        known = f"{value:.8f}" if not error else f"{value:.5f}({round(error * 1e5)}) {point.source}"
        shown = (f"{point.group} {lattice}", f"{point.beta:g}", sampler, f"{seconds:.0f}") if i == 0 else ("",) * 4
        cells = (*shown[:3], name, printed(ours), known, f"{sigma:+.1f}", f"{ours.tau_int:.2f}", str(ours.n), shown[3])
        print("| " + " | ".join(cells) + " |", flush=True)
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two small points, a few seconds")
    parser.add_argument("--samplers", nargs="+", choices=("heatbath", "hmc"), default=["heatbath"])
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers")
    parser.add_argument("--dimensions", nargs="+", type=int, choices=(2, 4), default=[2, 4])
    parser.add_argument("--groups", nargs="+", choices=("U(1)", "SU(2)", "SU(3)"), default=["U(1)", "SU(2)", "SU(3)"])
    parser.add_argument("--betas", nargs="+", type=float, help="these couplings only")
    arguments = parser.parse_args()
    points = [p for p in FLAT + FOUR if len(p.shape) in arguments.dimensions and p.group in arguments.groups]
    points = [p for p in points if not arguments.betas or p.beta in arguments.betas]
    if arguments.quick:
        points = [FLAT[0]]
    print("| theory | β | sampler | observable | value | reference | σ | τ_int | records | s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    worst = [
        rows(point, sampler, arguments.quick, arguments.seed) for point in points for sampler in arguments.samplers
    ]
    print(f"\nLargest |σ| of {len(worst)} ensembles: {max(worst):.1f}.")


if __name__ == "__main__":
    main()
