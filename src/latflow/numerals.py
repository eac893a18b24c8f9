"""Whole numbers as people write them."""

_EXACT = 10**15
"""Below this every whole number is a floating-point number."""


def whole(text: str) -> int | None:
    """The whole number that is written in scientific notation; None for any other text.

    >>> whole("1e4"), whole("2.5E3"), whole("1e-3"), whole("64"), whole("1e400")
    (10000, 2500, None, None, None)
    """
    if "e" not in text.lower():
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if abs(value) < _EXACT and value.is_integer() else None
