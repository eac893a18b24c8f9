r"""Points of Euclidean space and particles in it, without a lattice.

Particles whose energy does not depend on where they are together have a density on the mean-free subspace
$\sum_ix_i=0$ only. Its reference measure is Lebesgue measure in the orthonormal coordinates that `basis` gives. Where
one particle is held at the origin instead, an integral is $n^{d/2}$ times larger.
"""

import itertools
import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from typing_extensions import override

from latflow._typing import Configuration, PRNGKey, Scalar
from latflow.arguments import counts
from latflow.errors import ConfigError
from latflow.fields.spaces import NARROW, AbstractFieldSpace, require_array
from latflow.randomness import standard_normal

WIDE = 2.0
"""Width of hot starts."""


class EuclideanSpace(AbstractFieldSpace):
    """A point of R^d, or n particles in R^d as an array `x[particle, component]`, with Lebesgue measure.

    A momentum of mean-free particles has n − 1 rows, coordinates in the orthonormal basis `basis`; otherwise it has the
    shape of a configuration. Chains start hot, with wide normal numbers, and close to `cold`, by turns.

    Args:
        shape: (d,) of a point, (n, d) of particles.
        mean_free: Whether the particles' mean stays zero.

    Raises:
        TypeError: If the shape is no tuple or list of whole numbers.
        ConfigError: If it has more than two numbers, one is not positive, or fewer than two particles are mean-free.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    tangent_shape: tuple[int, ...] = eqx.field(static=True)
    mean_free: bool = eqx.field(static=True)

    def __init__(self, shape: tuple[int, ...], *, mean_free: bool = False) -> None:
        found = list(counts("shape", shape, words="positive extents"))
        if len(found) > 2:
            raise ConfigError([f"shape: {found}; allowed: (d,) of a point, (n, d) of particles"])
        if mean_free and (len(found) != 2 or found[0] < 2):
            raise ConfigError([f"shape: {found}; allowed: (n, d) of at least two mean-free particles"])
        self.shape = tuple(found)
        self.mean_free = mean_free
        self.tangent_shape = (found[0] - 1, found[1]) if mean_free else self.shape

    @property
    @override
    def summary(self) -> str:
        *particles, d = self.shape
        if not particles:
            return f"a point of R^{d}"
        words = f"{particles[0]} particles in R^{d}"
        return f"{words}, mean-free" if self.mean_free else words

    @override
    def require(self, x: Configuration) -> None:
        require_array(x, self.shape, is_complex=False)

    @property
    def basis(self) -> Float[np.ndarray, "m n"]:
        """Orthonormal rows, each orthogonal to (1, …, 1): the k-th compares a particle with all before it (Helmert)."""
        return helmert(self.shape[0])

    @override
    def cold(self) -> Float[Array, "*shape"]:
        """Zero; particles stand on a cubic grid of unit spacing about zero, so that none coincide."""
        if len(self.shape) == 1:
            return jnp.zeros(self.shape)
        n, d = self.shape
        side = math.ceil(n ** (1 / d) - 1e-9)
        grid = np.stack(np.unravel_index(np.arange(n), (side,) * d), axis=1).astype(float)
        return jnp.asarray(grid - grid.mean(axis=0))

    @override
    def random(self, key: PRNGKey) -> Float[Array, "*shape"]:
        return self._array(self.momentum(key))

    @override
    def start(self, key: PRNGKey, number: Int[Array, ""]) -> Float[Array, "*shape"]:
        noise = self.random(key)
        return jnp.where(number % 2 == 0, WIDE * noise, self.cold() + NARROW * noise)

    @override
    def move(self, x: Float[Array, "*shape"], p: Float[Array, "*tangent"]) -> Float[Array, "*shape"]:
        return x + self._array(p)

    @override
    def displace(self, x: Float[Array, "*shape"], p: Float[Array, "*tangent"]) -> Float[Array, "*shape"]:
        return self._array(p)

    @override
    def coordinates(self, x: Float[Array, "*shape"], dx: Float[Array, "*shape"]) -> Float[Array, "*tangent"]:
        return jnp.asarray(self.basis) @ dx if self.mean_free else dx

    def in_space(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The nearest configuration of the space: without its mean, where that is zero."""
        return x - jnp.mean(x, axis=0, keepdims=True) if self.mean_free else x

    @override
    def defect(self, x: Float[Array, "*shape"]) -> Scalar:
        off = jnp.max(jnp.abs(x - self.in_space(x)))
        return jnp.where(jnp.all(jnp.isfinite(x)), off, jnp.inf)

    @override
    def momentum(self, key: PRNGKey) -> Float[Array, "*tangent"]:
        return standard_normal(key, self.tangent_shape)

    def _array(self, p: Float[Array, "*tangent"]) -> Float[Array, "*shape"]:
        return jnp.asarray(self.basis.T) @ p if self.mean_free else p


def helmert(n: int) -> Float[np.ndarray, "m n"]:
    """An orthonormal basis of the vectors of n numbers with mean zero, one per row."""
    rows = np.tril(np.ones((n - 1, n)))
    k = np.arange(1, n)
    rows[k - 1, k] = -k
    return rows / np.sqrt(k * (k + 1))[:, None]


def pair_distances(x: Float[Array, "n d"]) -> Float[Array, " p"]:
    """Of all pairs i < j, once each. The slope at distance zero is zero."""
    square = square_distances(x)
    positive_square = jnp.where(square > 0, square, 1.0)
    return jnp.where(square > 0, jnp.sqrt(positive_square), 0.0)


def square_distances(x: Float[Array, "n d"]) -> Float[Array, " p"]:
    """Of all pairs i < j."""
    first, second = np.array(list(itertools.combinations(range(len(x)), 2))).T
    return jnp.sum((x[first] - x[second]) ** 2, axis=1)
