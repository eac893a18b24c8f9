"""Spline couplings: the formula, its knots and tails, and what field inversion does to the parameters."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.bijections.conditioners import AbstractConditioner, ConvolutionalConditioner
from latflow.bijections.partition import Partition
from latflow.bijections.rational import BEND
from latflow.bijections.spline import SplineCoupling, parameter_counts
from latflow.errors import ConfigError
from latflow.fields.spaces import ScalarSpace
from latflow.lattice import Lattice
from latflow.testing import BIJECTION_LAWS
from latflow.testing.bijections import scrambled

HALF_WIDTH = 2.5
PARTITION = Partition.of(np.array([False, True]))
BINS = (2, 5)


class Prescribed(AbstractConditioner):
    """The same parameters on every active site; the odd ones change sign with the frozen field."""

    numbers: jax.Array
    n_even: int

    def __call__(self, frozen):
        sign = jnp.where(jnp.arange(self.numbers.size) < self.n_even, 1.0, jnp.sign(frozen[0]))
        return (self.numbers * sign)[None]


def prescribed(n_bins, *, seed=1, scale=1.0, slopes="unbounded"):
    even, odd = parameter_counts(n_bins)
    numbers = scale * jax.random.normal(jax.random.key(seed), (even + odd,))
    return SplineCoupling(PARTITION, Prescribed(numbers, even), n_bins, HALF_WIDTH, slopes=slopes)


@eqx.filter_jit
def move(coupling, values, frozen, *, inverse):
    fields = jnp.stack([jnp.broadcast_to(frozen, values.shape), values], axis=1)
    images, log_slopes = jax.vmap(coupling.inverse_and_log_det if inverse else coupling.forward_and_log_det)(fields)
    return images[:, 1], log_slopes


def apply(coupling, values, *, frozen=1.0, inverse=False):
    """Images and log-slopes of single values; always 64 of them, so that one program serves every call."""
    y, log_slope = move(coupling, jnp.asarray(np.resize(values, 64)), jnp.asarray(frozen), inverse=inverse)
    return np.asarray(y)[: len(values)], np.asarray(log_slope)[: len(values)]


def textbook(coupling, x):
    """arXiv:1906.04032 eq. (4) for one number, with loops and Python floats."""
    k, spline = coupling.n_bins, coupling._spline(jnp.ones(1))
    xs, ys, ds = (np.asarray(part[0]).tolist() for part in spline)
    if not xs[0] < x < xs[-1]:
        return x
    i = max(j for j in range(k) if xs[j] <= x)
    s = (ys[i + 1] - ys[i]) / (xs[i + 1] - xs[i])
    t = (x - xs[i]) / (xs[i + 1] - xs[i])
    top = (ys[i + 1] - ys[i]) * (s * t * t + ds[i] * t * (1 - t))
    return ys[i] + top / (s + (ds[i + 1] + ds[i] - 2 * s) * t * (1 - t))


def test_bounded_slopes():
    """Near the mean of the bins beside, however loud the numbers; the formula is the same."""
    coupling, values = prescribed(5, scale=30.0, slopes="bounded"), np.linspace(-3.0, 3.0, 61)
    expected = [textbook(coupling, x) for x in values]
    np.testing.assert_allclose(apply(coupling, values)[0], expected, rtol=0, atol=1e-13)
    x, y, slope = (np.asarray(part[0]) for part in coupling._spline(jnp.ones(1)))
    mean = np.diff(y) / np.diff(x)
    bends = np.log(slope[1:-1] / np.sqrt(mean[1:] * mean[:-1]))
    assert np.abs(bends).max() <= BEND + 1e-12
    assert np.abs(bends).max() > 0.5
    with pytest.raises(ConfigError, match=r"flow\.slopes: loose; allowed: unbounded"):
        prescribed(5, slopes="loose")


@pytest.mark.parametrize("n_bins", BINS)
def test_formula(n_bins):
    coupling, values = prescribed(n_bins), np.linspace(-3.0, 3.0, 61)
    expected = [textbook(coupling, x) for x in values]
    np.testing.assert_allclose(apply(coupling, values)[0], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("n_bins", BINS)
def test_parameters_of_zero_are_the_identity(n_bins):
    values = np.linspace(-3.0, 3.0, 61)
    y, log_slope = apply(prescribed(n_bins, scale=0.0), values)
    np.testing.assert_allclose(y, values, rtol=0, atol=1e-14)
    np.testing.assert_allclose(log_slope, 0, rtol=0, atol=1e-14)


@pytest.mark.parametrize("inverse", [False, True])
def test_tails_are_left_alone_and_joined_smoothly(inverse):
    coupling = prescribed(5, scale=2.0)
    outside = np.array([-1e6, -3.0, -HALF_WIDTH, HALF_WIDTH, 3.0, 1e6])
    y, log_slope = apply(coupling, outside, inverse=inverse)
    assert np.array_equal(y, outside)
    assert not np.any(log_slope)
    edge = HALF_WIDTH * (1 - 1e-9) * np.array([-1, 1])
    y, log_slope = apply(coupling, edge, inverse=inverse)
    np.testing.assert_allclose(y, edge, rtol=0, atol=1e-12)
    np.testing.assert_allclose(log_slope, 0, rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_bins", BINS)
def test_knots_and_slopes_are_those_prescribed(n_bins):
    """Every knot goes to its image, with its slope; value and slope are continuous across it."""
    coupling = prescribed(n_bins)
    x, y, slope = (np.asarray(part[0]) for part in coupling._spline(jnp.ones(1)))
    for beside, atol in ((0.0, 1e-13), (1e-9, 1e-7), (-1e-9, 1e-7)):
        image, log_slope = apply(coupling, x + beside)
        np.testing.assert_allclose(image, y, rtol=0, atol=max(atol, 1e-13))
        np.testing.assert_allclose(log_slope, np.log(slope), rtol=0, atol=atol)
        back, _ = apply(coupling, y + beside, inverse=True)
        np.testing.assert_allclose(back, x, rtol=0, atol=max(atol, 1e-13))


@pytest.mark.parametrize("law", BIJECTION_LAWS, ids=lambda law: law.__name__)
def test_laws_at_knots_and_beside_them(law):
    """Exactly at a knot the Jacobian is one-sided, and both sides agree."""
    coupling = prescribed(5)
    x, y, _ = (np.asarray(part[0]) for part in coupling._spline(jnp.ones(1)))
    values = np.concatenate([knots + beside for knots in (x, y) for beside in (0.0, 1e-12, -1e-12, 1e-6, -1e-6)])
    result = law(coupling, ScalarSpace((2,)), jnp.asarray(np.stack([np.ones_like(values), values], axis=1)))
    assert result.passed, result.line()


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_slopes_are_positive_and_bounded_below(scale):
    """However far the parameters run; the inverse still undoes the map."""
    coupling, values = prescribed(5, scale=scale), np.linspace(-HALF_WIDTH, HALF_WIDTH, 64)
    y, log_slope = apply(coupling, values)
    assert np.all(np.diff(y) > 0)
    assert np.all(np.isfinite(log_slope))
    back, inverse_log_slope = apply(coupling, y, inverse=True)
    np.testing.assert_allclose(back, values, rtol=0, atol=1e-9)
    np.testing.assert_allclose(inverse_log_slope, -log_slope, rtol=0, atol=1e-7)


@pytest.mark.parametrize("n_bins", BINS)
def test_parities_of_the_parameters(n_bins):
    """Where the odd parameters change sign the spline turns about the origin: f(-x; -frozen) = -f(x; frozen)."""
    coupling, values = prescribed(n_bins), np.linspace(-3.0, 3.0, 61)
    y, log_slope = apply(coupling, values)
    turned, turned_log_slope = apply(coupling, -values, frozen=-1.0)
    np.testing.assert_allclose(turned, -y, rtol=0, atol=1e-13)
    np.testing.assert_allclose(turned_log_slope, log_slope, rtol=0, atol=1e-12)
    assert np.max(np.abs(apply(coupling, -values)[0] + y)) > 0.1


def test_gradients_are_finite_at_knots_and_in_the_tails():
    partition = Partition.of(Lattice((4, 2)).checkerboard(parity=0))
    conditioner = ConvolutionalConditioner(
        jax.random.key(2), partition, hidden=(4,), n_parameters=sum(parameter_counts(4)), dtype=jnp.dtype(jnp.float64)
    )
    coupling = scrambled(jax.random.key(3), SplineCoupling(partition, conditioner, 4, HALF_WIDTH))
    x = jnp.asarray([[0.0, 1e3], [-1e3, HALF_WIDTH], [-HALF_WIDTH, 0.1], [1.0, math.pi]])
    for move in (coupling.forward_and_log_det, coupling.inverse_and_log_det):
        slopes = jax.jit(jax.grad(lambda z, move=move: jnp.sum(move(z)[0] ** 2) + move(z)[1]))(x)
        assert np.all(np.isfinite(slopes))


@pytest.mark.parametrize("n_bins", [0, 1, 100])
def test_bins_that_cannot_be_are_refused(n_bins):
    with pytest.raises(ConfigError, match=r"flow\.bins"):
        SplineCoupling(PARTITION, Prescribed(jnp.zeros(5), 3), n_bins, HALF_WIDTH)
