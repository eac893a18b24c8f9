"""Spectral flows of a single matrix of SU(3): reweighting ESS and log Z for three targets, beside exact values.

The target is exp[(β/3) Re tr(c₁U + c₂U² + c₃U³)] on the normalised Haar measure, β = 9. The flow moves the eigenvalues
of a Haar draw by splines in the canonical cell; it starts as the identity and is trained by the reverse KL. Its six
numbers are the coefficients of traces of powers, which contain the target: what is tested are splines, Haar factors and
training. Seconds are CPU seconds.
"""

import argparse
import time

import equinox as eqx
import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

from latflow.actions.exact_matrix import su3_one_matrix  # noqa: E402
from latflow.bijections.class_maps.su3 import SU3Spectrum  # noqa: E402
from latflow.groups import named  # noqa: E402
from latflow.stats.weights import reweighting_ess  # noqa: E402

BETA = 9.0
TARGETS = ((0.98, -0.63, -0.21), (1.0, 0.0, 0.0), (0.17, -0.65, 1.22))
GROUP = named("SU(3)")


def drawn(numbers, key, *, spectrum, coefficients, n):
    """Log-weights and traces of n draws."""
    even, odd = (jnp.broadcast_to(part[:, None], (spectrum.n_even, n)) for part in numbers)
    u, log_det = spectrum.forward_and_log_det(GROUP.haar(key, (n,)), even, odd)
    power, energy = u, 0.0
    for c in coefficients:
        energy = energy + c * jnp.real(power[0, 0] + power[1, 1] + power[2, 2])
        power = jnp.einsum("ijs,jks->iks", power, u)
    return BETA / 3 * energy + log_det, jnp.real(u[0, 0] + u[1, 1] + u[2, 2]) / 3


def trained(arguments, spectrum, coefficients):
    """Parameters after training; CPU seconds of compiling with the first step, and of the others."""
    optimiser = optax.adam(optax.cosine_decay_schedule(arguments.learning_rate, arguments.steps, 0.01))

    @eqx.filter_jit
    def step(numbers, state, key):
        def loss(numbers):
            log_weights, _ = drawn(numbers, key, spectrum=spectrum, coefficients=coefficients, n=arguments.batch)
            return -jnp.mean(log_weights)

        updates, state = optimiser.update(jax.grad(loss)(numbers), state)
        return optax.apply_updates(numbers, updates), state

    numbers = (jnp.zeros(spectrum.n_even), jnp.zeros(spectrum.n_odd))
    state, times = optimiser.init(numbers), [time.process_time()]
    for i in range(arguments.steps):
        numbers, state = step(numbers, state, jax.random.fold_in(jax.random.key(arguments.seed), i))
        if i in (0, arguments.steps - 1):
            jax.block_until_ready(numbers)
            times.append(time.process_time())
    return numbers, times[1] - times[0], times[-1] - times[1]


def row(coefficients, arguments):
    spectrum, exact = SU3Spectrum(arguments.bins, arguments.terms), su3_one_matrix(BETA, coefficients)
    numbers, compiling, seconds = trained(arguments, spectrum, coefficients)
    program = jax.jit(lambda numbers, key: drawn(numbers, key, spectrum=spectrum, coefficients=coefficients, n=4096))
    keys = jax.random.split(jax.random.key(arguments.seed + 100), arguments.draws // 4096)
    log_weights, traces = (np.concatenate(part) for part in zip(*[program(numbers, key) for key in keys], strict=True))
    top = log_weights.max()
    w = np.exp(log_weights - top)
    error = np.std(w) / np.mean(w) / np.sqrt(w.size)
    shares = w / w.sum()
    mean = np.sum(shares * traces)
    cells = (
        f"{reweighting_ess(log_weights):.4f}",
        f"{w.max() / w.mean():.2f}/N",
        f"{exact.log_z:.8f}",
        f"{(np.log(np.mean(w)) + top - exact.log_z) / error:+.1f}",
        f"{exact.trace:.8f}",
        f"{(mean - exact.trace) / np.sqrt(np.sum(shares**2 * (traces - mean) ** 2)):+.1f}",
        f"{seconds:.1f} + {compiling:.1f}",
    )
    print(f"| {', '.join(f'{c:g}' for c in coefficients)} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one target, little training")
    parser.add_argument("--draws", type=int, default=2**17, help="a multiple of 4096")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--bins", type=int, default=16)
    parser.add_argument("--terms", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    targets = TARGETS
    if arguments.quick:
        arguments.draws, arguments.steps, targets = 4096, 6, TARGETS[:1]
    print(f"N = {arguments.draws}, {arguments.steps} steps of {arguments.batch} draws, {arguments.bins} bins\n")
    heads = ("c", "ESS", "largest weight", "log Z exact", "log Z pull", "trace exact", "trace pull", "s + compiling")
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)
    for coefficients in targets:
        row(coefficients, arguments)


if __name__ == "__main__":
    main()
