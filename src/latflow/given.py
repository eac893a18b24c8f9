"""Checks of what a caller gave, without JAX: its type, and that it is a path.

`latflow.arguments` has those of numbers and arrays of JAX.
"""

import os
import types
from pathlib import Path

import numpy as np

_LONGEST = 60
"""Characters of a value that a message shows."""


def require_type(name: str, value: object, allowed: type | tuple[type, ...] | types.UnionType, words: str) -> None:
    """Raise unless the value has an allowed type.

    Args:
        name: Name of the argument, for the message.
        value: The argument.
        allowed: Its type, or several types.
        words: Description of the allowed types, for the message.

    Raises:
        TypeError: If the value has another type.
    """
    if not isinstance(value, allowed):
        raise TypeError(f"{name}: {shown(value)}; allowed: {words}")


def require_whole(name: str, value: object) -> None:
    """Raise unless the value is a whole number; a truth value is none.

    Raises:
        TypeError: If it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}: {shown(value)}; allowed: a whole number")


def require_function(name: str, value: object, words: str) -> None:
    """Raise unless the value can be called.

    Raises:
        TypeError: If it cannot.
    """
    if not callable(value):
        raise TypeError(f"{name}: {shown(value)}; allowed: {words}")


def path_of(name: str, value: object, words: str) -> Path:
    """The path that was given.

    Args:
        name: Name of the argument, for the message.
        value: The argument.
        words: Of what it is the path, for the message.

    Raises:
        TypeError: If it is none.
    """
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name}: {shown(value)}; allowed: the path of {words}")
    return Path(value)


def shown(value: object) -> str:
    """The value as written in Python if it is short, else the name of its type."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    if dtype is not None and isinstance(shape, tuple) and not isinstance(value, np.generic):
        return f"an array of {dtype}, shape {shape}"
    text = repr(value) if isinstance(value, str | bytes | int | float | tuple | list | None) else type(value).__name__
    return text if len(text) <= _LONGEST else f"{type(value).__name__} {text[:_LONGEST]}…"
