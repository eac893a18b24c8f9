"""What a training step and a draw of the continuous flow cost.

For every lattice, in interleaved rounds: the step of the package (`descend`: path gradient by hand, in parts on all
cores), the same arithmetic in bare JAX on as many threads (goal: ratio at most 1.1), and the compiled loop with the
gradient by automatic differentiation, which every other flow is trained with. Then the convolutions of one stage in the
forms that were considered, single-threaded: one matrix product for all directions, one per direction, the fast Fourier
transform, and sums of rolled fields.
"""

import argparse
import concurrent.futures
import functools
import math
import statistics
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from latflow import fourier  # noqa: E402
from latflow.actions.scalar import PhiFour  # noqa: E402
from latflow.execution import cores, part_size  # noqa: E402
from latflow.flows.continuous import continuous_flow  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.training.losses import PathGradient  # noqa: E402
from latflow.training.schedules import adam, schedule  # noqa: E402
from latflow.training.steps import TrainingState, run_steps  # noqa: E402
from reference import bare_continuous  # noqa: E402

RADIUS, RATE, CLIP, MASS_SQUARED, COUPLING = 4, 1e-3, 10.0, -4.0, 5.5
FEATURES, CONTEXTS = 3, 5


def descend(state, key, target, *, loss, **settings):
    """The way of the package, which the loss chooses."""
    return loss.descend(state, key, int(target), **settings)


def package(extent, batch, step):
    """A function that goes on by so many steps of `step`, `descend` or `run_steps`."""
    lattice = Lattice((extent, extent))
    optimiser = adam(schedule("constant", learning_rate=RATE, n_steps=1), gradient_clip=CLIP)
    action = PhiFour(lattice, mass_squared=MASS_SQUARED, coupling=COUPLING)
    state = TrainingState.start(continuous_flow(jax.random.key(1), lattice, radius=RADIUS), optimiser)

    def go_on(n):
        nonlocal state
        settings = {"action": action, "loss": PathGradient(batch), "optimiser": optimiser}
        state, _ = step(state, jax.random.key(2), state.step + jnp.int32(n), **settings)
        jax.block_until_ready(jax.tree.leaves(state.optimiser_state))

    return go_on


