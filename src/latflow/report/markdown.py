"""Tables and symbols as Markdown has them."""

from collections.abc import Sequence


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]


def plain_symbol(symbol: str) -> str:
    """A symbol without the marks of what is set low or high."""
    return symbol.replace("_{", "_").replace("^{", "^").replace("}", "")
