"""Types of options that several commands share."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from cyclopts import Parameter, Token


def whole_number(type_: Any, tokens: Sequence[Token]) -> int:
    """A number of things: ``4096``, or ``1e5``.

    Raises:
        ValueError: If it is no whole number.
    """
    del type_
    text = tokens[0].value
    try:
        return int(text)
    except ValueError:
        value = float(text)
        if value != int(value):
            raise ValueError(f"{text} is not a whole number") from None
        return int(value)


Flag: TypeAlias = Annotated[bool, Parameter(negative=())]
Extents: TypeAlias = Annotated[tuple[int, ...], Parameter(consume_multiple=1, negative=())]
Words: TypeAlias = Annotated[tuple[str, ...], Parameter(consume_multiple=1, negative=())]
Count: TypeAlias = Annotated[int | None, Parameter(name=("--configurations", "-n"), converter=whole_number)]
