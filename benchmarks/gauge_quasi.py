"""Variances of weighted averages of a doubling flow at scrambled Sobol points over those of as many random draws.

The flow is untrained: the heat bath of blocks, whose draws have weights near one in two dimensions. Rows that begin
with `loops:` or `villain:` are of a continuous flow after one step of least squares; with `--link-by-link` it takes its
numbers link by link and not plaquette by plaquette. The variance of an average at Sobol points is that of the mean over
scramblings; that of random draws follows from the scatter of single weighted draws. Both are measured on the same
numbers of draws, so a ratio of 16 scramblings is good to about a third. Pulls are deviations from exact values over
errors from the scatter of scramblings, with Student's t of their number.
"""

import argparse
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import equinox as eqx  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from latflow.actions import exact_gauge  # noqa: E402
from latflow.actions.gauge import WilsonAction  # noqa: E402
from latflow.fields.transport import wilson_loop  # noqa: E402
from latflow.flows.continuous import of_draws  # noqa: E402
from latflow.flows.doubling import doubling_flow  # noqa: E402
from latflow.flows.links import continuous_link_flow  # noqa: E402
from latflow.flows.villain import villain_flow  # noqa: E402
from latflow.groups import named  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.samplers.quasi import SobolPoints  # noqa: E402
from latflow.training.least_squares import LeastSquares  # noqa: E402
from latflow.training.schedules import adam  # noqa: E402
from latflow.training.steps import TrainingState  # noqa: E402

ROWS = ("U(1):8:2", "U(1):8:5", "U(1):16:2", "U(1):16:5", "SU(2):8:2.2", "SU(3):4:4")
SIDES = (1, 2, 3)
AT_ONCE = 256


@eqx.filter_jit
def columns(flow, action, points, *, plain=False):
    """Log-weights; square loops and, for U(1), squared charges."""
    space = action.space

    def one(u):
        if plain:
            z, log_prior = flow.prior.of_uniforms(u)
            x, log_det = flow.bijection.forward_and_log_det(z)
            log_q = log_prior - log_det
        else:
            x, log_q = flow.of_uniforms(u)
        links = space.links(x)
        loops = [wilson_loop(links, mu=0, nu=1, steps_mu=side, steps_nu=side) for side in SIDES]
        found = [jnp.mean(jnp.real(jnp.trace(loop))) / space.group.n for loop in loops]
        if space.group.n == 1:
            charge = jnp.sum(jnp.angle(loops[0][0, 0])) / (2 * jnp.pi)
            found.append(charge**2)
        return -action(x) - log_q, jnp.stack(found)

    return jax.vmap(one)(points)


def exact(name, beta, volume):
    """Log Z, the loops and, for U(1), the squared charge."""
    areas = [side**2 for side in SIDES]
    if name == "U(1)":
        loops = [exact_gauge.u1_wilson_loop(beta, volume=volume, area=area) for area in areas]
        return exact_gauge.u1_log_z(beta, volume=volume), [*loops, exact_gauge.u1_charge_squared(beta, volume=volume)]
    n = named(name).n
    loops = [exact_gauge.sun_wilson_loop(n, beta, volume=volume, area=area) for area in areas]
    return exact_gauge.sun_log_z(n, beta, volume=volume), loops


def continuous(kind, lattice, action, key):
    """A continuous flow after one step of least squares."""
    if kind == "villain":
        start = villain_flow(key, lattice, beta=float(action.beta))
    else:
        start = continuous_link_flow(key, lattice, action.space.group, order=2)
    optimiser = adam(lambda step: jnp.asarray(0.1))
    state = TrainingState.start(start, optimiser)
    state, _ = LeastSquares(256, 4).descend(state, key, 1, action=action, optimiser=optimiser)
    return of_draws(state.flow)


def row(kind, name, extent, beta, arguments):
    """One line of the table."""
    lattice, group, key = Lattice((extent, extent)), named(name), jax.random.key(arguments.seed)
    sizes = {} if name == "U(1)" else {"n_bins": 8, "n_terms": 5}
    action = WilsonAction(lattice, group, beta=beta)
    if kind:
        flow = continuous(kind, lattice, action, key)
    else:
        flow = doubling_flow(key, lattice, group, beta, dtype="float64", **sizes)
    points = SobolPoints(key, flow.n_uniforms)
    at_once = min(arguments.points, AT_ONCE)
    averages, log_z, scatter, seconds = [], [], [], 0.0
    for scrambling in range(arguments.scramblings):
        blocks = []
        for first in range(0, arguments.points, at_once):
            some = points.block(scrambling, first=first, n=at_once)
            start = time.process_time()
            blocks.append(
                [np.asarray(part) for part in columns(flow, action, jnp.asarray(some), plain=arguments.link_by_link)]
            )
            seconds += (time.process_time() - start) * (scrambling > 0)
        log_weights, values = (np.concatenate(part) for part in zip(*blocks, strict=True))
        weights = np.exp(log_weights - log_weights.max())
        log_z.append(np.log(np.mean(weights)) + log_weights.max())
        mean = weights @ values / np.sum(weights)
        averages.append(mean)
        scatter.append(np.mean((weights[:, None] * (values - mean) / np.mean(weights)) ** 2, axis=0))
    known_z, known = exact(name, beta, extent**2)
    averages, log_z = np.asarray(averages), np.asarray(log_z)
    ratios = np.mean(scatter, axis=0) / arguments.points / np.var(averages, axis=0, ddof=1)
    errors = np.std(averages, axis=0, ddof=1) / np.sqrt(len(averages))
    pulls = [(np.mean(log_z) - known_z) / (np.std(log_z, ddof=1) / np.sqrt(len(log_z)))]
    pulls += list((np.mean(averages, axis=0) - known) / errors)
    cells = [f"{ratio:.3g}" for ratio in ratios] + ["–"] * (name != "U(1)")
    draws = 1000 * seconds / (arguments.points * (arguments.scramblings - 1))
    told = " ".join(f"{pull:+.1f}" for pull in pulls)
    print(f"| {kind} {name} | {extent} | {beta:g} | " + " | ".join(cells) + f" | {told} | {draws:.2f} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one row of a 4 × 4 lattice")
    parser.add_argument("--rows", nargs="*", default=ROWS, help="group:L:β or kind:group:L:β")
    parser.add_argument("--link-by-link", action="store_true", help="Haar links of numbers of their own")
    parser.add_argument("--points", type=int, default=2048, help="of every scrambling, a power of two")
    parser.add_argument("--scramblings", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.points, arguments.scramblings, arguments.rows = 64, 4, ["U(1):4:2"]
    print(f"{arguments.scramblings} scramblings of {arguments.points} points, seed {arguments.seed}\n")
    heads = ("group", "L", "β", *(f"{side}×{side}" for side in SIDES), "⟨Q²⟩", "pulls, log Z first", "s per 1000 draws")
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)
    for *kind, name, extent, beta in (text.split(":") for text in arguments.rows):
        row("".join(kind), name, int(extent), float(beta), arguments)


if __name__ == "__main__":
    main()
