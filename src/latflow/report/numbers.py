"""Numbers as a reader of physics expects them: ``1.0641(11)``, ``12.3(1.4)``, ``3 min 20 s``.

One place decides rounding (`latflow.stats.rounding`), so that the table on the terminal, the report, the captions and
what Python prints agree to the last digit.
"""

import math
from typing import TypeGuard

from latflow.stats.estimates import shown as shown
from latflow.stats.rounding import ABSENT as ABSENT
from latflow.stats.rounding import compact as compact
from latflow.stats.rounding import minus


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value read from JSON is a finite number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def count(value: float | None) -> str:
    """An integer in groups of three digits with a narrow no-break space.

    >>> count(100000)
    '100\u202f000'
    """
    return ABSENT if value is None else f"{round(value):,}".replace(",", "\u202f")


def plain(value: float | None, digits: int = 4) -> str:
    """A number without error, `digits` significant digits."""
    return ABSENT if value is None or not math.isfinite(value) else minus(f"{value:.{digits}g}")


def measured(value: float | None, digits: int = 3) -> str:
    """A number with a fixed count of significant digits, zeros included; an integer in full.

    >>> measured(1.0004), measured(0.5), measured(-0.0213), measured(64), measured(None)
    ('1.00', '0.500', '−0.0213', '64', '–')
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    return str(value) if isinstance(value, int) else minus(f"{value:#.{digits}g}".rstrip("."))


def signed(value: float | None) -> str:
    """A pull: sign always written, with a true minus, one decimal.

    >>> signed(-1.23), signed(0.04), signed(None)
    ('−1.2', '0.0', '–')
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    text = f"{value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else minus(text)


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
