r"""Exact, independent configurations of two-dimensional gauge theories with open boundaries.

Without plaquettes across the edges of the lattice, Wilson's plaquettes in two dimensions are independent of each other
and every one has the density $\propto e^{\frac\beta N\mathrm{Re\,tr}\,P}$ of a single matrix. Plaquettes are drawn,
links are integrated up from them on a maximal tree of unit links, and a random gauge transformation makes every link a
Haar matrix. Nothing is shared with the heat bath, so its invariance can be tested against these draws.

A matrix is drawn by the angles of its eigenvalues and a Haar matrix of eigenvectors. Angles have Weyl's density

$$w(\theta)=\prod_{i<j}|e^{i\theta_i}-e^{i\theta_j}|^2\,e^{b\sum_i\cos\theta_i},\qquad b=\beta/N,$$

and are drawn uniformly until one is accepted, which takes a random number of trials and is exact. The bound on w comes
from $\sum_{i<j}|z_i-z_j|^2=N^2-|t|^2$, $t=\sum_iz_i$, and from the inequality of arithmetic and geometric means: with
$m=N(N-1)/2$, $\ln w\le\max_{|t|}\,b|t|+m\ln\frac{N^2-|t|^2}m$.
"""

import functools
import itertools
import operator
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Inexact, Int
from typing_extensions import override

from latflow._typing import Field, PRNGKey, Scalar
from latflow.actions.exact_gauge import sun_open_log_z, u1_open_log_z
from latflow.actions.gauge import WilsonAction
from latflow.arguments import require_type
from latflow.errors import ConfigError
from latflow.fields.gauge_symmetry import random_gauge_transformation
from latflow.groups.base import AbstractGroup
from latflow.groups.matrices import product
from latflow.randomness import fold_in, uniform
from latflow.samplers.base import AbstractWeightedSampler, Weighted

_TRIALS = 8


class OpenBoundaries(AbstractWeightedSampler):
    """Draws of Wilson's action on a rectangle, all of weight Z.

    Args:
        action: Two dimensions and open boundaries; its coupling must be known, not traced.
        gauge_fixed: Links of the maximal tree, those along direction 1 and the first row of those along direction 0,
            are the unit element; links across an edge, which no plaquette contains, are Haar matrices either way.

    Raises:
        TypeError: If the action is another one.
        ConfigError: For another dimension or for boundaries that are not open.
    """

    action: WilsonAction
    log_z: Scalar
    gauge_fixed: bool = eqx.field(static=True)

    def __init__(self, action: WilsonAction, *, gauge_fixed: bool = False) -> None:
        require_type("action", action, WilsonAction, "WilsonAction with open boundaries")
        if action.space.ndim != 2 or not action.open_boundaries:
            raise ConfigError(["open boundaries: allowed: Wilson's action in two dimensions with open boundaries"])
        group, beta = action.space.group, float(action.beta)
        log_z = (
            sun_open_log_z(group.n, beta, plaquettes=1) if group.element_shape else u1_open_log_z(beta, plaquettes=1)
        )
        self.action = action
        self.log_z = jnp.asarray(action.n_plaquettes * log_z)
        self.gauge_fixed = gauge_fixed

    @override
    def draw(self, key: PRNGKey) -> Weighted:
        space = self.action.space
        plaquettes = one_plaquette(fold_in(key, 0), space.group, beta=self.action.beta, n=self.action.n_plaquettes)
        x = _integrated(plaquettes, space.random(fold_in(key, 1)), space.group)
        if not self.gauge_fixed:
            x = random_gauge_transformation(fold_in(key, 2), space)(x)
        return Weighted(x, self.log_z)


