"""Types of options that several commands share."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from cyclopts import Parameter, Token

from latflow.cli.overrides import SET
from latflow.errors import UsageError
from latflow.numerals import whole


def whole_number(type_: Any, tokens: Sequence[Token]) -> int:
    """A number of things: ``4096``, or ``1e5``.

    Raises:
        ValueError: If it is no whole number.
    """
    del type_
    return _whole(tokens[0].value)


def whole_numbers(type_: Any, tokens: Sequence[Token]) -> tuple[int, ...]:
    """Several of them.

    Raises:
        UsageError: If one is no whole number.
    """
    del type_
    try:
        return tuple(_whole(token.value) for token in tokens)
    except ValueError as error:
        raise UsageError(tokens[0].keyword or "", value=str(error), allowed="whole numbers") from None


def _whole(text: str) -> int:
    number = whole(text)
    try:
        return int(text) if number is None else number
    except ValueError:
        raise ValueError(f"{text} is not a whole number") from None


Flag: TypeAlias = Annotated[bool, Parameter(negative=())]
Extents: TypeAlias = Annotated[
    tuple[int, ...], Parameter(consume_multiple=1, negative=(), converter=whole_numbers, n_tokens=-1)
]
Words: TypeAlias = Annotated[tuple[str, ...], Parameter(consume_multiple=1, negative=())]
Count: TypeAlias = Annotated[int | None, Parameter(name=("--configurations", "-n"), converter=whole_number)]
Which: TypeAlias = Annotated[int | None, Parameter(converter=whole_number)]
Settings: TypeAlias = Annotated[tuple[str, ...], Parameter(name=SET, negative=())]
