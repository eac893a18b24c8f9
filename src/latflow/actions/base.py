"""Actions: S(x) with p(x) ∝ exp(−S(x)) with respect to the reference measure of the space.

Couplings are array leaves, so dS/dβ exists and tuning a coupling never recompiles.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow._typing import Configuration, Momentum, PRNGKey, Scalar
from latflow.fields.spaces import AbstractFieldSpace


def autodiff_force(action: "AbstractAction", x: Configuration) -> Momentum:
    """DS along `move` by reverse-mode differentiation: the gradient in tangent coordinates at zero displacement."""
    real = jnp.finfo(jnp.result_type(*jax.tree.leaves(x))).dtype
    zero = jax.tree.map(lambda p: p.astype(real), action.space.still())
    return jax.grad(lambda p: action(action.space.move(x, p)))(zero)


class AbstractAction(eqx.Module):
    """A Euclidean lattice action."""

    space: eqx.AbstractVar[AbstractFieldSpace]

    @abc.abstractmethod
    def __call__(self, x: Configuration) -> Scalar:
        """S(x), a real number."""

    @abc.abstractmethod
    def force(self, x: Configuration) -> Momentum:
        """Gradient dS/dp of S(move(x, p)) at p = 0; the molecular-dynamics force is its negative.

        New actions may return `autodiff_force(self, x)` until an analytic one is faster.
        """

    def value_and_force(self, x: Configuration) -> tuple[Scalar, Momentum]:
        """S(x) and the force together; an action may share work between them."""
        return self(x), self.force(x)

    def refresh(self, key: PRNGKey, x: Configuration) -> Configuration:
        """The configuration with its auxiliary fields drawn afresh, given the others, from exp(−S).

        HMC calls it before every trajectory. An action without such fields returns `x` itself, and nothing is computed.
        """
        return x

    @property
    def terms(self) -> "tuple[AbstractAction, ...]":
        """Actions on the same space that sum to this one, for time scales of their own.

        The first one needs the fewest steps, because it is weak or its force is expensive. One term, the action itself,
        where splitting gains nothing. The law `terms_are_the_action` of `latflow.testing` holds the action to it.
        """
        return (self,)


class AbstractLocalAction(AbstractAction):
    """An action whose sites interact with nearest neighbours only, so that a checkerboard can be updated at once."""

    @abc.abstractmethod
    def site_difference(self, x: Float[Array, "*shape"], proposal: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """At every site, S after changing that site alone to `proposal` minus S before."""

    @property
    def bond(self) -> float | None:
        r"""β if $S=\sum_xV(|\phi_x|)-\beta\sum_{x,\mu}\phi_x\phi_{x+\hat\mu}$ with β > 0, else None.

        Only then are the signs an Ising model with clusters (`latflow.samplers.wolff`). An action that is of this form
        says so; the law `bonds_are_ising` of `latflow.testing` holds it to that.
        """
        return None
