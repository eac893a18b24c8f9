"""How much memory this machine has left for a run, to be held against the estimate of a plan."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from latflow.errors import UnavailableError

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def free_bytes() -> int | None:
    """Bytes that a new process may still take; None where the system does not tell.

    On a CPU what the system calls available, or what the control group leaves of its limit; on an accelerator what its
    memory leaves.
    """
    stats = jax.devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"]) - int(stats.get("bytes_in_use", 0))
    known = [found for found in (_available(), _left_to_group()) if found is not None]
    return min(known, default=None)


def needed_bytes(memory: Mapping[str, int]) -> int:
    """The most that a run holds at once: the program, and a training or a block, which follow one another.

    Args:
        memory: ``memory_bytes`` of a plan.
    """
    return memory["program"] + max(memory["training"], memory["block"])


def memory_lines(needs: Mapping[str, Any]) -> list[str]:
    """The estimate of a plan against what is free, in words."""
    needed, free = needs.get("memory_needed_bytes"), needs.get("memory_free_bytes")
    if needed is None:
        return []
    if free is None:
        return [f"memory: needs about {_words(needed)}; this machine does not say what is free"]
    return [f"memory: needs about {_words(needed)}, this machine has {_words(free)} free"]


def require_memory(memory: Mapping[str, int]) -> None:
    """Refuse a run that needs more memory than this machine has left; where the system does not tell, nothing is known.

    Args:
        memory: ``memory_bytes`` of a plan, of the parts that are still to be done.

    Raises:
        UnavailableError: Naming the part that needs most, and the keys that make it smaller.
    """
    needed, free = needed_bytes(memory), free_bytes()
    if free is None or needed <= free:
        return
    what = "training" if memory["training"] > memory["block"] else "block"
    value, allowed = f"{_WHAT[what]} needs about {_words(needed)}", f"what this machine has free, {_words(free)}"
    raise UnavailableError("memory", value=value, allowed=allowed, hint=LOWER[what])


_WHAT = {"training": "the training", "block": "a block of configurations"}

LOWER = {
    "training": "lower training.batch_size, or make the flow or lattice.shape smaller",
    "block": "lower sampling.block_size, the chains of its samplers, or lattice.shape",
}
"""What makes a part of a run smaller, for messages."""


def require_room(name: str, n: int, of_each: int) -> None:
    """Refuse more records than this machine has memory for.

    Args:
        name: Of the argument, for the message.
        n: Records.
        of_each: Bytes of one record.

    Raises:
        UnavailableError: If they need more than is free.
    """
    needed, free = n * of_each, free_bytes()
    if free is not None and needed > free:
        hint = "a study keeps its ensembles on disk: latflow run"
        value = f"{n} records need {_words(needed)} of memory"
        raise UnavailableError(name, value=value, allowed=f"what {_words(free)} hold", hint=hint)


def _words(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


def _available() -> int | None:
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:  # only Linux has it
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def _left_to_group() -> int | None:
    """What the limit of the control group leaves; pages of files that it could give back count as used."""
    try:
        limit, used = ((_GROUP / name).read_text(encoding="ascii").strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return None
    return max(0, int(limit) - int(used)) if limit.isdigit() else None
