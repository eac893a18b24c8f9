"""The split of SU(N) beyond 3: frames and coordinates, log-det, inverse, symmetries, and where eigenvalues coincide."""

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
GROUP = SU(4)
STEP = 1e-4
BASES = [(0, 0, 0, 0), (0.7, 0.7, -0.4, -1.0), (0.5, 0.5, -0.5, -0.5), (np.pi, np.pi, 0, 0), (np.pi / 2,) * 4]
GAPS = [0.0, 1e-14, 2e-9, 1e-6, 1e-4]


def splits():
    """Of two levels."""
    untrained = SUNSplit.untrained(KEY, n=4, n_levels=2, n_bins=4, hidden=(3,), n_terms=2, dtype="float64")
    return scrambled(KEY, untrained.heat_bath(3.0))


def haar(i, n):
    return GROUP.haar(jax.random.fold_in(KEY, i), (n,))


def conjugated(g, a):
    return multiply(multiply(g, a), conjugate_transpose(g))


@functools.cache
def near_degenerate():
    """Plaquettes with eigenvalues at a gap from those of BASES, and that gap."""
    angles = np.asarray([np.asarray(b) + gap * np.asarray([1, 0.3, -0.4, -0.9]) for b in BASES for gap in GAPS]).T
    diagonal = jnp.exp(1j * angles)[:, None] * jnp.eye(4)[..., None]
    return conjugated(haar(1, angles.shape[1]), diagonal), np.tile(GAPS, len(BASES))


def displaced(half, plaquette):
    """Every half, and the halves a step away along all generators, beside each other."""
    steps = STEP * np.concatenate([np.zeros((15, 1)), np.eye(15), -np.eye(15)], axis=1)
    halves = [GROUP.move(jnp.broadcast_to(half[..., i : i + 1], (4, 4, 31)), steps) for i in range(half.shape[-1])]
    return jnp.concatenate(halves, axis=-1), jnp.repeat(plaquette, 31, axis=-1)


@functools.cache
def examples():
    """Halves and plaquettes of all tests of the map; where `displaced` ones begin, and those turned and conjugated."""
    plaquette, gaps = near_degenerate()
    half = haar(2, len(gaps))
    some, coarse = haar(3, 6), haar(4, 6)
    g = haar(5, 6)
    far = displaced(some[..., :3], coarse[..., :3])
    parts = [(half, plaquette), (some, coarse), (conjugated(g, some), conjugated(g, coarse))]
    parts += [(jnp.conj(some), jnp.conj(coarse)), far]
    return [jnp.concatenate(each, axis=-1) for each in zip(*parts, strict=True)], g, len(gaps)


@functools.cache
def images():
    split = jax.tree.map(lambda leaf: leaf[0], splits())
    (half, plaquette), g, n = examples()
    out, log_det = jax.jit(split.forward_and_log_det)(half, plaquette)
    return out, log_det, g, n


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
    p, gaps = near_degenerate()
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
    x = haar(6, 40)
    k = jnp.cos(jnp.linspace(-2, 2, 160).reshape(4, 40))
    chart = jax.jit(read)(x, k)
    assert np.max(np.abs(jax.jit(build)(chart, k) - x)) < 1e-12
    assert np.all((chart.values >= 0) & (chart.values <= 1))


def test_the_log_det_is_that_of_the_jacobian():
    """By central differences along the generators, at three halves."""
    out, log_det, _, n = images()
    first = n + 18
    for i in range(3):
        here = slice(first + 31 * i, first + 31 * (i + 1))
        image, moved = out[..., here][..., :1], out[..., here][..., 1:]
        slopes = GROUP.displacement(jnp.broadcast_to(image, (4, 4, 15)), (moved[..., :15] - moved[..., 15:]) / 2 / STEP)
        assert abs(np.linalg.slogdet(np.asarray(slopes))[1] - log_det[here][0]) < 1e-4


def test_the_map_is_equivariant():
    out, log_det, g, n = images()
    some, turned, mirrored = (slice(n + 6 * i, n + 6 * (i + 1)) for i in range(3))
    assert np.max(np.abs(out[..., turned] - conjugated(g, out[..., some]))) < 1e-12
    assert np.max(np.abs(log_det[turned] - log_det[some])) < 1e-11
    assert np.max(np.abs(out[..., mirrored] - jnp.conj(out[..., some]))) < 1e-12


def test_the_inverse_is_one_also_near_coinciding_eigenvalues():
    """With rounding errors of P, which the gap divides."""
    (half, plaquette), (out, log_det, _, n) = examples()[0], images()
    split = jax.tree.map(lambda leaf: leaf[0], splits())
    noise = 1e-16 * np.random.default_rng(1).standard_normal(plaquette.shape)
    back, log_det_back = jax.jit(split.inverse_and_log_det)(out, plaquette + noise)
    gaps = np.concatenate([near_degenerate()[1], np.full(out.shape[-1] - n, 1e-3)])
    bound = 1e-13 / np.where(gaps < 1e-8, 1e-5, gaps)
    assert np.all(np.max(np.abs(back - half), axis=(0, 1)) < bound)
    assert np.all(np.abs(log_det + log_det_back) < 10 * bound)
    assert np.max(np.abs(multiply(out, out, left_adjoint=True) - jnp.eye(4)[..., None])) < 1e-12


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
    bijection = Doubling(splits(), GROUP, Hierarchy(lattice, 2))
    warm = spread_fields(KEY, space, n=2)
    fields = jnp.concatenate([warm, HaarPrior(space).sample_and_log_prob(KEY)[0][None]])
    result = law(bijection, space, fields)
    assert result.passed, result.line()


@pytest.mark.nightly
def test_coinciding_eigenvalues_give_finite_gradients():
    split = jax.tree.map(lambda leaf: leaf[0], splits())
    plaquette, gaps = near_degenerate()

    def total(split, half, plaquette):
        image, log_det = split.forward_and_log_det(half, plaquette)
        return jnp.sum(jnp.real(image) * jnp.arange(16).reshape(4, 4, 1)) + jnp.sum(log_det)

    value, gradient = jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2)))(split, haar(2, len(gaps)), plaquette)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves((value, gradient)))
