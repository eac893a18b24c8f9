"""Both displays: what they write, how often, and that a terminal is not needed."""

import io
import re

import pytest

from latflow.cli.progress import QUIET_SECONDS, LiveProgress, PlainProgress, figures, progress_on


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def test_plain_lines_come_now_and_then() -> None:
    stream, clock = io.StringIO(), Clock()
    with PlainProgress(stream, clock) as progress:
        progress.stage("train", "real_nvp, 10 layers")
        for step in range(101):
            clock.now = 100.0 + step
            progress.update("train", step, 100, {"step": step, "loss": -1.23456, "kl": None, "acceptance": 0.5})
        progress.line("stopped by steps")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "train    real_nvp, 10 layers"
    assert lines[1] == "train: 10/100; 1 min 30 s left; loss -1.235, acceptance 0.5"
    assert lines[-2:] == ["train: 100/100; loss -1.235, acceptance 0.5", "stopped by steps"]
    assert len(lines) == 1 + 100 / QUIET_SECONDS + 1


def test_finished_work_is_always_told() -> None:
    stream = io.StringIO()
    PlainProgress(stream, Clock()).update("sample flow", 3, 3, {})
    assert stream.getvalue() == "sample flow: 3/3\n"


def test_unknown_total_and_given_time() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = PlainProgress(stream, clock)
    progress.update("train", 5, 0, {"seconds_left": 61.0})
    clock.now += QUIET_SECONDS
    progress.update("train", 8, 0, {"seconds_left": 61.0})
    assert stream.getvalue() == "train: 8; 1 min 1 s left\n"


def test_resumed_work_is_timed_from_where_it_resumed() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = PlainProgress(stream, clock)
    progress.update("sample flow", 90, 100, {})
    clock.now += QUIET_SECONDS
    progress.update("sample flow", 95, 100, {})
    assert stream.getvalue() == "sample flow: 95/100; 10 s left\n"


def test_live_bars_show_the_same_figures() -> None:
    stream, clock = Terminal(), Clock()
    with LiveProgress(stream, clock) as progress:
        progress.stage("train", "[red]not markup[/red]")
        progress.update("train", 10, 100, {"loss": -1.5})
        clock.now += 10
        progress.update("train", 20, 100, {"loss": -2.5})
        progress.line("a line [kept]")
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    assert "train    [red]not markup[/red]" in text
    assert "a line [kept]" in text
    assert "20/100" in text
    assert "1 min 20 s left" in text
    assert "loss -2.5" in text
    assert stream.getvalue().rstrip().endswith("\x1b[?25h")  # the cursor is given back


def test_the_stream_decides() -> None:
    assert type(progress_on(io.StringIO())) is PlainProgress
    live = progress_on(Terminal())
    live.close()
    assert type(live) is LiveProgress


def test_the_cursor_comes_back_after_an_error() -> None:
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt), progress_on(stream):
        raise KeyboardInterrupt
    assert stream.getvalue().rstrip().endswith("\x1b[?25h")


def test_figures() -> None:
    assert figures({"reweighting_ess": 0.123456, "n": 3, "verdict": "exact", "seconds": 1.0, "kl": None}) == (
        "reweighting ess 0.1235, n 3, verdict exact"
    )
