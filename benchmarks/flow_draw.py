"""Throughput of drawing and weighting, against the bare jitted flow.

`draw_block` gives every draw its own key and evaluates the action; the bare flow draws a batch from one key and stops
at log q. Goal: at least 90 % of the bare throughput, in interleaved rounds.
"""

import argparse
import functools
import statistics
import time

import jax

jax.config.update("jax_enable_x64", val=True)

from latflow.actions.scalar import PhiFour  # noqa: E402
from latflow.flows.architectures import real_nvp  # noqa: E402
from latflow.flows.weighted import FlowSampler  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.samplers.draws import draw_block  # noqa: E402
from reference import bare_real_nvp as bare  # noqa: E402

BOUND = 2.0
CASES = (((6, 6), "float32"), ((6, 6), "float64"), ((8, 8), "float64"))


def compare(shape, dtype, *, n, rounds):
    """Thousand draws per second, (package, bare), one pair per round."""
    flow = real_nvp(
        jax.random.key(1), Lattice(shape), kernel_size=2 * max(shape) + 1, log_scale_bound=BOUND, dtype=dtype
    )
    sampler = FlowSampler(flow, PhiFour(Lattice(shape), mass_squared=-4.0, coupling=6.0))
    bare_draw = jax.jit(functools.partial(bare.draw, n=n, boards=bare.geometry(shape), bound=BOUND))
    parameters, key = bare.parameters_of(flow), jax.random.key(2)

    def package_round(i):
        return draw_block(sampler, key, first=i * n, n=n)

    def bare_round(i):
        return bare_draw(parameters, jax.random.fold_in(key, i))

    pairs = []
    for i in range(rounds + 1):
        pair = []
        for round_ in (package_round, bare_round):
            start = time.perf_counter()
            jax.block_until_ready(round_(i))
            pair.append(n / (time.perf_counter() - start) / 1e3)
        pairs.append(tuple(pair))
    return pairs[1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round")
    quick = parser.parse_args().quick
    cases, n, rounds = (CASES[1:2], 64, 1) if quick else (CASES, 4096, 9)
    print(f"thousand draws per second, blocks of {n}, 8 convolutional couplings (medians of {rounds} rounds)")
    print("| lattice | networks | draw_block | bare flow | share |")
    print("|---|---|---|---|---|")
    for shape, dtype in cases:
        pairs = compare(shape, dtype, n=n, rounds=rounds)
        package, plain = (statistics.median(column) for column in zip(*pairs, strict=True))
        share = statistics.median(a / b for a, b in pairs)
        print(f"| {shape[0]}x{shape[1]} | {dtype} | {package:.1f} | {plain:.1f} | {100 * share:.0f} % |")


if __name__ == "__main__":
    main()
