"""Checks of constructor arguments, made before anything is traced.

A value of the wrong type is a `TypeError`, a number out of range a `ConfigError`; both say what was given and what is
allowed. Ranges are checked for Python and NumPy numbers only: a JAX array may be traced and have no value yet.
"""

import math
import operator
from collections.abc import Collection

import jax
import jax.numpy as jnp
import numpy as np

from latflow._typing import Scalar
from latflow.errors import ConfigError
from latflow.given import require_type as require_type
from latflow.given import shown


def number(name: str, value: object) -> Scalar:
    """The value as a real JAX scalar; the range is not checked.

    Raises:
        TypeError: If the value is not a number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number | np.ndarray | jax.Array):
        raise TypeError(f"{name}: {shown(value)}; allowed: a number")
    if np.ndim(value) or jnp.issubdtype(jnp.result_type(value), jnp.complexfloating):
        raise TypeError(f"{name}: {shown(value)}; allowed: one real number")
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


def fraction(name: str, value: object, *, one: bool = True) -> float:
    """A number above 0, and at most or below 1.

    Args:
        name: Name of the argument, for the message.
        value: The argument.
        one: Whether 1 is allowed.

    Raises:
        TypeError: If the value is not a number.
        ConfigError: If it is out of range.
    """
    found = float(number(name, value))
    if not (0 < found < 1 or (one and found == 1)):
        raise ConfigError([f"{name}: {value}; allowed: {'above 0, at most 1' if one else 'between 0 and 1'}"])
    return found


def count(name: str, value: object, *, least: int = 1) -> int:
    """A whole number, at least `least`.

    Raises:
        TypeError: If the value is not a whole number.
        ConfigError: If it is below `least`.
    """
    try:
        n = operator.index(_no_truth(value))  # pyright: ignore[reportArgumentType]
    except TypeError:
        raise TypeError(f"{name}: {shown(value)}; allowed: a whole number") from None
    if n < least:
        raise ConfigError([f"{name}: {n}; allowed: at least {least}"])
    return n


def counts(name: str, value: object, *, words: str, least: int = 1) -> tuple[int, ...]:
    """One or more whole numbers, each at least `least`.

    Args:
        name: Name of the argument, for the message.
        value: The argument.
        words: What is allowed, for the message.
        least: The smallest number allowed.

    Raises:
        TypeError: If it is no tuple or list, or holds something else.
        ConfigError: If it is empty, or a number is too small.
    """
    require_type(name, value, (tuple, list), words)
    found = tuple(count(name, n, least=least) for n in value)  # pyright: ignore[reportGeneralTypeIssues]
    if not found:
        raise ConfigError([f"{name}: []; allowed: {words}"])
    return found


def choice(name: str, value: object, allowed: Collection[str]) -> None:
    """Raise unless the value is one of some words.

    Raises:
        ConfigError: If it is something else.
    """
    if value not in allowed:
        given = value if isinstance(value, str) else shown(value)
        raise ConfigError([f"{name}: {given}; allowed: {', '.join(allowed)}"])


def require_shape(name: str, value: object, shape: tuple[int, ...], *, leading: tuple[str, ...] = ()) -> None:
    """Raise unless the value is an array of this shape; also while it is traced.

    Args:
        name: Name of the argument, for the message.
        value: The argument.
        shape: The last axes.
        leading: What the axes before them count, for the message.

    Raises:
        TypeError: If it is no array.
        ConfigError: If it has another shape.
    """
    require_type(name, value, np.ndarray | jax.Array, "an array")
    found: tuple[int, ...] = value.shape  # pyright: ignore[reportAttributeAccessIssue]
    lead = len(leading)
    if len(found) != lead + len(shape) or found[lead:] != tuple(shape):
        axes = ", ".join([*leading, *map(str, shape)])
        raise ConfigError([f"{name}: shape {found}; allowed: ({axes})"])


def require_numbers(name: str, value: np.ndarray | jax.Array) -> None:
    """Raise unless the entries of an array are numbers.

    Raises:
        TypeError: If they are objects or words.
    """
    if value.dtype.kind not in "fciub":
        raise TypeError(f"{name}: {shown(value)}; allowed: an array of numbers")


def _no_truth(value: object) -> object:
    """The value, unless it is a truth value, which Python takes for 0 or 1."""
    return None if isinstance(value, bool) else value
