"""Types of options that several commands share."""

from typing import Annotated, TypeAlias

from cyclopts import Parameter

Flag: TypeAlias = Annotated[bool, Parameter(negative=())]
Extents: TypeAlias = Annotated[tuple[int, ...], Parameter(consume_multiple=1, negative=())]
Words: TypeAlias = Annotated[tuple[str, ...], Parameter(consume_multiple=1, negative=())]
