"""The reverse KL is the mean of log q + S over its own draws, and so is its gradient."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from latflow.actions import exact
from latflow.actions.scalar import FreeField
from latflow.bijections.elementwise import Scale
from latflow.distributions import Normal
from latflow.flows.flow import Flow
from latflow.lattice import Lattice
from latflow.training.losses import ReverseKL

LATTICE = Lattice((4, 2))
ACTION = FreeField(LATTICE, mass_squared=3.0)
LOSS = ReverseKL(batch_size=4096)


def scaled(log_scale):
    return Flow(Normal(LATTICE.shape), Scale(log_scale))


def expected(log_scale):
    """⟨log q + S⟩ of the scaled normal: −V/2 (1 + log 2π) − V a + e^{2a} V (2d + m²)."""
    volume = LATTICE.volume
    return -volume / 2 * (1 + np.log(2 * np.pi)) - volume * log_scale + np.exp(2 * log_scale) * volume * (4 + 3.0)


def test_value_and_gradient_of_a_scaled_normal():
    """Within 5σ of the closed form; σ of the value from the batch, that of the slope from 16 batches."""

    def value(log_scale, key):
        return LOSS(scaled(log_scale), ACTION, key)

    keys = jax.random.split(jax.random.key(1), 16)
    compute = jax.jit(jax.vmap(jax.value_and_grad(value, has_aux=True), in_axes=(None, 0)))
    (values, log_weights), slopes = compute(jnp.asarray(-1.2), keys)
    assert log_weights.shape == (16, 4096)
    np.testing.assert_allclose(values, -jnp.mean(log_weights, axis=1), rtol=1e-13)
    step = 1e-5
    slope = (expected(-1.2 + step) - expected(-1.2 - step)) / (2 * step)
    for sample, truth in ((values, expected(-1.2)), (slopes, slope)):
        assert abs(float(sample.mean()) - truth) < 5 * float(sample.std()) / 4


def test_lower_bound_is_minus_log_z():
    loss, _ = eqx.filter_jit(LOSS)(scaled(-1.35), ACTION, jax.random.key(2))
    assert loss > -exact.free_log_z(LATTICE, mass_squared=3.0)


def test_same_key_same_batch():
    compute = eqx.filter_jit(LOSS)
    one, other, again = (compute(scaled(-1.2), ACTION, jax.random.key(seed))[0] for seed in (1, 2, 1))
    assert one == again
    assert one != other
