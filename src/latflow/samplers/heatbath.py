r"""Heat bath and overrelaxation of gauge links, for Wilson's action.

Links of one direction on sites of one parity share no plaquette, so all of them are updated at once given the sums of
their staples (`latflow.samplers.link_sweeps`): the action depends on such a link as
$-\frac\beta N\mathrm{Re\,tr}\,UA$. For U(1) the angle is drawn from a von Mises density, for SU(2) the quaternion with
density $\sqrt{1-a_0^2}\,e^{\kappa a_0}$ of $a_0$; SU(N) is updated in its SU(2) subgroups one after another.
Overrelaxation reflects a link about the one that minimises its action, which leaves the action unchanged.

References:
    Cabibbo & Marinari, Phys. Lett. B 119 (1982) 387; Creutz, Phys. Rev. D 36 (1987) 515; `latflow.samplers.link_draws`.
"""

import itertools
from typing import Literal, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field, Links, PRNGKey
from latflow.actions.gauge import WilsonAction
from latflow.arguments import count, require_type
from latflow.batching import batch_last, repeat, trailing
from latflow.fields.spaces import AbstractFieldSpace
from latflow.groups.base import AbstractGroup
from latflow.groups.matrices import multiply
from latflow.randomness import uniform
from latflow.samplers.base import AbstractKernel, Transition
from latflow.samplers.link_draws import (
    UNIFORMS_PER_TRIAL,
    su2_boltzmann,
    su2_trials,
    von_mises,
    von_mises_trials,
)
from latflow.samplers.link_sweeps import Update, n_turns, sweep, updated

Move: TypeAlias = Literal["heat bath", "overrelaxation"]

_TRIALS = 3


class LinkState(NamedTuple):
    """State of a chain: its configuration."""

    x: Field


class HeatBath(AbstractKernel):
    """One heat-bath sweep over all links, then sweeps of overrelaxation.

    Args:
        action: Wilson's action.
        n_overrelaxation: Sweeps of overrelaxation after that of the heat bath.

    Raises:
        TypeError: If the action is not Wilson's.
        ConfigError: If an extent is odd or the number of sweeps is negative.
    """

    action: WilsonAction
    n_overrelaxation: int = eqx.field(static=True)

    def __init__(self, action: WilsonAction, *, n_overrelaxation: int = 0) -> None:
        require_type("heatbath.action", action, WilsonAction, "WilsonAction; other actions have hmc or metropolis")
        action.surroundings.require(action.space.lattice.shape)
        self.action = action
        self.n_overrelaxation = count("heatbath.overrelaxation", n_overrelaxation, least=0)

    @property
    @override
    def target_space(self) -> AbstractFieldSpace:
        return self.action.space

    @override
    def init(self, x: Field) -> LinkState:
        return LinkState(batch_last(x))

    @override
    def step(self, key: PRNGKey, state: LinkState) -> tuple[LinkState, Transition]:
        space = self.action.space
        before = space.links(state.x)
        count, size = n_turns(space, self.action.surroundings)
        u = uniform(key, (_n_uniforms(space.group), count, size))
        after, drawn = self._sweep(before, _numbers(u, group=space.group), "heat bath")
        after = self._overrelaxed(after)
        x = updated(space, state.x, before=before, after=after)
        return LinkState(x), Transition(jnp.mean(drawn), jnp.ones((), dtype=bool), jnp.zeros(()))

    def overrelaxed(self, x: Field) -> Field:
        """`n_overrelaxation` sweeps of overrelaxation, which leave the action unchanged up to rounding."""
        before = self.action.space.links(x)
        return updated(self.action.space, x, before=before, after=self._overrelaxed(before))

    def _overrelaxed(self, links: Links) -> Links:
        if not self.n_overrelaxation:
            return links
        count, size = n_turns(self.action.space, self.action.surroundings)
        nothing = jnp.zeros((count, 0, size))
        return repeat(lambda _, u: self._sweep(u, nothing, "overrelaxation")[0], links, n=self.n_overrelaxation)

    def _sweep(
        self, links: Links, u: Float[Array, "turn number chosen"], move: Move
    ) -> tuple[Links, Float[Array, "turn chosen"]]:
        action = self.action
        update = _UPDATES[move, bool(action.space.group.element_shape)]
        return sweep(links, u, action.beta, space=action.space, surroundings=action.surroundings, update=update)


def _n_uniforms(group: AbstractGroup) -> int:
    """Uniform numbers per link: those of the trials; for SU(N) for every subgroup, with two more for a direction."""
    if not group.element_shape:
        return _TRIALS * UNIFORMS_PER_TRIAL["von_mises"]
    return len(_subgroups(group.n)) * (_TRIALS * UNIFORMS_PER_TRIAL["su2"] + 2)


@trailing
def _numbers(
    u: Float[Array, "number turn chosen *batch"], *, group: AbstractGroup
) -> Float[Array, "turn made chosen *batch"]:
    """The part of a heat bath that does not depend on the links: trials, and directions for every subgroup."""
    if not group.element_shape:
        out = von_mises_trials(u.reshape(_TRIALS, -1, *u.shape[1:]))
        return jnp.moveaxis(out.reshape(-1, *u.shape[1:]), 0, 1)
    u = u.reshape(-1, len(_subgroups(group.n)), *u.shape[1:])
    trials = su2_trials(u[:-2].reshape(_TRIALS, -1, *u.shape[1:]))
    cosine, angle = 2 * u[-2] - 1, 2 * jnp.pi * u[-1]
    sine = jnp.sqrt(jnp.maximum(1 - cosine**2, 0.0))
    direction = jnp.stack([sine * jnp.cos(angle), sine * jnp.sin(angle), cosine])
    parts = jnp.concatenate([trials.reshape(-1, *u.shape[1:]), direction])
    return jnp.moveaxis(parts, (1, 0), (0, 1)).reshape(-1, *u.shape[2:]).swapaxes(0, 1)


