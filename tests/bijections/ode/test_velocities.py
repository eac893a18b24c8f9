"""The velocity of a continuous flow against a plain loop over sites, and what it keeps when the lattice changes."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from latflow import fourier
from latflow.bijections.ode.velocities import LatticeVelocity
from latflow.lattice import Lattice
from latflow.testing import scrambled

LATTICE = Lattice((4, 3))
T = 0.37


def velocity(lattice=LATTICE, **sizes):
    sizes = {"n_contexts": 2, "n_features": 3, "n_hidden": 3, "n_times": 3, "radius": 2, "dtype": "float64", **sizes}
    return scrambled(jax.random.key(5), LatticeVelocity.create(jax.random.key(4), lattice, **sizes))


def naive(v, t, phi):
    """Site by site, displacement by displacement."""
    n = len(v.weight)
    bells = [math.exp(-0.5 * ((t - k / (n - 1)) * (n - 1) / 0.83) ** 2) for k in range(n)]
    at = np.array(bells) / sum(bells)
    arrays = (v.linear, v.kernel, v.own, v.context, v.offset, v.weight)
    linear, kernel, own, context, offset, weight = (np.tensordot(at, np.asarray(array), 1) for array in arrays)
    features = [phi] + [phi / (1 + w**2 * phi**2) for w in np.asarray(v.frequencies)]
    labels = fourier.displacements(2, v.radius)
    moves = list(itertools.product(range(-v.radius, v.radius + 1), repeat=2))
    sizes = [sum(tuple(sorted(map(abs, r))) == label for r in moves) for label in labels]
    out = np.zeros_like(phi)
    for x in np.ndindex(phi.shape):
        u = np.zeros(len(kernel))
        for r in moves:
            o = labels.index(tuple(sorted(map(abs, r))))
            y = tuple((a + b) % extent for a, b, extent in zip(x, r, phi.shape, strict=True))
            out[x] += linear[o] / math.sqrt(sizes[o]) * phi[y]
            if o and y != x:
                u += sum(kernel[:, m, o - 1] / math.sqrt(sizes[o]) * f[y] for m, f in enumerate(features))
        z = own * phi[x] + context @ u
        out[x] += weight @ (np.tanh(z + offset) + np.tanh(z - offset))
    return out


def test_velocity_equals_loop_over_sites():
    v = velocity()
    phi = jax.random.normal(jax.random.key(6), LATTICE.shape)
    got, _ = v(jnp.asarray(T), phi)
    assert np.allclose(got, naive(v, T, np.asarray(phi)), atol=1e-12)


def test_divergence_is_the_trace_of_the_jacobian():
    v = velocity()
    phi = jax.random.normal(jax.random.key(7), LATTICE.shape)
    jacobian = jax.jacobian(lambda x: v(jnp.asarray(T), x)[0])(phi).reshape(phi.size, phi.size)
    assert np.isclose(v(jnp.asarray(T), phi)[1], np.trace(jacobian), atol=1e-12)


def test_it_starts_at_rest():
    v = LatticeVelocity.create(jax.random.key(4), LATTICE, n_hidden=3, radius=1)
    speed, divergence = v(jnp.asarray(T), jnp.ones(LATTICE.shape))
    assert not np.any(np.asarray(speed))
    assert not np.any(np.asarray(divergence))


def test_time_matters_after_training():
    v = velocity()
    phi = jax.random.normal(jax.random.key(8), LATTICE.shape)
    assert not np.allclose(v(jnp.asarray(0.1), phi)[0], v(jnp.asarray(0.9), phi)[0], atol=1e-3)
