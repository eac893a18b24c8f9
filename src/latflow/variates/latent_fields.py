r"""Velocities in the latent variables of a flow: polynomials of low degree of its modes.

A flow f maps modes u, independent in its prior, to configurations. Where it is good, $u=f^{-1}(\phi)$ of a chain at the
same or a nearby coupling is nearly Gaussian, and low polynomials of u correct the averages of $\phi$. With
$S_u=S(f(u))-\ln|\det\partial f|$ the values are $\partial\cdot w-w\cdot\partial S_u$, those of the velocity
$v=\partial f\,w$: exact under exp(−S), however poor the flow is. The prior enters nowhere; Hermite polynomials, whose
mean is zero under it, would be wrong for chains.

The gradient of $S_u$ comes from one integration backwards, of the field and of the adjoint equation
(`AbstractBijection.pulled_back`). A continuous flow has to be integrated accurately: an error of that gradient is a
bias of every variate. How large it is for few steps is measured, `latflow.study.latent_steps`.
"""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow import fourier
from latflow._typing import Configuration, PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.bijections.base import AbstractBijection
from latflow.distributions import AbstractDistribution, FreeFieldPrior, Normal
from latflow.errors import ConfigError
from latflow.execution import draws_at_once
from latflow.fields.spaces import AbstractFieldSpace
from latflow.lattice import Lattice
from latflow.variates.base import AbstractSteinFields

_NAMES = ("zero", "first", "second", "further")
_FACTORS = ("u0²", "u0⁴", "q1", "q2", "q3")


class LatentFields(AbstractSteinFields):
    """Polynomial velocities of the modes of a flow; create them with `of_flow`.

    Args:
        bijection: From the field of the prior to configurations.
        log_widths: Logarithm of the standard deviation of every mode in the prior.
        lattice: Of both.
    """

    kind: ClassVar[str] = "latent"
    keeps_precision: ClassVar[bool] = True
    bijection: AbstractBijection
    log_widths: Float[Array, " volume"]
    lattice: Lattice = eqx.field(static=True)

    @classmethod
    def of_flow(cls, prior: AbstractDistribution, bijection: AbstractBijection) -> "LatentFields":
        """The velocities of a flow.

        Args:
            prior: Normal or of a free field.
            bijection: Of the flow.

        Raises:
            ConfigError: If the prior is another one.
        """
        lattice = Lattice(tuple(prior.shape))
        return cls(bijection, _log_widths(prior, lattice), lattice)

    @override
    @classmethod
    def create(cls, key: PRNGKey, space: AbstractFieldSpace, settings: Mapping[str, Any]) -> "LatentFields":
        raise ConfigError([f"stein fields: {cls.kind}; allowed: made of a flow, which is kept as a model"])

    @property
    @override
    def settings(self) -> Mapping[str, Any]:
        return {}

    @property
    @override
    def names(self) -> tuple[str, ...]:
        orbits = (f"orbit {i}" for i in range(len(_orbits(self.lattice))))
        vectors = (*_NAMES, "steady")
        return (*orbits, "steady", *(f"{factor} {name}" for factor in _FACTORS for name in vectors))

    @override
    def on(self, space: AbstractFieldSpace) -> "LatentFields":
        if tuple(space.tangent_shape) != self.lattice.shape:
            raise ConfigError([f"velocities: a flow of {self.lattice}; allowed: configurations of {space.summary}"])
        return self

    @override
    def velocities(self, x: Float[Array, "*sites"]) -> Float[Array, "n_fields *sites"]:
        u = self._latent(x)
        single, vectors, factors = _vectors(u, self.lattice)
        w = jnp.concatenate([single, (factors[0][:, None, None] * vectors[None]).reshape(-1, u.size)])
        return jax.vmap(lambda direction: jax.jvp(lambda u: self._forward(u)[0], (u,), (direction,))[1])(w)

    @override
    def value(self, action: AbstractAction, x: Float[Array, "*sites"]) -> Float[Array, " n_fields"]:
        z, force = self.bijection.pulled_back(x, jax.grad(action)(x))
        u = self._modes(z)
        (score,) = jax.vjp(self._field, u)[1](force)
        single, vectors, (values, gradients) = _vectors(u, self.lattice)
        masks = jnp.asarray(_shells(self.lattice), u.dtype)
        counts = jnp.concatenate([masks.sum(axis=1), jnp.zeros(1, u.dtype)])
        orbits = jnp.asarray(_orbits(self.lattice), u.dtype)
        alone = jnp.concatenate([orbits.sum(axis=1), jnp.zeros(1, u.dtype)]) - single @ score
        products = jnp.outer(values, counts - vectors @ score) + gradients @ vectors.T
        return jnp.concatenate([alone, products.ravel()])

    @override
    def values(self, action: AbstractAction, configurations: Configuration) -> Float[Array, "batch n_fields"]:
        size = draws_at_once(self.lattice.volume)
        return jax.lax.map(lambda x: self.value(action, x), configurations, batch_size=size).astype(jnp.float64)

    def _latent(self, x: Float[Array, "*sites"]) -> Float[Array, " volume"]:
        return self._modes(self.bijection.inverse_and_log_det(x)[0])

    def _forward(self, u: Float[Array, " volume"]) -> tuple[Float[Array, "*sites"], Scalar]:
        return self.bijection.forward_and_log_det(self._field(u))

    def _modes(self, z: Float[Array, "*sites"]) -> Float[Array, " volume"]:
        return fourier.to_momentum(z, self.lattice).ravel() * jnp.exp(-self.log_widths)

    def _field(self, u: Float[Array, " volume"]) -> Float[Array, "*sites"]:
        return fourier.from_momentum((jnp.exp(self.log_widths) * u).reshape(self.lattice.shape), self.lattice)


