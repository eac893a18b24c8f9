r"""Interface of a gauge group: what transport, actions and samplers need of it.

Elements are arrays with the indices of the element before those of the sites: angles `[*sites]` for U(1), matrices
`[row, column, *sites]` for SU(N). Algebra elements are real coefficients `[generator, *sites]` of Hermitian generators
with $\mathrm{tr}\,T_aT_b=c\,\delta_{ab}$. `matrices` gives the elements of any group as matrices, 1×1 for U(1), so that
one implementation of loops and staples serves all groups.
"""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow._typing import Field, Matrices, PRNGKey, Scalar, Tangent


class AbstractGroup(eqx.Module):
    """A compact matrix group acting on itself."""

    name: eqx.AbstractVar[str]
    n: eqx.AbstractVar[int]
    element_shape: eqx.AbstractVar[tuple[int, ...]]
    algebra_shape: eqx.AbstractVar[tuple[int, ...]]
    trace_norm: eqx.AbstractVar[float]

    def __repr__(self) -> str:
        return getattr(self, "name", type(self).__name__)

    @property
    def n_generators(self) -> int:
        """Dimension of the algebra."""
        return self.algebra_shape[0] if self.algebra_shape else 1

    @abc.abstractmethod
    def identity(self, sites: tuple[int, ...]) -> Field:
        """The unit element at every site."""

    @abc.abstractmethod
    def haar(self, key: PRNGKey, sites: tuple[int, ...]) -> Field:
        """Independent draws of the Haar measure; under `vmap` the batch is last in memory."""

    @property
    @abc.abstractmethod
    def n_uniforms(self) -> int:
        """How many uniform numbers `haar_of_uniforms` makes an element of."""

    @abc.abstractmethod
    def haar_of_uniforms(self, u: Float[Array, "n_uniforms *sites"]) -> Field:
        """Elements made of numbers in (0, 1): Haar draws if these are uniform. The first move traces most."""

    @abc.abstractmethod
    def compose(self, g: Field, h: Field) -> Field:
        """The product gh at every site."""

    @abc.abstractmethod
    def adjoint(self, g: Field) -> Field:
        """The inverse at every site."""

    @abc.abstractmethod
    def conjugate(self, g: Field) -> Field:
        """Complex conjugate of every matrix entry, or of the phase for U(1), at every site."""

    @abc.abstractmethod
    def exp(self, p: Tangent) -> Field:
        r"""$\exp(i\,p_aT_a)$ at every site."""

    @abc.abstractmethod
    def move(self, g: Field, p: Tangent) -> Field:
        r"""$\exp(i\,p_aT_a)\,g$ at every site: the update of a link."""

    @abc.abstractmethod
    def displace(self, g: Field, p: Tangent) -> Field:
        r"""$i\,p_aT_a\,g$: the change of the array under `move`, to first order in p."""

    @abc.abstractmethod
    def displacement(self, g: Field, dg: Field) -> Tangent:
        """Inverse of `displace`: coefficients of a first-order change `dg` of the array at `g`."""

    @abc.abstractmethod
    def matrices(self, g: Field) -> Matrices:
        """The elements as matrices `[n, n, *sites]`."""

    @abc.abstractmethod
    def algebra(self, p: Tangent) -> Matrices:
        r"""$i\,p_aT_a$ as matrices."""

    @abc.abstractmethod
    def coefficients(self, m: Matrices) -> Tangent:
        r"""Orthogonal projection of matrices on the algebra, $p_a=\mathrm{Im\,tr}(T_am)/c$: inverse of `algebra`.

        Traces (for SU(N)) and Hermitian parts drop out. The derivative of $\mathrm{Re\,tr}(e^{ip_aT_a}m)$ at p = 0 is
        $-c$ times this.
        """

    @abc.abstractmethod
    def project(self, m: Matrices) -> Field:
        r"""Project matrices close to the group onto it: unitary polar factor, divided by $\det^{1/N}$.

        Removes rounding errors and truncated digits. Far from the group the result need not be the nearest element of
        SU(N), because the N-th root of the determinant has several branches.
        """

    @abc.abstractmethod
    def defect(self, g: Field) -> Scalar:
        r"""Largest $|g^\dagger g-1|$ and $|\det g-1|$ over all sites, or distance of angles from (−π, π]."""


def wrap(angle: Float[Array, "*sites"]) -> Float[Array, "*sites"]:
    """The same angle in (−π, π]."""
    return angle + 2 * jnp.pi * jnp.floor((jnp.pi - angle) / (2 * jnp.pi))
