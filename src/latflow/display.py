"""Objects in one line, as `repr` shows them: ``PhiFour(4×4, mass_squared=-4, coupling=8)``.

Couplings and sizes are shown, arrays by their dtype and shape alone. All of it works inside `jax.jit` and on trees
without arrays. The full contents of a model, an action or a kernel: ``equinox.tree_pformat(object)``.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any


def extents(shape: Sequence[int]) -> str:
    """The extents of a lattice.

    >>> extents((4, 4, 4, 8))
    '4×4×4×8'
    """
    return "×".join(map(str, shape))


def one_line(value: Any) -> str:
    """A value in one line: a number by at most 12 digits, an array by dtype and shape.

    >>> one_line(-4.0), one_line(0.1 + 0.2), one_line("omf2")
    ('-4', '0.3', "'omf2'")
    """
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if type(value) is float:
        return f"{value:.12g}"
    if dtype is None or not isinstance(shape, tuple):
        return " ".join(repr(value).split())
    try:
        return f"{float(value):.12g}" if shape == () else f"{dtype}[{extents(shape)}]"
    except (TypeError, ValueError, RuntimeError):  # a traced number, a key, a mere description of an array
        return f"{dtype}[]"


def call(name: str, *parts: str, **named: Any) -> str:
    """A name with what stands in its brackets.

    Args:
        name: What it is.
        parts: Words, as they are; empty ones are left out.
        named: Values by name; actions, flows and other objects of many fields say themselves what they are.
    """
    values = [one_line(v) if dataclasses.is_dataclass(v) else f"{key}={one_line(v)}" for key, v in named.items()]
    return f"{name}({', '.join([*filter(None, parts), *values])})"


def fields_of(value: Any, *, skipped: Sequence[str] = ()) -> dict[str, Any]:
    """The fields of a dataclass that have a value, by name; flags that are off are left out.

    Args:
        value: The object, possibly before its fields are set.
        skipped: Names that are left out.
    """
    names = [field.name for field in dataclasses.fields(value) if field.repr and field.name not in skipped]
    found = {name: getattr(value, name, False) for name in names}
    return {name: each for name, each in found.items() if each is not False}


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of equal length as lines with columns below each other.

    >>> aligned([["run", "χ"], ["long-name", "1"]])
    ['run        χ', 'long-name  1']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
