r"""Heat bath, overrelaxation and Wolff clusters of spins.

One spin given its neighbours has the weight $e^{\beta n\cdot h}$, h their sum. With $\kappa=\beta|h|$ the cosine c
between n and h has the density $(1-c^2)^{(N-3)/2}e^{\kappa c}$: von Mises' for N = 2, an exponential that is inverted
for N = 3, that of SU(2) links for N = 4; the part across h has a uniform direction. Sites of one colour are updated at
once. Overrelaxation reflects a spin about h, $n\to2(n\cdot\hat h)\hat h-n$, which leaves the action unchanged.

Clusters: with a random unit vector r the components $\sigma_x=r\cdot n_x$ have the bonds $\beta\sigma_x\sigma_y$ of a
scalar field, and flipping their signs in a cluster reflects its spins, $n\to n-2(r\cdot n)r$. Bonds are active with
probability $1-e^{-2\beta\sigma_x\sigma_y}$ where that is positive; `latflow.samplers.wolff` grows the cluster.

References:
    Wolff, Phys. Rev. Lett. 62 (1989) 361; `latflow.samplers.link_draws` for the draws of one spin.
"""

from typing import Literal, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import PRNGKey
from latflow.actions.spins import SpinModel, neighbours
from latflow.arguments import count, require_type
from latflow.batching import batch_last, beside, repeat, trailing
from latflow.errors import ConfigError
from latflow.fields.compact import SphereSpace, normalised
from latflow.fields.spaces import AbstractFieldSpace
from latflow.lattice import Lattice
from latflow.randomness import fold_in, log_uniform, standard_normal, uniform
from latflow.samplers.base import AbstractKernel, Transition
from latflow.samplers.link_draws import (
    UNIFORMS_PER_TRIAL,
    su2_boltzmann,
    su2_trials,
    von_mises,
    von_mises_trials,
)
from latflow.samplers.wolff import active_bonds, flip_cluster

Move: TypeAlias = Literal["heat bath", "overrelaxation"]

_TRIALS = 3
_WEAK = 1e-8
_UNIFORMS = {2: _TRIALS * UNIFORMS_PER_TRIAL["von_mises"], 3: 2, 4: _TRIALS * UNIFORMS_PER_TRIAL["su2"] + 2}
"""Uniform numbers per spin, by N."""


class SpinState(NamedTuple):
    """State of a chain: its configuration."""

    x: Float[Array, "n *sites"]


class SpinHeatBath(AbstractKernel):
    """One heat-bath sweep over all spins, the even sites first, then sweeps of overrelaxation.

    A spin of two or four components whose three trials all fail stays as it is, which leaves the target invariant.

    Args:
        action: Spins of two, three or four components.
        n_overrelaxation: Sweeps of overrelaxation after that of the heat bath.

    Raises:
        TypeError: If the action is another one.
        ConfigError: If spins have more components, an extent is odd, or the number of sweeps is negative.
    """

    action: SpinModel
    n_overrelaxation: int = eqx.field(static=True)

    def __init__(self, action: SpinModel, *, n_overrelaxation: int = 0) -> None:
        require_type("heatbath.action", action, SpinModel, "SpinModel; other actions have hmc")
        if action.components not in _UNIFORMS:
            allowed = "spins of 2, 3 or 4 components; clusters without sweeps and hmc have any number"
            raise ConfigError([f"heatbath: {action.components} components; allowed: {allowed}"])
        action.lattice.checkerboard(parity=0)
        self.action = action
        self.n_overrelaxation = count("heatbath.overrelaxation", n_overrelaxation, least=0)

    @property
    @override
    def target_space(self) -> AbstractFieldSpace:
        return self.action.space

    @override
    def init(self, x: Float[Array, "n *sites"]) -> SpinState:
        return SpinState(batch_last(x))

    @override
    def step(self, key: PRNGKey, state: SpinState) -> tuple[SpinState, Transition]:
        u = uniform(key, (_UNIFORMS[self.action.components], *self.action.space.sites))
        x, found = _swept(state.x, u, self.action.beta, space=self.action.space, move="heat bath")
        x = _normalised(self.overrelaxed(x))
        return SpinState(x), Transition(jnp.mean(found), jnp.ones((), dtype=bool), jnp.zeros(()))

    def overrelaxed(self, x: Float[Array, "n *sites"]) -> Float[Array, "n *sites"]:
        """`n_overrelaxation` sweeps of overrelaxation, which leave the action unchanged up to rounding."""
        if not self.n_overrelaxation:
            return x
        space, beta = self.action.space, self.action.beta
        nothing = jnp.zeros((0, *space.sites))
        return repeat(
            lambda _, x: _swept(x, nothing, beta, space=space, move="overrelaxation")[0], x, n=self.n_overrelaxation
        )


