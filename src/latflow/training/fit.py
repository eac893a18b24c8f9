"""The training loop.

Steps between two evaluations run inside one compiled loop whose trip count is an argument, so nothing is compiled
after the first step and the host is idle. Step i uses ``fold_in(key, i)`` and evaluations have their own stream:
a training that was stopped and continued is the one that was not, bit for bit.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction
from latflow.errors import PhysicsStop
from latflow.flows.conditional import FlowModel
from latflow.flows.mixture import TrainableFlow
from latflow.flows.weighted import FlowSampler
from latflow.stats.weights import independence_acceptance, kl, reweighting_ess
from latflow.training.conditional import OverCouplings
from latflow.training.losses import AbstractLoss, PathGradient, ReverseKL
from latflow.training.schedules import Optimiser, adam
from latflow.training.split_couplings import run_split_couplings, splits
from latflow.training.split_steps import Integration, run_split_steps
from latflow.training.steps import Progress, TrainingState, run_steps
from latflow.training.stop import StopCriterion

Record = dict[str, Any]

# Streams beside those of the steps, which are counted from zero.
_EVALUATION = 2**32 - 1
_RETRY = 2**32 - 2

_EVALUATION_BATCH = 512
_SECONDS_BETWEEN_PAUSES = 2.0
_TRUSTED_ESS = 0.5


class TrainingDiverged(PhysicsStop):
    """A loss, gradient or weight was not finite, again, after one return to a good state."""

    code = "DIVERGED"


@dataclasses.dataclass(frozen=True)
class FitResult:
    """What a training leaves.

    Args:
        flow: The trained flow.
        state: The state it could be continued from.
        stopped_by: Name of the criterion that ended it.
        history: One record per evaluation, those of earlier sittings included.
        seconds: Wall-clock time over all sittings.
    """

    flow: FlowModel
    state: TrainingState
    stopped_by: str
    history: tuple[Record, ...]
    seconds: float


def advance(
    state: TrainingState,
    key: PRNGKey,
    target: int,
    *,
    action: AbstractAction,
    loss: AbstractLoss,
    optimiser: Optimiser,
) -> tuple[TrainingState, Progress]:
    """Steps until `target` have been done or a number is not finite, in the way that is fastest for loss and flow."""
    if isinstance(loss, PathGradient) and Integration.of(state.flow) is not None:
        return run_split_steps(state, key, target, action=action, batch_size=loss.batch_size, optimiser=optimiser)
    if isinstance(loss, OverCouplings) and splits(state.flow, loss):
        return run_split_couplings(state, key, target, action=action, loss=loss, optimiser=optimiser)
    stop = jnp.asarray(target, dtype=jnp.int32)
    return run_steps(state, key, stop, action=action, loss=loss, optimiser=optimiser)


@eqx.filter_jit
def evaluation_weights(sampler: FlowSampler, key: PRNGKey, *, n: int) -> Float[Array, " n"]:
    """Log-weights of `n` fresh draws, a few hundred at a time."""
    return jax.lax.map(lambda k: sampler.draw(k).log_weight, jax.random.split(key, n), batch_size=_EVALUATION_BATCH)


def fit(
    key: PRNGKey,
    flow: FlowModel,
    action: AbstractAction,
    *,
    stop: StopCriterion,
    loss: AbstractLoss | None = None,
    optimiser: Optimiser | None = None,
    evaluate_every: int = 100,
    evaluation_draws: int = 4096,
    state: TrainingState | None = None,
    elapsed: float = 0.0,
    history: Sequence[Record] = (),
    log_z: float | None = None,
    assess: Callable[[Any, PRNGKey], Record | None] | None = None,
    on_progress: Callable[[TrainingState, Record], None] | None = None,
    on_pause: Callable[[], None] | None = None,
) -> FitResult:
    """Trains `flow` towards `action` until a stopping criterion is met.

    The flow is evaluated at step 0, at every multiple of `evaluate_every` and at the last step. To continue a
    training, pass the state and the history as they were after an evaluation, with the same key and settings.

    Args:
        key: Root of all randomness of the training.
        flow: Where to start; ignored if `state` is given.
        action: The target theory.
        stop: When to end.
        loss: What is lowered; by default the reverse KL divergence over 256 draws.
        optimiser: How; by default Adam at a constant 2e-3, gradients clipped at 10.
        evaluate_every: Steps between evaluations.
        evaluation_draws: Draws of an evaluation.
        state: State to continue from.
        elapsed: Seconds spent in earlier sittings.
        history: Records of earlier sittings.
        log_z: Logarithm of the partition function where known; else, and where the weights know it well, it is
            estimated from them.
        assess: What a record tells of a flow, from that and a key; None if a number is not finite. By default loss, KL,
            ESS and acceptance of `evaluation_draws` weights.
        on_progress: Called after every evaluation with the state and its record; may raise, for instance
            `latflow.errors.Interrupted`, having saved both.
        on_pause: Called every few seconds between steps; may raise. What it ends is repeated after a restart.

    Returns:
        The trained flow, and how it came about. A record holds ``step``, ``seconds``, ``loss``, ``kl``,
        ``reweighting_ess``, ``acceptance``, ``gradient_norm``, ``learning_rate``, ``steps_per_second`` and
        ``rollbacks``; all but the two timings are functions of the arguments.

    Raises:
        TrainingDiverged: If numbers stop being finite a second time; the state last passed to `on_progress` is good.
    """
    clock = _Clock(elapsed)
    loss = ReverseKL(256) if loss is None else loss
    optimiser = adam(lambda _: jnp.asarray(2e-3), gradient_clip=10.0) if optimiser is None else optimiser
    state = TrainingState.start(flow, optimiser) if state is None else state
    records = list(history)
    program = _Program(key, action, loss, optimiser, on_pause or _nothing)
    assess = _assessment(action, n=evaluation_draws, log_z=log_z) if assess is None else assess

    def evaluate(state: TrainingState, gradient_norm: float, steps: int) -> bool:
        evaluation_key = jax.random.fold_in(jax.random.fold_in(key, _EVALUATION), state.step)
        found = assess(state.flow, evaluation_key)
        if found is None:
            return False
        learning_rate = float(optimiser.learning_rate(state.step) * state.learning_rate_scale)
        records.append(
            {"step": int(state.step), "seconds": clock.total(), **found}
            | {"gradient_norm": gradient_norm, "learning_rate": learning_rate}
            | {"steps_per_second": clock.rate(steps), "rollbacks": int(state.rollbacks)}
        )
        if on_progress is not None:
            on_progress(state, records[-1])
        return True

    if not records and not evaluate(state, 0.0, 0):
        raise _diverged(state)
    while (reason := stop.reason(records)) is None:
        target = _next_target(int(state.step), evaluate_every, stop.steps)
        after, gradient_norm, finite = program.advance(state, target)
        if finite and evaluate(after, gradient_norm, target - int(state.step)):
            state = after
            continue
        if int(state.rollbacks):
            raise _diverged(after)
        state = _rolled_back(state)
    return FitResult(state.flow, state, reason, tuple(records), clock.total())


@dataclasses.dataclass
class _Program:
    """The compiled loop with everything that stays the same, and the pauses between its calls."""

    key: PRNGKey
    action: AbstractAction
    loss: AbstractLoss
    optimiser: Optimiser
    on_pause: Callable[[], None]
    pace: int = 1

    def advance(self, state: TrainingState, target: int) -> tuple[TrainingState, float, bool]:
        """Steps to `target` with a pause every few seconds; where the pauses fall changes no number."""
        key = jax.random.fold_in(self.key, _RETRY) if int(state.rollbacks) else self.key
        progress = Progress.start()
        while int(state.step) < target and bool(progress.finite):
            start = time.perf_counter()
            pause = min(target, int(state.step) + self.pace)
            state, progress = advance(state, key, pause, action=self.action, loss=self.loss, optimiser=self.optimiser)
            jax.block_until_ready(progress)
            self._adapt(time.perf_counter() - start)
            self.on_pause()
        return state, float(progress.gradient_norm), bool(progress.finite)

    def _adapt(self, seconds: float) -> None:
        if seconds < _SECONDS_BETWEEN_PAUSES / 2:
            self.pace *= 2
        elif seconds > 2 * _SECONDS_BETWEEN_PAUSES:
            self.pace = max(1, self.pace // 2)


class _Clock:
    """Wall-clock time over all sittings, and the rate since it was last asked."""

    def __init__(self, elapsed: float) -> None:
        self._start = time.perf_counter() - elapsed
        self._last = time.perf_counter()

    def total(self) -> float:
        return time.perf_counter() - self._start

    def rate(self, steps: int) -> float:
        now = time.perf_counter()
        seconds, self._last = now - self._last, now
        return steps / seconds if seconds > 0 else 0.0


def _nothing() -> None:
    """The pause of a caller who has none to make."""


def _assessment(
    action: AbstractAction, *, n: int, log_z: float | None
) -> Callable[[TrainableFlow, PRNGKey], Record | None]:
    """The quality of an ordinary flow."""

    def assess(flow: TrainableFlow, key: PRNGKey) -> Record | None:
        log_weights = np.asarray(evaluation_weights(FlowSampler(flow, action), key, n=n))
        return quality(log_weights, log_z=log_z) if np.all(np.isfinite(log_weights)) else None

    return assess


def quality(log_weights: Float[np.ndarray, " n"], *, log_z: float | None = None) -> dict[str, float]:
    """Loss, KL, reweighting ESS and acceptance from finite weights.

    Args:
        log_weights: ln w of independent draws.
        log_z: Logarithm of the partition function where known; else, and where the weights know it well, it is
            estimated from them.
    """
    loss, ess = -float(np.mean(log_weights)), float(reweighting_ess(log_weights))
    # Near the target the weights tell log Z better than they tell their mean: what both estimates share cancels.
    divergence = float(kl(log_weights).value) if log_z is None or ess > _TRUSTED_ESS else loss + log_z
    return {
        "loss": loss,
        "kl": divergence,
        "reweighting_ess": ess,
        "acceptance": float(independence_acceptance(log_weights)),
    }


def _next_target(step: int, evaluate_every: int, limit: int | None) -> int:
    target = (step // evaluate_every + 1) * evaluate_every
    return target if limit is None else min(target, limit)


def _rolled_back(state: TrainingState) -> TrainingState:
    """The last good state with half the learning rate; the retry draws from another stream as well."""
    return TrainingState(
        state.flow, state.optimiser_state, state.step, state.learning_rate_scale / 2, state.rollbacks + 1
    )


def _diverged(state: TrainingState) -> TrainingDiverged:
    return TrainingDiverged(
        "training: a loss, gradient or weight is not finite",
        value=f"step {int(state.step)}, after {int(state.rollbacks)} rollbacks",
        hint="lower training.learning_rate, set training.gradient_clip, or use training.precision = 'float64'",
    )
