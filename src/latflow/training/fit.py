"""The training loop.

The loss makes the steps between two evaluations (`AbstractLoss.descend`); the loop evaluates the flow, applies the
stopping criterion, and returns once to the last good state if a number is not finite. Step i uses ``fold_in(key, i)``
and evaluations have their own stream: a training that was stopped and continued is, bit for bit, the one without a
stop.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction
from latflow.ambient import MATMUL_PRECISION
from latflow.arguments import require_type
from latflow.distributions import AbstractDistribution
from latflow.errors import PhysicsStop
from latflow.flows.conditional import ConditionalFlow, FlowModel
from latflow.flows.weighted import require_same_fields
from latflow.given import require_function
from latflow.randomness import require_float64, require_key
from latflow.training.descent import Clock, Descent
from latflow.training.evaluation import Evaluation, Record
from latflow.training.losses import AbstractLoss, ReverseKL
from latflow.training.schedules import Optimiser, adam
from latflow.training.steps import Outcome, TrainingState
from latflow.training.stop import StopCriterion

# Stream of the evaluations, beside those of the steps.
_EVALUATION = 2**32 - 1


class TrainingDiverged(PhysicsStop):
    """A loss, gradient or weight was not finite, again, after one return to a good state."""

    code = "DIVERGED"


@dataclasses.dataclass(frozen=True)
class FitProgress:
    """State of an unfinished training, from which it is continued bit for bit.

    Args:
        state: As it was after an evaluation.
        elapsed: Seconds spent in earlier sittings.
        history: Records of evaluations, that of `state` last; empty before the first one.
        ahead: A state of the same training after `state` and before the next evaluation, from which it goes on;
            without one, from `state`.
    """

    state: TrainingState
    elapsed: float = 0.0
    history: Sequence[Record] = ()
    ahead: TrainingState | None = None


@dataclasses.dataclass(frozen=True)
class FitResult:
    """A finished training.

    Args:
        flow: The trained flow.
        state: The state from which it could be continued.
        stopped_by: Name of the criterion that ended it.
        history: One record per evaluation, those of earlier sittings included.
        seconds: Wall-clock time over all sittings.

    `resume` goes on from it, with further limits.
    """

    flow: FlowModel
    state: TrainingState
    stopped_by: str
    history: tuple[Record, ...]
    seconds: float

    @property
    def progress(self) -> FitProgress:
        """From where the training goes on."""
        return FitProgress(self.state, self.seconds, self.history)

    def __repr__(self) -> str:
        last = self.history[-1]
        reached = f"{last['step']} steps in {self.seconds:.3g} s, ended by {self.stopped_by}"
        return f"FitResult({reached}; acceptance {last['acceptance']:.3f}, {self.flow})"


def _ignore(*_: object) -> None:
    """A hook that does nothing."""


_OPTIMISERS = "adam(learning_rate), where the learning rate is a function: adam(lambda step: 2e-3)"


@dataclasses.dataclass(frozen=True)
class FitHooks:
    """Functions that a training calls while it runs.

    Args:
        on_progress: Called after every evaluation with the state and its record; may raise, for instance
            `latflow.errors.Interrupted`, having saved both.
        on_pause: Called every few seconds between steps; may raise.
        on_steps: Called there too, before it, with the state between two evaluations and the seconds spent so far. From
            the state of the last evaluation and this one, `FitProgress.ahead`, nothing has to be made again.
    """

    on_progress: Callable[[TrainingState, Record], None] = _ignore
    on_pause: Callable[[], None] = _ignore
    on_steps: Callable[[TrainingState, float], None] = _ignore

    def __post_init__(self) -> None:
        for name in ("on_progress", "on_pause", "on_steps"):
            require_function(f"hooks.{name}", getattr(self, name), "a function")


def fit(
    key: PRNGKey,
    flow: FlowModel,
    action: AbstractAction,
    *,
    stop: StopCriterion,
    loss: AbstractLoss | None = None,
    optimiser: Optimiser | None = None,
    evaluation: Evaluation | None = None,
    hooks: FitHooks | None = None,
) -> FitResult:
    """Train `flow` towards `action` until a stopping criterion is met.

    The flow is evaluated at step 0, at every multiple of `evaluation.every` and at the last step. A time limit acts
    between steps too: the flow is then evaluated where it stands. Products of float32
    numbers are computed whole, whatever the default of JAX is.

    Args:
        key: Root of all randomness of the training.
        flow: The untrained flow, or the start of a further training.
        action: The target theory.
        stop: When to end.
        loss: What is lowered; by default the reverse KL divergence over 256 draws.
        optimiser: By default Adam at a constant 2e-3, gradients clipped at 10.
        evaluation: When and how the flow is evaluated; by default every 100 steps by 4096 draws.
        hooks: Functions that are called meanwhile; by default none.

    Returns:
        The trained flow and its history. A record holds ``step``, ``seconds``, ``loss``, ``kl``,
        ``reweighting_ess``, ``acceptance``, ``gradient_norm``, ``learning_rate``, ``steps_per_second`` and
        ``rollbacks``; all but the two timings are functions of the arguments.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If flow and action belong to fields of different spaces, such as other lattices.
        UnavailableError: If float64 is switched off.
        TrainingDiverged: If numbers stop being finite a second time; the state last passed to `hooks.on_progress` is
            good.
    """
    require_key(key)
    require_type("flow", flow, AbstractDistribution | ConditionalFlow, "a flow such as real_nvp(key, lattice)")
    optimiser = _default_optimiser() if optimiser is None else optimiser
    require_type("optimiser", optimiser, Optimiser, _OPTIMISERS)
    start = FitProgress(TrainingState.start(flow, optimiser))
    settings = {"loss": loss, "optimiser": optimiser, "evaluation": evaluation, "hooks": hooks}
    return resume(key, start, action, stop=stop, **settings)


def resume(
    key: PRNGKey,
    progress: FitProgress | FitResult,
    action: AbstractAction,
    *,
    stop: StopCriterion,
    loss: AbstractLoss | None = None,
    optimiser: Optimiser | None = None,
    evaluation: Evaluation | None = None,
    hooks: FitHooks | None = None,
) -> FitResult:
    """Continue a training that `fit` began, with the same key and settings, bit for bit.

    Args:
        key: As `fit` was given it.
        progress: State of the training, as a hook received it; or the result of one, which goes on if `stop` allows
            more.
        action: As `fit` was given it, like all that follows; `stop` may differ.
        stop: When to end.
        loss: What is lowered.
        optimiser: Makes a step of a gradient.
        evaluation: When and how the flow is evaluated.
        hooks: Functions that are called meanwhile.

    Returns:
        The result, which is that of a `fit` without interruption.

    Raises:
        TrainingDiverged: If numbers stop being finite a second time, counted over all sittings.
    """
    require_float64()
    require_type("progress", progress, FitProgress | FitResult, "what fit(...) returned, or a FitProgress")
    progress = progress.progress if isinstance(progress, FitResult) else progress
    evaluation = Evaluation() if evaluation is None else evaluation
    hooks = FitHooks() if hooks is None else hooks
    loss = ReverseKL(256) if loss is None else loss
    optimiser = _default_optimiser() if optimiser is None else optimiser
    _require(key, progress.state.flow, action, stop)
    require_type("optimiser", optimiser, Optimiser, _OPTIMISERS)
    for name, given, kind in (
        ("loss", loss, AbstractLoss),
        ("evaluation", evaluation, Evaluation),
        ("hooks", hooks, FitHooks),
    ):
        require_type(name, given, kind, f"one of {kind.__name__}")
    clock = Clock(progress.elapsed)
    seconds = None if stop.minutes is None else 60 * stop.minutes
    descent = Descent(key, action, loss, optimiser, hooks.on_pause, hooks.on_steps, clock, seconds)
    journal = _Journal(key, action, optimiser, evaluation, hooks, clock, list(progress.history))
    with jax.default_matmul_precision(MATMUL_PRECISION):
        return _until(stop, progress, descent, journal, every=evaluation.every)


def _until(
    stop: StopCriterion, progress: FitProgress, descent: Descent, journal: "_Journal", *, every: int
) -> FitResult:
    """Steps and evaluations in turn until a limit is met."""
    good, ahead = progress.state, progress.ahead
    if not journal.records and not journal.add(good, Outcome.start(), 0):
        raise _diverged(good)
    if ahead is not None and int(ahead.rollbacks) > int(good.rollbacks):
        good = _rolled_back(good)
    # Between evaluations nothing is known of the flow: no limit is met there.
    while (reason := None if ahead is not None else _reason(stop, descent, journal)) is None:
        state, ahead = good if ahead is None else ahead, None
        after, outcome = descent.to(state, _next_target(int(state.step), every, stop.steps))
        if bool(outcome.finite) and journal.add(after, outcome, int(after.step) - int(state.step)):
            good, descent.reserve = after, journal.evaluating
            continue
        if int(good.rollbacks):
            raise _diverged(after)
        good = _rolled_back(good)
    return FitResult(good.flow, good, reason, tuple(journal.records), journal.clock.total())


def _reason(stop: StopCriterion, descent: Descent, journal: "_Journal") -> str | None:
    """The limit that is met: by the records, or by a clock that leaves no time for another evaluation."""
    late = descent.is_late() and journal.records[-1]["step"] > 0
    return stop.reason(journal.records) or ("minutes" if late else None)


def _require(key: PRNGKey, flow: FlowModel, action: AbstractAction, stop: StopCriterion) -> None:
    """Types of the arguments, and fields of one space."""
    require_key(key)
    require_type("action", action, AbstractAction, "an action")
    require_same_fields(flow.space, action.space)
    require_type("stop", stop, StopCriterion, "StopCriterion(steps=...), or of another limit")


@dataclasses.dataclass
class _Journal:
    """Evaluations of the flow, recorded and shown to the caller."""

    key: PRNGKey
    action: AbstractAction
    optimiser: Optimiser
    evaluation: Evaluation
    hooks: FitHooks
    clock: Clock
    records: list[Record]
    evaluating: float = 0.0
    """Seconds of the shortest evaluation of this sitting after the first one, which is compiled."""
    _compiled: bool = False

    def add(self, state: TrainingState, outcome: Outcome, steps: int) -> bool:
        """Evaluate a state that was reached by so many steps; false, and no record, if a number is not finite."""
        key, start = jax.random.fold_in(jax.random.fold_in(self.key, _EVALUATION), state.step), self.clock.total()
        found = self.evaluation.of(self.action)(state.flow, key)
        self._took(self.clock.total() - start)
        if found is None:
            return False
        learning_rate = float(self.optimiser.learning_rate(state.step) * state.learning_rate_scale)
        self.records.append(
            {"step": int(state.step), "seconds": self.clock.total(), **found}
            | {"gradient_norm": float(outcome.gradient_norm), "learning_rate": learning_rate}
            | {"steps_per_second": self.clock.rate(steps), "rollbacks": int(state.rollbacks)}
        )
        self.hooks.on_progress(state, self.records[-1])
        return True

    def _took(self, seconds: float) -> None:
        if self._compiled:
            self.evaluating = min(self.evaluating or seconds, seconds)
        self._compiled = True


@functools.cache  # one object: a training that goes on compiles nothing again
def _default_optimiser() -> Optimiser:
    return adam(lambda _: jnp.asarray(2e-3), gradient_clip=10.0)


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