def bare(extent, batch):
    """The same in bare JAX."""
    lattice = Lattice((extent, extent))
    program = bare_continuous.Bare(lattice, RADIUS, MASS_SQUARED, COUPLING)
    p = bare_continuous.parameters_of(continuous_flow(jax.random.key(1), lattice, radius=RADIUS))
    zeros = jax.tree.map(jnp.zeros_like, p)
    carry = (p, zeros, zeros, jnp.int32(0), program.weights(p))
    size = part_size(batch, lattice.volume)

    def go_on(n):
        nonlocal carry
        with concurrent.futures.ThreadPoolExecutor(max_workers=cores()) as pool:
            for _ in range(n):
                keys = jax.random.split(jax.random.fold_in(jax.random.key(2), carry[3]), batch // size)
                part = functools.partial(program.part, carry[4], carry[0]["log_widths"])
                parts = list(pool.map(lambda key, part=part: jax.block_until_ready(part(key, size)), keys))
                carry = jax.block_until_ready(program.finish(carry, parts, RATE, CLIP))

    return go_on


def interleaved(programs, n, rounds):
    """CPU and wall-clock milliseconds per step of each, one pair per round, after a round that compiles."""
    times = [[] for _ in programs]
    for _ in range(rounds + 1):
        for program, row in zip(programs, times, strict=True):
            start = time.process_time(), time.perf_counter()
            program(n)
            row.append([1e3 / n * s for s in (time.process_time() - start[0], time.perf_counter() - start[1])])
    return np.array(times)[:, 1:]


def forms(extent):
    """Convolutions of three features to five channels with symmetric kernels, fields with draws as their last axis."""
    lattice = Lattice((extent, extent))
    basis, volume = fourier.basis(extent), extent**2
    table = fourier.kernels(lattice, RADIUS)
    mix = jax.random.normal(jax.random.key(0), (CONTEXTS, FEATURES, len(table)), "float32")
    eigenvalues = jnp.tensordot(mix, jnp.asarray(table, "float32"), 1).reshape(CONTEXTS, FEATURES, volume, 1)

    def mixed(modes):
        rows = [sum(eigenvalues[r, m] * modes[m] for m in range(FEATURES)) for r in range(CONTEXTS)]
        return jnp.stack(rows)

    def at_once(x):
        matrix = jnp.asarray(np.kron(basis, basis), x.dtype)
        modes = jnp.einsum("kn,cnb->ckb", matrix, x.reshape(FEATURES, volume, -1))
        return jnp.einsum("kn,ckb->cnb", matrix, mixed(modes)).reshape(CONTEXTS, *x.shape[1:])

    def by_direction(x):
        def apply(x, matrix):
            first = jnp.einsum("kn,cnb->ckb", matrix, x.reshape(len(x), extent, -1))
            return jnp.einsum("kn,cnb->ckb", matrix, first.reshape(len(x) * extent, extent, -1))

        matrix = jnp.asarray(basis, x.dtype)
        modes = mixed(apply(x, matrix).reshape(FEATURES, volume, -1))
        return apply(modes, matrix.T).reshape(CONTEXTS, *x.shape[1:])

    def fast(x):
        numbers = np.minimum(np.arange(extent), extent - np.arange(extent))
        where = np.searchsorted(fourier.wave_numbers(extent), numbers)
        values = eigenvalues.reshape(CONTEXTS, FEATURES, extent, extent)[:, :, where][..., where[: extent // 2 + 1]]
        modes = jnp.fft.rfftn(jnp.moveaxis(x, -1, 0), axes=(2, 3))
        return jnp.moveaxis(jnp.fft.irfftn(jnp.einsum("rmkl,bmkl->brkl", values, modes), x.shape[1:3]), 0, -1)

    def rolls(x):
        sums = []
        for label in fourier.displacements(2, RADIUS):
            images = {(s * a, t * b) for a, b in (label, label[::-1]) for s in (1, -1) for t in (1, -1)}
            sums.append(sum(jnp.roll(x, image, (1, 2)) for image in images) / math.sqrt(len(images)))
        sums = jnp.stack(sums, axis=1).reshape(FEATURES * len(table), -1)
        return (mix.reshape(CONTEXTS, -1) @ sums).reshape(CONTEXTS, *x.shape[1:])

    return {"one product": at_once, "by direction": by_direction, "FFT": fast, "rolls": rolls}


def convolution_times(extent, *, n, rounds):
    """CPU nanoseconds per site of each form; all give the same fields."""
    draws = part_size(256, extent**2)
    x = jax.random.normal(jax.random.key(3), (FEATURES, extent, extent, draws), "float32")
    jitted = {name: jax.jit(form) for name, form in forms(extent).items()}
    results = {name: np.asarray(form(x)) for name, form in jitted.items()}
    assert all(np.allclose(result, results["by direction"], atol=1e-3) for result in results.values())
    times = {name: [] for name in jitted}
    for _ in range(rounds):
        for name, form in jitted.items():
            start = time.process_time()
            for _ in range(n):
                form(x).block_until_ready()
            times[name].append((time.process_time() - start) / n)
    return {name: min(row) * 1e9 / (draws * extent**2) for name, row in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round on a small lattice")
    parser.add_argument("--extents", nargs="+", type=int, default=[6, 14])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--convolutions", action="store_true", help="the forms of convolutions only")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.extents, arguments.batch, arguments.rounds = [4], 8, 1
    if not arguments.convolutions:
        compare_steps(arguments)
    print("convolutions of one stage, CPU ns per site")
    for extent in arguments.extents:
        found = convolution_times(extent, n=1 if arguments.quick else 10, rounds=arguments.rounds)
        print(f"L = {extent}: " + ", ".join(f"{name} {value:.1f}" for name, value in found.items()), flush=True)


def compare_steps(arguments):
    print(f"batch {arguments.batch}, medians of {arguments.rounds} rounds, milliseconds per step: CPU (wall)")
    print("| L | latflow | bare JAX | CPU ratio | automatic differentiation |")
    print("|---|---|---|---|---|")
    for extent in arguments.extents:
        programs = [package(extent, arguments.batch, descend), bare(extent, arguments.batch)]
        programs.append(package(extent, arguments.batch, run_steps))
        times = interleaved(programs, 1 if arguments.quick else 4, arguments.rounds)
        cells = [f"{cpu:.0f} ({wall:.0f})" for cpu, wall in np.median(times, axis=1)]
        ratio = statistics.median(times[0, :, 0] / times[1, :, 0])
        print(f"| {extent} | {cells[0]} | {cells[1]} | {ratio:.2f} | {cells[2]} |", flush=True)


if __name__ == "__main__":
    main()
