r"""Flows of links from coarse to fine lattices in two or more dimensions, and their couplings.

Latent links are Haar draws on the fine lattice. They are taken apart, direction by direction, to the coarsest lattice,
whose links move first. Then one direction after another is doubled: coarse links are divided, first halves stay Haar
(they are the gauge of new sites), new links are drawn about the staples that are known by then
(`latflow.bijections.new_links`), and layers on stripes move all links of the lattice.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from typing_extensions import override

from latflow._typing import Field, Scalar
from latflow.bijections.base import AbstractBijection
from latflow.bijections.class_maps.base import AbstractClassMap
from latflow.bijections.link_coupling import centre
from latflow.bijections.link_layers import AbstractLinkLayer, Elements, LinkLayers, Surroundings
from latflow.bijections.loop_network import LoopNetwork
from latflow.bijections.new_links import doubled, halved
from latflow.groups.base import AbstractGroup
from latflow.groups.matrices import product, trace


class MultiscaleLinks(AbstractBijection):
    """A flow of all links of a periodic lattice, doubling by doubling.

    It commutes with gauge transformations, and with translations by two sites of the coarsest lattice.

    Args:
        coarsest: Of the links of the coarsest lattice.
        fillings: Layers that fill in new links, one for every doubling.
        refinements: Of all links after every doubling.
        group: Of the links.
        directions: Which are doubled, the coarsest lattice first.

    References:
        arXiv:2404.10819.
    """

    coarsest: AbstractBijection
    fillings: tuple[LinkLayers, ...]
    refinements: tuple[AbstractBijection, ...]
    group: AbstractGroup
    directions: tuple[int, ...] = eqx.field(static=True)

    @override
    def forward_and_log_det(self, x: Field) -> tuple[Field, Scalar]:
        kept = []
        for mu in reversed(self.directions):
            x, rest = halved(self.group, x, direction=mu)
            kept.append(rest)
        x, log_det = self.coarsest.forward_and_log_det(x)
        for mu, fill, refine in zip(self.directions, self.fillings, self.refinements, strict=True):
            x = doubled(self.group, x, kept.pop(), direction=mu)
            for layers in (fill, refine):
                x, step = layers.forward_and_log_det(x)
                log_det = log_det + step
        return x, log_det

    @override
    def inverse_and_log_det(self, y: Field) -> tuple[Field, Scalar]:
        kept, log_det = [], jnp.zeros(())
        steps = zip(self.directions, self.fillings, self.refinements, strict=True)
        for mu, fill, refine in reversed(list(steps)):
            for layers in (refine, fill):
                y, step = layers.inverse_and_log_det(y)
                log_det = log_det + step
            y, rest = halved(self.group, y, direction=mu)
            kept.append(rest)
        y, step = self.coarsest.inverse_and_log_det(y)
        for mu in self.directions:
            y = doubled(self.group, y, kept.pop(), direction=mu)
        return y, log_det + step


class KnownCoupling(AbstractLinkLayer):
    r"""A class map of links times the direction of the sum of their known staples, for U(1) and SU(N).

    With the first even parameter β times the length of the sum, and zeros else, the image of a Haar link is distributed
    as in a heat bath at β: exactly but for the spline for U(1) and SU(2), to leading order in β for others.

    Args:
        class_map: What moves them.
        network: Even and odd parameters of the map over the length of the sum.
        weights: Of the staples.
        staples: Which of them are known.
        loops: Which loops are known; networks read zeros for the others.
    """

    class_map: AbstractClassMap
    network: LoopNetwork
    weights: Float[Array, "... n_staples"]
    staples: Bool[Array, "... n_staples"]
    loops: Bool[Array, "... n_loops"]

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
        known = self.staples.astype(float)
        closing, length = centre(around.staples, known * self.weights.astype(float), group)
        even, odd = self._features(around, group, known)
        even, odd = self.network(jnp.concatenate([even, length[None]]), odd)
        apply = self.class_map.inverse_and_log_det if inverse else self.class_map.forward_and_log_det
        image, log_det = apply(group.compose(active, closing), length[None] * even, length[None] * odd)
        return group.compose(image, group.adjoint(closing)), log_det

    def _features(
        self, around: Surroundings, group: AbstractGroup, known: Float[Array, " n_staples"]
    ) -> tuple[Float[Array, "n_even n_active"], Float[Array, "n_odd n_active"]]:
        """Traces of known loops, and of all pairs of known staples."""
        n = len(known)
        i, j = jnp.triu_indices(n, 1)
        one, other = (around.staples[..., k, :] for k in (i, j))
        if group.element_shape:
            pairs = trace(product(one, other, right_adjoint=True)) / group.n
            even, odd = jnp.real(pairs), jnp.imag(pairs)
        else:
            even, odd = jnp.cos(one - other), jnp.sin(one - other)
        both, loops = (known[i] * known[j])[:, None], self.loops.astype(float)[:, None]
        return (
            jnp.concatenate([loops * around.even, both * even]),
            jnp.concatenate([loops * around.odd, both * odd]),
        )


def n_known_features(n_loops: int, n_staples: int) -> tuple[int, int]:
    """Even and odd features that a network of `KnownCoupling` reads."""
    n = n_loops + n_staples * (n_staples - 1) // 2
    return n + 1, n
