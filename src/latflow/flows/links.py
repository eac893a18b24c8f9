"""Continuous flows of links by name."""

from latflow._typing import PRNGKey
from latflow.arguments import choice, count, finite
from latflow.bijections.ode.loop_velocity import LoopVelocity
from latflow.bijections.ode.on_links import ContinuousLinkFlow
from latflow.bijections.ode.runge_kutta import SCHEMES
from latflow.distributions import HaarPrior
from latflow.errors import ConfigError
from latflow.fields.spaces import GaugeSpace
from latflow.flows.flow import Flow
from latflow.groups.base import AbstractGroup
from latflow.lattice import Lattice
from latflow.randomness import require_key


def continuous_link_flow(
    key: PRNGKey,
    lattice: Lattice,
    group: AbstractGroup,
    *,
    beta: float = 0.0,
    order: int = 3,
    n_times: int = 3,
    n_steps: int = 4,
    scheme: str = "rk4",
) -> Flow:
    """Haar links of any group in any dimension, carried along loops of four to ten links with learned weights.

    It has every symmetry of Wilson's action: gauge transformations, translations, rotations and reflections of the
    lattice, charge conjugation. It starts as the map that trivialises
    the action to first order in a given β.

    Args:
        key: Not used, for no weight is random; builders of flows take one.
        lattice: At least two directions with two sites each. Loops longer than the lattice are left out.
        group: Of the links.
        beta: Coupling of Wilson's action whose map it starts as; at 0, the default, that is the identity.
        order: Which loops there are: 1 plaquettes; 2 also products of two of them and loops of six links; 3 also
            products of three and loops of eight and ten links; 4: also products of all these with functions of the
            plaquettes through the link. Orders 1 and 2 are those of the trivialising map in β.
        n_times: Functions of the time basis.
        n_steps: Integration steps.
        scheme: Of the integrator, see `latflow.bijections.ode.runge_kutta`.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If the scheme is unknown, a number out of range or an extent below 2.

    References:
        arXiv:2212.08469, arXiv:2410.13161; the start arXiv:0907.5491, section 3.
    """
    require_key(key)
    choice("flow.scheme", scheme, SCHEMES)
    if count("order", order) > 4:
        raise ConfigError([f"order: {order}; allowed: 1, 2, 3 or 4"])
    n_times, n_steps = count("n_times", n_times), count("n_steps", n_steps)
    space = GaugeSpace(lattice, group)
    if min(lattice.shape) < 2:
        raise ConfigError([f"lattice.shape: {list(lattice.shape)}; allowed: extents of 2 or more, for plaquettes"])
    velocity = LoopVelocity.trivialising(space, beta=finite("beta", beta), n_times=n_times, order=order)
    return Flow(HaarPrior(space), ContinuousLinkFlow(velocity, space, n_steps, SCHEMES[scheme]))
