"""Chunks of steps between pauses: a few seconds long, and no longer than the time that is left."""

from types import SimpleNamespace
from typing import Any

import pytest

from latflow.training.descent import Descent

STEPS = 10_000


def chunks(*, step: float, limit: float | None, reserve: float = 0.0) -> list[int]:
    """Steps between pauses, each of so many seconds."""
    now = 0.0
    clock = SimpleNamespace(total=lambda: now)
    descent: Any = SimpleNamespace(seconds=limit, reserve=reserve, clock=clock, _pace=1, _seconds_per_step=0.0)
    made: list[int] = []
    while sum(made) < STEPS and not Descent.is_late(descent):
        made.append(min(Descent._chunk(descent), STEPS - sum(made)))
        now += made[-1] * step
        Descent._adapt(descent, made[-1] * step, made[-1])
    return made


@pytest.mark.parametrize("step", [0.003, 0.1, 1.5])
def test_a_pause_comes_every_few_seconds(step: float) -> None:
    made = chunks(step=step, limit=None)
    assert max(made) * step <= 4.0
    assert sum(made) == STEPS
    assert len(made) < STEPS * step + 20


@pytest.mark.parametrize("reserve", [0.0, 8.0])
def test_a_time_limit_is_met_to_a_step(reserve: float) -> None:
    """With what the last evaluation needs, it ends within a step of its limit."""
    seconds = 0.7 * sum(chunks(step=0.7, limit=60.0, reserve=reserve))
    assert 60.0 <= seconds + reserve < 60.0 + 2 * 0.7


def test_a_step_longer_than_the_limit_is_made_once() -> None:
    assert chunks(step=100.0, limit=60.0) == [1]
