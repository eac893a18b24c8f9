r"""Interface of a map of group elements that is equivariant under conjugation and has parameters at every site.

Charge conjugation turns an element into its complex conjugate. Parameters come in two kinds: even ones keep their value
under it, odd ones change sign; a map with parameters of opposite odd part is the conjugate map.
"""

import abc
from typing import TypeAlias

import equinox as eqx
from jaxtyping import Array, Float

from latflow._typing import Field

LogDet: TypeAlias = Float[Array, "*sites"]
Numbers: TypeAlias = Float[Array, "_ *sites"]


class AbstractClassMap(eqx.Module):
    """A bijection of one element per site; parameters of zero give the identity.

    Elements have the layout of the group: angles in (−π, π], or matrix indices first, then the axis of the sites.
    """

    @property
    @abc.abstractmethod
    def n_even(self) -> int:
        """Even parameters per site."""

    @property
    @abc.abstractmethod
    def n_odd(self) -> int:
        """Odd parameters per site."""

    @abc.abstractmethod
    def forward_and_log_det(self, element: Field, even: Numbers, odd: Numbers) -> tuple[Field, LogDet]:
        """The image, and the log-det with respect to the Haar measure, at every site."""

    @abc.abstractmethod
    def inverse_and_log_det(self, element: Field, even: Numbers, odd: Numbers) -> tuple[Field, LogDet]:
        """The pre-image, and the log-det of the inverse map, at every site."""
