"""SU(3) force, leapfrog steps and exponentials, beside two yardsticks of the same run.

The yardsticks are matrix products with the sites first, `jnp.matmul` on (..., 3, 3), and copying memory. A force in
four dimensions is 34 products of 216 floating-point operations per site. Goals of the double-precision force: 0.26
million sites per second on 8⁴ on one thread; of a leapfrog step on two cores: 1.4 million link updates per second; of
exponentials: 1.5 million per second, right to 2e-15; of a trajectory of 16
steps on 4⁴: 0.15 s of the processor; nothing compiles for more than 5 s.
"""

import argparse
import statistics
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from latflow.actions.gauge import WilsonAction  # noqa: E402
from latflow.groups import SU  # noqa: E402
from latflow.groups.matrices import product  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.samplers.chains import advance  # noqa: E402
from latflow.samplers.hmc import HMC  # noqa: E402
from latflow.samplers.integrators import LEAPFROG, integrate  # noqa: E402

FLOPS_PER_SITE = 34 * 216
STEPS = 8


def compiled(function, *arguments):
    """The program and the seconds it took to compile."""
    start = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    return program, time.perf_counter() - start


def seconds(program, *arguments, rounds):
    """Median and least time of a call, after one to warm up."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:]), min(times[1:])


def case(extent):
    """Action, links and momenta; links in single precision are computed in double."""
    action = WilsonAction(Lattice((extent,) * 4), SU(3), beta=6.0)
    return action, action.space.random(jax.random.key(1)), action.space.momentum(jax.random.key(2))


def forces(extents, rounds):
    print("| lattice | force, million sites/s | Gflop/s | compile, s |")
    print("|---|---|---|---|")
    for extent in extents:
        action, x, _ = case(extent)
        program, compile_seconds = compiled(lambda x, a=action: a.force(x), x)
        _, least = seconds(program, x, rounds=rounds)
        rate = extent**4 / least
        flops = rate * FLOPS_PER_SITE / 1e9
        print(f"| {extent}⁴ | {rate / 1e6:.2f} | {flops:.1f} | {compile_seconds:.1f} |", flush=True)


def leapfrog(extent, rounds):
    print(f"\n| {STEPS} leapfrog steps | million link updates/s | compile, s |")
    print("|---|---|---|")
    action, x, p = case(extent)
    program, compile_seconds = compiled(
        lambda x, p: integrate(action, LEAPFROG, x, p, step_size=jnp.asarray(0.02), n_steps=STEPS)[:2], x, p
    )
    _, least = seconds(program, x, p, rounds=rounds)
    print(f"| {extent}⁴ | {4 * extent**4 * STEPS / least / 1e6:.2f} | {compile_seconds:.1f} |", flush=True)


def exponentials(n, rounds):
    p = jnp.asarray(np.random.default_rng(3).standard_normal((8, n)))
    program, compile_seconds = compiled(SU(3).exp, p)
    print(f"\nexponentials of {n} algebra elements, compiled in {compile_seconds:.1f} s, million per second:")
    for width in (1.0, 0.1):
        _, least = seconds(program, width * p, rounds=rounds)
        print(f"  coefficients from N(0, {width}²): {n / least / 1e6:.2f}", flush=True)


def accuracy(n):
    """Largest error of an entry against Taylor series in extended precision."""
    p = np.random.default_rng(5).standard_normal((8, n))
    a = np.moveaxis(np.asarray(SU(3).algebra(jnp.asarray(p))), -1, 0).astype(np.clongdouble)
    term = exact = np.broadcast_to(np.eye(3, dtype=np.clongdouble), a.shape)
    for k in range(1, 60):
        term = np.einsum("nab,nbc->nac", term, a) / k
        exact = exact + term
    found = np.moveaxis(np.asarray(SU(3).exp(jnp.asarray(p))), -1, 0)
    print(f"  largest error among {n}, coefficients from N(0, 1): {np.abs(found - exact).max():.1e}", flush=True)


def trajectories(extent, rounds, chains=4):
    """Processor time of a trajectory of 16 leapfrog steps, momenta, energies and decision included."""
    action = WilsonAction(Lattice((extent,) * 4), SU(3), beta=5.7)
    kernel = HMC(action, LEAPFROG, step_size=1 / 16, n_steps=16)
    x = jax.vmap(action.space.random)(jax.random.split(jax.random.key(6), chains))
    for block in range(3):  # hot starts; the first two compile and thermalise
        start = time.perf_counter(), time.process_time()
        x, records = advance(kernel, jax.random.key(7), x, first=block, n_records=1, thin=rounds)
        end = jax.block_until_ready((x, records)) and (time.perf_counter(), time.process_time())
    wall, processor = ((now - then) / (rounds * chains) for now, then in zip(end, start, strict=True))
    print(f"\na trajectory of SU(3) on {extent}⁴ at β = 5.7, 16 leapfrog steps, one of {chains} chains: ", end="")
    print(
        f"processor {processor:.3f} s, wall {wall:.3f} s, acceptance {float(records.transition.acceptance.mean()):.2f}"
    )


def yardsticks(n, rounds):
    u = SU(3).haar(jax.random.key(4), (n,))
    first = jnp.moveaxis(u, -1, 0)
    ours, _ = compiled(product, u, u)
    theirs, _ = compiled(jnp.matmul, first, first)
    copy, _ = compiled(lambda x: x + 1, u)
    times = [seconds(f, *a, rounds=rounds)[1] for f, a in ((ours, (u, u)), (theirs, (first, first)), (copy, (u,)))]
    ours_rate, theirs_rate = (n / t / 1e6 for t in times[:2])
    print(f"\nproducts of {n} matrices, million per second: {ours_rate:.1f}; sites first, {theirs_rate:.1f}")
    print(f"reading and writing memory: {2 * u.nbytes / times[2] / 1e9:.1f} GB/s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round")
    quick = parser.parse_args().quick
    rounds = 1 if quick else 15
    forces((4,) if quick else (8, 12), rounds)
    leapfrog(4 if quick else 8, rounds)
    exponentials(1000 if quick else 1_000_000, rounds)
    accuracy(100 if quick else 2000)
    trajectories(2 if quick else 4, rounds)
    yardsticks(1000 if quick else 200_000, rounds)


if __name__ == "__main__":
    main()
