"""The split of SU(N): frames and coordinates, log-det, inverse, symmetries, and where eigenvalues coincide.

Maps of three colours are compiled every time, those of four colours at night.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from catalogue import gauge_space
from latflow.bijections.doubling import Doubling
from latflow.bijections.levels import Hierarchy
from latflow.bijections.splits.normal_frame import singular, sun_frame
from latflow.bijections.splits.sun import SUNSplit
from latflow.bijections.splits.sun_chart import build, read
from latflow.bijections.splits.sun_heat_bath import block_couplings
from latflow.distributions import HaarPrior
from latflow.errors import ConfigError
from latflow.groups.matrices import conjugate_transpose, multiply
from latflow.groups.sun import SU
from latflow.lattice import Lattice
from latflow.testing import BIJECTION_LAWS, scrambled, spread_fields

KEY = jax.random.key(1)
COLOURS = pytest.mark.parametrize("n", [3, pytest.param(4, marks=pytest.mark.nightly)])
STEP = 1e-4
BASES = {
    3: [(0, 0, 0), (0.7, 0.7, -1.4), (np.pi, np.pi, 0)],
    4: [(0, 0, 0, 0), (0.7, 0.7, -0.4, -1.0), (0.5, 0.5, -0.5, -0.5), (np.pi, np.pi, 0, 0), (np.pi / 2,) * 4],
}
DIRECTIONS = {3: [1, 0.3, -1.3], 4: [1, 0.3, -0.4, -0.9]}
GAPS = [0.0, 1e-14, 2e-9, 1e-6, 1e-4]


def splits(n):
    """Of two levels."""
    untrained = SUNSplit.untrained(KEY, n=n, n_levels=2, n_bins=4, hidden=(3,), n_terms=2, dtype="float64")
    return scrambled(KEY, untrained.heat_bath(3.0))


def split(n):
    return jax.tree.map(lambda leaf: leaf[0], splits(n))


def haar(i, n, count):
    return SU(n).haar(jax.random.fold_in(KEY, i), (count,))


def conjugated(g, a):
    return multiply(multiply(g, a), conjugate_transpose(g))


@functools.cache
def near_degenerate(n):
    """Plaquettes with eigenvalues at a gap from those of BASES, and that gap."""
    directions = np.asarray(DIRECTIONS[n])
    angles = np.asarray([np.asarray(base) + gap * directions for base in BASES[n] for gap in GAPS]).T
    diagonal = jnp.exp(1j * jnp.asarray(angles))[:, None] * jnp.eye(n)[..., None]
    return conjugated(haar(1, n, angles.shape[1]), diagonal), np.tile(GAPS, len(BASES[n]))


def displaced(half, plaquette):
    """Every half a step away along all generators, forwards and backwards, beside each other."""
    group = SU(len(half))
    one = np.eye(group.n_generators)
    steps = jnp.asarray(STEP * np.concatenate([one, -one], axis=1))
    count = steps.shape[1]
    halves = [group.move(jnp.repeat(half[..., i : i + 1], count, axis=-1), steps) for i in range(half.shape[-1])]
    return jnp.concatenate(halves, axis=-1), jnp.repeat(plaquette, count, axis=-1)


@functools.cache
def examples(n):
    """Halves and plaquettes of all tests of the map: near degeneracy, random, turned, conjugated, and displaced."""
    plaquette, gaps = near_degenerate(n)
    some, coarse, g = haar(3, n, 6), haar(4, n, 6), haar(5, n, 6)
    parts = [(haar(2, n, len(gaps)), plaquette), (some, coarse), (conjugated(g, some), conjugated(g, coarse))]
    parts += [(jnp.conj(some), jnp.conj(coarse)), displaced(some[..., :3], coarse[..., :3])]
    return [jnp.concatenate(each, axis=-1) for each in zip(*parts, strict=True)], g, len(gaps)


@functools.cache
def images(n):
    (half, plaquette), g, first = examples(n)
    moving = split(n)
    out, log_det = jax.jit(lambda *x: moving.forward_and_log_det(*x))(half, plaquette)
    return out, log_det, g, first


@pytest.mark.parametrize("n", [3, 5, 8])
def test_frames_are_orthonormal_and_diagonalise(n):
    p = SU(n).haar(KEY, (40,))
    angles, frame = jax.jit(sun_frame)(p)
    whole = multiply(frame * jnp.exp(1j * angles)[None], conjugate_transpose(frame))
    assert np.max(np.abs(whole - p)) < 1e-13
    assert np.max(np.abs(multiply(frame, frame, left_adjoint=True) - jnp.eye(n)[..., None])) < 1e-14
    assert np.max(np.abs(angles.sum(axis=0))) < 1e-13
    assert np.all(np.ptp(angles, axis=0) < 2 * np.pi)
    assert np.all(np.diff(np.abs(angles), axis=0) > -2e-8)


def test_frames_where_eigenvalues_coincide():
    p, gaps = near_degenerate(4)
    angles, frame = jax.jit(sun_frame)(p)
    whole = multiply(frame * jnp.exp(1j * angles)[None], conjugate_transpose(frame))
    assert np.all(np.max(np.abs(whole - p), axis=(0, 1)) < np.where(gaps < 1e-6, 3e-8, 1e-14))
    assert np.max(np.abs(multiply(frame, frame, left_adjoint=True) - jnp.eye(4)[..., None])) < 1e-14


def test_singular_frames_are_rotations_at_any_rank():
    b = np.random.default_rng(1).standard_normal((3, 3, 5))
    b[2, :, 1], b[1:, :, 2], b[..., 3], b[..., 4] = 0.0, 0.0, 0.0, np.eye(3)
    left, sigma, right = singular(jnp.asarray(b))
    assert np.max(np.abs(np.einsum("ijn,jn,kjn->ikn", left, sigma, right) - b)) < 1e-13
    for frame in (left, right):
        assert np.allclose(np.linalg.det(np.moveaxis(frame, -1, 0)), 1, atol=1e-13)
        assert np.max(np.abs(np.einsum("ijn,ikn->jkn", frame, frame) - np.eye(3)[..., None])) < 1e-13


def test_coordinates_are_of_the_matrix():
    x = haar(6, 4, 40)
    k = jnp.cos(jnp.linspace(-2, 2, 160).reshape(4, 40))
    chart = jax.jit(read)(x, k)
    assert np.max(np.abs(jax.jit(build)(chart, k) - x)) < 1e-12
    assert np.all((chart.values >= 0) & (chart.values <= 1))


@COLOURS
def test_the_log_det_is_that_of_the_jacobian(n):
    """By central differences along the generators, at three halves."""
    out, log_det, _, first = images(n)
    group = SU(n)
    each = group.n_generators
    for i in range(3):
        begin = first + 18 + 2 * each * i
        forwards, backwards = out[..., begin : begin + each], out[..., begin + each : begin + 2 * each]
        image = jnp.repeat(out[..., first + i : first + i + 1], each, axis=-1)
        slopes = group.displacement(image, (forwards - backwards) / (2 * STEP))
        assert abs(np.linalg.slogdet(np.asarray(slopes))[1] - log_det[first + i]) < 1e-4


@COLOURS
def test_the_map_is_equivariant(n):
    out, log_det, g, first = images(n)
    some, turned, mirrored = (slice(first + 6 * i, first + 6 * (i + 1)) for i in range(3))
    assert np.max(np.abs(out[..., turned] - conjugated(g, out[..., some]))) < 1e-12
    assert np.max(np.abs(log_det[turned] - log_det[some])) < 1e-11
    assert np.max(np.abs(out[..., mirrored] - jnp.conj(out[..., some]))) < 1e-12


@COLOURS
def test_the_inverse_is_one_also_near_coinciding_eigenvalues(n):
    """With rounding errors of P, which the gap divides."""
    (half, plaquette), (out, log_det, _, first) = examples(n)[0], images(n)
    moving = split(n)
    noise = 1e-16 * np.random.default_rng(1).standard_normal(plaquette.shape)
    back, log_det_back = jax.jit(lambda *x: moving.inverse_and_log_det(*x))(out, plaquette + noise)
    gaps = np.concatenate([near_degenerate(n)[1], np.full(out.shape[-1] - first, 1e-3)])
    bound = 1e-13 / np.where(gaps < 1e-8, 1e-5, gaps)
    assert np.all(np.max(np.abs(back - half), axis=(0, 1)) < bound)
    assert np.all(np.abs(log_det + log_det_back) < 10 * bound)
    assert np.max(np.abs(multiply(out, out, left_adjoint=True) - jnp.eye(n)[..., None])) < 1e-12


def test_blocks_have_powers_of_the_plaquette():
    """Averages of U(∞) at strong coupling, 1/2N² of κ, and the coupling itself on the finest level."""
    assert np.allclose(block_couplings(4, 9.0, 1), 9.0)
    assert np.isclose(block_couplings(4, 0.01, 2)[0], 32 * (0.01 / 32) ** 2, rtol=1e-3)


def test_small_groups_are_refused():
    with pytest.raises(ConfigError, match="n: 2; allowed: at least 3"):
        SUNSplit.untrained(KEY, n=2, n_levels=1)


@pytest.mark.nightly
@pytest.mark.parametrize("law", BIJECTION_LAWS[:4], ids=lambda law: law.__name__)
def test_law_of_su4(law):
    lattice, space = Lattice((2, 2)), gauge_space("SU(4)", (2, 2))
    bijection = Doubling(splits(4), SU(4), Hierarchy(lattice, 2))
    warm = spread_fields(KEY, space, n=2)
    fields = jnp.concatenate([warm, HaarPrior(space).sample_and_log_prob(KEY)[0][None]])
    result = law(bijection, space, fields)
    assert result.passed, result.line()


@pytest.mark.nightly
def test_coinciding_eigenvalues_give_finite_gradients():
    plaquette, gaps = near_degenerate(4)

    def total(moving, half, plaquette):
        image, log_det = moving.forward_and_log_det(half, plaquette)
        return jnp.sum(jnp.real(image) * jnp.arange(16).reshape(4, 4, 1)) + jnp.sum(log_det)

    found = jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2)))(split(4), haar(2, 4, len(gaps)), plaquette)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(found))
