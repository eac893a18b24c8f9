r"""Spins from coarse sites to fine ones, each drawn about a field that the sites drawn before it make.

Sites are drawn in stages: those of a coarse lattice one after another, then, at every halving of its spacing, the
centres of its squares and the middles of its bonds, of which sites far apart make one stage. A spin of a stage has the
density $e^{h\cdot n}/C(|h|)$ about the field

$$h=\sum_k\big[a_k+b_k(g)\big]\,n_k,\qquad b(g)=W_2\tanh(W_1g+w),$$

of the nearest sites k drawn before. g are the products of all pairs of the nearest few of them, so h turns with the
spins: the map has the symmetry O(N). Weights are those of the stage. The odd sites are the last stage, where all
neighbours are known: there $h=\beta\sum n$ is the heat bath and exact. What has to be learned is the density of the
even sites, and every spin drawn is an invertible map of a uniform one (`latflow.bijections.spin_tilts`).

The density of a configuration needs no loop over stages, so that maximum likelihood on draws of chains trains it.

References:
    Hierarchical autoregression of spins: P. Białas, P. Korcyl, T. Stebel, arXiv:2203.10989. Neural fields about which
    heat baths draw, and the last stage without one, are of this package.
"""

import functools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from typing_extensions import override

from latflow._typing import PRNGKey, Scalar
from latflow.bijections.base import AbstractBijection
from latflow.bijections.spin_tilts import tilted, turned, untilted

Spins = Float[Array, "n *sites"]
Site = tuple[int, int]


class Group(NamedTuple):
    """Stages of equally many sites.

    Attributes:
        sites: Numbers of the sites of every stage.
        known: Numbers of the sites that make the field of each, the nearest first.
        there: Whether a stage has so many known sites.
    """

    sites: Int[np.ndarray, "stages sites"]
    known: Int[np.ndarray, "stages sites known"]
    there: Float[np.ndarray, "stages known"]


class _Stages(NamedTuple):
    sites: Int[Array, "stages sites"]
    known: Int[Array, "stages sites known"]
    there: Float[Array, "stages known"]


class Plan(NamedTuple):
    """All stages of a lattice: those that are learned, and the odd sites with their neighbours, if they are last."""

    groups: tuple[Group, ...]
    last: Int[np.ndarray, " odd"]
    around: Int[np.ndarray, "odd 4"]


class FieldWeights(eqx.Module):
    """Weights of the fields of the stages of a group."""

    linear: Float[Array, "stages known"]
    inner: Float[Array, "stages pairs width"]
    bias: Float[Array, "stages width"]
    outer: Float[Array, "stages width known"]


