"""Chains apply their parts in order and add log-determinants; `Inverse` swaps the directions."""

import jax
import jax.numpy as jnp

from catalogue import BIJECTIONS
from latflow.bijections.compose import Chain, Inverse
from latflow.bijections.elementwise import Scale

X = jax.random.normal(jax.random.key(1), (4, 4))


def test_chain_is_its_parts_in_order():
    first, second = (BIJECTIONS[name]().bijection for name in ("affine dense, even", "real nvp dense"))
    y, log_det = Chain((first, second)).forward_and_log_det(X)
    middle, one = first.forward_and_log_det(X)
    expected, two = second.forward_and_log_det(middle)
    assert jnp.array_equal(y, expected)
    assert jnp.allclose(log_det, one + two, rtol=0, atol=1e-13)
    swapped, _ = Chain((second, first)).forward_and_log_det(X)
    assert jnp.max(jnp.abs(swapped - y)) > 1e-3


def test_empty_chain_is_the_identity():
    y, log_det = Chain(()).forward_and_log_det(X)
    assert jnp.array_equal(y, X)
    assert log_det == 0


def test_inverse_swaps_directions():
    bijection = BIJECTIONS["affine dense, even"]().bijection
    for got, expected in (
        (Inverse(bijection).forward_and_log_det(X), bijection.inverse_and_log_det(X)),
        (Inverse(bijection).inverse_and_log_det(X), bijection.forward_and_log_det(X)),
    ):
        assert jnp.array_equal(got[0], expected[0])
        assert got[1] == expected[1]


def test_inverse_within_a_chain_cancels():
    y, log_det = Chain((Scale(0.3), Inverse(Scale(0.3)))).forward_and_log_det(X)
    assert jnp.allclose(y, X, rtol=0, atol=1e-15)
    assert log_det == 0
