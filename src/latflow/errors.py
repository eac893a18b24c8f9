"""Root exceptions of latflow and the exit code of each.

Every error a user can cause derives from `LatflowError`: it says what was wrong, the offending value, what is allowed
and a hint, and maps to one documented exit code of the command line. More specific exceptions are defined in the
modules that raise them.
"""

from typing import ClassVar


class LatflowError(Exception):
    """Root of all errors that a user can cause.

    Args:
        what: Subject of the complaint: a key path, a file, a quantity.
        value: The offending value, already formatted; empty if there is none.
        allowed: What would have been accepted.
        hint: What to do about it.
    """

    exit_code: ClassVar[int] = 70
    code: ClassVar[str] = "INTERNAL"

    def __init__(self, what: str, *, value: str = "", allowed: str = "", hint: str = "") -> None:
        self.what = what
        self.value = value
        self.allowed = allowed
        self.hint = hint
        Exception.__init__(self, what)

    def __str__(self) -> str:
        text = f"{self.what}: {self.value}" if self.value else self.what
        details = [part for part in (self.allowed and f"allowed: {self.allowed}", self.hint) if part]
        return "; ".join([text, *details])

    def lines(self) -> list[str]:
        """The message as printed: one line per complaint, ``error[CODE] what: value; allowed: …; hint``."""
        return [f"error[{self.code}] {self}"]


class UsageError(LatflowError):
    """The command line itself is wrong (unknown command, malformed option)."""

    exit_code = 64
    code = "USAGE"


class DataError(LatflowError):
    """A file's content is damaged, foreign or of another format."""

    exit_code = 65
    code = "DATA"


class MissingInputError(LatflowError):
    """A file or directory that was named does not exist."""

    exit_code = 66
    code = "MISSING"


class UnavailableError(LatflowError):
    """A device, precision or optional dependency that was asked for is not there."""

    exit_code = 69
    code = "UNAVAILABLE"


class PhysicsStop(LatflowError):
    """A run was stopped because its numbers cannot be right (NaN, irreversibility, broken Creutz identity)."""

    exit_code = 70
    code = "PHYSICS"


class CannotCreateError(LatflowError):
    """An output exists already, belongs to another configuration, or is held by another process."""

    exit_code = 73
    code = "EXISTS"


class StorageError(LatflowError):
    """Reading or writing failed: full disk, permissions, vanished directory."""

    exit_code = 74
    code = "IO"


class Interrupted(LatflowError):
    """A signal arrived; the state was saved and the same command continues from it."""

    exit_code = 75
    code = "INTERRUPTED"


class ConfigError(LatflowError):
    """A study cannot be run as written; collects every complaint about it.

    Args:
        complaints: One `LatflowError`-like line per offending key, each already complete.
    """

    exit_code = 78
    code = "CONFIG"

    def __init__(self, complaints: list[str]) -> None:
        LatflowError.__init__(self, "; ".join(complaints))
        self.complaints = complaints

    def lines(self) -> list[str]:
        """One line per offending key."""
        return [f"error[{self.code}] {complaint}" for complaint in self.complaints]


class UnreliableWarning(UserWarning):
    """Averages whose errors are too small, or that are no estimates at all, were handed over.

    The field ``state`` of every estimate says which, and ``reliability`` of the samples why.
    """
