r"""Wolff clusters for scalar fields: signs flipped in whole clusters, magnitudes moved by local Metropolis sweeps.

Write $\phi_x=s_x|\phi_x|$. At fixed magnitudes an action $S=\sum_xV(|\phi_x|)-\beta\sum_{x,\mu}\phi_x\phi_{x+\hat\mu}$
is an Ising model of the signs with the ferromagnetic couplings $J=\beta|\phi_x||\phi_{x+\hat\mu}|$, whose weight
$e^{Jss'}=e^{-J}+(e^J-e^{-J})\,\delta_{ss'}$ is the sum over a bond open or active (Fortuin and Kasteleyn). Where
the signs agree it is active with probability $1-e^{-2J}=1-e^{-2\beta\phi_x\phi_{x+\hat\mu}}$, where they differ never.
The house normalisation has $\beta=2$, hence $p=1-e^{-4\phi_x\phi_{x+\hat\mu}}$. Flipping the cluster of a site chosen
uniformly satisfies detailed balance without a rejection. Signs alone are not ergodic, so local sweeps go with them.

References:
    Wolff, Phys. Rev. Lett. 62 (1989) 361; Brower & Tamayo, Phys. Rev. Lett. 62 (1989) 1087.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Integer
from typing_extensions import override

from latflow._typing import PRNGKey, Scalar
from latflow.actions.base import AbstractLocalAction
from latflow.arguments import require_type
from latflow.batching import batch_last, beside, repeat, settle, shift
from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace
from latflow.randomness import fold_in, log_uniform, uniform
from latflow.samplers.base import AbstractTunableKernel, Transition
from latflow.samplers.local import LocalMetropolis, LocalState


class NoClusterError(ConfigError):
    """The signs of a field under this action do not form a ferromagnetic Ising model, so no clusters are defined."""


class Bonds(NamedTuple):
    """Active bonds of one direction, seen from both of their ends.

    Attributes:
        forward: Whether the bond between x and x + μ̂ is active.
        backward: Whether the bond between x − μ̂ and x is.
    """

    forward: Bool[Array, "*shape"]
    backward: Bool[Array, "*shape"]


class WolffMetropolis(AbstractTunableKernel):
    """Local Metropolis sweeps, then single-cluster sign flips.

    Args:
        action: The target is exp(−S); even in every site and coupled ferromagnetically to nearest neighbours only.
        width: Width of the proposals of the local sweeps; the scale that is tuned.
        n_sweeps: Local sweeps in one step, at least 1.
        n_clusters: Clusters flipped after them, at least 1.

    Raises:
        NoClusterError: If the action does not declare such bonds (`AbstractLocalAction.bond`).
        ConfigError: If an extent of the lattice is odd or a number is not positive.
    """

    local: LocalMetropolis
    bond: float = eqx.field(static=True)
    n_sweeps: int = eqx.field(static=True)
    n_clusters: int = eqx.field(static=True)

    def __init__(
        self, action: AbstractLocalAction, *, width: float | Scalar, n_sweeps: int = 1, n_clusters: int = 1
    ) -> None:
        require_type("cluster.action", action, AbstractLocalAction, "PhiFour, FreeField or another AbstractLocalAction")
        bond = action.bond
        if bond is None:
            what = "actions even in every φ_x with bonds −β φ_x φ_y, β > 0, between nearest neighbours"
            raise NoClusterError([f"action: {type(action).__name__}; allowed: {what}; use hmc or local"])
        if n_sweeps < 1 or n_clusters < 1:
            raise ConfigError([f"cluster: {n_sweeps} sweeps and {n_clusters} clusters; allowed: at least 1 of each"])
        self.local = LocalMetropolis(action, width=width)
        self.bond = bond
        self.n_sweeps = n_sweeps
        self.n_clusters = n_clusters

    @property
    def action(self) -> AbstractLocalAction:
        """S of the target."""
        return self.local.action

    @property
    @override
    def scale(self) -> Scalar:
        return self.local.scale

    @override
    def with_scale(self, scale: Scalar) -> "WolffMetropolis":
        return WolffMetropolis(self.action, width=scale, n_sweeps=self.n_sweeps, n_clusters=self.n_clusters)

    @property
    @override
    def target_space(self) -> AbstractFieldSpace:
        return self.local.action.space

    @override
    def init(self, x: Float[Array, "*shape"]) -> LocalState:
        return self.local.init(x)

    @override
    def step(self, key: PRNGKey, state: LocalState) -> tuple[LocalState, Transition]:
        sweeps, clusters = fold_in(key, 0), fold_in(key, 1)

        def sweep(i: Integer[Array, ""], carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            x, acceptance, log_ratio = carry
            moved, transition = self.local.step(fold_in(sweeps, i), LocalState(x))
            return moved.x, acceptance + transition.acceptance, log_ratio + transition.log_ratio

        start = (batch_last(state.x), jnp.zeros(()), jnp.zeros(()))
        x, acceptance, log_ratio = repeat(sweep, start, n=self.n_sweeps)
        x = repeat(lambda i, x: self._flip_one(fold_in(clusters, i), x), x, n=self.n_clusters)
        return LocalState(x), Transition(acceptance / self.n_sweeps, jnp.ones((), dtype=bool), log_ratio)

    def _flip_one(self, key: PRNGKey, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        log_u = [log_uniform(fold_in(key, mu), x.shape) for mu in range(x.ndim)]
        seed = jnp.floor(uniform(fold_in(key, x.ndim)) * x.size).astype(jnp.int32)
        return flip_cluster(x, active_bonds(x, log_u, bond=self.bond), seed)


def active_bonds(
    x: Float[Array, "*shape"], log_u: list[Float[Array, "*shape"]], *, bond: float | Float[Array, "*shape"]
) -> list[Bool[Array, "*shape"]]:
    r"""Active bonds of each direction; the bond between x and x + μ̂ is stored at x.

    A bond is inactive with probability $\min(1,e^{-2\beta\phi_x\phi_{x+\hat\mu}})$: ln u is negative, so that bonds
    between opposite signs are never active, and neither are those whose product is NaN.

    Args:
        x: One configuration.
        log_u: Logarithms of uniform numbers, one array per direction.
        bond: β; an array where it is one of a batch.
    """
    return [u >= -2.0 * bond * x * shift(x, axis=mu) for mu, u in enumerate(log_u)]


def flip_cluster(
    x: Float[Array, "*shape"], forward: list[Bool[Array, "*shape"]], seed: Int[Array, ""]
) -> Float[Array, "*shape"]:
    """The configuration with the cluster of one site flipped.

    Args:
        x: One configuration.
        forward: Active bonds, as `active_bonds` gives them.
        seed: Number of the site in C order.
    """
    bonds = [Bonds(b, shift(b, axis=mu, steps=-1)) for mu, b in enumerate(forward)]
    numbers = beside(jnp.arange(x.size, dtype=jnp.int32).reshape(x.shape), x)
    # Two rounds of growth per check whether the cluster still grows: the check costs as much as a round.
    cluster = settle(lambda c: _grown(_grown(c, bonds), bonds), numbers == beside(seed, x))
    return jnp.where(cluster, -x, x)


def _grown(cluster: Bool[Array, "*shape"], bonds: list[Bonds]) -> Bool[Array, "*shape"]:
    """The cluster extended by all sites that active bonds connect to it, one direction after the other."""
    for mu, (forward, backward) in enumerate(bonds):
        cluster = cluster | (forward & shift(cluster, axis=mu))
        cluster = cluster | (backward & shift(cluster, axis=mu, steps=-1))
    return cluster
