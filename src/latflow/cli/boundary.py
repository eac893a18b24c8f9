"""Turns exceptions into lines on standard error and exit codes.

A `LatflowError` is printed as it is. Any other exception is a defect of the program or a failure of the machine and is
converted to the nearest `LatflowError`; only `--debug` shows a traceback.
"""

import functools
import os
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from cyclopts.exceptions import CycloptsError, UnknownCommandError, UnknownOptionError, UnusedCliTokensError

from latflow.cli.output import emit_json
from latflow.cli.overrides import SET
from latflow.errors import Interrupted, LatflowError, StorageError, UnavailableError, UsageError


class ErrorBoundary:
    """A context whose exceptions end as lines on standard error and an exit code.

    Args:
        debug: Print the traceback too.
        machine: Print the failure as JSON on standard output too.
    """

    def __init__(self, *, debug: bool, machine: bool) -> None:
        self.debug = debug
        self.machine = machine
        self.exit_code = 0

    def __enter__(self) -> "ErrorBoundary":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or kind is SystemExit:
            return False
        if self.debug:
            sys.stderr.write("".join(traceback.format_exception(kind, error, trace)))
        refusal = translated(error)
        self.exit_code = refusal.exit_code
        if kind is BrokenPipeError:  # as other tools do: whoever has closed the pipe wants to hear no more
            return True
        told(refusal, machine=self.machine)
        return True


def told(refusal: LatflowError, *, machine: bool) -> None:
    """Write an error to standard error and, for a machine, as JSON to standard output."""
    description = tell(refusal)
    if machine:
        emit_json({"error": description})


def tell(refusal: LatflowError) -> dict[str, Any]:
    """Write an error to standard error, one line per complaint; returns the same as plain data."""
    lines = [" ".join(line.splitlines()) for line in refusal.lines()]
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    sys.stderr.flush()
    return {"code": refusal.code, "exit_code": refusal.exit_code, "lines": lines}


def last_words(close: Callable[[], object], *, machine: bool) -> Callable[[LatflowError], None]:
    """What is done when the process is about to end in the middle of its work: close the display, tell the reason."""

    def speak(refusal: LatflowError) -> None:
        close()
        told(refusal, machine=machine)

    return speak


@functools.singledispatch
def translated(error: BaseException) -> LatflowError:
    """The `LatflowError` that an exception is converted to."""
    what = f"{type(error).__name__}: {_one_line(error)}" if str(error) else type(error).__name__
    return LatflowError(what, hint="a defect of latflow; run again with --debug for the traceback")


@translated.register
def _refusal(error: LatflowError) -> LatflowError:
    return error


@translated.register
def _interrupt(error: KeyboardInterrupt) -> LatflowError:
    del error
    return Interrupted("interrupted", hint="the same command goes on from what is saved")


@translated.register
def _usage(error: CycloptsError) -> LatflowError:
    return UsageError(_one_line(error).rstrip("."), hint="see `latflow --help`")


@translated.register
def _unknown_option(error: UnknownOptionError) -> LatflowError:
    if error.token.keyword == SET:
        return UsageError("this command takes no keys of a study", hint="see `latflow --help`")
    return UsageError(_one_line(error).rstrip("."), hint="see `latflow --help`")


@translated.register
def _unknown_command(error: UnknownCommandError) -> LatflowError:
    token = next(iter(error.unused_tokens or []), "")
    if token.endswith(".toml"):
        return UsageError(f"unknown command {token!r}", hint=f"did you mean `latflow run {token}`?")
    # the list of commands that follows is truncated; --help shows all of them
    return UsageError(_one_line(error).partition(" Available commands:")[0].rstrip("."), hint="see `latflow --help`")


@translated.register
def _unexpected(error: UnusedCliTokensError) -> LatflowError:
    words = ", ".join(repr(token) for token in error.unused_tokens or [])
    return UsageError(f"unexpected argument {words}", hint="everything but the first argument is given by --options")


@translated.register
def _storage(error: OSError) -> LatflowError:
    name = str(error.filename or "input or output")
    return StorageError(name, value=os.strerror(error.errno) if error.errno else _one_line(error))


@translated.register
def _closed(error: BrokenPipeError) -> LatflowError:
    del error
    # The reader has closed the pipe: discard what is still buffered, so that Python raises no error at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return StorageError("standard output", value="closed by its reader")


@translated.register
def _package(error: ModuleNotFoundError) -> LatflowError:
    return UnavailableError(f"the Python package {error.name!r}", value="not installed", hint="install latflow again")


@translated.register
def _memory(error: MemoryError) -> LatflowError:
    return UnavailableError("memory", value=f"exhausted, {_one_line(error) or 'no detail'}", hint=_LOWER)


@translated.register
def _runtime(error: RuntimeError) -> LatflowError:
    """XLA has no class for memory that it was refused: its message begins with a word for it."""
    text = _one_line(error)
    if any(word in text for word in _EXHAUSTED):
        return UnavailableError(
            "memory", value=f"exhausted, {text.partition('RESOURCE_EXHAUSTED: ')[2] or text}", hint=_LOWER
        )
    return translated.dispatch(Exception)(error)


_EXHAUSTED = ("RESOURCE_EXHAUSTED", "Out of memory", "out of memory")

_LOWER = (
    "lower training.batch_size if it was training, sampling.block_size or the chains of a sampler if it was sampling, "
    "or lattice.shape; --dry-run shows what a study needs"
)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:297]}..."