class SpinLevels(AbstractBijection):
    """Uniform spins to spins drawn stage by stage.

    Args:
        weights: Of every group of stages, from `initial_weights`.
        coupling: β of the last stage; it is not trained.
        shape: Extents of the lattice.
        neighbours: Most known sites that make a field.
    """

    weights: tuple[FieldWeights, ...]
    coupling: Scalar
    shape: tuple[int, int] = eqx.field(static=True)
    neighbours: int = eqx.field(static=True)

    @property
    def plan(self) -> Plan:
        """Stages of the lattice."""
        return stages(self.shape, self.neighbours)

    @override
    def forward_and_log_det(self, x: Spins) -> tuple[Spins, Scalar]:
        return self._drawn(x, turning=False)

    @override
    def of_uniform(self, z: Spins) -> tuple[Spins, Scalar]:
        # a vector about the first axis becomes one about the field, so that its first coordinate is the angle
        return self._drawn(z, turning=True)

    @override
    def arranged(self, u: Float[Array, " n"]) -> Float[Array, " n"]:
        order = np.concatenate([group.sites.ravel() for group in self.plan.groups] + [self.plan.last])
        rows = u.reshape(len(order), -1)
        return jnp.zeros_like(rows.T).at[:, order].set(rows.T).ravel()

    @override
    def inverse_and_log_det(self, y: Spins) -> tuple[Spins, Scalar]:
        flat = y.reshape(len(y), -1)
        z, log_det = flat, jnp.zeros(())
        for group, weights in zip(self.plan.groups, self.weights, strict=True):
            fields = jax.vmap(lambda known, there, w: _field(flat, known, there, w), out_axes=1)(
                group.known, group.there, weights
            )
            found, log_dets = untilted(flat[:, group.sites], fields)
            z, log_det = z.at[:, group.sites].set(found), log_det + jnp.sum(log_dets)
        if self.plan.last.size:
            found, log_dets = untilted(flat[:, self.plan.last], self._last_field(flat))
            z, log_det = z.at[:, self.plan.last].set(found), log_det + jnp.sum(log_dets)
        return z.reshape(y.shape), log_det

    def _drawn(self, z: Spins, *, turning: bool) -> tuple[Spins, Scalar]:
        x, log_det = z.reshape(len(z), -1), jnp.zeros(())

        def image(x: Float[Array, "n sites"], sites: Int[Array, " m"], field: Spins) -> tuple[Array, Scalar]:
            vectors = x[:, sites]
            found, log_dets = tilted(turned(vectors, field) if turning else vectors, field)
            return x.at[:, sites].set(found), jnp.sum(log_dets)

        def stage(carry: tuple[Array, Scalar], of: tuple[_Stages, FieldWeights]) -> tuple[tuple[Array, Scalar], None]:
            (x, log_det), (at, weights) = carry, of
            x, more = image(x, at.sites, _field(x, at.known, at.there, weights))
            return (x, log_det + more), None

        for group, weights in zip(self.plan.groups, self.weights, strict=True):
            (x, log_det), _ = jax.lax.scan(stage, (x, log_det), (_Stages(*map(jnp.asarray, group)), weights))
        if self.plan.last.size:
            x, more = image(x, jnp.asarray(self.plan.last), self._last_field(x))
            log_det = log_det + more
        return x.reshape(z.shape), log_det

    def _last_field(self, x: Float[Array, "n sites"]) -> Float[Array, "n odd"]:
        return jax.lax.stop_gradient(self.coupling).astype(x.dtype) * jnp.sum(x[:, self.plan.around], axis=2)


def _field(
    x: Float[Array, "n volume"], known: Int[Array, "sites known"], there: Float[Array, " known"], weights: FieldWeights
) -> Float[Array, "n sites"]:
    """The field of every site of a stage."""
    spins = x[:, known] * there[None, None]
    near = nearest(weights)
    rows, columns = np.triu_indices(near, 1)
    products = jnp.sum(spins[:, :, rows] * spins[:, :, columns], axis=0).astype(weights.inner.dtype)
    learned = jnp.tanh(products @ weights.inner + weights.bias[None]) @ weights.outer
    return jnp.sum((weights.linear[None] + learned).astype(x.dtype)[None] * spins, axis=2)


def nearest(weights: FieldWeights) -> int:
    """Of how many known sites the products of all pairs are seen."""
    pairs = weights.inner.shape[-2]
    return int((1 + np.sqrt(1 + 8 * pairs)) / 2) if pairs else 0


def initial_weights(
    key: PRNGKey, plan: Plan, *, near: int, width: int, pull: Scalar | float
) -> tuple[FieldWeights, ...]:
    """Weights of a flow before training: every spin feels its nearest four alike, and no product.

    Args:
        key: Of the first layer.
        plan: Of the stages.
        near: Of how many known sites the products of all pairs are seen.
        width: Of the hidden layer.
        pull: Strength of the nearest four together.
    """
    found = []
    for i, group in enumerate(plan.groups):
        n_stages, _, known = group.known.shape
        seen = min(near, known)
        pairs = seen * (seen - 1) // 2
        noise = jax.random.normal(jax.random.fold_in(key, i), (n_stages, pairs, width))
        linear = jnp.zeros((n_stages, known)).at[:, :4].set(jnp.asarray(pull) / 4)
        found.append(
            FieldWeights(
                linear,
                noise / np.sqrt(max(pairs, 1)),
                jnp.zeros((n_stages, width)),
                jnp.zeros((n_stages, width, known)),
            )
        )
    return tuple(found)


