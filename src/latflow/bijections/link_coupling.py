r"""Couplings of links: a class map moves every active plaquette, and the link with it.

With a frozen $R$ that closes the active link U to a loop $Y=UR$, a class map turns Y into Y', and the link becomes
$Y'R^\dagger$, which keeps the Haar measure. Y is the active plaquette where R is the first staple $A_1$; where sums of
group elements are multiples of such (U(1) and SU(2)) R is the direction of $\sum_kw_kA_k$ with trainable weights, for
Wilson's action the direction of the heat bath. The map gives way where that sum is zero and has no direction.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow.bijections.class_maps.base import AbstractClassMap
from latflow.bijections.link_layers import AbstractLinkLayer, Elements, Surroundings
from latflow.bijections.loop_network import LoopNetwork
from latflow.groups.base import AbstractGroup
from latflow.groups.matrices import product, trace

_TINY = 1e-24
_CLIMBS = 3
"""Steps to the centre of staples of SU(N); any number is exact."""


class ClassCoupling(AbstractLinkLayer):
    """A class map of active plaquettes whose parameters a network reads from frozen loops.

    Args:
        class_map: What moves them.
        network: Even and odd parameters of the map; see `features`.
        weights: w of the staples; none: Y is the active plaquette.
    """

    class_map: AbstractClassMap
    network: LoopNetwork
    weights: Float[Array, "... n_staples"] | None

    @override
    def forward_and_log_det(
        self, active: Elements, around: Surroundings, group: AbstractGroup
    ) -> tuple[Elements, Float[Array, " n_active"]]:
        return self._moved(active, around, group, inverse=False)

    @override
    def inverse_and_log_det(
        self, active: Elements, around: Surroundings, group: AbstractGroup
    ) -> tuple[Elements, Float[Array, " n_active"]]:
        return self._moved(active, around, group, inverse=True)

    def _moved(
        self, active: Elements, around: Surroundings, group: AbstractGroup, *, inverse: bool
    ) -> tuple[Elements, Float[Array, " n_active"]]:
        closing, length = self._closing(around.staples, group)
        even, odd = features(around, group)
        even, odd = self.network(jnp.concatenate([even, length[None]]), odd)
        apply = self.class_map.inverse_and_log_det if inverse else self.class_map.forward_and_log_det
        image, log_det = apply(group.compose(active, closing), length[None] * even, length[None] * odd)
        return group.compose(image, group.adjoint(closing)), log_det

    def _closing(self, staples: Elements, group: AbstractGroup) -> tuple[Elements, Float[Array, " n_active"]]:
        """R and the length of the sum of staples, which is one for a single staple."""
        if self.weights is None:
            first = staples[..., 0, :]
            return first, jnp.ones(first.shape[-1:])
        return centre(staples, self.weights.astype(float), group)


def centre(
    staples: Elements, weights: Float[Array, " n_staples"], group: AbstractGroup
) -> tuple[Elements, Float[Array, " n_active"]]:
    r"""A group element R along the weighted sum A of staples, and $\mathrm{Re\,tr}(R^\dagger A)/N$.

    For U(1) and SU(2) direction and length of A; where it has no direction the length is zero. For other groups R comes
    from the first staple by steps that raise $\mathrm{Re\,tr}(R^\dagger A)$; it commutes with gauge transformations.

    Args:
        staples: Elements, staples, then links.
        weights: Of the staples, not all zero for groups other than U(1) and SU(2).
        group: Of the links.
    """
    w = weights[:, None]
    if not group.element_shape:
        real, imag = (jnp.sum(w * part, axis=0) for part in (jnp.cos(staples), jnp.sin(staples)))
        regular = real**2 + imag**2 > _TINY
        real, imag = jnp.where(regular, real, 1.0), jnp.where(regular, imag, 0.0)
        return jnp.arctan2(imag, real), jnp.where(regular, jnp.sqrt(real**2 + imag**2), 0.0)
    total = jnp.sum(w[None, None] * staples, axis=-2)
    if group.n > 2:
        return _climbed(staples[..., 0, :], total, weights, group)
    square = jnp.sum(jnp.real(total) ** 2 + jnp.imag(total) ** 2, axis=(0, 1)) / group.n
    regular = square > _TINY
    length = jnp.sqrt(jnp.where(regular, square, 1.0))
    one = jnp.eye(group.n, dtype=total.dtype)[:, :, None]
    unit = jnp.where(regular[None, None], total / length[None, None], one)
    return unit, jnp.where(regular, length, 0.0)


def _climbed(
    start: Elements, total: Elements, weights: Float[Array, " n_staples"], group: AbstractGroup
) -> tuple[Elements, Float[Array, " n_active"]]:
    scale = jnp.sum(jnp.abs(weights))
    for _ in range(_CLIMBS):
        start = group.move(start, group.coefficients(product(total, start, right_adjoint=True)) / scale)
    return start, jnp.real(trace(product(total, start, right_adjoint=True))) / group.n


def features(
    around: Surroundings, group: AbstractGroup
) -> tuple[Float[Array, "n_even n_active"], Float[Array, "n_odd n_active"]]:
    """Traces of frozen loops, and of the loops of the first staple with all others, which close over the link."""
    first, others = around.staples[..., :1, :], around.staples[..., 1:, :]
    if group.element_shape:
        pairs = trace(product(jnp.broadcast_to(first, others.shape), others, right_adjoint=True)) / group.n
        even, odd = jnp.real(pairs), jnp.imag(pairs)
    else:
        even, odd = jnp.cos(first - others), jnp.sin(first - others)
    return jnp.concatenate([around.even, even]), jnp.concatenate([around.odd, odd])


def n_features(n_loops: int, n_staples: int) -> tuple[int, int]:
    """Even and odd features that a network of `ClassCoupling` reads."""
    n = n_loops + n_staples - 1
    return n + 1, n
