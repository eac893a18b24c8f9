"""Flows of spins by name."""

import equinox as eqx
import jax.numpy as jnp

from latflow._typing import PRNGKey, Scalar
from latflow.arguments import choice, count, finite, require_type
from latflow.bijections.ode.continuous import ContinuousFlow
from latflow.bijections.ode.runge_kutta import SCHEMES
from latflow.bijections.ode.spin_velocity import SpinVelocity
from latflow.bijections.spin_levels import SpinLevels, initial_weights, stages
from latflow.bijections.spin_tilts import COMPONENTS, LARGEST_FIELD
from latflow.distributions import HaarPrior
from latflow.errors import ConfigError
from latflow.fields.compact import SphereSpace
from latflow.flows.architectures import cast
from latflow.flows.flow import Flow
from latflow.flows.networks import PRECISIONS
from latflow.lattice import Lattice
from latflow.randomness import require_key

LARGEST_BETA = LARGEST_FIELD / 4
"""Four neighbours make a field of four times β."""


def continuous_spin_flow(
    key: PRNGKey,
    lattice: Lattice,
    components: int,
    *,
    beta: float = 0.0,
    radius: int = 3,
    degree: int = 2,
    n_times: int = 3,
    n_steps: int = 4,
    scheme: str = "rk4",
) -> Flow:
    """Uniform spins of any number of components, carried along sums of other spins with learned weights.

    It has every symmetry of the lattice and of O(N), exactly. It starts as the map that trivialises the action to first
    order in a given β. Its velocity is linear in the weights, so that `lf.LeastSquares` trains it.

    Args:
        key: Not used, for no weight is random; builders of flows take one.
        lattice: Any extents.
        components: N, at least 2.
        beta: Coupling of the spin model whose map it starts as; at 0, the default, that is the identity.
        radius: Largest displacement of the spins that are summed, in every direction.
        degree: Of the polynomials in the products with nearest neighbours, see
            `latflow.bijections.ode.spin_velocity`.
        n_times: Functions of the time basis.
        n_steps: Integration steps.
        scheme: Of the integrator, see `latflow.bijections.ode.runge_kutta`.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If the scheme is unknown or a number out of range.
    """
    require_key(key)
    require_type("lattice", lattice, Lattice, "Lattice(shape)")
    choice("flow.scheme", scheme, SCHEMES)
    space = SphereSpace(count("components", components, least=2) - 1, lattice.shape)
    velocity = SpinVelocity.trivialising(
        space,
        beta=finite("beta", beta),
        n_times=count("n_times", n_times),
        radius=count("radius", radius),
        degree=count("degree", degree, least=0),
    )
    return Flow(HaarPrior(space), ContinuousFlow(velocity, count("n_steps", n_steps), SCHEMES[scheme]))


def spin_levels_flow(
    key: PRNGKey,
    lattice: Lattice,
    components: int,
    *,
    beta: float,
    neighbours: int = 20,
    near: int = 8,
    width: int = 32,
    dtype: str = "float64",
) -> Flow:
    """Uniform spins drawn from coarse sites to fine ones, each about a learned field of those before it.

    The last stage, the odd sites, is the heat bath of the spin model at β and needs no training. Train the others by
    `lf.ForwardKL` on draws of chains, such as `lf.SpinClusters`: the density of given spins costs no loop over stages.
    It has the symmetry O(N), exactly; those of the lattice are learned.

    Args:
        key: Of the weights of the hidden layers.
        lattice: Two directions, any extents; powers of two, and those times a small number, have few stages.
        components: N, 2 to 4.
        beta: Coupling of the spin model, at most 5.
        neighbours: Most sites that a field is made of.
        near: Of how many of these the products of all pairs are seen.
        width: Of the hidden layer.
        dtype: Of the weights; fields and densities are float64.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If the lattice has other than two directions, or a number is out of range.
    """
    require_key(key)
    require_type("lattice", lattice, Lattice, "Lattice(shape)")
    if lattice.ndim != 2:
        raise ConfigError([f"flow: levels of spins in {lattice.ndim} directions; allowed: two"])
    if count("components", components, least=2) not in COMPONENTS:
        raise ConfigError([f"flow: levels of spins of {components} components; allowed: {COMPONENTS}"])
    coupling = _coupling(beta)
    shape = (lattice.shape[0], lattice.shape[1])
    plan = stages(shape, count("neighbours", neighbours))
    sizes = {"near": count("near", near, least=0), "width": count("width", width)}
    choice("dtype", dtype, PRECISIONS)
    bijection = SpinLevels(initial_weights(key, plan, pull=1.0, **sizes), coupling, shape, neighbours)
    weights = cast(bijection, dtype).weights
    space = SphereSpace(components - 1, lattice.shape)
    return Flow(HaarPrior(space), SpinLevels(weights, coupling, shape, neighbours))


def at_spin_coupling(flow: Flow, beta: float) -> Flow:
    """A flow of `spin_levels_flow` with the heat bath at another β as its last stage.

    Args:
        flow: Its other stages stay as they are.
        beta: Coupling of the spin model, at most 5.

    Raises:
        ConfigError: If β is out of range.
    """
    require_type("flow.bijection", flow.bijection, SpinLevels, "that of spin_levels_flow(…)")
    return eqx.tree_at(lambda flow: flow.bijection.coupling, flow, _coupling(beta))


def _coupling(beta: float) -> Scalar:
    finite("beta", beta)
    if not 0 <= float(beta) <= LARGEST_BETA:
        raise ConfigError([f"beta: {float(beta):g}; allowed: 0 to {LARGEST_BETA:g}"])
    return jnp.asarray(float(beta))
