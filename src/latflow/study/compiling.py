"""A line that says "compiling…" where a run waits for the compiler, which may take minutes before a first step.

A thread looks at what the others are doing: whoever is in JAX's tracing or in its compiler is compiling. So every stage
is covered, and nothing is said where programs merely run.
"""

import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import FrameType, TracebackType

from latflow.study.context import Progress

_PLACES = frozenset({("_src", "compiler.py"), ("interpreters", "mlir.py"), ("interpreters", "partial_eval.py")})
"""Modules of JAX, by folder and name, that compile: if they move, nothing is said, and a test fails."""


class CompilerWatch:
    """Context in which compilations of more than a few seconds are told.

    Args:
        progress: Where they are told.
        after: Seconds until the first line.
        again: Seconds between further lines.
        poll: Seconds between two looks.
    """

    def __init__(self, progress: Progress, *, after: float = 3.0, again: float = 30.0, poll: float = 0.5) -> None:
        self._progress = progress
        self._after, self._again, self._poll = after, again, poll
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="compiler watch", daemon=True)

    def __enter__(self) -> "CompilerWatch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        since, told, away = None, 0.0, 0
        while not self._ended.wait(self._poll):
            if not is_compiling(sys._current_frames()):  # pyright: ignore[reportPrivateUsage]
                # Between tracing, lowering and compiling a thread is elsewhere for a moment: one look is no end.
                away += 1
                since, told = (None, 0.0) if away > 1 else (since, told)
                continue
            now, away = time.monotonic(), 0
            since = now if since is None else since
            if now - since >= (told + self._again if told else self._after):
                told = now - since
                self._progress.line("compiling…" if told < self._again else f"compiling… {told:.0f} s")


def is_compiling(frames: Mapping[int, FrameType]) -> bool:
    """Whether any thread is inside JAX's tracing or compiler.

    Args:
        frames: The innermost frame of every thread.
    """
    return any(_any_above(frame, _compiles) for frame in frames.values())


def _compiles(frame: FrameType) -> bool:
    return PurePath(frame.f_code.co_filename).parts[-2:] in _PLACES


def _any_above(frame: FrameType | None, holds: Callable[[FrameType], bool]) -> bool:
    while frame is not None:
        if holds(frame):
            return True
        frame = frame.f_back
    return False