def one_plaquette(key: PRNGKey, group: AbstractGroup, *, beta: float | Scalar, n: int) -> Field:
    r"""Independent elements with density ∝ $e^{\frac\beta N\mathrm{Re\,tr}\,P}$ with respect to the Haar measure.

    Args:
        key: Randomness.
        group: The gauge group.
        beta: Coupling, finite and not negative.
        n: Number of elements.

    Returns:
        Elements on a row of `n` sites.
    """
    phases = _eigenvalues(fold_in(key, 0), n_phases=group.n, b=jnp.asarray(beta) / group.n, n=n)
    if not group.element_shape:
        return jnp.angle(phases[0])
    v = group.haar(fold_in(key, 1), (n,))
    return product(v * phases[None], v, right_adjoint=True)


class _Search(NamedTuple):
    """Accepted phases, the draws that have them, and the number of rounds of trials."""

    phases: Complex[Array, "phase n"]
    found: Bool[Array, " n"]
    round: Int[Array, ""]


def _eigenvalues(key: PRNGKey, *, n_phases: int, b: Scalar, n: int) -> Complex[Array, "phase n"]:
    """Independent draws of Weyl's density; the phases of SU(N) multiply to 1, a single one is free."""
    n_free = max(1, n_phases - 1)
    bound = _log_bound(n_phases, b)

    def search(state: _Search) -> _Search:
        u = uniform(fold_in(key, state.round), (n_free + 1, _TRIALS, n))
        angles = jnp.pi * (1 - 2 * u[1:])
        z = list(jax.lax.complex(jnp.cos(angles), jnp.sin(angles)))
        if n_phases > 1:
            z.append(jnp.conj(functools.reduce(operator.mul, z)))
        z = jnp.stack(z)
        accepted = u[0] < _weight(z, b, bound)
        first = jnp.argmax(accepted, axis=0)
        chosen = jnp.take_along_axis(z, first[None, None], axis=1)[:, 0]
        kept = jnp.where(state.found[None], state.phases, chosen)
        return _Search(kept, state.found | jnp.any(accepted, axis=0), state.round + 1)

    start = _Search(jnp.zeros((n_phases, n), complex), jnp.zeros(n, dtype=bool), jnp.zeros((), dtype=jnp.int32))
    return jax.lax.while_loop(lambda state: ~jnp.all(state.found), search, start).phases


def _weight(z: Complex[Array, "phase trial n"], b: Scalar, log_bound: Scalar) -> Float[Array, "trial n"]:
    """The weight w divided by its bound, at most 1."""
    weight = jnp.exp(b * jnp.sum(jnp.real(z), axis=0) - log_bound)
    for i, j in itertools.combinations(range(len(z)), 2):
        weight = weight * (jnp.real(z[i] - z[j]) ** 2 + jnp.imag(z[i] - z[j]) ** 2)
    return weight


def _log_bound(n: int, b: Scalar) -> Scalar:
    """Upper bound of log w; the maximum over |t| lies where b(N² − t²) = 2mt."""
    m = n * (n - 1) / 2
    t = b * n**2 / (m + jnp.sqrt(m**2 + (b * n) ** 2)) if m else jnp.asarray(float(n))
    return b * t + (m * jnp.log((n**2 - t**2) / m) if m else 0.0)


def _integrated(plaquettes: Inexact[Array, "*elements"], x: Field, group: AbstractGroup) -> Field:
    r"""Links with given plaquettes: $U_0(x+\hat1)=P^\dagger(x)\,U_0(x)$ where the links along 1 are unit elements."""
    first = len(group.element_shape)
    rows, columns = x.shape[first + 1] - 1, x.shape[first + 2] - 1
    steps = jnp.moveaxis(group.adjoint(plaquettes).reshape(*group.element_shape, columns, rows), first, 0)
    one = group.identity((rows,))

    def advance(u: Field, p: Field) -> tuple[Field, Field]:
        u = group.compose(p, u)
        return u, u

    _, later = jax.lax.scan(advance, one, steps)
    along = jnp.moveaxis(jnp.concatenate([one[None], later]), 0, -1)
    x = x.at[0, ..., :-1, :].set(along)
    across = group.identity((rows + 1, columns))
    return x.at[1, ..., :, :-1].set(across)
