"""What the training loop costs beyond a bare JAX step of the same network.

Prints milliseconds per step of both in interleaved rounds and their ratio (goal: at most 1.1), the number of traces
after the first chunk (goal: none), and the share of a training's wall-clock time that is spent on the host between
compiled calls (goal: under 2 %).
"""

import argparse
import statistics
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402

from latflow.actions.scalar import PhiFour  # noqa: E402
from latflow.flows.architectures import real_nvp  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.training import evaluation, steps  # noqa: E402
from latflow.training.evaluation import Evaluation  # noqa: E402
from latflow.training.fit import FitProgress, fit, resume  # noqa: E402
from latflow.training.losses import ReverseKL  # noqa: E402
from latflow.training.schedules import adam, schedule  # noqa: E402
from latflow.training.stop import StopCriterion  # noqa: E402
from reference import bare_real_nvp as bare  # noqa: E402

SHAPE, MASS_SQUARED, COUPLING = (6, 6), -4.0, 6.975
RATE, CLIP, BOUND = 1e-3, 10.0, 2.0


def compare(batch_size, *, n_steps, rounds):
    """Milliseconds per step, (package, bare), one pair per round."""
    flow = default_flow()
    action = PhiFour(Lattice(SHAPE), mass_squared=MASS_SQUARED, coupling=COUPLING)
    settings = {"action": action, "loss": ReverseKL(batch_size), "optimiser": optimiser()}
    state, key = steps.TrainingState.start(flow, settings["optimiser"]), jax.random.key(2)
    bare_steps = bare.training_steps(SHAPE, batch_size, BOUND, RATE, CLIP, MASS_SQUARED, COUPLING)
    parameters = bare.parameters_of(flow)
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    carry = (parameters, zeros, zeros, key)

    def package_round(stop):
        nonlocal state
        state, _ = steps.run_steps(state, key, stop, **settings)
        jax.block_until_ready(jax.tree.leaves(state.optimiser_state))

    def bare_round(stop):
        nonlocal carry
        carry = jax.block_until_ready(bare_steps(carry, stop - n_steps, n_steps))

    pairs = []
    for i in range(rounds + 1):
        pair = tuple(seconds(round_, n_steps * (i + 1)) * 1e3 / n_steps for round_ in (package_round, bare_round))
        pairs.append(pair)
    return pairs[1:]


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def optimiser():
    return adam(schedule("constant", learning_rate=RATE, n_steps=1), gradient_clip=CLIP)


def default_flow():
    return real_nvp(jax.random.key(1), Lattice(SHAPE), kernel_size=2 * max(SHAPE) + 1, log_scale_bound=BOUND)


class Stopwatch:
    """Seconds inside the compiled calls of `fit`, and how often they were traced."""

    def __init__(self):
        self.inside = 0.0
        self.calls = 0

    def around(self, function):
        """The function, timed until its result is there."""

        def timed(*arguments, **keywords):
            start = time.perf_counter()
            result = jax.block_until_ready(function(*arguments, **keywords))
            self.inside += time.perf_counter() - start
            self.calls += 1
            return result

        return timed


def host_share(batch_size, *, n_steps):
    """Share of wall-clock time outside compiled calls in a training of the compiled programs, and new traces in it."""
    action = PhiFour(Lattice(SHAPE), mass_squared=MASS_SQUARED, coupling=COUPLING)
    settings = {
        "loss": ReverseKL(batch_size), "optimiser": optimiser(), "evaluation": Evaluation(every=max(1, n_steps // 3)),
    }  # fmt: skip
    originals = steps.compiled_steps, evaluation.evaluation_weights
    first = fit(jax.random.key(2), default_flow(), action, stop=StopCriterion(steps=1), **settings)
    traced = [function._cached._cache_size() for function in originals]
    watch = Stopwatch()
    steps.compiled_steps, evaluation.evaluation_weights = map(watch.around, originals)
    progress = FitProgress(first.state, history=first.history)
    start = time.perf_counter()
    resume(jax.random.key(2), progress, action, stop=StopCriterion(steps=n_steps), **settings)
    total = time.perf_counter() - start
    steps.compiled_steps, evaluation.evaluation_weights = originals
    retraced = sum(f._cached._cache_size() for f in originals) - sum(traced)
    return 1 - watch.inside / total, retraced


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round")
    quick = parser.parse_args().quick
    batches, n_steps, rounds = ((64,), 2, 1) if quick else ((256, 1024), 10, 9)
    print(f"real NVP, {SHAPE[0]}x{SHAPE[1]}, float32 networks; milliseconds per step (medians of {rounds} rounds)")
    print("| batch | latflow | bare JAX | ratio |")
    print("|---|---|---|---|")
    for batch_size in batches:
        pairs = compare(batch_size, n_steps=n_steps, rounds=rounds)
        package, plain = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"| {batch_size} | {package:.2f} | {plain:.2f} | {ratio:.3f} |")
    share, retraced = host_share(batches[0], n_steps=6 if quick else 300)
    print(f"host share between compiled calls: {100 * share:.2f} %; programs compiled after the first step: {retraced}")


if __name__ == "__main__":
    main()
