"""Unbounded and bounded slopes at the knots of φ⁴ splines: reweighting ESS after the same training.

Set E1 of arXiv:1904.12072, 6 × 6, by couplings of which the last are splines. Seconds are CPU seconds of training,
without compiling.
"""

import argparse
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from latflow.actions.scalar import PhiFour  # noqa: E402
from latflow.bijections.spline import SLOPES  # noqa: E402
from latflow.flows.architectures import rational_quadratic_spline  # noqa: E402
from latflow.flows.networks import Networks  # noqa: E402
from latflow.flows.weighted import FlowSampler  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.randomness import fold_in, root_key  # noqa: E402
from latflow.samplers.draws import draw_block  # noqa: E402
from latflow.stats.weights import reweighting_ess  # noqa: E402
from latflow.training.losses import ReverseKL  # noqa: E402
from latflow.training.schedules import adam, schedule  # noqa: E402
from latflow.training.steps import TrainingState, run_steps  # noqa: E402

BLOCK = 4096


def measured(slopes, seed, arguments):
    """ESS of independent draws, the largest weight over the mean, and CPU seconds of the training."""
    lattice = Lattice((arguments.extent,) * 2)
    action = PhiFour(lattice, mass_squared=-4.0, coupling=arguments.coupling)
    networks = Networks(hidden=(arguments.width,) * 2, kernel_size=5, dtype="float64")
    flow = rational_quadratic_spline(
        root_key(seed),
        lattice,
        n_layers=arguments.layers,
        n_splines=arguments.splines,
        n_bins=arguments.bins,
        slopes=slopes,
        networks=networks,
    )
    n = arguments.steps
    rate = schedule("cosine", learning_rate=arguments.rate, n_steps=n, warmup_steps=n // 20)
    optimiser, loss = adam(rate, gradient_clip=10.0), ReverseKL(arguments.batch)
    state, key = TrainingState.start(flow, optimiser), root_key(100 + seed)
    for end in (1, n):
        start = time.process_time()
        state, _ = run_steps(state, key, jnp.asarray(end), action=action, loss=loss, optimiser=optimiser)
        jax.block_until_ready(state)
        seconds = time.process_time() - start
    sampler, blocks = FlowSampler(state.flow, action), -(-arguments.draws // BLOCK)
    keys = fold_in(root_key(200), seed)
    parts = [draw_block(sampler, keys, first=i * BLOCK, n=BLOCK).log_weight for i in range(blocks)]
    logs = np.concatenate([np.asarray(part) for part in parts])
    w = np.exp(logs - logs.max())
    return reweighting_ess(logs), w.max() / w.mean(), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, little training")
    parser.add_argument("--extent", type=int, default=6)
    parser.add_argument("--coupling", type=float, default=6.975)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--splines", type=int, default=2)
    parser.add_argument("--bins", type=int, default=8)
    parser.add_argument("--width", type=int, default=12)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--draws", type=int, default=65536)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.extent, arguments.steps, arguments.seeds, arguments.draws = 4, 20, 1, BLOCK
    print(f"{arguments.steps} steps of {arguments.batch} draws, N = {arguments.draws}\n")
    print("| slopes | seed | ESS | largest weight | CPU-s of training |\n|---|---|---|---|---|", flush=True)
    for seed in range(1, arguments.seeds + 1):
        for slopes in SLOPES:
            ess, largest, seconds = measured(slopes, seed, arguments)
            print(f"| {slopes} | {seed} | {ess:.4f} | {largest:.1f} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
