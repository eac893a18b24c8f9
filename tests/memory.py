"""Memory of a test process: what compilers leave behind goes back to the system, and no worker grows past a bound.

A compiler takes and frees hundreds of megabytes in small pieces, and the C library keeps them: a process that has
compiled thousands of programs holds several gigabytes, of which its programs are the smaller part. Where the system
shows no numbers nothing is done.
"""

import ctypes
import gc
from pathlib import Path

import jax

STATUS, MAPS = Path("/proc/self/status"), Path("/proc/self/maps")

LARGE = 1000
"""Megabytes above which freed memory goes back to the system, and compiled programs go if that is not enough."""

MOST = 2000
"""Megabytes that no process of the tests may reach."""

FEW = 20_000
"""Memory maps of a process above which its compiled programs go: Linux allows 65 530, and past them a compiler dies of
a signal. Every program takes about seven, and a worker meets thousands."""


def resident() -> int:
    """Megabytes in memory now; 0 where the system does not say."""
    return _megabytes("VmRSS")


def peak() -> int:
    """Most megabytes that were in memory; 0 where the system does not say."""
    return _megabytes("VmHWM")


class Bound:
    """Keeps a process small; called after every test."""

    def __init__(self) -> None:
        self.programs_at = LARGE

    def keep(self) -> None:
        """Give memory back if there is much of it."""
        if resident() <= LARGE:
            return
        trim()
        if resident() > self.programs_at:
            forget()
            # what is left then is in use: what comes back with every test would only cost time
            self.programs_at = max(LARGE, resident() + LARGE // 4)


def many_maps() -> bool:
    """Whether there are so many maps that programs have to go."""
    return MAPS.exists() and MAPS.read_text().count("\n") > FEW


def forget() -> None:
    """Drop all compiled programs."""
    jax.clear_caches()
    gc.collect()
    trim()


def trim() -> None:
    """Give freed memory back to the system, where its C library can."""
    library = ctypes.CDLL(None) if STATUS.exists() else None
    if library is not None and hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


def verdict(peaks: dict[str, int]) -> tuple[bool, str]:
    """Whether all processes stayed below `MOST`, and a line that says so.

    Args:
        peaks: Most megabytes of every process by its name.
    """
    shown = ", ".join(f"{name} {megabytes} MB" for name, megabytes in sorted(peaks.items()))
    return max(peaks.values(), default=0) < MOST, f"memory: {shown}; allowed: below {MOST} MB"


def _megabytes(name: str) -> int:
    if not STATUS.exists():
        return 0
    found = [line.split()[1] for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:")]
    return int(found[0]) // 1024 if found else 0
