"""Lattice gauge theory and flows on one device, beside what the device can do at most.

Ceilings are measured in the same run: memory read and written by a copy of 2 GB, products of large matrices. Of the
force the least traffic counts: links read once and forces written once; and the 34 matrix products of a site. Times are
medians of calls that end on the host. `--extents` and `--flow-extents` choose the lattices.
"""

import argparse
import statistics
import time

import equinox as eqx
import jax

jax.config.update("jax_enable_x64", val=True)
jax.config.update("jax_default_matmul_precision", "highest")

import jax.numpy as jnp  # noqa: E402

from latflow.actions.gauge import WilsonAction  # noqa: E402
from latflow.actions.scalar import PhiFour  # noqa: E402
from latflow.flows.continuous import continuous_flow  # noqa: E402
from latflow.flows.weighted import FlowSampler  # noqa: E402
from latflow.groups import SU  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.samplers.chains import advance  # noqa: E402
from latflow.samplers.draws import draw_block  # noqa: E402
from latflow.samplers.heatbath import HeatBath  # noqa: E402
from latflow.samplers.hmc import HMC  # noqa: E402
from latflow.samplers.integrators import LEAPFROG, OMF2, integrate  # noqa: E402
from latflow.training.losses import PathGradient  # noqa: E402
from latflow.training.schedules import adam, schedule  # noqa: E402
from latflow.training.steps import TrainingState  # noqa: E402

FLOPS_PER_SITE = 34 * 216
STEPS = 8


def timed(function, *arguments, rounds):
    """Median seconds of a call after the first, and seconds of the first, which compiles."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:]), times[0]


def ceilings(n_bytes, n, rounds):
    """Bytes per second of a copy, operations per second of matrix products in double and single precision."""
    x = jax.random.normal(jax.random.key(1), (n_bytes // 8,))
    copy, _ = timed(jax.jit(lambda x: x + 1.0), x, rounds=rounds)
    rates = []
    for precision in ("float64", "float32"):
        a = jax.random.normal(jax.random.key(2), (n, n), precision)
        product, _ = timed(jax.jit(jnp.matmul), a, a, rounds=rounds)
        rates.append(2 * n**3 / product)
    return 2 * x.nbytes / copy, *rates


def gauge(extents, bandwidth, rounds):
    print("\n| SU(3) | force, million sites/s | Gflop/s | GB/s, least | of the copy | compiled, s |", end="")
    print(f" {STEPS} leapfrog steps, million links/s | 1 heat bath + 2 overrelaxation, ms |")
    print("|---|---|---|---|---|---|---|---|")
    for extent in extents:
        action = WilsonAction(Lattice((extent,) * 4), SU(3), beta=6.0)
        x, p = action.space.random(jax.random.key(1)), action.space.momentum(jax.random.key(2))
        kernel = HeatBath(action, n_overrelaxation=2)
        step = eqx.filter_jit(kernel.step)
        sweep, _ = timed(lambda s=step, k=kernel, x=x: s(jax.random.key(3), k.init(x)), rounds=rounds)
        force = eqx.filter_jit(action.force)
        seconds, first = timed(force, x, rounds=rounds)
        course = jax.jit(
            lambda x, p, a=action: integrate(a, LEAPFROG, x, p, step_size=jnp.asarray(0.02), n_steps=STEPS)[:2]
        )
        whole, _ = timed(course, x, p, rounds=rounds)
        sites, traffic = extent**4, (x.nbytes + p.nbytes) / seconds
        row = f"{sites / seconds / 1e6:.1f} | {sites * FLOPS_PER_SITE / seconds / 1e9:.0f} | {traffic / 1e9:.0f} | "
        row += f"{traffic / bandwidth:.0%} | {first:.1f} | {4 * sites * STEPS / whole / 1e6:.1f} | {1e3 * sweep:.1f}"
        print(f"| {extent}⁴ | {row} |", flush=True)


def scalar(extents, chains, rounds):
    print("\n| φ⁴ HMC | chains | ns per site update of ten steps | acceptance |")
    print("|---|---|---|---|")
    for extent in extents:
        kernel = HMC(
            PhiFour(Lattice((extent, extent)), mass_squared=-4.0, coupling=6.0), OMF2, step_size=0.1, n_steps=10
        )
        for n in chains:
            x = jnp.zeros((n, extent, extent))
            seconds, _ = timed(
                lambda k=kernel, x=x: advance(k, jax.random.key(4), x, first=0, n_records=1, thin=20), rounds=rounds
            )
            _, records = advance(kernel, jax.random.key(4), x, first=0, n_records=1, thin=20)
            each = 1e9 * seconds / (20 * 10 * n * extent**2)
            print(
                f"| {extent}² | {n} | {each:.4f} | {float(jnp.mean(records.transition.acceptance)):.2f} |", flush=True
            )


def flows(extents, batch, rounds):
    print(f"\n| continuous flow | training step of {batch} draws, ms | first, s | thousand draws per second |")
    print("|---|---|---|---|")
    for extent in extents:
        lattice = Lattice((extent, extent))
        action = PhiFour(lattice, mass_squared=-4.0, coupling=5.5)
        flow = continuous_flow(jax.random.key(1), lattice, radius=min(4, extent // 2))
        optimiser = adam(schedule("constant", learning_rate=1e-3, n_steps=1), gradient_clip=10.0)
        loss, settings = PathGradient(batch), {"action": action, "optimiser": optimiser}
        start = TrainingState.start(flow, optimiser)

        def go_on(start=start, loss=loss, settings=settings):
            return loss.descend(start, jax.random.key(2), 8, **settings)[0].optimiser_state

        seconds, first = timed(go_on, rounds=rounds)
        sampler = FlowSampler(flow, action)
        draws, _ = timed(lambda s=sampler: draw_block(s, jax.random.key(3), first=0, n=batch), rounds=rounds)
        print(f"| {extent}² | {1e3 * seconds / 8:.2f} | {first:.1f} | {batch / draws / 1e3:.1f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round")
    parser.add_argument("--extents", nargs="+", type=int, default=[8, 16, 24, 32])
    parser.add_argument("--flow-extents", nargs="+", type=int, default=[6, 14, 32, 64])
    parser.add_argument("--chains", nargs="+", type=int, default=[64, 1024, 8192])
    arguments = parser.parse_args()
    quick, rounds = arguments.quick, 1 if arguments.quick else 5
    large = jax.default_backend() != "cpu"
    n_bytes, n = (2**20, 64) if quick else (2**30, 8192 if large else 2048)
    bandwidth, double, single = ceilings(n_bytes, n, rounds)
    print(f"{jax.devices()[0].device_kind}: {bandwidth / 1e9:.0f} GB/s read and written, ", end="")
    print(f"{double / 1e12:.2f} and {single / 1e12:.2f} Tflop/s in double and single precision")
    gauge([2] if quick else arguments.extents, bandwidth, rounds)
    scalar([8] if quick else [64], [8] if quick else arguments.chains, rounds)
    flows([4] if quick else arguments.flow_extents, 16 if quick else 256, rounds)


if __name__ == "__main__":
    main()
