"""Numbers as a reader of physics expects them: ``1.0641(11)``, ``12.3(1.4)``, ``3 min 20 s``.

One place decides rounding, so that the table on the terminal, the report and the captions agree to the last digit.
"""

import math
from typing import TypeGuard

from latflow.stats.estimates import UNDERESTIMATED, UNRESOLVED, State

ABSENT = "–"
"""Printed where a number is missing; never a zero, never an empty cell."""

_SMALLEST_PLAIN = 1e-4
"""What is smaller, value and error, is written with a power of ten, whatever its digits: so every number of one size is
written in one way, with its error or alone."""


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value read from JSON is a finite number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def compact(value: float | None, error: float | None = None) -> str:
    """A number with its error in the last digits, two significant digits of error.

    Args:
        value: Central value; None or NaN gives a dash.
        error: One standard deviation; None or 0 prints the value alone.

    >>> compact(1.06413, 0.00108), compact(12.34, 1.42), compact(1234.5, 142.0), compact(-3.9e-9, 2.1e-10)
    ('1.0641(11)', '12.3(1.4)', '1230(140)', '−3.90(21)e−09')
    """
    return _minus(_compact(value, error))


def shown(value: float | None, error: float | None, state: State | None) -> str:
    """An average with its error as far as its state allows; None is the state of what was not judged.

    >>> shown(0.12521, 0.00172, "error underestimated"), shown(0.0084, 0.0012, "not resolved")
    ('0.1252(≥17)', 'not resolved')
    """
    if state == UNRESOLVED:
        return UNRESOLVED
    text = compact(value, error)
    return text.replace("(", "(≥", 1) if state == UNDERESTIMATED else text


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


def count(value: float | None) -> str:
    """An integer in groups of three digits with a narrow no-break space.

    >>> count(100000)
    '100\u202f000'
    """
    return ABSENT if value is None else f"{round(value):,}".replace(",", "\u202f")


def plain(value: float | None, digits: int = 4) -> str:
    """A number without error, `digits` significant digits."""
    return ABSENT if value is None or not math.isfinite(value) else _minus(f"{value:.{digits}g}")


def measured(value: float | None, digits: int = 3) -> str:
    """A number with a fixed count of significant digits, zeros included; an integer in full.

    >>> measured(1.0004), measured(0.5), measured(-0.0213), measured(64), measured(None)
    ('1.00', '0.500', '−0.0213', '64', '–')
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    return str(value) if isinstance(value, int) else _minus(f"{value:#.{digits}g}".rstrip("."))


def _minus(text: str) -> str:
    return text.replace("-", "−")


def signed(value: float | None) -> str:
    """A pull: sign always written, with a true minus, one decimal.

    >>> signed(-1.23), signed(0.04), signed(None)
    ('−1.2', '0.0', '–')
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    text = f"{value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else _minus(text)


def duration(seconds: float | None, digits: int = 3) -> str:
    """A duration in a readable unit, below a minute with `digits` significant digits.

    >>> duration(0.00052), duration(7.31), duration(200.0), duration(7500.0)
    ('520 µs', '7.31 s', '3 min 20 s', '2 h 5 min')
    """
    if seconds is None or not math.isfinite(seconds):
        return ABSENT
    if seconds < 60:
        scale, unit = next(
            (s, u) for s, u in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")) if seconds >= s or s == 1e-9
        )
        return f"{float(f'{seconds / scale:.{digits}g}'):g} {unit}"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
