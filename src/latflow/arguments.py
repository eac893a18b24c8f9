"""Checks of constructor arguments, made before anything is traced.

A value of the wrong type is a `TypeError`, a number out of range a `ConfigError`; both say what was given and what is
allowed. Ranges are checked for Python and NumPy numbers only: a JAX array may be traced and have no value yet.
"""

import math
import operator
import types
from typing import SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np

from latflow._typing import Scalar
from latflow.errors import ConfigError


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
        raise TypeError(f"{name}: {_shown(value)}; allowed: {words}")


def number(name: str, value: object) -> Scalar:
    """The value as a real JAX scalar; the range is not checked.

    Raises:
        TypeError: If the value is not a number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number | np.ndarray | jax.Array):
        raise TypeError(f"{name}: {_shown(value)}; allowed: a number")
    return jnp.asarray(value, dtype=float)


def finite(name: str, value: object) -> Scalar:
    """A finite real number.

    Raises:
        TypeError: If the value is not a number.
        ConfigError: If it is infinite or NaN.
    """
    out = number(name, value)
    if isinstance(value, int | float | np.number) and not math.isfinite(value):
        raise ConfigError([f"{name}: {value}; allowed: a finite number"])
    return out


def positive(name: str, value: object) -> Scalar:
    """A finite real number above zero.

    Raises:
        TypeError: If the value is not a number.
        ConfigError: If it is not positive and finite.
    """
    out = number(name, value)
    if isinstance(value, int | float | np.number) and not 0 < value < math.inf:
        raise ConfigError([f"{name}: {value}; allowed: a positive number"])
    return out


def count(name: str, value: SupportsIndex, *, least: int = 1) -> int:
    """A whole number, at least `least`.

    Raises:
        TypeError: If the value is not a whole number.
        ConfigError: If it is below `least`.
    """
    try:
        n = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: {_shown(value)}; allowed: a whole number") from None
    if n < least:
        raise ConfigError([f"{name}: {n}; allowed: at least {least}"])
    return n


def _shown(value: object) -> str:
    """The value as written in Python if it is short, else the name of its type."""
    return repr(value) if isinstance(value, str | bytes | int | float | tuple | list | None) else type(value).__name__
