r"""Heat bath and overrelaxation of gauge links, for Wilson's action.

Links of one direction on sites of one parity do not meet in a plaquette, so all of them are updated at once given the
sums of their staples: the action depends on such a link as $-\frac\beta N\mathrm{Re\,tr}\,UA$. U(1) draws the angle
from its von Mises density, SU(2) its quaternion from $\sqrt{1-a_0^2}\,e^{\kappa a_0}$, SU(N) goes through its
SU(2) subgroups one after another. Overrelaxation reflects a link about the one that minimises its action and keeps the
action as it is.

References:
    Cabibbo & Marinari, Phys. Lett. B 119 (1982) 387; Creutz, Phys. Rev. D 36 (1987) 515; `latflow.samplers.link_draws`.
"""

import itertools
from typing import Literal, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field, PRNGKey, Scalar
from latflow.actions.gauge import WilsonAction
from latflow.batching import batch_last, repeat, trailing
from latflow.errors import ConfigError
from latflow.fields.transport import staples
from latflow.groups.base import AbstractGroup, wrap
from latflow.groups.matrices import multiply
from latflow.randomness import fold_in, uniform
from latflow.samplers.base import AbstractKernel, Transition
from latflow.samplers.link_draws import UNIFORMS_PER_TRIAL, su2_boltzmann, von_mises

Move: TypeAlias = Literal["heat bath", "overrelaxation"]

_TRIALS = 3


class LinkState(NamedTuple):
    """Where a chain stands."""

    x: Field


class HeatBath(AbstractKernel):
    """One heat-bath sweep over all links, then sweeps of overrelaxation.

    Args:
        action: Wilson's action, periodic.
        n_overrelaxation: Sweeps of overrelaxation after that of the heat bath.

    Raises:
        ConfigError: If an extent is odd, the boundaries are open or the number is negative.
    """

    action: WilsonAction
    n_overrelaxation: int = eqx.field(static=True)

    def __init__(self, action: WilsonAction, *, n_overrelaxation: int = 0) -> None:
        action.space.lattice.checkerboard(parity=0)
        if action.open_boundaries:
            raise ConfigError(["action.open_boundaries: true; allowed: false with a heat bath"])
        if n_overrelaxation < 0:
            raise ConfigError([f"heatbath.overrelaxation: {n_overrelaxation}; allowed: at least 0"])
        self.action = action
        self.n_overrelaxation = n_overrelaxation

    @override
    def init(self, x: Field) -> LinkState:
        return LinkState(batch_last(x))

    @override
    def step(self, key: PRNGKey, state: LinkState) -> tuple[LinkState, Transition]:
        x, share = self._heat_bath(key, state.x)
        if self.n_overrelaxation:
            x = repeat(lambda _, x: self.overrelaxed(x), x, n=self.n_overrelaxation)
        return LinkState(x), Transition(share, jnp.ones((), dtype=bool), jnp.zeros(()))

    def overrelaxed(self, x: Field) -> Field:
        """One sweep of overrelaxation; the action stays as it is, to rounding."""
        unused = jnp.zeros((1, *self.action.space.lattice.shape))
        for mu in range(self.action.space.ndim):
            x = self._both_parities(x, unused, mu, "overrelaxation")[0]
        return x

    def _heat_bath(self, key: PRNGKey, x: Field) -> tuple[Field, Scalar]:
        """One sweep, and the share of links that were drawn anew."""
        space = self.action.space
        drawn = []
        for mu in range(space.ndim):
            u = uniform(fold_in(key, mu), (_n_uniforms(space.group), *space.lattice.shape))
            x, share = self._both_parities(x, u, mu, "heat bath")
            drawn.append(share)
        return x, sum(drawn[1:], drawn[0]) / len(drawn)

    def _both_parities(self, x: Field, u: Float[Array, "n *sites"], mu: int, move: Move) -> tuple[Field, Scalar]:
        space = self.action.space
        parities = jnp.asarray(space.lattice.parity())

        # The staples of the second half see the links of the first.
        def half(parity: Array, carry: tuple[Field, Scalar]) -> tuple[Field, Scalar]:
            x, share = carry
            around = staples(space.links(x), mu=mu)
            chosen = jnp.where(parities == parity, 1.0, 0.0)
            new = _updated(x, around, u, chosen, self.action.beta, mu=mu, group=space.group, move=move)
            return new, share + jnp.sum(_changed(x, new, mu=mu, group=space.group))

        x, count = repeat(half, (x, jnp.zeros(())), n=2)
        return x, count / space.lattice.volume


def _n_uniforms(group: AbstractGroup) -> int:
    """Uniform numbers per link: for U(1) those of its trials, else for every subgroup those and two of a direction."""
    if not group.element_shape:
        return _TRIALS * UNIFORMS_PER_TRIAL["von_mises"]
    return len(_subgroups(group.n)) * (_TRIALS * UNIFORMS_PER_TRIAL["su2"] + 2)


