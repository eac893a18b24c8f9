"""Heat bath, overrelaxation and Metropolis on links: time of a sweep, and of compiling it.

Goals: one sweep of heat bath and two of overrelaxation of SU(3) on 8⁴ in 0.2 s on two cores, compiled within 5 s.
Processor seconds are those of all threads; other work on the machine shows in the wall-clock times.
"""

import argparse
import statistics
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402

from latflow.actions.gauge import ImprovedAction, WilsonAction  # noqa: E402
from latflow.groups import named  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.samplers.heatbath import HeatBath  # noqa: E402
from latflow.samplers.link_metropolis import LinkMetropolis  # noqa: E402


def wilson(group, shape, beta):
    return WilsonAction(Lattice(shape), named(group), beta=beta)


def cases(extent):
    """Name, kernel and chains."""
    su3 = wilson("SU(3)", (extent,) * 4, 6.0)
    improved = ImprovedAction.luescher_weisz(Lattice((extent,) * 4), named("SU(3)"), beta=4.2)
    flat = (2 * extent, 2 * extent)
    return (
        (f"SU(3) {extent}⁴, 1 heat bath + 2 overrelaxation", HeatBath(su3, n_overrelaxation=2), 1),
        (f"SU(3) {extent}⁴, 1 heat bath", HeatBath(su3), 1),
        (f"SU(3) {extent}⁴, Metropolis", LinkMetropolis(su3, width=0.25), 1),
        (f"SU(3) {extent}⁴ with rectangles, Metropolis", LinkMetropolis(improved, width=0.25), 1),
        (f"SU(2) {extent}⁴, 1 + 2", HeatBath(wilson("SU(2)", (extent,) * 4, 2.2), n_overrelaxation=2), 1),
        (f"U(1) {flat[0]}², 1 + 2, 64 chains", HeatBath(wilson("U(1)", flat, 2.0), n_overrelaxation=2), 64),
    )


def measured(kernel, chains, rounds):
    """Seconds to trace and compile (of the processor), then of a step: wall, processor; lines of the program."""
    keys = jax.random.split(jax.random.key(2), chains)
    state = jax.vmap(kernel.init, out_axes=-1)(jax.vmap(kernel.action.space.random)(keys))
    step = jax.vmap(lambda key, state: kernel.step(key, state), in_axes=(0, -1), out_axes=-1)
    start = time.perf_counter(), time.process_time()
    program = jax.jit(step).lower(keys, state).compile()
    made = time.perf_counter() - start[0], time.process_time() - start[1]
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter(), time.process_time()
        state, _ = jax.block_until_ready(program(keys, state))
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    wall, processor = (statistics.median(t) for t in zip(*times[1:], strict=True))
    return made, wall, processor, program.as_text().count("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round")
    quick = parser.parse_args().quick
    print("| sweep | traced and compiled, s | processor, s | step, s | processor, s | ns per link and sweep | lines |")
    print("|---|---|---|---|---|---|---|")
    for name, kernel, chains in cases(4 if quick else 8)[: 1 if quick else None]:
        made, wall, processor, lines = measured(kernel, chains, 1 if quick else 9)
        sweeps = 1 + getattr(kernel, "n_overrelaxation", 0)
        links = chains * jnp.size(kernel.action.space.cold()) // kernel.action.space.group.n**2
        each = 1e9 * processor / (links * sweeps)
        print(
            f"| {name} | {made[0]:.1f} | {made[1]:.1f} | {wall:.4f} | {processor:.4f} | {each:.0f} | {lines} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
