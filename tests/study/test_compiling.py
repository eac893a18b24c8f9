"""Waiting for the compiler is told, and nothing else is."""

import time

import jax
import jax.numpy as jnp
import pytest

from latflow.study.compiling import CompilerWatch
from latflow.study.context import Silent


class Lines(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


def slow_to_compile(x: jax.Array) -> jax.Array:
    for i in range(100):
        x = jnp.sin(x) @ x + i
    return x


def test_compiling_is_told_once_it_takes_long() -> None:
    progress, x = Lines(), jnp.ones((3, 3))
    with CompilerWatch(progress, after=0.05, again=60.0, poll=0.01):
        jax.jit(slow_to_compile)(x).block_until_ready()
    assert progress.lines == ["compiling…"]


@pytest.mark.parametrize("after", [0.02, 60.0])
def test_nothing_is_told_while_programs_run(after: float) -> None:
    progress, program, x = Lines(), jax.jit(lambda x: jnp.sin(x) @ x), jnp.ones((3, 3))
    program(x).block_until_ready()
    with CompilerWatch(progress, after=after, poll=0.005):
        for _ in range(20):
            program(x).block_until_ready()
            time.sleep(0.005)
    assert progress.lines == []
