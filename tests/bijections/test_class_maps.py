"""Class maps: inverse, Haar measure, conjugation, also next to degenerate eigenvalues, at ±π and at knots."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions.exact_matrix import su3_one_matrix
from latflow.bijections.class_maps import projections
from latflow.bijections.class_maps.base import AbstractClassMap
from latflow.bijections.class_maps.projections import Projections
from latflow.bijections.class_maps.su2 import SU2Spectrum
from latflow.bijections.class_maps.su3 import SU3Spectrum
from latflow.bijections.class_maps.u1 import CircularSpline
from latflow.errors import ConfigError
from latflow.groups import named
from latflow.groups.base import AbstractGroup

KEY = jax.random.key(3)
GAPS = (1e-4, 1e-7, 0.0)
N = 24


class Found(NamedTuple):
    """Deviations of a map on all elements: of round trip, Jacobian, conjugation by elements, and by complex numbers."""

    trip: jax.Array
    inverse_log_det: jax.Array
    jacobian: jax.Array
    conjugated: jax.Array
    charge: jax.Array
    gradients: list[jax.Array]


def elements(group: AbstractGroup) -> jax.Array:
    """Haar elements, then some beside unit and centre, with two and three eigenvalues that nearly agree."""
    if not group.element_shape:
        special = [np.pi, -np.pi + 1e-15, 0.0, np.pi / 2, -np.pi / 3, *GAPS]
        return jnp.concatenate([group.haar(KEY, (N,)), jnp.asarray(special)])
    rotation = group.haar(jax.random.fold_in(KEY, 1), (1,))[..., 0]
    angles = []
    for gap in GAPS:
        if group.n == 2:
            angles += [[gap, -gap], [np.pi - gap, -np.pi + gap]]
        else:
            third = 2 * np.pi / 3
            angles += [[gap, 0, -gap], [third + gap, third, third - gap - 2 * np.pi], [0.7, 0.7 + gap, -1.4 - gap]]
            angles += [[np.pi - gap, -np.pi, gap]]
    special = [rotation @ jnp.diag(jnp.exp(1j * jnp.asarray(row))) @ jnp.conj(rotation.T) for row in angles]
    return jnp.concatenate([group.haar(KEY, (N,)), jnp.stack(special, axis=-1)], axis=-1)


@eqx.filter_jit
def found(made: AbstractClassMap, group: AbstractGroup, u: jax.Array, shift: float) -> Found:
    n = u.shape[-1]
    even, odd = (jax.random.normal(jax.random.fold_in(KEY, i), (m, n)) for i, m in ((2, made.n_even), (4, made.n_odd)))
    even, odd = 0.7 * even, shift * odd

    def apart(a, b):
        difference = group.compose(a, group.adjoint(b)) if not group.element_shape else a - b
        return jnp.max(jnp.abs(difference).reshape(-1, n), axis=0)

    def column(direction):
        p = jnp.broadcast_to(direction[:, None], (group.n_generators, n)).reshape(*group.algebra_shape, n)
        _, change = jax.jvp(lambda x: made.forward_and_log_det(x, even, odd)[0], (u,), (group.displace(u, p),))
        return change

    changes = jax.vmap(column)(jnp.eye(group.n_generators))
    g = group.haar(jax.random.fold_in(KEY, 5), (n,))

    def conjugated(x):
        return group.compose(group.compose(g, x), group.adjoint(g))

    # three families in one pass: the map is compiled once
    family = jnp.concatenate([u, conjugated(u), group.conjugate(u)], axis=-1)
    y, slopes = made.forward_and_log_det(family, jnp.tile(even, 3), jnp.concatenate([odd, odd, -odd], axis=-1))
    v, turned, other = jnp.split(y, 3, axis=-1)
    log_det, turned_log_det, other_log_det = jnp.split(slopes, 3)
    columns = jax.vmap(lambda change: group.displacement(v, change).reshape(group.n_generators, n))(changes)
    jacobian = jnp.transpose(columns, (2, 1, 0))
    back, inverse = made.inverse_and_log_det(v, even, odd)

    def loss(u, even, odd):
        y, slope = made.forward_and_log_det(u, even, odd)
        return jnp.sum(slope) + jnp.sum(jnp.real(y) ** 2)

    return Found(
        apart(back, u),
        jnp.abs(log_det + inverse),
        jnp.abs(jnp.linalg.slogdet(jacobian)[1] - log_det),
        jnp.maximum(apart(turned, conjugated(v)), jnp.abs(turned_log_det - log_det)),
        jnp.maximum(apart(other, group.conjugate(v)), jnp.abs(other_log_det - log_det)),
        list(jax.grad(loss, argnums=(0, 1, 2))(u, even, odd)),
    )


MAPS = {
    "splines of U(1)": ("U(1)", CircularSpline(4, 3), 0.7),
    "projections of U(1)": ("U(1)", Projections(3), 2.0),
    "spectra of SU(2)": ("SU(2)", SU2Spectrum(4, 3), 0.7),
    "spectra of SU(3)": ("SU(3)", SU3Spectrum(4, 3), 0.7),
}


@pytest.mark.parametrize("name", MAPS)
def test_class_map(name):
    group_name, made, shift = MAPS[name]
    group = named(group_name)
    u = elements(group)
    all_of = found(made, group, u, shift)
    # eigenvectors of eigenvalues that differ by ε are known to 1e-16/ε, and what depends on them to that
    special = slice(N, None)
    for part in (all_of.trip, all_of.inverse_log_det, all_of.jacobian, all_of.conjugated, all_of.charge):
        assert float(jnp.max(part[:N])) < 2e-11, part
    assert float(jnp.max(all_of.trip[special])) < 1e-9
    assert bool(jnp.all(jnp.isfinite(all_of.inverse_log_det)))
    assert float(jnp.max(all_of.inverse_log_det[special])) < 1e-5
    for gradient in all_of.gradients:
        assert bool(jnp.all(jnp.isfinite(gradient)))


def test_an_inverse_that_has_not_converged_is_no_number(monkeypatch):
    monkeypatch.setattr(projections, "_STEPS", 2)
    even = jnp.asarray([[0.0], [0.5], [4.0], [-4.0]])
    x, log_det = Projections(2).inverse_and_log_det(jnp.asarray([2.9]), even, jnp.asarray([[0.3]]))
    assert bool(jnp.isfinite(x[0]))
    assert bool(jnp.isnan(log_det[0]))


def test_one_matrix():
    """Exact values that others have, and those of a third target."""
    exact = su3_one_matrix(9.0, (0.98, -0.63, -0.21))
    assert exact == pytest.approx((3.92385846, 0.47175626), abs=1e-8)
    assert su3_one_matrix(9.0, (1.0, 0.0, 0.0)) == pytest.approx((2.75839742, 0.58037557), abs=1e-8)
    assert su3_one_matrix(9.0, (0.17, -0.65, 1.22)) == pytest.approx((8.76244551, 0.05992523), abs=1e-8)
    assert su3_one_matrix(0.0, (1.0,)) == pytest.approx((0.0, 0.0), abs=1e-12)


@pytest.mark.parametrize("make", [CircularSpline, SU2Spectrum, SU3Spectrum])
def test_a_single_bin_is_refused(make):
    with pytest.raises(ConfigError, match=r"flow\.bins: 1; allowed: at least 2"):
        make(1, 3)
