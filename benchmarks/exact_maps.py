"""Cheap draws of continuous flows: matched integration, few steps with a fitted log-det, sweeps with an exact one.

All sides draw in interleaved rounds; times are CPU milliseconds per draw, medians, compiled. `moved` is what log Z and
χ₂ differ from those of accurate draws at the same latent points, in units of the errors of as many random draws as the
integration is chosen for: noise and bias together. The choice is that of a study, whose averages may have variates.
"""

import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", val=True)

import latflow as lf  # noqa: E402
from common.sublattices import swept  # noqa: E402
from common.zoo import flow_and_action, models_of, parser_of_models  # noqa: E402
from latflow.bijections.ode.runge_kutta import SCHEMES  # noqa: E402
from latflow.flows.architectures import cast  # noqa: E402
from latflow.flows.matched import GAIN  # noqa: E402
from latflow.flows.weighted import for_draws, matched_draws  # noqa: E402
from latflow.samplers.draws import draw_block  # noqa: E402

KEY = jax.random.key(3)
SWEEPS = (4, 8)


def sides_of(name, *, n, sweeps):
    """Every way to draw: from a block's number and size to its fields and log-weights, and what is known of it."""
    flow, action = flow_and_action(name)
    sides, told = {"accurate": (by_flow(for_draws(KEY, flow), action), "", 0.0)}, {}
    for how in ("matched", "fitted"):
        start = time.process_time()
        found, told = matched_draws(KEY, flow, action, n=n, gain=GAIN, integration=how)
        seconds = time.process_time() - start
        if told is None:
            continue
        evaluations = told.steps * len(SCHEMES[told.scheme].weights)
        words = f"{told.steps} × {told.scheme}, {told.precision} | {evaluations} | {told.spread:.1e} | {told.shift:.1e}"
        sides[how] = (by_flow(found, action), words, seconds)
    velocity = cast(flow, "float64").bijection.velocity
    for steps in sweeps:
        words = f"{2 * steps} sweeps, float32 | {2 * steps} | 0 | 0"
        sides[f"sublattices, {2 * steps} sweeps"] = (by_sweeps(flow.prior, velocity, action, steps), words, 0.0)
    return sides


def by_flow(flow, action):
    """Draws of a flow."""
    sampler = lf.FlowSampler(flow, action)

    def drawn(i, n):
        block = draw_block(sampler, KEY, first=i * n, n=n)
        return block.x, block.log_weight

    return drawn


def by_sweeps(prior, velocity, action, steps):
    """Draws by sweeps over sublattices from the same latent points, 64 at once."""

    @jax.jit
    def few(keys):
        z, log_prob = jax.vmap(prior.sample_and_log_prob)(keys)
        x, log_det = swept(velocity, z.reshape(len(z), -1).T, steps=steps, dtype=jnp.float32)
        x = x.T.reshape(z.shape)
        return x, log_det - log_prob - jax.vmap(action)(x)

    def drawn(i, n):
        keys = jax.vmap(lambda k: jax.random.fold_in(KEY, k))(jnp.arange(i * n, (i + 1) * n))
        parts = [few(keys[first : first + 64]) for first in range(0, n, 64)]
        return tuple(jnp.concatenate(each) for each in zip(*parts, strict=True))

    return drawn


def measured(drawn, i, n):
    """CPU milliseconds per draw of one block, and what it holds: |M|² of every field and log w."""
    start = time.process_time()
    x, log_weight = jax.block_until_ready(drawn(i, n))
    spent = 1e3 * (time.process_time() - start) / n
    return spent, np.asarray(jnp.sum(x, axis=(1, 2)) ** 2), np.asarray(log_weight)


def moved(own, other, *, n):
    """How far log Z and χ₂ are from those of other draws, in errors of n draws."""
    log_z, chi, errors = [], [], []
    for squared, log_weight in (own, other):
        w = np.exp(log_weight - other[1].max())
        log_z.append(np.log(w.mean()))
        chi.append(np.sum(w * squared) / w.sum())
        errors = [w.std() / w.mean(), np.std(w * (squared - chi[-1])) / w.mean()]
    return [(pair[0] - pair[1]) / (error / np.sqrt(n)) for pair, error in zip((log_z, chi), errors, strict=True)]


def table(name, *, n, draws, rounds, sweeps):
    """The lines of one model."""
    sides = sides_of(name, n=n, sweeps=sweeps)
    found = {side: [] for side in sides}
    for i in range(rounds + 1):
        for side, (drawn, _, _) in sides.items():
            found[side].append(measured(drawn, i, draws))
    columns = {
        side: [np.concatenate(each) for each in list(zip(*blocks, strict=True))[1:]] for side, blocks in found.items()
    }
    for side, (_, words, seconds) in sides.items():
        w = np.exp(columns[side][1] - columns[side][1].max())
        ms = statistics.median(block[0] for block in found[side][1:])
        shifts = (
            "" if side == "accurate" else "{:+.2f}, {:+.2f}".format(*moved(columns[side], columns["accurate"], n=n))
        )
        ess = w.sum() ** 2 / np.sum(w**2) / len(w)
        print(
            f"| {name} | {side} | {words or ' | | |'} | {ess:.3f} | {shifts} | {ms:.3f} | {seconds:.0f} |", flush=True
        )


def main():
    options = parser_of_models(__doc__, default=("phi4-e1", "phi4-e5")).parse_args()
    n, draws, rounds = (2000, 256, 1) if options.quick else (10**6, 1024, 3)
    print(f"Chosen for {n:.0e} draws, each worth {GAIN:.0f} with variates, measured on {draws * (rounds + 1)}.")
    columns = "model | draws | integration | evaluations | spread of log q | shift | ESS | moved: log Z, χ₂ | ms"
    print(f"| {columns} | choice, CPU s |")
    print("|" + "---|" * 10)
    sweeps = SWEEPS[:1] if options.quick else SWEEPS
    for name in models_of(options):
        table(name, n=n, draws=draws, rounds=rounds, sweeps=sweeps)


if __name__ == "__main__":
    main()
