r"""Residual layers of links: every active link is turned along the force of its frozen staples.

$$U'=\exp\big(-X(U)\big)U,\qquad X=\mathrm{proj}\,UA,\quad A=\sum_kr_kA_k,$$

with proj the orthogonal projection on the algebra, as in stout smearing (arXiv:hep-lat/0311018), but on a mask: staples
do not move, so the Jacobian has one block per link, of the size of the algebra, which is computed exactly. As
$\sum_k|r_k|\le b<1$, X changes less than the link does: the map is a bijection of the group, and
$U\to\exp(X(U))U'$ contracts to the inverse. Newton's step at its end carries the derivatives.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Tangent
from latflow.bijections.link_coupling import features
from latflow.bijections.link_layers import AbstractLinkLayer, Elements, Surroundings
from latflow.bijections.loop_network import LoopNetwork
from latflow.errors import ConfigError
from latflow.groups.base import AbstractGroup

CLOSE = 1e-6
"""Distance from the inverse at which the last step, by Newton, reaches rounding."""


class StoutLayer(AbstractLinkLayer):
    """A step along the staples whose lengths a network reads from frozen loops.

    Args:
        network: One even output for every staple.
        bound: b, below 1.

    Raises:
        ConfigError: If the bound is out of range.
    """

    network: LoopNetwork
    bound: float = eqx.field(static=True, default=0.6)

    def __check_init__(self) -> None:
        if not 0 < self.bound < 1:
            raise ConfigError([f"flow.slope_bound: {self.bound}; allowed: above 0, below 1"])

    @override
    def forward_and_log_det(
        self, active: Elements, around: Surroundings, group: AbstractGroup
    ) -> tuple[Elements, Float[Array, " n_active"]]:
        total = self._weighted(around, group)
        jacobian, image = _jacobian(active, total, group)
        return image, _log_size(jacobian)

    @override
    def inverse_and_log_det(
        self, active: Elements, around: Surroundings, group: AbstractGroup
    ) -> tuple[Elements, Float[Array, " n_active"]]:
        total = self._weighted(around, group)
        wanted, fixed = jax.lax.stop_gradient((active, total))
        n_steps = math.ceil(math.log(CLOSE / 10) / math.log(self.bound))

        def step(_: Array, u: Elements) -> Elements:
            return group.move(wanted, _pull(u, fixed, group))

        found = jax.lax.stop_gradient(jax.lax.fori_loop(0, n_steps, step, wanted))
        jacobian, image = _jacobian(found, total, group)
        residual = _difference(active, image, group)
        flat = residual.reshape(-1, residual.shape[-1])
        turn = jnp.linalg.solve(jax.lax.stop_gradient(jacobian), flat.T[..., None])[..., 0].T
        u = group.move(found, turn.reshape(residual.shape))
        log_det = -_log_size(_jacobian(u, total, group)[0])
        converged = jnp.max(jnp.abs(flat), axis=0) < CLOSE
        return u, jnp.where(converged, log_det, jnp.nan)

    def _weighted(self, around: Surroundings, group: AbstractGroup) -> Elements:
        """A as matrices."""
        even, odd = features(around, group)
        raw, _ = self.network(even, odd)
        scale = self.bound / jnp.sqrt(raw.shape[0] * (1 + jnp.sum(raw**2, axis=0)))
        staples = group.matrices(around.staples)
        return jnp.sum((raw * scale[None])[None, None] * staples, axis=-2)


def _pull(u: Elements, total: Elements, group: AbstractGroup) -> Tangent:
    """Coordinates of X."""
    m = jnp.sum(group.matrices(u)[:, :, None] * total[None], axis=1)
    return group.coefficients(m)


def _jacobian(
    u: Elements, total: Elements, group: AbstractGroup
) -> tuple[Float[Array, "n_active n_generators n_generators"], Elements]:
    """Of every block in tangent coordinates, and the image."""

    def step(x: Elements) -> Elements:
        return group.move(x, -_pull(x, total, group))

    image = step(u)
    n, sites = group.n_generators, u.shape[-1]

    def column(direction: Float[Array, " n_generators"]) -> Float[Array, "n_generators n_active"]:
        p = jnp.broadcast_to(direction[:, None], (n, sites)).reshape(*group.algebra_shape, sites)
        _, change = jax.jvp(step, (u,), (group.displace(u, p),))
        return group.displacement(image, change).reshape(n, sites)

    columns = jax.vmap(column)(jnp.eye(n))
    return jnp.transpose(columns, (2, 1, 0)), image


def _log_size(jacobian: Float[Array, "n_active n n"]) -> Float[Array, " n_active"]:
    if jacobian.shape[-1] == 1:
        return jnp.log(jnp.abs(jacobian[:, 0, 0]))
    return jnp.linalg.slogdet(jacobian)[1]


def _difference(wanted: Elements, image: Elements, group: AbstractGroup) -> Tangent:
    """By which coordinates the image misses what is wanted, to first order."""
    if not group.element_shape:
        return group.compose(wanted, group.adjoint(image))
    return group.coefficients(group.compose(wanted, group.adjoint(image)))