@functools.singledispatch
def _log_widths(prior: AbstractDistribution, lattice: Lattice) -> Float[Array, " volume"]:
    del lattice
    raise ConfigError([f"flow: prior {type(prior).__name__}; allowed: Normal, FreeFieldPrior"])


@_log_widths.register
def _of_normal(prior: Normal, lattice: Lattice) -> Float[Array, " volume"]:
    del prior
    return jnp.zeros(lattice.volume)


@_log_widths.register
def _of_free_field(prior: FreeFieldPrior, lattice: Lattice) -> Float[Array, " volume"]:
    return prior.log_widths[fourier.momentum_orbits(lattice)].ravel()


def _orbits(lattice: Lattice) -> Float[np.ndarray, "orbits volume"]:
    """Which modes belong to every orbit of momenta."""
    orbits = fourier.momentum_orbits(lattice).ravel()
    return np.array([orbits == i for i in range(orbits.max() + 1)], dtype=float)


def _shells(lattice: Lattice) -> Float[np.ndarray, "4 volume"]:
    """Which modes belong to momentum zero, the next two orbits, and the rest."""
    orbits = fourier.momentum_orbits(lattice).ravel()
    return np.array([orbits == 0, orbits == 1, orbits == 2, orbits > 2], dtype=float)


def _vectors(u: Float[Array, " volume"], lattice: Lattice) -> tuple[Array, Array, tuple[Array, Array]]:
    """The linear velocities, those that are multiplied, and the factors with their gradients."""
    masks = jnp.asarray(_shells(lattice), u.dtype)
    first = masks[:1]
    shells = masks * u[None]
    single = jnp.concatenate([jnp.asarray(_orbits(lattice), u.dtype) * u[None], first])
    norms = jnp.sum(shells[1:] ** 2, axis=1)
    values = jnp.concatenate([jnp.stack([u[0] ** 2, u[0] ** 4]), norms])
    gradients = jnp.concatenate([2 * u[0] * first, 4 * u[0] ** 3 * first, 2 * shells[1:]])
    return single, jnp.concatenate([shells, first]), (values, gradients)
