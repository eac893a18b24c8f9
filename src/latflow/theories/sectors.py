"""Sectors of the space of configurations, any of which a sampler may miss, and what is known of their weights.

A sector is told by an integer label of a configuration: the sign of its mean field, its topological charge, the vacuum
nearest to it. Symmetries of the action map configurations to images in other sectors. Where the action is the same
on an image, draws of the target count together with their images, and sectors related in this way have equal weights.
"""

import abc
import math
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Int
from typing_extensions import override

from latflow._typing import Field

SMALLEST_SHARE = 0.01
"""Sectors of less weight have no line of their own in a verdict."""

NEGLIGIBLE = 12.0
"""Vacua of a higher action than this, of weights below e^−12, are no starts of chains."""

MOST_VACUA = 3
"""Vacua on either side of the origin in which chains start at most."""

Columns = Mapping[str, np.ndarray]


class Share(NamedTuple):
    """The weight of one sector or of several together.

    Attributes:
        name: Words for it.
        members: Which configurations lie there.
        expected: The exact weight; None where it is not known.
        source: Why it is known: "½ by symmetry", "exact", or "not known".
    """

    name: str
    members: Bool[np.ndarray, " n"]
    expected: float | None
    source: str


class AbstractSectors(eqx.Module):
    """A label of configurations, their images under symmetry, and weights where they are known.

    Attributes:
        columns: Measured columns that the label is read from.
    """

    columns: ClassVar[tuple[str, ...]]

    @abc.abstractmethod
    def labels(self, columns: Columns) -> Int[np.ndarray, " n"]:
        """One integer per configuration.

        Args:
            columns: Measured values by column, (n,) each.
        """

    @abc.abstractmethod
    def images(self, x: Field) -> tuple[Field, ...]:
        """Images of a configuration in other sectors; only those on which the action is the same are used."""

    def dispersed(self, x: Field) -> Field:
        """Starts of many chains, along the first axis, spread over the sectors; by default as they are."""
        return x

    @abc.abstractmethod
    def shares(self, columns: Columns, *, symmetric: bool) -> tuple[Share, ...]:
        """The weights that a verdict looks at.

        Args:
            columns: Measured values by column, (n,) each.
            symmetric: Whether the action is the same on all images.
        """


class NoSectors(AbstractSectors):
    """One sector only: none can be missed."""

    columns: ClassVar[tuple[str, ...]] = ()

    @override
    def labels(self, columns: Columns) -> Int[np.ndarray, " n"]:
        return np.zeros(len(next(iter(columns.values()))), dtype=int)

    @override
    def images(self, x: Field) -> tuple[Field, ...]:
        return ()

    @override
    def shares(self, columns: Columns, *, symmetric: bool) -> tuple[Share, ...]:
        return ()


class SignSectors(AbstractSectors):
    """The sign of the mean of a scalar field; φ → −φ maps one sector to the other."""

    columns: ClassVar[tuple[str, ...]] = ("magnetization",)

    @override
    def labels(self, columns: Columns) -> Int[np.ndarray, " n"]:
        return np.where(columns["magnetization"] > 0, 1, -1)

    @override
    def images(self, x: Field) -> tuple[Field, ...]:
        return (-x,)

    @override
    def shares(self, columns: Columns, *, symmetric: bool) -> tuple[Share, ...]:
        return (_positive(columns["magnetization"], symmetric=symmetric),)


class VacuumSectors(AbstractSectors):
    """The vacuum φ = 2πn nearest to the mean of a field with a periodic potential; φ → −φ maps n to −n.

    Args:
        cost: S of the constant field 2π; by default infinite. That of 2πn is n² times as much: the weight of a vacuum
            is known roughly, and chains start in every one that may count.
    """

    columns: ClassVar[tuple[str, ...]] = ("magnetization",)
    cost: float = eqx.field(static=True, default=math.inf)

    @override
    def labels(self, columns: Columns) -> Int[np.ndarray, " n"]:
        return np.rint(columns["magnetization"] / (2 * np.pi)).astype(int)

    @override
    def images(self, x: Field) -> tuple[Field, ...]:
        return (-x,)

    @override
    def dispersed(self, x: Field) -> Field:
        most = min(MOST_VACUA, math.isqrt(int(NEGLIGIBLE / self.cost)))
        # every second pair of chains, so that hot and cold starts both come to every vacuum
        turns = [0, *(n * sign for n in range(1, most + 1) for sign in (1, -1))]
        numbers = np.arange(len(x)) // 4 % len(turns)
        return x + 2 * np.pi * np.array(turns)[numbers].reshape(-1, *(1,) * (x.ndim - 1))

    @override
    def shares(self, columns: Columns, *, symmetric: bool) -> tuple[Share, ...]:
        labels = self.labels(columns)
        found = [n for n in np.unique(np.abs(labels)) if np.mean(np.abs(labels) == n) >= SMALLEST_SHARE]
        vacua = (
            [
                Share(f"weight of vacua ±{n}" if n else "weight of vacuum 0", np.abs(labels) == n, None, "not known")
                for n in found
            ]
            if len(found) > 1
            else []
        )
        return (_positive(columns["magnetization"], symmetric=symmetric), *vacua)


class ChargeSectors(AbstractSectors):
    """The topological charge of U(1) links or O(3) spins in two dimensions; x → −x maps Q to −Q: conjugation of links.

    Args:
        weights: Pairs of a charge and its exact share, where known; of other theories empty.
    """

    columns: ClassVar[tuple[str, ...]] = ("topological_charge",)
    weights: tuple[tuple[int, float], ...] = eqx.field(static=True, default=())

    @override
    def labels(self, columns: Columns) -> Int[np.ndarray, " n"]:
        return np.rint(columns["topological_charge"]).astype(int)

    @override
    def images(self, x: Field) -> tuple[Field, ...]:
        return (-x,)

    @override
    def shares(self, columns: Columns, *, symmetric: bool) -> tuple[Share, ...]:
        labels = self.labels(columns)
        known = {q: share for q, share in self.weights if share >= SMALLEST_SHARE}
        seen = {int(q): None for q in np.unique(labels) if np.mean(labels == q) >= SMALLEST_SHARE}
        source = "exact" if known else "not known"
        return tuple(
            Share(f"weight of charge {q}".replace("-", "−"), labels == q, share, source)
            for q, share in sorted((known or seen).items())
        )


class ModeSectors(AbstractSectors):
    """The part of a density of several parts to which a configuration belongs.

    Args:
        names: Of the parts.
        weights: Their exact shares, where known; else empty.
    """

    columns: ClassVar[tuple[str, ...]] = ("mode",)
    names: tuple[str, ...] = eqx.field(static=True)
    weights: tuple[float, ...] = eqx.field(static=True, default=())

    @override
    def labels(self, columns: Columns) -> Int[np.ndarray, " n"]:
        return np.rint(columns["mode"]).astype(int)

    @override
    def images(self, x: Field) -> tuple[Field, ...]:
        return ()

    @override
    def shares(self, columns: Columns, *, symmetric: bool) -> tuple[Share, ...]:
        labels = self.labels(columns)
        return tuple(
            Share(f"weight of {name}", labels == i, self.weights[i] if self.weights else None, self._source)
            for i, name in enumerate(self.names)
        )

    @property
    def _source(self) -> str:
        return "exact" if self.weights else "not known"


def _positive(magnetization: np.ndarray, *, symmetric: bool) -> Share:
    expected, source = (0.5, "½ by symmetry") if symmetric else (None, "not known")
    return Share("weight at positive mean field", magnetization > 0, expected, source)
