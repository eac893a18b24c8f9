r"""Linear error propagation through any function of means.

Columns measured on the same records are laid side by side in one matrix; a derived quantity $f(\bar x)$ then fluctuates
like the one series $\sum_j\partial_j f\,(x_j-\bar x_j)$ (Wolff, hep-lat/0306017, eq. (33)), whose error is a
one-dimensional problem. The gradient is numerical, so `f` may contain fits and logarithms; where `f` does not exist its
gradient is NaN and nothing is raised.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from latflow.stats.estimates import ConstantSeriesError, NonFiniteSeriesError, SeriesShapeError, TooShortError

Derive: TypeAlias = Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]]
"""Maps named means to named quantities, each a number or a vector; NaN where a quantity does not exist."""

MINIMUM_RECORDS = 8
"""Fewer records per chain, or fewer draws, than this are refused."""

_STEP_IN_ERRORS = 1e-3
_STEP_RELATIVE = 1e-7

_ROUNDING = 16 * np.finfo(np.float64).eps
"""A column whose values differ by no more than this share of their size differs by rounding: it is constant."""

_SQUARES = 1e-140, 1e140
"""Sizes between which squares, and sums of billions of them, are ordinary numbers."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """Names and shapes of columns laid side by side along one axis."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    def offsets(self) -> list[slice]:
        """The slice of each name along the axis."""
        sizes = [math.prod(shape) for shape in self.shapes]
        ends = np.cumsum(sizes, dtype=int)
        return [slice(int(end) - size, int(end)) for end, size in zip(ends, sizes, strict=True)]

    def split(self, flat: Float[np.ndarray, " total"]) -> dict[str, np.ndarray]:
        """One vector as named arrays."""
        places = zip(self.names, self.shapes, self.offsets(), strict=True)
        return {name: flat[where].reshape(shape) for name, shape, where in places}

    def label(self, column: int) -> str:
        """Name of a column, with its index if it belongs to a vector."""
        for name, shape, where in zip(self.names, self.shapes, self.offsets(), strict=True):
            if where.start <= column < where.stop:
                return f"{name}[{column - where.start}]" if shape else name
        raise SeriesShapeError("column", value=str(column), allowed=f"less than {self.offsets()[-1].stop}")


def pack(series: Mapping[str, np.ndarray], *, leading: int) -> tuple[Layout, Float[np.ndarray, "*records total"]]:
    """Columns as one float64 matrix, always a copy.

    Args:
        series: Columns by name; all share their first `leading` axes, a further axis is a vector observable.
        leading: Number of record axes: 2 for chains, 1 for draws.

    Raises:
        SeriesShapeError: If there is no column, the record axes differ, chains have different lengths, or values are
            complex or no numbers.
    """
    if not isinstance(series, Mapping) or not series:
        raise SeriesShapeError("series", value="no column", allowed="at least one, by name")
    arrays = {name: _real(name, values) for name, values in series.items()}
    records = {name: values.shape[:leading] for name, values in arrays.items()}
    if len(set(records.values())) > 1 or any(len(shape) < leading for shape in records.values()):
        raise SeriesShapeError("series", value=str(records), allowed=f"{leading} equal leading axes")
    layout = Layout(tuple(arrays), tuple(values.shape[leading:] for values in arrays.values()))
    shape = next(iter(records.values()))
    return layout, np.concatenate(
        [values.reshape(*shape, math.prod(values.shape[leading:])) for values in arrays.values()], axis=-1
    )


def _real(name: str, values: object) -> Float[np.ndarray, "..."]:
    """A column of real numbers in float64.

    Raises:
        SeriesShapeError: If its chains are of different lengths, or its values complex or no numbers.
    """
    try:
        array = np.asarray(values)
    except ValueError:
        hint = "cut the chains to the shortest, or analyse each of them"
        raise SeriesShapeError(name, value="chains of different lengths", allowed="equal lengths", hint=hint) from None
    if np.iscomplexobj(array):
        hint = "give the real and the imaginary part as two columns"
        raise SeriesShapeError(name, value="complex numbers", allowed="real ones", hint=hint)
    if array.dtype.kind not in "fiub":
        raise SeriesShapeError(name, value=f"an array of {array.dtype}", allowed="real numbers")
    return array.astype(np.float64, copy=False)


def scale_of_squares(x: Float[np.ndarray, "..."]) -> float:
    """A power of two that brings the largest entry near one where its square would be lost; elsewhere 1."""
    largest = float(np.max(np.abs(x), initial=0.0))
    if largest == 0 or not math.isfinite(largest) or _SQUARES[0] < largest < _SQUARES[1]:
        return 1.0
    return math.ldexp(1.0, -max(-1020, min(1020, math.frexp(largest)[1])))


