"""Shifts and loops that keep the batch last: the same numbers as their plain counterparts, however batched."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.batching import batch_last, beside, repeat, settle, shift

X = np.random.default_rng(0).normal(size=(3, 4, 5))


@pytest.mark.parametrize("steps", [-5, -1, 0, 1, 2])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_shift_is_a_roll(axis, steps):
    assert np.array_equal(shift(jnp.asarray(X), axis=axis, steps=steps), np.roll(X, -steps, axis=axis))


@pytest.mark.parametrize("batch_axis", [0, 1, 2])
@pytest.mark.parametrize("axis", [0, 1])
def test_shift_under_vmap(axis, batch_axis):
    batched = jax.vmap(lambda x: shift(x, axis=axis), in_axes=batch_axis, out_axes=batch_axis)(jnp.asarray(X))
    rows = [np.roll(row, -1, axis=axis) for row in np.moveaxis(X, batch_axis, 0)]
    assert np.array_equal(batched, np.stack(rows, axis=batch_axis))


def test_shift_leaves_the_batch_last():
    """No transposition enters the program; that is what `shift` is for."""
    text = str(jax.make_jaxpr(jax.vmap(lambda x: x - shift(x, axis=0), in_axes=-1, out_axes=-1))(X))
    assert "transpose" not in text


def test_derivatives_of_shift():
    w = np.random.default_rng(1).normal(size=X.shape)

    def f(x):
        return jnp.sum(w * shift(x, axis=1) ** 2)

    expected = 2 * X * np.roll(w, 1, axis=1)
    np.testing.assert_allclose(jax.grad(f)(X), expected, rtol=1e-14)
    np.testing.assert_allclose(jax.jvp(f, (X,), (X,))[1], np.sum(expected * X), rtol=1e-12)


def test_batch_last():
    assert np.array_equal(batch_last(jnp.asarray(X)), X)
    assert np.array_equal(jax.vmap(batch_last, in_axes=1, out_axes=1)(jnp.asarray(X)), X)
    assert np.array_equal(jax.vmap(batch_last, out_axes=-1)(jnp.asarray(X)), np.moveaxis(X, 0, -1))
    np.testing.assert_array_equal(jax.grad(lambda x: jnp.sum(batch_last(x) ** 2))(X), 2 * X)


MASK = np.arange(12).reshape(3, 4) % 3 == 0


@pytest.mark.parametrize("batch_axis", [0, 1, 2])
def test_beside(batch_axis):
    """Masks and numbers, batched or not, against arrays, batched or not."""
    x = jnp.moveaxis(jnp.asarray(X), -1, batch_axis)
    numbers = jnp.arange(5.0)

    def spread(a, b, dims):
        return jax.vmap(beside, in_axes=dims, out_axes=batch_axis)(a, b)

    everywhere = np.ones((3, 4, 5))
    expected = {
        "mask": (spread(MASK, x, (None, batch_axis)), MASK[..., None] & (everywhere > 0)),
        "number": (spread(2.0, x, (None, batch_axis)), 2 * everywhere),
        "numbers": (spread(numbers, x, (0, batch_axis)), np.arange(5.0) * everywhere),
        "numbers beside one": (
            spread(numbers, jnp.asarray(X[..., 0]), (0, None)),
            np.arange(5.0) * everywhere,
        ),
        "fields": (spread(jnp.asarray(X), x, (2, batch_axis)), X),
    }
    for name, (ours, plain) in expected.items():
        np.testing.assert_array_equal(np.moveaxis(ours, batch_axis, -1), plain, err_msg=name)
    np.testing.assert_array_equal(beside(MASK, jnp.asarray(X[..., 0])), MASK)


def test_beside_leaves_the_batch_last():
    text = str(jax.make_jaxpr(jax.vmap(lambda s, x: beside(s, x) * x, in_axes=(0, -1), out_axes=-1))(X[0, 0], X))
    assert "transpose" not in text


def test_derivatives_of_beside():
    x = jnp.asarray(X[0])
    assert jax.grad(lambda s: jnp.sum(beside(s, x) * x))(3.0) == pytest.approx(np.sum(X[0]))
    np.testing.assert_allclose(jax.grad(lambda x: jnp.sum(beside(3.0, x) * x))(x), np.full((4, 5), 3.0))
    np.testing.assert_allclose(jax.jacfwd(lambda x: beside(3.0, x) * x)(x).sum(axis=(2, 3)), np.full((4, 5), 3.0))


def test_batch_last_moves_the_batch():
    """The operation after it runs on arrays whose last axis is the batch."""
    jaxpr = jax.make_jaxpr(jax.vmap(lambda x: batch_last(x) + 1, out_axes=-1))(X)
    assert jaxpr.eqns[-1].primitive.name == "add"
    assert jaxpr.eqns[-1].invars[0].aval.shape == (4, 5, 3)


def step(scale):
    return lambda i, c: (c[0] + scale * (1.0 + i) * shift(c[1], axis=0), c[1] - 0.1 * c[0] ** 2)


def loop(scale, x, y, n):
    for i in range(n):
        x, y = step(scale)(i, (x, y))
    return x, y


@pytest.mark.parametrize("n", [0, 1, 4])
def test_repeat_is_a_loop(n):
    x, y = jnp.asarray(X[0]), jnp.asarray(X[1])
    result = repeat(step(0.3), (x, y), n=n)
    np.testing.assert_allclose(result, loop(0.3, x, y, n), rtol=1e-14)


def test_repeat_under_vmap():
    """A batched constant, one batched and one unbatched carry."""
    scales, x, y = jnp.asarray([0.1, 0.2, 0.3]), jnp.asarray(X), jnp.asarray(X[1])
    batched = jax.vmap(lambda s, x: repeat(step(s), (x, y), n=3), out_axes=-1)(scales, x)
    for c in range(3):
        expected = loop(scales[c], x[c], y, 3)
        np.testing.assert_allclose([batched[0][..., c], batched[1][..., c]], expected, rtol=1e-14)


def test_derivatives_of_repeat():
    x, y = jnp.asarray(X[0]), jnp.asarray(X[1])

    def derivative(f):
        return jax.jvp(f, (jnp.asarray(0.3), x), (jnp.asarray(1.0), y))

    ours = derivative(lambda s, x: repeat(step(s), (x, y), n=3))
    plain = derivative(lambda s, x: loop(s, x, y, 3))
    np.testing.assert_allclose(ours, plain, rtol=1e-13)
    jacobian = jax.jacfwd(lambda x: repeat(step(0.3), (x, y), n=2)[0])(x)
    np.testing.assert_allclose(jacobian, jax.jacfwd(lambda x: loop(0.3, x, y, 2)[0])(x), rtol=1e-13, atol=1e-13)
    gradient = jax.grad(lambda x: jnp.sum(repeat(step(0.3), (x, y), n=2)[0]))(x)
    np.testing.assert_allclose(gradient, jnp.sum(jacobian, axis=(0, 1)), rtol=1e-13, atol=1e-13)


def test_repeat_with_an_integer_constant():
    table = jnp.asarray([2, 3, 5])

    def power(x):
        return repeat(lambda i, y: y * x * table[i], x, n=3)

    assert jax.grad(power)(2.0) == 4 * 30 * 2.0**3


def spread_right(x):
    return jnp.maximum(x, shift(x, axis=0, steps=-1) - 1)


def test_settle_reaches_the_fixed_point():
    x = jnp.asarray([0, 5, 0, 0, 0, 0, 0, 3])
    assert np.array_equal(jax.jit(lambda x: settle(spread_right, x))(x), [2, 5, 4, 3, 2, 1, 0, 3])


@pytest.mark.parametrize("batch_axis", [0, 1])
def test_settle_under_vmap(batch_axis):
    """Examples that settle after different numbers of rounds, with a constant of their own and one in common."""
    floor, x = jnp.asarray([0, 1, 2]), jnp.asarray([[0, 0, 0, 0, 9], [4, 0, 0, 0, 0], [0, 0, 0, 0, 0]])

    def run(low, x):
        return settle(lambda y: jnp.maximum(spread_right(y), jnp.arange(5) * low), x)

    batched = jax.vmap(run, in_axes=(0, batch_axis), out_axes=batch_axis)(floor, jnp.moveaxis(x, 0, batch_axis))
    assert np.array_equal(jnp.moveaxis(batched, batch_axis, 0), [run(a, b) for a, b in zip(floor, x, strict=True)])