def _subgroups(n: int) -> list[tuple[int, int]]:
    return list(itertools.combinations(range(n), 2))


@trailing
def _updated(
    x: Array, around: Array, u: Array, chosen: Array, beta: Array, *, mu: int, group: AbstractGroup, move: Move
) -> Array:
    """The configuration with the links of direction mu updated where they are chosen."""
    update = _updated_matrices if group.element_shape else _updated_angles
    coupling = (beta / group.n).reshape(*(1,) * (chosen.ndim - beta.ndim), *beta.shape)
    return x.at[mu].set(update(x[mu], around, u, chosen > 0, coupling, move=move))


@trailing
def _changed(x: Array, new: Array, *, mu: int, group: AbstractGroup) -> Array:
    """1 where the link of direction mu is another one."""
    different = x[mu] != new[mu]
    axes = tuple(range(len(group.element_shape)))
    return jnp.any(different, axis=axes).astype(float)


def _updated_angles(theta: Array, around: Array, u: Array, chosen: Array, coupling: Array, *, move: Move) -> Array:
    centre = -jnp.angle(around[0, 0])
    if move == "overrelaxation":
        return jnp.where(chosen, wrap(2 * centre - theta), theta)
    kappa = coupling * jnp.abs(around[0, 0])
    offset, found = von_mises(kappa, u.reshape(_TRIALS, -1, *u.shape[1:]))
    return jnp.where(found & chosen, wrap(centre + offset), theta)


def _updated_matrices(link: Array, around: Array, u: Array, chosen: Array, coupling: Array, *, move: Move) -> Array:
    w = multiply(link, around)
    pairs = _subgroups(len(link))
    pieces = jnp.split(u, len(pairs)) if move == "heat bath" else [u] * len(pairs)
    for (i, j), piece in zip(pairs, pieces, strict=True):
        block = w[i, i], w[i, j], w[j, i], w[j, j]
        g, found = _rotation(block, piece, coupling, move=move)
        link, w = (_rotated(m, g, i, j, found & chosen) for m in (link, w))
    return link


Quaternion: TypeAlias = tuple[Array, Array, Array, Array]


def _rotation(block: Quaternion, u: Array, coupling: Array, *, move: Move) -> tuple[Quaternion, Array]:
    r"""The SU(2) element g by which a subgroup's rows are multiplied, as quaternion, and where there is one.

    The block of w is $k\,v$ with v in SU(2), up to a part that $\mathrm{Re\,tr}\,gw$ does not see: the weight of
    $h=gv$ is $e^{2(\beta/N)k\,h_0}$.
    """
    w00, w01, w10, w11 = block
    v = (w00 + w11).real / 2, (w01 + w10).imag / 2, (w01 - w10).real / 2, (w00 - w11).imag / 2
    k = jnp.sqrt(v[0] ** 2 + v[1] ** 2 + v[2] ** 2 + v[3] ** 2)
    safe = jnp.where(k > 0, k, 1.0)
    v = jnp.where(k > 0, v[0] / safe, 1.0), v[1] / safe, v[2] / safe, v[3] / safe
    inverse = v[0], -v[1], -v[2], -v[3]
    if move == "overrelaxation":
        return _times(inverse, inverse), jnp.ones(k.shape, dtype=bool)
    trials = u[:-2].reshape(_TRIALS, -1, *u.shape[1:])
    a0, found = su2_boltzmann(2 * coupling * k, trials)
    radius = jnp.sqrt(jnp.maximum(1 - a0**2, 0.0))
    cosine, angle = 2 * u[-2] - 1, 2 * jnp.pi * u[-1]
    sine = jnp.sqrt(jnp.maximum(1 - cosine**2, 0.0))
    h = a0, radius * sine * jnp.cos(angle), radius * sine * jnp.sin(angle), radius * cosine
    return _times(h, inverse), found


def _times(a: Quaternion, b: Quaternion) -> Quaternion:
    r"""The product of $a_0+i\vec a\vec\sigma$ and the same of b."""
    return (
        a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
        a[0] * b[1] + a[1] * b[0] - a[2] * b[3] + a[3] * b[2],
        a[0] * b[2] + a[2] * b[0] - a[3] * b[1] + a[1] * b[3],
        a[0] * b[3] + a[3] * b[0] - a[1] * b[2] + a[2] * b[1],
    )


def _rotated(m: Array, g: Quaternion, i: int, j: int, taken: Array) -> Array:
    """Rows i and j of m multiplied by g where it is taken."""
    g00, g01, taken = jax.lax.complex(g[0], g[3])[None], jax.lax.complex(g[2], g[1])[None], taken[None]
    upper = g00 * m[i] + g01 * m[j]
    lower = -jnp.conj(g01) * m[i] + jnp.conj(g00) * m[j]
    return m.at[i].set(jnp.where(taken, upper, m[i])).at[j].set(jnp.where(taken, lower, m[j]))