def require_usable(layout: Layout, matrix: Float[np.ndarray, "*records total"]) -> None:
    """Refuse what no error analysis can use. A chain that repeats one record for long is usable.

    Raises:
        TooShortError: With fewer than `MINIMUM_RECORDS` records along the last record axis, or no chain.
        NonFiniteSeriesError: If a column has a NaN or infinity.
        ConstantSeriesError: If a column never changes, in any chain, by more than rounding.
    """
    records = matrix.shape[:-1]
    if records[-1] < MINIMUM_RECORDS or 0 in records:
        raise TooShortError("records", value=str(records[-1]), allowed=f"at least {MINIMUM_RECORDS}")
    axes = tuple(range(len(records)))
    low, high = matrix.min(axis=axes), matrix.max(axis=axes)
    infinite = np.flatnonzero(~(np.isfinite(low) & np.isfinite(high)))
    if infinite.size:
        count = int(np.count_nonzero(~np.isfinite(matrix[..., infinite[0]])))
        raise NonFiniteSeriesError(
            layout.label(int(infinite[0])), value=f"{count} of {math.prod(records)} records are NaN or infinite"
        )
    with np.errstate(over="ignore"):
        constant = np.flatnonzero(high - low <= _ROUNDING * np.maximum(np.abs(low), np.abs(high)))
    if constant.size:
        raise ConstantSeriesError(
            layout.label(int(constant[0])),
            value=f"{float(low[constant[0]])!r} in all {math.prod(records)} records{_but(low, high, int(constant[0]))}",
            hint="the chain never moved, or the column is not an observable",
        )


def _but(low: np.ndarray, high: np.ndarray, column: int) -> str:
    return "" if low[column] == high[column] else ", up to rounding"


@dataclasses.dataclass(frozen=True)
class Linearisation:
    """Derived quantities at the means and their gradient.

    Args:
        layout: Names and shapes of the derived quantities.
        values: Their values, flat.
        jacobian: Their derivatives with respect to the means; NaN where they do not exist.
    """

    layout: Layout
    values: Float[np.ndarray, " quantities"]
    jacobian: Float[np.ndarray, "quantities total"]


def linearise(
    derive: Derive,
    layout: Layout,
    means: Float[np.ndarray, " total"],
    *,
    errors: Float[np.ndarray, " total"],
) -> Linearisation:
    """Values and central-difference gradient of `derive` at the means.

    A step is a thousandth of the error of the mean it moves: far inside the range over which propagation is linear
    anyway, and far above rounding. Where one side does not exist the other is used.

    Args:
        derive: Function of the named means.
        layout: Names and shapes of the means.
        means: Their values.
        errors: The order of magnitude of their statistical errors.
    """
    centre = _evaluate(derive, layout, means)
    values = _flat(centre)
    steps = np.maximum(_STEP_IN_ERRORS * errors, _STEP_RELATIVE * np.abs(means))
    gradient = np.empty((values.size, means.size))
    for column, step in enumerate(steps):
        above, below = means.copy(), means.copy()
        above[column] += step
        below[column] -= step
        up, down = (_flat(_evaluate(derive, layout, point)) for point in (above, below))
        # the steps as rounding left them
        gradient[:, column] = _slope(down, values, up, above[column] - means[column], means[column] - below[column])
    return Linearisation(Layout(tuple(centre), tuple(value.shape for value in centre.values())), values, gradient)


def _evaluate(derive: Derive, layout: Layout, point: np.ndarray) -> dict[str, np.ndarray]:
    with np.errstate(all="ignore"):
        return {name: np.asarray(value, dtype=np.float64) for name, value in derive(layout.split(point)).items()}


def _flat(named: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([value.ravel() for value in named.values()])


def _slope(down: np.ndarray, centre: np.ndarray, up: np.ndarray, above: float, below: float) -> np.ndarray:
    """Difference quotient over both steps, or over the one whose end exists, or NaN."""
    up_exists, down_exists = np.isfinite(up), np.isfinite(down)
    with np.errstate(invalid="ignore"):
        rise = np.where(up_exists, up - centre, 0.0) + np.where(down_exists, centre - down, 0.0)
    run = np.where(up_exists, above, 0.0) + np.where(down_exists, below, 0.0)
    return np.divide(rise, run, out=np.full_like(rise, np.nan), where=run > 0)
