r"""Interface of a split: how a coarse plaquette is divided between its two halves.

When a lattice is doubled in one direction, every coarse plaquette P gets a new link inside, which makes it a product
$P=ab$ of two fine ones. A split moves a, with P fixed.
"""

import abc
from typing import TypeAlias

import equinox as eqx
from jaxtyping import Array, Float

from latflow._typing import Field
from latflow.errors import ConfigError

LogDet: TypeAlias = Float[Array, "*sites"]


class AbstractSplit(eqx.Module):
    r"""A bijection of the half a of every coarse plaquette $P=ab$, equivariant under conjugation.

    $(a,P)\to(gag^\dagger,gPg^\dagger)$ is followed by the image. Elements have the layout of the group: matrix indices
    first, the axis of the sites last; angles in (−π, π] for U(1). Sites are plaquettes of one level, or what fills up
    their number: halves and plaquettes that are any elements of the group. Log-dets refer to the normalised Haar
    measure of a.

    In a flow, the arrays of the splits of all levels are stacked along a first axis; see `latflow.bijections.doubling`.
    """

    @abc.abstractmethod
    def forward_and_log_det(self, half: Field, plaquette: Field) -> tuple[Field, LogDet]:
        """The image of a, and ln|∂a'/∂a| at every site."""

    @abc.abstractmethod
    def inverse_and_log_det(self, half: Field, plaquette: Field) -> tuple[Field, LogDet]:
        """The pre-image of a, and the log-det of the inverse map, at every site."""

    def placed(self, x: Field, plaquette: Field) -> Field:
        """A Haar element as the half of a plaquette: one-to-one, and Haar at every P. For quasi-random draws.

        By default itself. A split reads its own coordinates best from elements that are placed in the frame of P.
        """
        del plaquette
        return x

    def representative(self, plaquette: Field) -> Field:
        """Another element of the class of every plaquette, for densities of classes; by default itself.

        Training without links takes plaquettes in this frame, see `latflow.flows.reduced`. A split that reads
        eigenvectors returns a diagonal matrix, whose gradient is that of the eigenvalues alone.
        """
        return plaquette

    def of_representatives(self) -> "AbstractSplit":
        """The same split for plaquettes that are those of `representative`; by default itself."""
        return self

    def alone(self) -> "AbstractSplit":
        """The split whose halves a of P = 1 have the density of one block: next to a block that has none.

        Raises:
            ConfigError: If there is none, by default.
        """
        raise ConfigError([f"{type(self).__name__}: no half alone; allowed: splits of U(1) and SU(2)"])

    @abc.abstractmethod
    def heat_bath(self, beta: float) -> "AbstractSplit":
        """The stacked splits of all levels as the heat bath of two blocks of Wilson's action, to start from.

        Args:
            beta: Coupling of the fine plaquettes, at least 0.
        """
