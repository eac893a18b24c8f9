"""Continuous flows of spins by name."""

from latflow._typing import PRNGKey
from latflow.arguments import choice, count, finite, require_type
from latflow.bijections.ode.continuous import ContinuousFlow
from latflow.bijections.ode.runge_kutta import SCHEMES
from latflow.bijections.ode.spin_velocity import SpinVelocity
from latflow.distributions import HaarPrior
from latflow.fields.compact import SphereSpace
from latflow.flows.flow import Flow
from latflow.lattice import Lattice
from latflow.randomness import require_key


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
