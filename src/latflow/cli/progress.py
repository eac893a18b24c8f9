"""Progress displays: live bars on a terminal, occasional lines of text elsewhere.

Both displays have the same interface and write to one stream (standard error), so that standard output carries results
only.
"""

import abc
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from typing_extensions import override

if TYPE_CHECKING:
    from rich.progress import TaskID

QUIET_SECONDS = 10.0
"""Shortest time between two lines about the same work where there is no terminal."""

HIDDEN = frozenset({"step", "seconds", "seconds_left", "gradient_norm", "learning_rate", "couplings"})
"""Figures that are recorded but not shown, some because the display has its own clock and counter."""


@runtime_checkable
class Stream(Protocol):
    """A text stream."""

    def write(self, text: str, /) -> object:
        """Write text to the stream."""

    def flush(self) -> object:
        """Write out buffered text."""

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        ...


class AbstractProgress(abc.ABC):
    """A display of progress, used as a context."""

    @abc.abstractmethod
    def stage(self, name: str, detail: str) -> None:
        """Show that a stage begins.

        Args:
            name: The stage, one word.
            detail: What the stage works on.
        """

    @abc.abstractmethod
    def update(self, name: str, done: float, total: float, fields: Mapping[str, Any]) -> None:
        """Show how much of some work is done.

        Args:
            name: Name of the work, the same at every call.
            done: Units finished.
            total: Units in all; 0 if unknown.
            fields: Live figures by name; ``seconds_left`` replaces the display's own estimate.
        """

    @abc.abstractmethod
    def line(self, text: str) -> None:
        """Print a line that stays on the screen."""

    def __enter__(self) -> "AbstractProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abc.abstractmethod
    def close(self) -> None:
        """End the display and write out what is buffered."""


def progress_on(stream: Stream) -> AbstractProgress:
    """Live bars if the stream is a terminal, else lines of text."""
    return LiveProgress(stream) if stream.isatty() else PlainProgress(stream)


class _Pace:
    """Estimate of the time left, from the speed since the first update."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.start: dict[str, tuple[float, float]] = {}

    def seconds_left(self, name: str, done: float, total: float) -> float | None:
        """Seconds until `done` reaches `total`, or ``None`` while nothing is known."""
        now = self.clock()
        began, done_then = self.start.setdefault(name, (now, done))
        if total <= done or done <= done_then:
            return None
        return (now - began) * (total - done) / (done - done_then)


class PlainProgress(AbstractProgress):
    """Lines of text, few enough for a log file.

    Args:
        stream: Stream that they are written to.
        clock: Seconds; monotonic.
    """

    def __init__(self, stream: Stream, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream = stream
        self.clock = clock
        self.pace = _Pace(clock)
        self.spoken: dict[str, float] = {}

    @override
    def stage(self, name: str, detail: str) -> None:
        self.line(f"{name:<8} {detail}")

    @override
    def update(self, name: str, done: float, total: float, fields: Mapping[str, Any]) -> None:
        left = fields.get("seconds_left", self.pace.seconds_left(name, done, total))
        finished = 0 < total <= done
        now = self.clock()
        if not finished and now - self.spoken.setdefault(name, now) < QUIET_SECONDS:
            return
        self.spoken[name] = now
        self.line("; ".join(part for part in (f"{name}: {_count(done, total)}", _time(left), figures(fields)) if part))

    @override
    def line(self, text: str) -> None:
        self.stream.write(f"{text}\n")
        self.stream.flush()

    @override
    def close(self) -> None:
        self.stream.flush()


class LiveProgress(AbstractProgress):
    """Bars that move in place.

    Args:
        stream: A terminal.
        clock: Seconds; monotonic.
    """

    def __init__(self, stream: Stream, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.pace = _Pace(clock)
        self.display = Progress(
            TextColumn("{task.description:<14}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[status]}", markup=False),
            console=Console(file=cast("IO[str]", stream), highlight=False),
            refresh_per_second=4,
        )
        self.tasks: dict[str, TaskID] = {}
        self.display.start()

    @override
    def stage(self, name: str, detail: str) -> None:
        self.line(f"{name:<8} {detail}")

    @override
    def update(self, name: str, done: float, total: float, fields: Mapping[str, Any]) -> None:
        left = fields.get("seconds_left", self.pace.seconds_left(name, done, total))
        status = "  ".join(part for part in (_count(done, total), _time(left), figures(fields)) if part)
        if name not in self.tasks:
            self.tasks[name] = self.display.add_task(name, total=total or None, status="")
        self.display.update(self.tasks[name], completed=done, total=total or None, status=status)

    @override
    def line(self, text: str) -> None:
        self.display.console.print(text, markup=False, soft_wrap=True)

    @override
    def close(self) -> None:
        self.display.stop()


def figures(fields: Mapping[str, Any]) -> str:
    """The live figures as words: ``loss -3.12, acceptance 0.61``."""
    shown = {name: value for name, value in fields.items() if name not in HIDDEN and value is not None}
    return ", ".join(f"{name.replace('_', ' ')} {_figure(value)}" for name, value in shown.items())


def _figure(value: Any) -> str:
    return f"{value:.4g}" if type(value) is float else str(value)


def _count(done: float, total: float) -> str:
    return f"{done:g}/{total:g}" if total else f"{done:g}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s left" if minutes else f"{rest} s left"
