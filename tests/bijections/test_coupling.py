"""Affine couplings: what is frozen stays, what moves is bounded, and a fresh one does nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.bijections.conditioners import AbstractConditioner, DenseConditioner
from latflow.bijections.coupling import AffineCoupling
from latflow.bijections.partition import Partition
from latflow.lattice import Lattice
from latflow.testing.bijections import scrambled

PARTITION = Partition.of(Lattice((4, 2)).checkerboard(parity=1))
X = jax.random.normal(jax.random.key(1), (4, 2))


class Prescribed(AbstractConditioner):
    """A conditioner that returns the sum of the frozen sites times given numbers."""

    raw: float
    shift: float

    def __call__(self, frozen):
        total = jnp.sum(frozen) * jnp.ones(4)
        return jnp.stack([self.raw * total, self.shift * total], axis=-1)


def fresh(bound=2.0):
    conditioner = DenseConditioner(jax.random.key(2), PARTITION, hidden=(8,), dtype=jnp.dtype(jnp.float64))
    return AffineCoupling(PARTITION, conditioner, bound)


def test_identity_at_initialisation():
    y, log_det = fresh().forward_and_log_det(X)
    assert jnp.array_equal(y, X)
    assert log_det == 0


def test_frozen_sites_stay_and_all_active_ones_move():
    coupling = scrambled(jax.random.key(3), fresh())
    y, _ = coupling.forward_and_log_det(X)
    assert jnp.array_equal((y == X).reshape(-1), ~PARTITION.mask.reshape(-1))


def test_formula():
    """y_a = x_a exp(b tanh(r/b)) + t, with the sum of the frozen sites prescribed."""
    bound, raw, shift = 0.7, 0.9, -0.4
    x = jnp.ones((4, 2))
    y, log_det = AffineCoupling(PARTITION, Prescribed(raw, shift), bound).forward_and_log_det(x)
    log_scale = bound * np.tanh(4 * raw / bound)
    np.testing.assert_allclose(np.asarray(y)[PARTITION.mask], np.exp(log_scale) + 4 * shift, rtol=1e-15)
    np.testing.assert_allclose(log_det, 4 * log_scale, rtol=1e-15)


@pytest.mark.parametrize("raw", [1e3, -1e3])
def test_log_scale_is_bounded(raw):
    coupling = AffineCoupling(PARTITION, Prescribed(raw, 0.0), 1.5)
    _, log_det = coupling.forward_and_log_det(jnp.ones((4, 2)))
    assert abs(abs(float(log_det)) - 4 * 1.5) < 1e-12


def test_inverse_of_wide_draws():
    coupling = scrambled(jax.random.key(4), fresh())
    for scale in (1e-3, 1.0, 1e3):
        back, _ = coupling.inverse_and_log_det(coupling.forward_and_log_det(scale * X)[0])
        assert jnp.max(jnp.abs(back - scale * X)) < 1e-13 * max(1.0, scale)
