"""How much the gradients of the losses scatter, and what they cost, on one flow while it learns.

A real NVP is trained on φ⁴ on 6 × 6 (m² = −4, λ = 6.975) by path gradients; at some steps every estimator is evaluated
on batches of the same size. Noise is the square root of the trace of the covariance of a batch's gradient, signal the
norm of its mean; both are in units of the loss per unit of the parameters. Forward KLs read draws of an HMC.
"""

import argparse
import math
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import equinox as eqx  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from latflow.actions.scalar import PhiFour  # noqa: E402
from latflow.flows.architectures import real_nvp  # noqa: E402
from latflow.flows.weighted import FlowSampler  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.samplers.chains import advance, starts, warm_up  # noqa: E402
from latflow.samplers.hmc import HMC  # noqa: E402
from latflow.samplers.integrators import SCHEMES  # noqa: E402
from latflow.stats.weights import independence_acceptance  # noqa: E402
from latflow.training.evaluation import evaluation_weights  # noqa: E402
from latflow.training.losses import ForwardKL, MixtureLoss, PathGradient, ReverseKL  # noqa: E402
from latflow.training.schedules import adam, schedule  # noqa: E402
from latflow.training.steps import TrainingState, run_steps  # noqa: E402

LATTICE = Lattice((6, 6))
ACTION = PhiFour(LATTICE, mass_squared=-4.0, coupling=6.975)


def targets(key, *, n_records):
    """Draws of 64 HMC chains, flattened."""
    kernel = HMC(ACTION, SCHEMES["omf2"], step_size=jnp.asarray(0.25), n_steps=4)
    keys = jax.random.split(key, 3)
    x = starts(keys[0], ACTION.space, chains=64)
    kernel, x, _ = warm_up(kernel, keys[1], x, n_steps=300, target_acceptance=0.8)
    _, records = advance(kernel, keys[2], x, first=0, n_records=n_records, thin=10)
    return records.x.reshape(-1, *LATTICE.shape)


@eqx.filter_jit
def gradient_rows(loss, flow, keys):
    """The gradient of every key's batch, one row each."""
    parameters, static = eqx.partition(flow, eqx.is_inexact_array)

    def value(parameters, key):
        return loss(eqx.combine(parameters, static), ACTION, key)[0]

    def row(key):
        leaves = jax.tree.leaves(jax.grad(value)(parameters, key))
        return jnp.concatenate([leaf.reshape(-1).astype(float) for leaf in leaves])

    return jax.lax.map(row, keys)


def measure(loss, flow, key, n):
    """Noise, signal and CPU milliseconds of one gradient."""
    keys = jax.random.split(key, n)
    rows = np.asarray(gradient_rows(loss, flow, keys))
    start = time.process_time()
    jax.block_until_ready(gradient_rows(loss, flow, keys))
    cost = 1e3 * (time.process_time() - start) / n
    variance = float(np.sum(np.var(rows, axis=0, ddof=1)))
    # the norm of the sample mean is too long by its own scatter
    signal = max(0.0, float(np.sum(np.mean(rows, axis=0) ** 2)) - variance / n)
    return math.sqrt(variance), math.sqrt(signal), cost


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few steps and batches")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--batches", type=int, default=32, help="gradients per estimator")
    arguments = parser.parse_args()
    steps, batch, n, n_records = (0, 50, 300, 1200), arguments.batch, arguments.batches, 128
    network = {"kernel_size": 7}
    if arguments.quick:
        steps, batch, n, n_records, network = (0, 2), 8, 3, 1, {"kernel_size": 3, "n_layers": 2, "hidden": (4,)}
    optimiser = adam(schedule("cosine", learning_rate=5e-3, n_steps=steps[-1], warmup_steps=1), gradient_clip=10.0)
    state = TrainingState.start(real_nvp(jax.random.key(1), LATTICE, **network), optimiser)
    path, forward = PathGradient(batch), ForwardKL(targets(jax.random.key(2), n_records=n_records), batch)
    losses = {"reverse KL": ReverseKL(batch), "path gradient": path, "forward KL": forward}
    losses["half path, half forward"] = MixtureLoss((path, forward), (0.5, 0.5))
    print(f"real NVP on 6 x 6, batches of {batch}, {n} gradients each")
    print("| steps | acceptance | estimator | noise | signal | noise / signal | CPU ms |")
    print("|---|---|---|---|---|---|---|")
    for stop in steps:
        target = jnp.asarray(stop, dtype=jnp.int32)
        state, _ = run_steps(state, jax.random.key(3), target, action=ACTION, loss=path, optimiser=optimiser)
        weights = evaluation_weights(FlowSampler(state.flow, ACTION), jax.random.key(4), n=16 * batch)
        acceptance = float(independence_acceptance(np.asarray(weights)))
        for name, loss in losses.items():
            noise, signal, cost = measure(loss, state.flow, jax.random.key(5), n)
            ratio = f"{noise / signal:.2f}" if signal else "-"
            print(
                f"| {stop} | {acceptance:.3f} | {name} | {noise:.3g} | {signal:.3g} | {ratio} | {cost:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
