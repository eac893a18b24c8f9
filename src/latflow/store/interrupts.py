"""Signals as a request to stop: SIGTERM, SIGINT and SIGUSR1 set a flag that the run looks at between steps.

Python runs its signal handlers only between bytecodes, so a second Ctrl-C during a long compiled call would have to
wait. The C handler, however, writes each signal's number to a pipe at once; a thread reads it and ends the process
immediately on the second signal. The same thread ends a unit of work that takes longer than a queue waits, such as a
long compilation: every file is replaced in one instant, so what was saved before stays whole.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, NoReturn, TypeAlias

from latflow.errors import Interrupted
from latflow.store.atomic import between_writes

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)

# `timeout` and job launchers signal the process and then its group: two signals microseconds apart, one request.
_ECHO_SECONDS = 0.1
_STOP = 0

GRACE_SECONDS = 18.0
"""How long the current unit of work may go on after a signal, before the process ends without its result."""

_WRITE_SECONDS = 4.0
"""How long a file that is being written then may still take."""

_MESSAGE_SECONDS = 2.0
"""How long the message may take; a closed terminal holds nobody up."""

_Handler: TypeAlias = Callable[[int, FrameType | None], Any] | int | None


class Interrupts:
    """Context manager under which the first signal is a request and the second ends the process with exit code 75.

    Signals belong to a process's main thread: entered in another, this changes nothing and `requested` stays False.

    Args:
        overdue: Called with the message, in a thread of its own, when a signal has waited `GRACE_SECONDS` for the
            current unit of work; then the process ends with exit code 75. By default a signal waits as long as it
            takes: the process may be a user's own, a notebook for instance.
    """

    def __init__(self, *, overdue: Callable[[Interrupted], Any] | None = None) -> None:
        self._overdue = overdue
        self._name = ""
        self._previous: dict[signal.Signals, _Handler] = {}
        self._pipe = (-1, -1)
        self._previous_wakeup = -1

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is not threading.main_thread():
            return self
        self._pipe = os.pipe()
        os.set_blocking(self._pipe[1], False)
        arguments = (self._pipe[0], self._overdue)
        threading.Thread(target=_watch, args=arguments, name="interrupts", daemon=True).start()
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


def _watch(pipe: int, overdue: Callable[[Interrupted], Any] | None) -> None:
    """Read signal numbers as they arrive; the second one ends the process, and so does the first one when overdue."""
    first, name = 0.0, ""
    while True:
        left = max(0.0, first + GRACE_SECONDS - time.monotonic()) if first and overdue is not None else None
        if not select.select([pipe], [], [], left)[0] and overdue is not None:
            _leave(name, overdue)
        for number in os.read(pipe, 64):
            if number == _STOP:
                os.close(pipe)
                return
            if number in SIGNALS:
                now = time.monotonic()
                if first and now - first > _ECHO_SECONDS:
                    os._exit(Interrupted.exit_code)
                first, name = first or now, name or signal.Signals(number).name


def _leave(name: str, overdue: Callable[[Interrupted], Any]) -> NoReturn:
    """End the process where it stands, but not within the writing of a file that is nearly done."""
    message = Interrupted(
        f"stopped by {name}",
        value=f"the current step had not ended after {GRACE_SECONDS:.0f} s and is lost",
        hint="what was saved before it stays; the same command continues from there",
    )
    with between_writes(seconds=_WRITE_SECONDS):
        telling = threading.Thread(target=overdue, args=(message,), name="last words", daemon=True)
        telling.start()
        telling.join(_MESSAGE_SECONDS)
        os._exit(Interrupted.exit_code)
