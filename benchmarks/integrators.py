"""Energy violation of the integrators at equal work, on SU(3) links.

Trajectories of unit length start from configurations of the target. With Wilson's action every scheme has the same
number of forces, its last one apart; with Iwasaki's action rectangles and plaquettes are integrated together or on
levels of their own, and work is counted in forces of the whole action, whose shares are measured in the same run.
"""

import argparse
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from latflow.actions.gauge import ImprovedAction, WilsonAction  # noqa: E402
from latflow.groups import SU  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.samplers.chains import starts, warm_up  # noqa: E402
from latflow.samplers.hmc import HMC  # noqa: E402
from latflow.samplers.integrators import (  # noqa: E402
    FORCE_GRADIENT,
    LEAPFROG,
    OMF2,
    OMF4,
    Level,
    Nested,
    integrate,
    n_forces,
)

WILSON_BETA, IWASAKI_BETA = 5.7, 2.6


def equilibrium(action, chains, trajectories):
    """Configurations of the target, one per chain."""
    kernel = HMC(action, OMF2, step_size=0.1, n_steps=10)
    x = starts(jax.random.key(1), action.space, chains)
    return warm_up(kernel, jax.random.key(2), x, n_steps=trajectories, target_acceptance=0.9)[1]


def violations(action, scheme, fields, n_steps, momenta):
    """ΔH of trajectories of unit length, `momenta` from each field."""

    @jax.jit
    def change(key, x):
        p = action.space.momentum(key)
        _, q, value = integrate(action, scheme, x, p, step_size=jnp.asarray(1 / n_steps), n_steps=n_steps)
        return value - action(x) + 0.5 * jnp.sum(q**2) - 0.5 * jnp.sum(p**2)

    keys = jax.random.split(jax.random.key(3), (momenta, len(fields)))
    return np.stack([np.asarray(jax.vmap(change)(k, fields)) for k in keys])


def row(words, dh):
    """A line of a table: mean square with its error from the scatter of fields, and the acceptance."""
    squares = np.mean(dh**2, axis=0)
    error = squares.std(ddof=1) / np.sqrt(len(squares))
    acceptance = np.minimum(1, np.exp(-dh)).mean()
    print(f"| {' | '.join(map(str, words))} | {squares.mean():.1e} ± {error:.0e} | {acceptance:.4f} |", flush=True)


def wilson(extent, works, chains, trajectories, momenta):
    action = WilsonAction(Lattice((extent,) * 4), SU(3), beta=WILSON_BETA)
    fields = equilibrium(action, chains, trajectories)
    print(f"\n| SU(3), {extent}⁴, Wilson, β = {WILSON_BETA} | steps | forces | ⟨(ΔH)²⟩ | acceptance |")
    print("|---|---|---|---|---|")
    for work in works:
        for scheme in (LEAPFROG, OMF2, OMF4, FORCE_GRADIENT):
            n = (work - 1) // (n_forces(scheme, 1)[0] - 1)
            row((scheme.name, n, n_forces(scheme, n)[0]), violations(action, scheme, fields, n, momenta))


def shares(action, fields, rounds):
    """Which part of the time of all forces each term takes, by the least of some rounds."""
    times = []
    for term in action.terms:
        force = jax.jit(jax.vmap(term.force))
        laps = []
        for _ in range(rounds + 1):
            start = time.process_time()
            jax.block_until_ready(force(fields))
            laps.append(time.process_time() - start)
        times.append(min(laps[1:]))
    return [t / sum(times) for t in times]


def iwasaki(extent, works, chains, trajectories, momenta):
    action = ImprovedAction.iwasaki(Lattice((extent,) * 4), SU(3), beta=IWASAKI_BETA)
    fields = equilibrium(action, chains, trajectories)
    share = shares(action, fields, rounds=1 if chains < 4 else 15)
    print(f"\nrectangles take {share[0]:.0%} of the time of a force, plaquettes {share[1]:.0%}")
    print(f"\n| SU(3), {extent}⁴, Iwasaki, β = {IWASAKI_BETA} | steps | forces | work | ⟨(ΔH)²⟩ | acceptance |")
    print("|---|---|---|---|---|---|")
    nested = [
        Nested((Level(scheme, terms=(0,)), Level(scheme, inner, terms=(1,))))
        for scheme in (OMF2, FORCE_GRADIENT)
        for inner in (1, 2)
    ]

    def work_of(scheme, n):
        counts = n_forces(scheme, n)
        return counts[0] if len(counts) == 1 else float(np.dot(counts, share))

    for work in works:
        for scheme in (OMF2, FORCE_GRADIENT, *nested):
            n = max(1, round((work - 1) / (work_of(scheme, 1) - 1)))
            counts = " + ".join(map(str, n_forces(scheme, n)))
            dh = violations(action, scheme, fields, n, momenta)
            row((scheme.name, n, counts, f"{work_of(scheme, n):.0f}"), dh)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round")
    quick = parser.parse_args().quick
    settings = (2, (16,), 2, 3, 1) if quick else (4, (16, 31, 61), 32, 200, 4)
    wilson(*settings)
    iwasaki(*settings)


if __name__ == "__main__":
    main()
