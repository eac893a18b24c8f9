"""Splits of SU(2) and SU(3) where eigenvalues of the plaquette coincide, or nearly do; laws of doubling SU(3)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from catalogue import gauge_space
from latflow.bijections.doubling import Doubling
from latflow.bijections.levels import Hierarchy
from latflow.bijections.splits.eigenframe import eigenframe, from_frame
from latflow.bijections.splits.su2 import SU2Split
from latflow.bijections.splits.su3 import SU3Split
from latflow.distributions import HaarPrior
from latflow.fields.gauge_symmetry import ChargeConjugation, random_gauge_transformation
from latflow.groups.matrices import conjugate_transpose, multiply
from latflow.groups.sun import SU
from latflow.lattice import Lattice
from latflow.testing import BIJECTION_LAWS, equivariant_under, scrambled, spread_fields

KEY = jax.random.key(1)
BASES = [(0, 0, 0), (0.7, 0.7, -1.4), (np.pi, np.pi, 0), (2 * np.pi / 3, 2 * np.pi / 3, -4 * np.pi / 3)]
GAPS = [0.0, 1e-14, 2e-9, 1e-6, 1e-4]


def su3_splits():
    """Of two levels."""
    splits = SU3Split.untrained(KEY, n_levels=2, n_bins=4, hidden=(4,), dtype="float64")
    return scrambled(KEY, splits.heat_bath(2.0))


def su3_split():
    return jax.tree.map(lambda leaf: leaf[0], su3_splits())


def haar(i, *, n):
    return SU(3).haar(jax.random.fold_in(KEY, i), (n,))


def diagonal(angles):
    return jnp.exp(1j * jnp.asarray(angles))[:, None] * jnp.eye(3)[..., None]


def conjugated(g, a):
    return multiply(multiply(g, a), conjugate_transpose(g))


@functools.cache
def near_degenerate():
    """Plaquettes with eigenvalues at a gap from those of BASES, that gap, and random halves."""
    angles = np.asarray([np.asarray(base) + gap * np.asarray([1, 0.3, -1.3]) for base in BASES for gap in GAPS]).T
    n = angles.shape[1]
    plaquette = from_frame(haar(1, n=n), diagonal(angles))
    return plaquette, np.tile(GAPS, len(BASES)), haar(2, n=n)


@functools.cache
def image():
    """One program for all tests."""
    split = su3_split()
    return jax.jit(lambda half, plaquette: split.forward_and_log_det(half, plaquette))


def test_eigenvectors_of_nearly_degenerate_matrices():
    plaquette, _, _ = near_degenerate()
    angles, frame = jax.jit(eigenframe)(plaquette)
    assert np.max(np.abs(multiply(conjugate_transpose(frame), frame) - np.eye(3)[..., None])) < 1e-14
    again = from_frame(frame, diagonal(angles))
    assert np.max(np.abs(again - plaquette)) < 1e-8  # what counts as one value
    assert np.max(np.abs(np.sum(angles, axis=0))) < 1e-14


def test_the_inverse_survives_rounding_errors_of_degenerate_plaquettes():
    plaquette, gaps, half = near_degenerate()
    out, log_det = image()(half, plaquette)
    noise = 1e-16 * np.random.default_rng(1).standard_normal(plaquette.shape)
    split = su3_split()
    back, log_det_back = jax.jit(lambda *x: split.inverse_and_log_det(*x))(out, plaquette + noise)
    bound = 1e-14 / np.where(gaps < 1e-8, 1e-4, gaps)
    assert np.all(np.max(np.abs(back - half), axis=(0, 1)) < bound)
    assert np.all(np.abs(log_det + log_det_back) < 10 * bound)


def test_gauge_transformations_are_followed_up_to_rounding_over_the_gap():
    plaquette, gaps, half = near_degenerate()
    g = haar(3, n=half.shape[-1])
    out, log_det = image()(half, plaquette)
    turned, turned_log_det = image()(conjugated(g, half), conjugated(g, plaquette))
    apart = gaps >= 1e-8
    assert np.all((np.max(np.abs(turned - conjugated(g, out)), axis=(0, 1)) * gaps)[apart] < 1e-14)
    assert np.all((np.abs(turned_log_det - log_det) * gaps)[apart] < 1e-13)


def test_representatives_need_no_frame():
    """The program for diagonal plaquettes has the images of the other one, also where an angle is beyond π."""
    split, half = su3_split(), near_degenerate()[2]
    n = half.shape[-1]
    angles = np.asarray([(-1.55, 3.5, -1.95), (1.55, 1.95, -3.5), (0.3, 1.2, -1.5), (-0.3, 2.0, -1.7)]).T
    plaquette = conjugated(haar(4, n=n), diagonal(np.tile(angles, n // 4)))

    @jax.jit
    def without_frame(half, plaquette):
        turned = split.representative(plaquette)
        return turned, *split.of_representatives().forward_and_log_det(half, turned)

    turned, out, log_det = without_frame(half, plaquette)
    np.testing.assert_allclose(turned, diagonal(np.tile(angles, n // 4)), rtol=0, atol=1e-12)
    expected = image()(half, turned)
    np.testing.assert_allclose(out, expected[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(log_det, expected[1], rtol=0, atol=1e-11)


@pytest.mark.parametrize("n", [2, 3])
def test_coinciding_eigenvalues_give_finite_numbers_and_gradients(n):
    """Halves and plaquettes at the elements of the centre, all pairs of them; for SU(3) those near degeneracy, too."""
    split = {2: SU2Split(jnp.asarray([1.5, 0.2]), 4), 3: su3_split()}[n]
    centre = jnp.eye(n)[..., None] * jnp.exp(2j * jnp.pi * jnp.arange(n) / n)[None, None]
    half, plaquette = jnp.repeat(centre, n, axis=-1), jnp.tile(centre, n)
    if n == 3:
        near, _, random = near_degenerate()
        half, plaquette = jnp.concatenate([half, random], -1), jnp.concatenate([plaquette, near], -1)

    def total(split, half, plaquette):
        image, log_det = split.forward_and_log_det(half, plaquette)
        return jnp.sum(jnp.real(image) * jnp.arange(n * n).reshape(n, n, 1)) + jnp.sum(log_det)

    value, gradient = jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2)))(split, half, plaquette)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves((value, gradient)))


@functools.cache
def su3_doubling():
    """Two scrambled doublings of SU(3), and fields away from the cold one, where X is 1 and has no derivative."""
    lattice, space = Lattice((2, 2)), gauge_space("SU(3)", (2, 2))
    bijection = Doubling(su3_splits(), SU(3), Hierarchy(lattice, 2))
    warm = spread_fields(KEY, space, n=3)
    return bijection, space, jnp.concatenate([warm, HaarPrior(space).sample_and_log_prob(KEY)[0][None]])


@pytest.mark.parametrize("law", BIJECTION_LAWS[:4], ids=lambda law: law.__name__)
def test_law_of_su3(law):
    result = law(*su3_doubling())
    assert result.passed, result.line()


def test_su3_commutes_with_gauge_transformations_and_charge_conjugation():
    bijection, space, fields = su3_doubling()
    elements = (random_gauge_transformation(KEY, space), ChargeConjugation(space.group))
    result = equivariant_under(bijection, space, elements, fields)
    assert result.passed, result.line()
