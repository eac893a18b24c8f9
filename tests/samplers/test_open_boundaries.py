"""Exact draws with open boundaries: plaquettes against other samplers and quadrature, lattices against exact loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from catalogue import wilson
from latflow.actions import exact_gauge
from latflow.errors import ConfigError
from latflow.fields import transport
from latflow.groups import named
from latflow.groups.matrices import trace
from latflow.samplers.open_boundaries import OpenBoundaries, one_plaquette
from latflow.testing.invariance import kolmogorov_distance

N = 2**14
FALSE_ALARM = 1e-6


def single(group: str, beta: float, seed: int = 1, n: int = N):
    g = named(group)
    return jax.jit(lambda key: one_plaquette(key, g, beta=beta, n=n))(jax.random.key(seed))


def one_sample_limit(n: int) -> float:
    """Dvoretzky, Kiefer, Wolfowitz, Massart."""
    return np.sqrt(np.log(2 / FALSE_ALARM) / (2 * n))


@pytest.mark.parametrize("beta", [0.0, 2.0, 30.0])
def test_u1_is_von_mises(beta):
    """Sees a distribution function off by 0.043."""
    cdf = stats.vonmises(beta).cdf if beta else stats.uniform(-np.pi, 2 * np.pi).cdf
    assert stats.kstest(np.asarray(single("U(1)", beta)), cdf).statistic < one_sample_limit(N)


def test_su2_against_quadrature():
    r"""The angle of eigenvalues $e^{\pm i\theta}$ has density ∝ $\sin^2\theta\,e^{\beta\cos\theta}$."""
    beta, grid = 2.2, np.linspace(0, np.pi, 4001)
    density = np.sin(grid) ** 2 * np.exp(beta * np.cos(grid))
    cdf = integrate.cumulative_simpson(density, x=grid, initial=0)
    angle = np.arccos(np.clip(np.real(trace(single("SU(2)", beta))) / 2, -1, 1))
    distance = stats.kstest(angle, lambda a: np.interp(a, grid, cdf / cdf[-1])).statistic
    assert distance < one_sample_limit(N)


def test_su3_against_rejected_haar_matrices():
    """Haar draws accepted with their weight are exact as well, and share nothing but the Haar measure."""
    beta, group = 3.0, named("SU(3)")
    haar = group.haar(jax.random.key(2), (2**17,))
    weight = np.exp(beta * (np.real(trace(haar)) / 3 - 1))
    theirs = np.asarray(trace(haar))[np.random.default_rng(3).random(2**17) < weight]
    ours = np.asarray(trace(single("SU(3)", beta)))
    limit = np.sqrt(np.log(2 / FALSE_ALARM) / 2 * (1 / len(ours) + 1 / len(theirs)))
    assert limit < 0.04
    for part in (np.real, np.imag, lambda z: np.abs(z - 1)):
        assert kolmogorov_distance(part(ours), part(theirs)) < limit


@pytest.mark.parametrize(("group", "beta"), [("SU(3)", 9.0), ("SU(4)", 3.0)])
def test_moments_are_slopes_of_log_z(group, beta):
    """Mean and variance of Re tr P / N, at 5σ; errors are about 1 %."""
    p, n = single(group, beta, n=2**12), named(group).n
    traces = np.real(trace(p)) / n
    h = 1e-3
    low, here, high = (exact_gauge.sun_open_log_z(n, beta + i * h, plaquettes=1) for i in (-1, 0, 1))
    mean, variance = 1 + (high - low) / (2 * h), (high - 2 * here + low) / h**2
    assert abs(traces.mean() - mean) < 5 * traces.std() / np.sqrt(len(traces))
    squares = (traces - mean) ** 2
    assert abs(squares.mean() - variance) < 5 * squares.std() / np.sqrt(len(traces))
    assert float(named(group).defect(p)) < 1e-13


@pytest.mark.parametrize(("group", "beta"), [("U(1)", 1.5), ("SU(3)", 4.0)])
def test_lattices(group, beta):
    """Loops obey the area law exactly, links are Haar matrices, the weight is Z, the gauge changes nothing."""
    action = wilson(group, (3, 4), beta, open_boundaries=True)
    space, n = action.space, action.space.group.n
    keys = jax.random.split(jax.random.key(4), 512)
    weighted, fixed = (jax.jit(jax.vmap(OpenBoundaries(action, gauge_fixed=g).draw))(keys) for g in (False, True))
    u = exact_gauge.sun_plaquette(n, beta) if n > 1 else exact_gauge.u1_wilson_loop(beta, volume=400)
    for steps in (1, 2, 3):
        loops = jax.vmap(lambda x, s=steps: transport.wilson_loop(space.links(x), mu=0, nu=1, steps_mu=1, steps_nu=s))
        traces, in_gauge = (np.real(jax.vmap(trace)(loops(x)))[:, :-1, : 4 - steps] / n for x in (weighted.x, fixed.x))
        np.testing.assert_allclose(traces, in_gauge, atol=1e-13)
        each = traces.mean(axis=(1, 2))
        assert abs(each.mean() - u**steps) < 5 * each.std() / np.sqrt(len(each))
    links = np.asarray(jax.vmap(space.links)(weighted.x))
    entries = np.concatenate([links.real.reshape(len(keys), -1), links.imag.reshape(len(keys), -1)], axis=1)
    # entries of Haar matrices: mean 0 and mean square 1/2N each
    assert np.all(np.abs(entries.mean(axis=0)) < 5.5 * entries.std(axis=0) / np.sqrt(len(keys)))
    squares = entries**2 - 1 / (2 * n)
    assert np.all(np.abs(squares.mean(axis=0)) < 5.5 * squares.std(axis=0) / np.sqrt(len(keys)))
    assert float(jnp.max(jax.vmap(space.defect)(weighted.x))) < 1e-13
    np.testing.assert_array_equal(
        np.asarray(fixed.x[:, 1])[..., :-1], np.asarray(space.cold()[1])[None, ..., :-1].repeat(512, 0)
    )
    assert np.all(np.asarray(weighted.log_weight) == np.asarray(OpenBoundaries(action).log_z))


def test_log_z_is_that_of_the_table():
    """SU(3) at β = 9 without the constant: 2.75839742 per plaquette."""
    sampler = OpenBoundaries(wilson("SU(3)", (3, 3), 9.0, open_boundaries=True))
    assert float(sampler.log_z) == pytest.approx(4 * (2.75839742 - 9.0), abs=1e-7)


def test_what_is_not_exact_is_refused():
    with pytest.raises(ConfigError, match="open boundaries"):
        OpenBoundaries(wilson("U(1)", (4, 4), 1.0))
    with pytest.raises(ConfigError, match="two dimensions"):
        OpenBoundaries(wilson("U(1)", (2, 2, 2), 1.0, open_boundaries=True))