def _subgroups(n: int) -> list[tuple[int, int]]:
    return list(itertools.combinations(range(n), 2))


# Updates of links given β/N times their staples; they also return 1 for a new link and 0 where every trial failed -----


def _draw_phases(link: Array, around: Array, u: Array) -> tuple[Array, Array]:
    kappa = jnp.abs(around[0, 0])
    offset, found = von_mises(kappa, u.reshape(_TRIALS, -1, *u.shape[1:]))
    new = offset * _centre(around[0, 0], kappa)
    return jnp.where(found, new, link[0, 0])[None, None], found.astype(float)


def _reflect_phases(link: Array, around: Array, u: Array) -> tuple[Array, Array]:
    a = around[0, 0]
    return (_centre(a, jnp.abs(a)) ** 2 * jnp.conj(link[0, 0]))[None, None], jnp.ones(a.shape)


def _centre(a: Array, length: Array) -> Array:
    """The phase that minimises the action; 1 where the action does not depend on it."""
    return jnp.where(length > 0, jnp.conj(a) / jnp.where(length > 0, length, 1.0), 1.0)


def _draw_matrices(link: Array, around: Array, u: Array) -> tuple[Array, Array]:
    return _updated_matrices(link, around, u, move="heat bath")


def _reflect_matrices(link: Array, around: Array, u: Array) -> tuple[Array, Array]:
    return _updated_matrices(link, around, u, move="overrelaxation")


_UPDATES: dict[tuple[Move, bool], Update] = {
    ("heat bath", False): _draw_phases,
    ("overrelaxation", False): _reflect_phases,
    ("heat bath", True): _draw_matrices,
    ("overrelaxation", True): _reflect_matrices,
}


def _updated_matrices(link: Array, around: Array, u: Array, *, move: Move) -> tuple[Array, Array]:
    """Updates in all SU(2) subgroups, one after another, in a compiled loop."""
    pairs = np.asarray(_subgroups(len(link)))
    parts = u.reshape(len(pairs), -1, *u.shape[1:]) if move == "heat bath" else u

    def turn(k: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        link, w, drawn = carry
        i, j = jnp.asarray(pairs)[k]
        block = w[i, i], w[i, j], w[j, i], w[j, j]
        g, found = _rotation(block, parts[k] if move == "heat bath" else u, move=move)
        link, w = (_rotated(m, g, i, j, found) for m in (link, w))
        return link, w, jnp.maximum(drawn, found.astype(float))

    start = (link, multiply(link, around), jnp.zeros(link.shape[2:]))
    link, _, drawn = jax.lax.fori_loop(0, len(pairs), turn, start)
    return link, drawn


Quaternion: TypeAlias = tuple[Array, Array, Array, Array]


def _rotation(block: Quaternion, u: Array, *, move: Move) -> tuple[Quaternion, Array]:
    r"""The SU(2) element g, as a quaternion, that multiplies the rows of a subgroup, and whether a trial succeeded.

    The block of w is $k\,v$ with v in SU(2), up to a part that drops out of $\mathrm{Re\,tr}\,gw$: the weight of
    $h=gv$ is $e^{2k\,h_0}$.
    """
    w00, w01, w10, w11 = block
    v = (w00 + w11).real / 2, (w01 + w10).imag / 2, (w01 - w10).real / 2, (w00 - w11).imag / 2
    k = jnp.sqrt(v[0] ** 2 + v[1] ** 2 + v[2] ** 2 + v[3] ** 2)
    safe = jnp.where(k > 0, k, 1.0)
    v = jnp.where(k > 0, v[0] / safe, 1.0), v[1] / safe, v[2] / safe, v[3] / safe
    inverse = v[0], -v[1], -v[2], -v[3]
    if move == "overrelaxation":
        return _times(inverse, inverse), jnp.ones(k.shape, dtype=bool)
    a0, found = su2_boltzmann(2 * k, u[:-3].reshape(_TRIALS, -1, *u.shape[1:]))
    radius = jnp.sqrt(jnp.maximum(1 - a0**2, 0.0))
    h = a0, radius * u[-3], radius * u[-2], radius * u[-1]
    return _times(h, inverse), found


def _times(a: Quaternion, b: Quaternion) -> Quaternion:
    r"""The product of the quaternions $a_0+i\vec a\vec\sigma$ and $b_0+i\vec b\vec\sigma$."""
    return (
        a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
        a[0] * b[1] + a[1] * b[0] - a[2] * b[3] + a[3] * b[2],
        a[0] * b[2] + a[2] * b[0] - a[3] * b[1] + a[1] * b[3],
        a[0] * b[3] + a[3] * b[0] - a[1] * b[2] + a[2] * b[1],
    )


def _rotated(m: Array, g: Quaternion, i: Array, j: Array, taken: Array) -> Array:
    """The matrices m with rows i and j multiplied by g at the links where `taken` is true."""
    g00, g01, taken = jax.lax.complex(g[0], g[3])[None], jax.lax.complex(g[2], g[1])[None], taken[None]
    upper = g00 * m[i] + g01 * m[j]
    lower = -jnp.conj(g01) * m[i] + jnp.conj(g00) * m[j]
    return m.at[i].set(jnp.where(taken, upper, m[i])).at[j].set(jnp.where(taken, lower, m[j]))