@functools.lru_cache
def stages(shape: tuple[int, int], neighbours: int) -> Plan:
    """Stages of a periodic lattice with any extents; the odd sites come last where both are even.

    Args:
        shape: Extents.
        neighbours: Most known sites that make a field.
    """
    spacing = 1
    while all(extent % (2 * spacing) == 0 for extent in shape):
        spacing *= 2
    order: list[list[Site]] = [[site] for site in _sites(shape, spacing)]
    while spacing > 1:
        half = spacing // 2
        order += _coloured([(x + half, y + half) for x, y in _sites(shape, spacing)], spacing)
        down, right = ([(x + dx, y + dy) for x, y in _sites(shape, spacing)] for dx, dy in ((half, 0), (0, half)))
        order += [*_coloured(down, spacing), *_coloured(right, spacing)] if half > 1 else [down + right]
        spacing = half
    last = order.pop() if all(extent % 2 == 0 for extent in shape) else []
    around = [[(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)] for x, y in last]
    numbers = np.array([[_number(site, shape) for site in row] for row in around]).reshape(-1, 4)
    return Plan(
        _grouped(order, shape, neighbours), np.array([_number(site, shape) for site in last], dtype=int), numbers
    )


def _sites(shape: tuple[int, int], spacing: int) -> list[Site]:
    return [(x, y) for x in range(0, shape[0], spacing) for y in range(0, shape[1], spacing)]


def _coloured(sites: list[Site], spacing: int) -> list[list[Site]]:
    """Four colours: sites of the first two have no other of both beside them, and the last two stand between them."""
    parities = [(0, 0), (1, 1), (0, 1), (1, 0)]
    found = [[s for s in sites if (s[0] // spacing % 2, s[1] // spacing % 2) == parity] for parity in parities]
    return [colour for colour in found if colour]


def _number(site: Site, shape: tuple[int, int]) -> int:
    return site[0] % shape[0] * shape[1] + site[1] % shape[1]


def _grouped(order: list[list[Site]], shape: tuple[int, int], neighbours: int) -> tuple[Group, ...]:
    """Stages that follow each other with equally many sites are one group."""
    groups, known = [], []
    for stage in order:
        ways = _ways(stage, known, shape)[:neighbours]
        rows = [[_number((x + dx, y + dy), shape) for dx, dy in ways] for x, y in stage]
        if not groups or len(groups[-1][0][0]) != len(stage):
            groups.append(([], []))
        groups[-1][0].append([_number(site, shape) for site in stage])
        groups[-1][1].append(rows)
        known += stage
    return tuple(_padded(sites, rows) for sites, rows in groups)


def _ways(stage: list[Site], known: list[Site], shape: tuple[int, int]) -> list[Site]:
    """Displacements from every site of a stage to known sites, the shortest first."""
    there = {_number(site, shape) for site in known}
    x, y = stage[0]
    found = []
    for a, b in known:
        dx, dy = (
            ((to - of + extent // 2) % extent - extent // 2) for to, of, extent in ((a, x, shape[0]), (b, y, shape[1]))
        )
        if all(_number((u + dx, v + dy), shape) in there for u, v in stage):
            found.append((dx, dy))
    return sorted(found, key=lambda way: (way[0] ** 2 + way[1] ** 2, way))


def _padded(sites: list[list[int]], rows: list[list[list[int]]]) -> Group:
    most = max(len(row[0]) for row in rows)
    known = np.zeros((len(rows), len(rows[0]), most), dtype=int)
    there = np.zeros((len(rows), most))
    for i, stage in enumerate(rows):
        known[i, :, : len(stage[0])] = stage
        there[i, : len(stage[0])] = 1.0
    return Group(np.array(sites), known, there)
