"""Continuous flows by name, and the number of integration steps that production draws need.

A continuous flow is trained with a few steps of a cheap scheme. Production draws are made with an accurate scheme and
as many steps as bring the error of log q below a bound: the weights stay, the integrator is exchanged.
"""

import dataclasses
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from latflow._typing import PRNGKey
from latflow.arguments import choice, count, positive, require_type
from latflow.bijections.ode.continuous import ContinuousFlow
from latflow.bijections.ode.of_draws import FlowOfDraws
from latflow.bijections.ode.on_links import ContinuousLinkFlow, LinkFlowOfDraws
from latflow.bijections.ode.runge_kutta import RK8, SCHEMES, RungeKutta
from latflow.bijections.ode.velocities import LatticeVelocity
from latflow.distributions import AbstractDistribution, FreeFieldPrior
from latflow.errors import PhysicsStop
from latflow.flows.flow import Flow
from latflow.flows.networks import PRECISIONS
from latflow.lattice import Lattice
from latflow.randomness import require_key, split

PROMISED_LOG_PROB_ERROR = 1e-6
"""Bound on the error of log q of every production draw."""

MAX_LOG_PROB_ERROR = 1e-7
"""The bound on the few draws with which the error is measured: smaller, since many more draws follow."""

_FlowT = TypeVar("_FlowT", bound=eqx.Module)
_DensityT = TypeVar("_DensityT", bound=AbstractDistribution)

_PROBES = 64
_MOST_STEPS = 256


def continuous_flow(
    key: PRNGKey,
    lattice: Lattice,
    *,
    mass_squared: float | None = None,
    n_contexts: int = 4,
    n_features: int = 3,
    n_hidden: int = 16,
    n_times: int = 4,
    radius: int = 3,
    n_steps: int = 6,
    scheme: str = "rk4",
    dtype: str | jnp.dtype = "float32",
) -> Flow:
    """An equivariant continuous flow from a free field with a learned spectrum.

    It has every symmetry of the lattice and is even under φ → −φ, exactly. At first it is the free field.

    Args:
        key: Randomness of the network.
        lattice: Any extents.
        mass_squared: Mass of the free field to begin with; by default that of a correlation length of a quarter of the
            largest extent.
        n_contexts: Convolutions that the site network reads.
        n_features: Features of the field that are convolved.
        n_hidden: Units of the site network.
        n_times: Functions of the time basis.
        radius: Largest displacement of a kernel in every direction.
        n_steps: Integration steps.
        scheme: Of the integrator, see `latflow.bijections.ode.runge_kutta`.
        dtype: Precision of the network.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If the scheme is unknown or a number out of range.

    References:
        arXiv:2207.00283.
    """
    require_key(key)
    require_type("lattice", lattice, Lattice, "Lattice(shape)")
    choice("flow.scheme", scheme, SCHEMES)
    numbers = {"n_contexts": n_contexts, "n_features": n_features, "n_hidden": n_hidden, "n_times": n_times}
    for name, value in {**numbers, "radius": radius, "n_steps": n_steps}.items():
        count(name, value)
    choice("dtype", str(jnp.dtype(dtype)), PRECISIONS)
    if mass_squared is not None:
        positive("mass_squared", mass_squared)
    velocity = LatticeVelocity.create(
        key,
        lattice,
        n_contexts=n_contexts,
        n_features=n_features,
        n_hidden=n_hidden,
        n_times=n_times,
        radius=radius,
        dtype=dtype,
    )
    mass_squared = (4 / max(lattice.shape)) ** 2 if mass_squared is None else mass_squared
    prior = FreeFieldPrior.of_mass(lattice, mass_squared=mass_squared)
    return Flow(prior, ContinuousFlow(velocity, n_steps, SCHEMES[scheme]))


def with_integrator(flow: _FlowT, scheme: RungeKutta, n_steps: int) -> _FlowT:
    """The same flow with every continuous part integrated by `scheme` in `n_steps` steps."""
    return jax.tree.map(
        lambda node: dataclasses.replace(node, scheme=scheme, n_steps=n_steps) if _is_continuous(node) else node,
        flow,
        is_leaf=_is_continuous,
    )


