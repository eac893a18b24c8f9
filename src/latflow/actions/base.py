"""Actions: S(x) with p(x) ∝ exp(−S(x)) with respect to the reference measure of the space.

Couplings are array leaves, so dS/dβ exists and tuning a coupling never recompiles.
"""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow._typing import Configuration, Momentum, PRNGKey, Scalar
from latflow.arguments import finite
from latflow.display import call, fields_of
from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace
from latflow.given import require_type


def autodiff_force(action: "AbstractAction", x: Configuration) -> Momentum:
    """DS along `move` by reverse-mode differentiation: the gradient in tangent coordinates at zero displacement.

    Args:
        action: The action.
        x: One configuration.

    Returns:
        +∂S/∂p of S(move(x, p)) at p = 0, of the shape of a momentum.
    """
    require_type("action", action, AbstractAction, "an action")
    real = jnp.finfo(jnp.result_type(*jax.tree.leaves(x))).dtype
    zero = jax.tree.map(lambda p: p.astype(real), action.space.still())
    return jax.grad(lambda p: action(action.space.move(x, p)))(zero)


class AbstractAction(eqx.Module):
    """A Euclidean lattice action."""

    space: eqx.AbstractVar[AbstractFieldSpace]

    @abc.abstractmethod
    def __call__(self, x: Configuration) -> Scalar:
        """S(x), a real number."""

    def __repr__(self) -> str:
        space = getattr(self, "space", None)
        return call(type(self).__name__, getattr(space, "summary", ""), **fields_of(self, skipped=("space",)))

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the numbers of the theory: the fields that hold one real number as an array, in their order.

        A sum of actions has none of its own.
        """
        names = (field.name for field in dataclasses.fields(self))
        return tuple(name for name in names if _is_number(getattr(self, name)))

    def with_parameters(self, **values: float | Scalar) -> "AbstractAction":
        """The same theory at other values of some parameters.

        No other field changes. Ranges are checked for numbers, as in the constructor; an array may be traced.

        Args:
            values: By name, in the normalisation of this class.

        Raises:
            TypeError: If a value is no number.
            ConfigError: If it has no parameter of a name, or a value is out of range.
        """
        unknown = [name for name in values if name not in self.parameters]
        if unknown:
            known = ", ".join(self.parameters) or "none, it has no parameters"
            raise ConfigError([f"{type(self).__name__}: no parameter {name}; allowed: {known}" for name in unknown])
        numbers = [finite(f"action.{name}", value) for name, value in values.items()]
        self.require_values({**{name: getattr(self, name) for name in self.parameters}, **values})
        return eqx.tree_at(lambda action: [getattr(action, name) for name in values], self, numbers)

    def require_values(self, values: Mapping[str, float | Scalar]) -> None:
        """Refuse values of the parameters for which there is no theory; by default none.

        Args:
            values: Of every parameter, by name. Arrays may be traced: only numbers are checked.

        Raises:
            ConfigError: If a number is out of range.
        """

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


def _is_number(value: Any) -> bool:
    return eqx.is_inexact_array(value) and value.ndim == 0
