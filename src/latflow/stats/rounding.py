"""A number with its error in the last digits, ``1.0641(11)``: the one place that decides how both are rounded."""

import math

ABSENT = "–"
"""Printed where a number is missing; never a zero, never an empty cell."""

_SMALLEST_PLAIN = 1e-4
"""What is smaller, value and error, is written with a power of ten, whatever its digits: so every number of one size is
written in one way, with its error or alone."""


def compact(value: float | None, error: float | None = None) -> str:
    """A number with its error in the last digits, two significant digits of error.

    Args:
        value: Central value; None or NaN gives a dash.
        error: One standard deviation; None or 0 prints the value alone.

    >>> compact(1.06413, 0.00108), compact(12.34, 1.42), compact(1234.5, 142.0), compact(-3.9e-9, 2.1e-10)
    ('1.0641(11)', '12.3(1.4)', '1230(140)', '−3.90(21)e−09')
    """
    return minus(_compact(value, error))


def _compact(value: float | None, error: float | None) -> str:
    if value is None or not math.isfinite(value):
        return ABSENT
    if error is None or error == 0:
        return f"{value:.6g}"
    if not math.isfinite(error) or error < 0:
        return f"{value:.6g}(?)"
    decimals = _decimals(error)
    largest = max(abs(value), error)
    if largest < _SMALLEST_PLAIN:
        power = math.floor(math.log10(largest))
        return f"{_compact(value / 10.0**power, error / 10.0**power)}e{power:+03d}"
    if decimals < 0:
        return f"{round(value, decimals):.0f}({round(error, decimals):.0f})"
    shown = f"{error:.{decimals}f}" if round(error, decimals) >= 1 else f"{round(error * 10**decimals)}"
    return f"{value:.{decimals}f}({shown})"


def _decimals(error: float) -> int:
    """Decimal places that show two significant digits of `error` after rounding (0.0996 is 0.10, not 0.100)."""
    return 1 - int(f"{error:.1e}".partition("e")[2])


def minus(text: str) -> str:
    """The text with true minus signs."""
    return text.replace("-", "−")