def of_draws(
    flow: _FlowT,
    scheme: RungeKutta | None = None,
    n_steps: int | None = None,
    quadrature: Float[Array, " n"] | None = None,
) -> _FlowT:
    """The same flow with every continuous part that allows it made for draws.

    Args:
        flow: A flow, or a part of one.
        scheme: Of the integrator; by default that of each part.
        n_steps: Steps; by default those of each part.
        quadrature: Of the log-det of fields, see `FlowOfDraws`.

    Returns:
        A flow with `FlowOfDraws` and `LinkFlowOfDraws` in their places.
    """

    def exchanged(node: Any) -> Any:
        if not has_form_for_draws(node):
            return node
        steps, table = n_steps or node.n_steps, scheme or node.scheme
        if isinstance(node, ContinuousLinkFlow):
            return LinkFlowOfDraws(node.velocity, node.space, jnp.asarray(steps), table)
        return FlowOfDraws(node.velocity, steps, table, quadrature)

    return jax.tree.map(exchanged, flow, is_leaf=_is_continuous)


def has_form_for_draws(node: Any) -> bool:
    """Whether a part of a flow is continuous and has a form for draws."""
    fields = isinstance(node, ContinuousFlow) and isinstance(node.velocity, LatticeVelocity)
    return fields or isinstance(node, ContinuousLinkFlow)


def is_continuous(flow: eqx.Module) -> bool:
    """Whether a part of the flow is integrated, so that its log q carries a discretisation error."""
    return any(_is_continuous(node) for node in jax.tree.leaves(flow, is_leaf=_is_continuous))


def log_prob_error(key: PRNGKey, flow: AbstractDistribution, finer: AbstractDistribution) -> float:
    """Largest |log q reported by `flow` − log q of `finer` at the same field| over 64 draws.

    The finer flow finds log q by integrating backwards from the field, so errors of the field count as well.

    Args:
        key: Randomness of the draws.
        flow: What draws.
        finer: The same flow integrated more accurately.
    """
    return float(np.max(np.asarray(_errors(split(key, _PROBES), flow, finer))))


@eqx.filter_jit
def _errors(keys: jax.Array, flow: AbstractDistribution, finer: AbstractDistribution) -> jax.Array:
    def one(key: PRNGKey) -> jax.Array:
        x, log_q = flow.sample_and_log_prob(key)
        return jnp.abs(finer.log_prob(x) - log_q)

    return jax.vmap(one)(keys)


def production_steps(
    key: PRNGKey, flow: AbstractDistribution, *, bound: float = MAX_LOG_PROB_ERROR, first: int = 2
) -> tuple[int, float]:
    """Steps of the scheme of order eight that production draws need, and the error of log q they leave.

    Args:
        key: Randomness of the draws the error is measured on.
        flow: The trained flow with float64 networks.
        bound: Largest error of log q.
        first: Steps that are tried first; they are doubled until the error is below the bound.

    Raises:
        PhysicsStop: If no affordable number of steps reaches the bound.
    """
    n_steps, error = min(first, _MOST_STEPS), float("inf")
    while n_steps <= _MOST_STEPS:
        # Made for draws the flow is compiled once for all numbers of steps.
        here, finer = (of_draws(with_integrator(flow, RK8, n)) for n in (n_steps, 2 * n_steps))
        error = log_prob_error(key, here, finer)
        if error <= bound:
            return n_steps, error
        n_steps *= 2
    raise PhysicsStop(
        "continuous flow: log q is not accurate",
        value=f"error {error:.1e} with {n_steps // 2} steps",
        allowed=f"{bound:.0e}",
        hint="the velocity varies too fast in time; train longer, or with a smaller learning rate",
    )


def accurate(key: PRNGKey, flow: _DensityT) -> _DensityT:
    """The flow as production draws need it: a continuous one integrated in as many steps as `production_steps` says.

    A flow that is integrated accurately already, such as a trained model, keeps its steps.
    """
    if not is_continuous(flow):
        return flow
    return with_integrator(flow, RK8, production_steps(key, flow, first=_steps(flow))[0])


def _steps(flow: eqx.Module) -> int:
    """Steps of the accurate scheme that the flow has; the fewest there are if it has another scheme."""
    parts = [node for node in jax.tree.leaves(flow, is_leaf=_is_continuous) if _is_continuous(node)]
    return max((part.n_steps for part in parts if part.scheme == RK8), default=2)


def _is_continuous(node: Any) -> bool:
    return isinstance(node, ContinuousFlow | ContinuousLinkFlow)
