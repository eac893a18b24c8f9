r"""Flows conditional on a coupling: one set of weights for every coupling of a range.

Every weight of an ordinary flow becomes a polynomial $\theta(\lambda)=\sum_{k=0}^{n}\theta_kT_k(u)$ in
$u=(2\ln\lambda-\ln\lambda_+-\ln\lambda_-)/(\ln\lambda_+-\ln\lambda_-)$, which runs from −1 to 1 over the range
$[\lambda_-,\lambda_+]$. At one coupling such a flow is an ordinary flow with an exact density; outside of the range it
is the one at the nearer end.
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
from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace
from latflow.flows.flow import Flow
from latflow.flows.mixture import TrainableFlow, Z2Mixture


class ConditionalFlow(eqx.Module):
    r"""A flow for every coupling of a range.

    Args:
        coefficients: An ordinary flow whose floating-point arrays have a leading axis more, the coefficients of
            $T_0\ldots T_n$; everything else in it is shared by all couplings.
        lower: $\lambda_->0$.
        upper: $\lambda_+>\lambda_-$.

    Raises:
        ConfigError: If the range is not one.

    References:
        A family of theories learned at once by a continuous flow: arXiv:2207.00283.
    """

    coefficients: TrainableFlow
    lower: float = eqx.field(static=True)
    upper: float = eqx.field(static=True)

    def __check_init__(self) -> None:
        if not 0 < self.lower < self.upper < float("inf"):
            found = f"[{self.lower:g}, {self.upper:g}]"
            raise ConfigError([f"flow.coupling_range: {found}; allowed: two increasing numbers > 0"])

    @property
    def space(self) -> AbstractFieldSpace:
        """What the flow draws at every coupling."""
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

    def at(self, coupling: float | Scalar) -> TrainableFlow:
        """The ordinary flow at a coupling; beyond an end of the range that at the end."""
        basis = _chebyshev(jnp.clip(self.position(coupling), -1.0, 1.0), self.order)

        def combined(leaf: Any) -> Any:
            return jnp.tensordot(basis.astype(leaf.dtype), leaf, 1) if eqx.is_inexact_array(leaf) else leaf

        return jax.tree.map(combined, self.coefficients)

    def position(self, coupling: float | Scalar) -> Scalar:
        """The u of a coupling: −1 at the lower end of the range, 1 at the upper one."""
        return (2 * jnp.log(coupling) - np.log(self.upper) - np.log(self.lower)) / np.log(self.upper / self.lower)

    def coupling(self, position: float | Scalar) -> Scalar:
        """The coupling at a u: the inverse of `position`."""
        return self.lower * jnp.exp(0.5 * (position + 1) * np.log(self.upper / self.lower))

    def contains(self, coupling: float) -> bool:
        """Whether the coupling lies inside the range, its ends included."""
        return self.lower <= coupling <= self.upper


FlowModel: TypeAlias = Flow | Z2Mixture | ConditionalFlow
"""What a study trains and stores; at its coupling each of them is an ordinary flow."""


def conditioned(flow: FlowModel, *, lower: float, upper: float, order: int) -> ConditionalFlow:
    """A flow as the start of a training over a range of couplings.

    Args:
        flow: An ordinary flow, which becomes the same at every coupling; or a conditional one, whose weights are
            interpolated on the new range, exactly where they are polynomials of at most that degree.
        lower: Lower end of the range.
        upper: Upper end.
        order: Degree of the polynomials.

    Raises:
        ConfigError: If the range is not one.
    """
    at = flow.at if isinstance(flow, ConditionalFlow) else lambda _: flow
    return interpolated(at, lower=lower, upper=upper, order=order)


def interpolated(at: Callable[[Scalar], TrainableFlow], *, lower: float, upper: float, order: int) -> ConditionalFlow:
    """The conditional flow that agrees with `at` at the Chebyshev nodes of a range.

    Args:
        at: An ordinary flow for every coupling, all of one structure.
        lower: Lower end of the range.
        upper: Upper end.
        order: Degree of the polynomials; there is one node more.
    """
    nodes = np.cos(np.pi * (np.arange(order + 1) + 0.5) / (order + 1))
    scale = ConditionalFlow(at(jnp.asarray(lower)), lower, upper)
    flows = [at(scale.coupling(node)) for node in nodes]
    # the polynomials are orthogonal over the nodes: T_0 has norm n + 1, the others half of it
    table = np.polynomial.chebyshev.chebvander(nodes, order)
    transform = table.T * np.where(np.arange(order + 1) == 0, 1, 2)[:, None] / (order + 1)

    def stacked(*leaves: Any) -> Any:
        if not eqx.is_inexact_array(leaves[0]):
            return leaves[0]
        wide = jnp.stack([leaf.astype(float) for leaf in leaves])
        return jnp.tensordot(transform, wide, 1).astype(leaves[0].dtype)

    return ConditionalFlow(jax.tree.map(stacked, *flows), lower, upper)


def at_coupling(model: FlowModel, coupling: float | Scalar) -> TrainableFlow:
    """The ordinary flow that a model is at a coupling: itself, unless it is conditional."""
    return model.at(coupling) if isinstance(model, ConditionalFlow) else model


def _chebyshev(u: Scalar, order: int) -> Float[Array, " n"]:
    """T_0 to T_order at u."""
    rows = functools.reduce(
        lambda rows, _: [*rows, 2 * u * rows[-1] - rows[-2]], range(order - 1), [jnp.ones_like(u), u]
    )
    return jnp.stack(rows[: order + 1])
