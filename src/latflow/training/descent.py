"""The steps between two evaluations of a training, in chunks of a few seconds.

Between chunks the caller may look at a signal, show how far things are and save; time limits act there too. Where the
chunks end changes no number.
"""

import dataclasses
import time
from collections.abc import Callable

import jax

from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction
from latflow.training.losses import AbstractLoss
from latflow.training.schedules import Optimiser
from latflow.training.steps import Outcome, TrainingState

# Stream of the steps after a return to a good state; steps are counted from zero.
_RETRY = 2**32 - 2

_SECONDS_OF_CHUNK = 2.0


class Clock:
    """Wall-clock time over all sittings, and the rate of steps since it was last asked."""

    def __init__(self, elapsed: float) -> None:
        self._start = time.perf_counter() - elapsed
        self._last = time.perf_counter()

    def total(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self._start

    def rate(self, steps: int) -> float:
        """Steps per second, if `steps` were made since the last call."""
        now = time.perf_counter()
        seconds, self._last = now - self._last, now
        return steps / seconds if seconds > 0 else 0.0


@dataclasses.dataclass
class Descent:
    """The steps between two evaluations; fewer of them once the time is up.

    Args:
        key: Root of all randomness of the training.
        action: The target theory.
        loss: Makes the steps.
        optimiser: Of the training.
        on_pause: Called after every chunk.
        on_steps: Called with the state after every chunk that does not end at an evaluation.
        clock: Of the training.
        seconds: Time limit.
        reserve: Seconds of an evaluation, for which time is kept.
    """

    key: PRNGKey
    action: AbstractAction
    loss: AbstractLoss
    optimiser: Optimiser
    on_pause: Callable[[], None]
    on_steps: Callable[[TrainingState, float], None]
    clock: Clock
    seconds: float | None
    reserve: float = 0.0
    _pace: int = 1
    _seconds_per_step: float = 0.0

    def to(self, state: TrainingState, target: int) -> tuple[TrainingState, Outcome]:
        """Steps to `target`, or as far as time allows, with a pause every few seconds."""
        key = jax.random.fold_in(self.key, _RETRY) if int(state.rollbacks) else self.key
        outcome = Outcome.start()
        while int(state.step) < target and bool(outcome.finite):
            before, start = int(state.step), time.perf_counter()
            pause = min(target, before + self._chunk())
            state, outcome = self.loss.descend(state, key, pause, action=self.action, optimiser=self.optimiser)
            jax.block_until_ready(outcome)
            self._adapt(time.perf_counter() - start, int(state.step) - before)
            # At the target the flow is evaluated first: a state there is kept with what was found.
            if int(state.step) < target and bool(outcome.finite):
                self.on_steps(state, self.clock.total())
            self.on_pause()
            if self.is_late():
                break
        return state, outcome

    def is_late(self) -> bool:
        """Whether the time is up, once the flow has been evaluated."""
        return self.seconds is not None and self.clock.total() + self.reserve >= self.seconds

    def _chunk(self) -> int:
        """Steps until the next pause, no more than there is time for."""
        if self.seconds is None or self._seconds_per_step <= 0:
            return self._pace
        left = self.seconds - self.reserve - self.clock.total()
        return max(1, min(self._pace, int(left / self._seconds_per_step)))

    def _adapt(self, seconds: float, steps: int) -> None:
        self._seconds_per_step = seconds / max(1, steps)
        if seconds < _SECONDS_OF_CHUNK / 2:
            self._pace *= 2
        elif seconds > 2 * _SECONDS_OF_CHUNK:
            self._pace = max(1, self._pace // 2)
