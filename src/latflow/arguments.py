"""What constructors ask of their arguments before anything is traced.

A value of the wrong type is a `TypeError`, a number out of range a `ConfigError`; both say what was given and what is
allowed. Only numbers of Python and NumPy are looked at: arrays of JAX may be traced and have no value yet.
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
    """Refuse what is not of the type.

    Args:
        name: What is asked for.
        value: What was given.
        allowed: Its type, or one of several.
        words: How to say that.

    Raises:
        TypeError: If it is something else.
    """
    if not isinstance(value, allowed):
        raise TypeError(f"{name}: {_shown(value)}; allowed: {words}")


def number(name: str, value: object) -> Scalar:
    """The value as a real number of the device; arrays pass as they are.

    Raises:
        TypeError: If it is no number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number | np.ndarray | jax.Array):
        raise TypeError(f"{name}: {_shown(value)}; allowed: a number")
    return jnp.asarray(value, dtype=float)


def finite(name: str, value: object) -> Scalar:
    """The same, neither infinite nor NaN.

    Raises:
        TypeError: If it is no number.
        ConfigError: If it is not finite.
    """
    out = number(name, value)
    if isinstance(value, int | float | np.number) and not math.isfinite(value):
        raise ConfigError([f"{name}: {value}; allowed: a finite number"])
    return out


def positive(name: str, value: object) -> Scalar:
    """The same, finite and above zero.

    Raises:
        TypeError: If it is no number.
        ConfigError: If it is not positive.
    """
    out = number(name, value)
    if isinstance(value, int | float | np.number) and not 0 < value < math.inf:
        raise ConfigError([f"{name}: {value}; allowed: a positive number"])
    return out


def count(name: str, value: SupportsIndex, *, least: int = 1) -> int:
    """The value as a whole number.

    Raises:
        TypeError: If it is none.
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
    """The value itself where it is short, else what it is."""
    return repr(value) if isinstance(value, str | bytes | int | float | tuple | list | None) else type(value).__name__
