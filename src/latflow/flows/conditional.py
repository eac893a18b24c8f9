r"""Flows conditional on a parameter θ of the action: one set of weights for every value of a range.

Every weight of an ordinary flow becomes a polynomial $w(\theta)=\sum_{k=0}^{n}w_kT_k(u)$ in
$u=(2\ln\theta-\ln\theta_+-\ln\theta_-)/(\ln\theta_+-\ln\theta_-)$, which runs from −1 to 1 over the range
$[\theta_-,\theta_+]$. At one value such a flow is an ordinary flow with an exact density; outside of the range it is
the one at the nearer end.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from latflow._typing import Scalar
from latflow.actions.base import AbstractAction
from latflow.arguments import count, number
from latflow.display import call
from latflow.distributions import AbstractDistribution
from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace
from latflow.flows.flow import Flow, weights_of
from latflow.flows.mixture import TrainableFlow, Z2Mixture
from latflow.given import require_type


class ConditionalFlow(eqx.Module):
    r"""A flow for every value of a parameter in a range.

    Args:
        coefficients: An ordinary flow whose floating-point arrays have a leading axis more, the coefficients of
            $T_0\ldots T_n$; everything else in it is shared by all values.
        lower: $\theta_->0$.
        upper: $\theta_+>\theta_-$.
        parameter: Name of θ among `AbstractAction.parameters`.

    Raises:
        ConfigError: If the range is not one.

    References:
        A family of theories learned at once by a continuous flow: arXiv:2207.00283.
    """

    coefficients: TrainableFlow
    lower: float = eqx.field(static=True)
    upper: float = eqx.field(static=True)
    parameter: str = eqx.field(static=True, default="coupling")

    def __check_init__(self) -> None:
        _require_range(self.lower, self.upper)

    def __repr__(self) -> str:
        summary = getattr(getattr(self.coefficients, "space", None), "summary", "")
        over = f"{self.parameter} from {self.lower:g} to {self.upper:g}"
        return call("ConditionalFlow", summary, over, weights_of(self))

    @property
    def space(self) -> AbstractFieldSpace:
        """What the flow draws at every value."""
        return self.coefficients.space

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one configuration."""
        return self.space.shape

    @property
    def order(self) -> int:
        """Degree of the polynomials."""
        leaves = jax.tree.leaves(eqx.filter(self.coefficients, eqx.is_inexact_array))
        return len(leaves[0]) - 1

    def at(self, value: float | Scalar) -> TrainableFlow:
        """The ordinary flow at a value of the parameter; beyond an end of the range that at the end."""
        basis = _chebyshev(jnp.clip(self.position(value), -1.0, 1.0), self.order)

        def combined(leaf: Any) -> Any:
            return jnp.tensordot(basis.astype(leaf.dtype), leaf, 1) if eqx.is_inexact_array(leaf) else leaf

        return jax.tree.map(combined, self.coefficients)

    def position(self, value: float | Scalar) -> Scalar:
        """The u of a value: −1 at the lower end of the range, 1 at the upper one."""
        return (2 * jnp.log(value) - np.log(self.upper) - np.log(self.lower)) / np.log(self.upper / self.lower)

    def value(self, position: float | Scalar) -> Scalar:
        """The value at a u: the inverse of `position`."""
        return self.lower * jnp.exp(0.5 * (position + 1) * np.log(self.upper / self.lower))

    def contains(self, value: float) -> bool:
        """Whether the value lies inside the range, its ends included."""
        return self.lower <= value <= self.upper


FlowModel: TypeAlias = Flow | Z2Mixture | ConditionalFlow
"""What a study trains and stores; for one action each of them is an ordinary flow."""


def conditioned(
    flow: FlowModel, *, lower: float, upper: float, order: int, parameter: str = "coupling"
) -> ConditionalFlow:
    """A flow as the start of a training over a range of values of a parameter.

    Args:
        flow: An ordinary flow, which becomes the same at every value; or a flow conditional on the same parameter,
            whose weights are interpolated on the new range, exactly where they are polynomials of at most that degree.
        lower: Lower end of the range.
        upper: Upper end.
        order: Degree of the polynomials.
        parameter: Name of the parameter.

    Raises:
        ConfigError: If the range is not one, or the flow is conditional on another parameter.
    """
    require_type("flow", flow, AbstractDistribution | ConditionalFlow, "a flow such as real_nvp(key, lattice)")
    order = count("order", order, least=0)
    if not isinstance(flow, ConditionalFlow):
        return interpolated(lambda _: flow, lower=lower, upper=upper, order=order, parameter=parameter)
    if flow.parameter != parameter:
        raise ConfigError([f"flow.parameter: {parameter}; allowed: {flow.parameter}, what the flow is conditional on"])
    return interpolated(flow.at, lower=lower, upper=upper, order=order, parameter=parameter)


def interpolated(
    at: Callable[[float], TrainableFlow], *, lower: float, upper: float, order: int, parameter: str
) -> ConditionalFlow:
    """The conditional flow that agrees with `at` at the Chebyshev nodes of a range.

    Args:
        at: An ordinary flow for every value, all of one structure.
        lower: Lower end of the range.
        upper: Upper end.
        order: Degree of the polynomials; there is one node more.
        parameter: Name of the parameter.
    """
    nodes = np.cos(np.pi * (np.arange(order + 1) + 0.5) / (order + 1))
    _require_range(lower, upper)
    # no tracers, also where only shapes are asked for
    values = lower * np.exp(0.5 * (nodes + 1) * np.log(upper / lower))
    flows = [at(float(value)) for value in values]
    # the polynomials are orthogonal over the nodes: T_0 has norm n + 1, the others half of it
    table = np.polynomial.chebyshev.chebvander(nodes, order)
    transform = table.T * np.where(np.arange(order + 1) == 0, 1, 2)[:, None] / (order + 1)

    def stacked(*leaves: Any) -> Any:
        if not eqx.is_inexact_array(leaves[0]):
            return leaves[0]
        wide = jnp.stack([leaf.astype(float) for leaf in leaves])
        return jnp.tensordot(transform, wide, 1).astype(leaves[0].dtype)

    return ConditionalFlow(jax.tree.map(stacked, *flows), lower, upper, parameter)


def flow_for(model: FlowModel, action: AbstractAction) -> TrainableFlow:
    """The ordinary flow that a model is for an action: itself, unless it is conditional on one of its parameters.

    Raises:
        ConfigError: If it is conditional on a parameter that the action does not have.
    """
    if not isinstance(model, ConditionalFlow):
        return model
    name = model.parameter
    if name not in action.parameters:
        words = f"no parameter {name}, which the flow is conditional on; allowed: an action with one"
        raise ConfigError([f"{type(action).__name__}: {words}"])
    return model.at(getattr(action, name))


def _require_range(lower: float, upper: float) -> None:
    for name, end in (("lower", lower), ("upper", upper)):
        number(name, end)
    if not 0 < lower < upper < float("inf"):
        raise ConfigError([f"flow.coupling_range: [{lower:g}, {upper:g}]; allowed: two increasing numbers > 0"])


def _chebyshev(u: Scalar, order: int) -> Float[Array, " n"]:
    """T_0 to T_order at u."""
    rows = functools.reduce(
        lambda rows, _: [*rows, 2 * u * rows[-1] - rows[-2]], range(order - 1), [jnp.ones_like(u), u]
    )
    return jnp.stack(rows[: order + 1])