class SpinClusters(AbstractKernel):
    """Heat-bath sweeps, then single clusters of reflected spins.

    Args:
        action: Spins of any number of components, on any lattice without sweeps.
        n_sweeps: Heat-bath sweeps in one step; see `SpinHeatBath` for where there are some.
        n_clusters: Clusters reflected after them, at least 1.

    Raises:
        TypeError: If the action is another one.
        ConfigError: If a number is out of range, or the sweeps do not fit the action.
    """

    action: SpinModel
    sweeps: SpinHeatBath | None
    n_sweeps: int = eqx.field(static=True)
    n_clusters: int = eqx.field(static=True)

    def __init__(self, action: SpinModel, *, n_sweeps: int = 0, n_clusters: int = 1) -> None:
        require_type("cluster.action", action, SpinModel, "SpinModel")
        self.action = action
        self.n_sweeps = count("cluster.sweeps", n_sweeps, least=0)
        self.n_clusters = count("cluster.clusters", n_clusters)
        self.sweeps = SpinHeatBath(action) if n_sweeps else None

    @property
    @override
    def target_space(self) -> AbstractFieldSpace:
        return self.action.space

    @override
    def init(self, x: Float[Array, "n *sites"]) -> SpinState:
        return SpinState(batch_last(x))

    @override
    def step(self, key: PRNGKey, state: SpinState) -> tuple[SpinState, Transition]:
        sweeps, clusters = fold_in(key, 0), fold_in(key, 1)
        x, heat_bath = state.x, self.sweeps
        if heat_bath is not None:
            x = repeat(lambda i, x: heat_bath.step(fold_in(sweeps, i), SpinState(x))[0].x, x, n=self.n_sweeps)
        x = repeat(lambda i, x: self._reflect_one(fold_in(clusters, i), x), x, n=self.n_clusters)
        return SpinState(_normalised(x)), Transition(jnp.ones(()), jnp.ones((), dtype=bool), jnp.zeros(()))

    def _reflect_one(self, key: PRNGKey, x: Float[Array, "n *sites"]) -> Float[Array, "n *sites"]:
        shape = self.action.space.sites
        r = _normalised(standard_normal(fold_in(key, len(shape) + 1), (len(x),)))
        sigma = _along(x, r)
        log_u = [log_uniform(fold_in(key, mu), shape) for mu in range(len(shape))]
        seed = jnp.floor(uniform(fold_in(key, len(shape))) * sigma.size).astype(jnp.int32)
        bonds = active_bonds(sigma, log_u, bond=beside(self.action.beta, sigma))
        return _reflected(x, r, flip_cluster(sigma, bonds, seed) - sigma)


# For use under `vmap`, where the batch is the last axis ---------------------------------------------------------------


_normalised = trailing(normalised)


@trailing
def _along(x: Array, r: Array) -> Array:
    """The component r·n of every spin."""
    return jnp.sum(x * _of_all_sites(r, x), axis=0)


@trailing
def _reflected(x: Array, r: Array, change: Array) -> Array:
    """The spins with their components along r changed."""
    return x + _of_all_sites(r, x) * change[None]


def _of_all_sites(r: Array, x: Array) -> Array:
    return jnp.broadcast_to(r.reshape(len(r), *(1,) * (x.ndim - r.ndim), *r.shape[1:]), x.shape)


@trailing
def _swept(x: Array, u: Array, beta: Array, *, space: SphereSpace, move: Move) -> tuple[Array, Array]:
    """One sweep, and 1 for every spin that was updated; `u` are the uniform numbers of every site."""
    d = len(space.sites)
    parity = jnp.asarray(Lattice(space.sites).parity()).reshape(*space.sites, *(1,) * (x.ndim - 1 - d))
    parity = jnp.broadcast_to(parity, x.shape[1:])
    beta = jnp.broadcast_to(beta.reshape(*(1,) * d, *beta.shape), x.shape[1:])

    def half(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        x, found = carry
        h = neighbours(x, ndim=d)
        length = jnp.sqrt(jnp.sum(h**2, axis=0))
        safe = jnp.where(length > 0, length, 1.0)
        way = jnp.where((length > 0)[None], h / safe[None], _pole(h))
        if move == "overrelaxation":
            new, drawn = 2 * jnp.sum(way * x, axis=0, keepdims=True) * way - x, jnp.ones(length.shape, dtype=bool)
        else:
            cosine, across, drawn = _DRAWS[len(x)](beta * length, u)
            new = cosine[None] * way + space.displace(way, across)
        chosen = (parity == i) & drawn
        return jnp.where(chosen[None], new, x), jnp.where(parity == i, drawn.astype(float), found)

    return jax.lax.fori_loop(0, 2, half, (x, jnp.zeros(x.shape[1:])))


def _pole(h: Array) -> Array:
    """The first unit vector in the place of every spin."""
    return jnp.zeros_like(h).at[0].set(1.0)


# The cosine with the neighbours, the part across them in a frame there, and whether a trial succeeded -----------------


def _two(kappa: Array, u: Array) -> tuple[Array, Array, Array]:
    phase, found = von_mises(kappa, von_mises_trials(u.reshape(_TRIALS, -1, *u.shape[1:])))
    return phase.real, phase.imag[None], found


def _three(kappa: Array, u: Array) -> tuple[Array, Array, Array]:
    """The distribution function of e^{κc} on [−1, 1] is inverted."""
    safe = jnp.maximum(kappa, _WEAK)
    cosine = jnp.clip(1 + jnp.log1p(u[0] * jnp.expm1(-2 * safe)) / safe, -1.0, 1.0)
    angle = 2 * jnp.pi * u[1]
    across = _sine(cosine)[None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
    return cosine, across, jnp.ones(kappa.shape, dtype=bool)


def _four(kappa: Array, u: Array) -> tuple[Array, Array, Array]:
    cosine, found = su2_boltzmann(kappa, su2_trials(u[:-2].reshape(_TRIALS, -1, *u.shape[1:])))
    height, angle = 2 * u[-2] - 1, 2 * jnp.pi * u[-1]
    around = _sine(height)
    direction = jnp.stack([height, around * jnp.cos(angle), around * jnp.sin(angle)])
    return cosine, _sine(cosine)[None] * direction, found


def _sine(cosine: Array) -> Array:
    return jnp.sqrt(jnp.maximum((1 - cosine) * (1 + cosine), 0.0))


_DRAWS = {2: _two, 3: _three, 4: _four}
