"""Villain links: normaliser and weight on both sides, log Z of Wilson's action, charges, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from catalogue import gauge_space, villain_of, wilson
from latflow.actions.exact_gauge import u1_log_z, u1_wilson_loop
from latflow.errors import ConfigError
from latflow.fields.plaquette_angles import curl, plaquette_angles
from latflow.flows.gauge import u1_plaquette_flow
from latflow.flows.transfer import transferred
from latflow.flows.villain import LARGEST_VARIANCE, VillainPrior, at_coupling, log_partition, log_villain, villain_flow
from latflow.lattice import Lattice

KEY = jax.random.key(31)


@pytest.mark.parametrize("total", [0.01, 1.0, 6.2, 6.4, 30.0, 2000.0])
def test_the_normaliser_is_the_sum_over_representations(total: float) -> None:
    waves = np.sum(np.exp(-total * np.arange(-300, 301) ** 2 / 2))
    np.testing.assert_allclose(log_partition(jnp.asarray(total)), np.log(waves), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("variance", [0.05, 1.0, LARGEST_VARIANCE])
def test_the_weight_is_the_sum_over_waves(variance: float) -> None:
    angle, k = np.linspace(-np.pi, np.pi, 41), np.arange(1, 60)[:, None]
    waves = 1 + 2 * np.sum(np.exp(-variance * k**2 / 2) * np.cos(k * angle), axis=0)
    np.testing.assert_allclose(
        np.exp(log_villain(jnp.asarray(angle), jnp.asarray(variance))), waves, rtol=1e-12, atol=1e-12
    )


def test_draws_have_the_right_log_z() -> None:
    """Of Wilson's action on 32×32 at β = 7, untrained, 4096 draws; two charges in ten are beyond ±2 here.

    The error of log Z is .03, and a normaliser of |Q| ≤ 2 is wrong by .24.
    """
    action = wilson("U(1)", (32, 32), 7.0)
    prior = VillainPrior.of_beta(action.space, 7.0)

    def log_weight(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        x, log_q = prior.sample_and_log_prob(key)
        return -action(x) - log_q, jnp.round(jnp.sum(plaquette_angles(x)) / (2 * jnp.pi))

    logs, charges = (np.asarray(a) for a in jax.jit(jax.vmap(log_weight))(jax.random.split(KEY, 4096)))
    w = np.exp(logs - np.max(logs))
    found, error = np.log(np.mean(w)) + np.max(logs), np.std(w) / np.mean(w) / 64
    assert error < 0.045
    assert abs(found - u1_log_z(7.0, volume=1024)) < 5 * error
    expected = 1024 * float(prior.variance) / (4 * np.pi**2)
    assert abs(np.mean(charges**2) - expected) < 5 * np.std(charges**2) / 64


def test_the_plaquette_is_that_of_wilson() -> None:
    """Of the density, by quadrature: a wave of the weight is the ratio of Bessel functions."""
    prior = VillainPrior.of_beta(gauge_space("U(1)", (4, 4)), 3.0)
    wave = float(jnp.exp(-prior.variance / 2))
    np.testing.assert_allclose(wave, u1_wilson_loop(3.0, volume=10**6), rtol=1e-9)


def test_any_positive_coupling_has_a_variance() -> None:
    """Leading terms at both ends agree with the Bessel functions to what rounding leaves of these."""
    space = gauge_space("U(1)", (2, 2))
    found = [float(VillainPrior.of_beta(space, beta).log_variance) for beta in (5e-324, 1e300)]
    np.testing.assert_allclose(np.exp(found[0]), 2 * (np.log(2) + 1074 * np.log(2)), rtol=1e-12)
    np.testing.assert_allclose(found[1], -300 * np.log(10), rtol=1e-12)
    for edge in (1e-8, 1e8):
        below, above = (VillainPrior.of_beta(space, edge * factor).log_variance for factor in (1 - 1e-9, 1 + 1e-9))
        np.testing.assert_allclose(below, above, atol=1e-7)


def test_a_flow_keeps_charges_and_goes_to_other_lattices() -> None:
    """Whatever its weights; on 4×6 the velocity of the same weights moves a plaquette as before, up to the mean."""
    flow = transferred(villain_of((2, 3)), Lattice((4, 6)))
    assert flow.space.lattice.shape == (4, 6)
    x = at_coupling(flow, 4.0).prior.sample_and_log_prob(KEY)[0]
    y, _ = flow.bijection.forward_and_log_det(x)
    q, after = (round(float(jnp.sum(plaquette_angles(each))) / (2 * np.pi)) for each in (x, y))
    moved, _ = flow.bijection.velocity(jnp.zeros(()), x)
    assert q == after
    assert abs(float(jnp.sum(curl(moved)))) < 1e-12
    assert float(jnp.max(jnp.abs(curl(moved)))) > 0.01


def test_no_gradient_moves_the_variance() -> None:
    prior = VillainPrior.of_beta(gauge_space("U(1)", (2, 2)), 1.0)
    slope = jax.grad(lambda value: VillainPrior(value, prior.space).sample_and_log_prob(KEY)[1])(prior.log_variance)
    assert float(slope) == 0


def test_what_it_is_not_for_is_refused() -> None:
    for group, shape in (("SU(2)", (4, 4)), ("U(1)", (4, 4, 4))):
        with pytest.raises(ConfigError, match=r"allowed: U\(1\) in two dimensions"):
            VillainPrior.of_beta(gauge_space(group, shape), 1.0)
    with pytest.raises(ConfigError, match="beta: 0"):
        villain_flow(KEY, Lattice((4, 4)), beta=0.0)
    with pytest.raises(TypeError, match="that of a villain flow"):
        at_coupling(u1_plaquette_flow(KEY, Lattice((4, 4))), 1.0)
