"""Signals as a request to stop: SIGTERM, SIGINT and SIGUSR1 set a flag that the run looks at between steps.

Python runs its signal handlers only between bytecodes, so a second Ctrl-C during a long compiled call would have to
wait. The C handler, however, writes each signal's number to a pipe at once; a thread reads it and ends the process
immediately on the second signal.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, TypeAlias

from latflow.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)

# `timeout` and job launchers signal the process and then its group: two signals microseconds apart, one request.
_ECHO_SECONDS = 0.1
_STOP = 0

_Handler: TypeAlias = Callable[[int, FrameType | None], Any] | int | None


class Interrupts:
    """Context manager under which the first signal is a request and the second ends the process with exit code 75.

    Signals belong to a process's main thread: entered in another, this changes nothing and `requested` stays False.
    """

    def __init__(self) -> None:
        self._name = ""
        self._previous: dict[signal.Signals, _Handler] = {}
        self._pipe = (-1, -1)
        self._previous_wakeup = -1

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is not threading.main_thread():
            return self
        self._pipe = os.pipe()
        os.set_blocking(self._pipe[1], False)
        threading.Thread(target=_watch, args=(self._pipe[0],), name="interrupts", daemon=True).start()
        self._previous_wakeup = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        self._previous = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._previous:
            return
        for number, handler in self._previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(self._previous_wakeup)
        self._previous = {}
        os.write(self._pipe[1], bytes([_STOP]))
        os.close(self._pipe[1])

    @property
    def requested(self) -> bool:
        """Whether a signal has arrived."""
        return bool(self._name)

    def check(self) -> None:
        """Raise if a signal has arrived; call it where the state is saved.

        Raises:
            Interrupted: One has.
        """
        if self._name:
            raise Interrupted(f"stopped by {self._name}", hint="the same command continues from what was saved")

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._name = signal.Signals(number).name


def _watch(pipe: int) -> None:
    """Read signal numbers as they arrive; the second one ends the process."""
    first = 0.0
    while data := os.read(pipe, 64):
        for number in data:
            if number == _STOP:
                os.close(pipe)
                return
            if number in SIGNALS:
                now = time.monotonic()
                if first and now - first > _ECHO_SECONDS:
                    os._exit(Interrupted.exit_code)
                first = first or now
    os.close(pipe)
