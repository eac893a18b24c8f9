r"""A trained velocity as a map with an exact log-determinant: one sublattice moves in the field of the rest.

Sites of one sublattice do not read each other, so with all others frozen each follows a velocity of its own field
alone. A midpoint step of it has the slope $1+hs(\bar y)(1+hs(y)/2)$ with s the derivative of the velocity by its own
site, and the log-det of a sweep is the sum of the logarithms. Sweeps go there and back, which makes the error of a step
even.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from latflow import fourier
from latflow.bijections.ode.stage_weights import StageWeights, weights_at
from latflow.bijections.ode.velocities import LatticeVelocity, time_basis


def sublattices(extent, radius):
    """Sites of every sublattice of a square lattice: equal periods that the kernels do not reach across.

    Args:
        extent: L.
        radius: Of the kernels.
    """
    period = min(n for n in range(1, extent + 1) if extent % n == 0 and (n > radius or n == extent))
    number = np.arange(extent) % period
    colour = (number[:, None] * period + number[None]).ravel()
    return np.array([np.flatnonzero(colour == k) for k in range(period**2)])


def swept(velocity: LatticeVelocity, x, *, steps, dtype):
    """The image of fields after so many sweeps there and back, and the exact log-det.

    Args:
        velocity: Trained, in float64.
        x: Fields, sites in row-major order and draws last.
        steps: Sweeps there and back.
        dtype: Of the networks.
    """
    lattice = velocity.lattice
    sites = sublattices(lattice.shape[0], velocity.radius)
    vectors = [d for d in itertools.product(range(-velocity.radius, velocity.radius + 1), repeat=2) if any(d)]
    places = np.array(np.unravel_index(sites, lattice.shape))
    near = [tuple(p + r for p, r in zip(places, d, strict=True)) for d in vectors]
    read = np.array([np.ravel_multi_index(at, lattice.shape, mode="wrap") for at in near]).swapaxes(0, 1)
    step, sites, read = 0.5 / steps, jnp.asarray(sites), jnp.asarray(read)

    def sweep(i, carry):
        kernel, centre, at = _weights(velocity, (i // 2 + 0.5) / steps, vectors)
        at = StageWeights(*(leaf.astype(dtype) for leaf in at))
        scale, own = 2 * at.complement * at.weight, at.mixing[:, 0]

        def one(j, carry):
            x, features, log_det = carry
            k = jnp.where(i % 2 == 0, j, len(sites) - 1 - j)
            seen = jnp.take(features, read[k].ravel(), axis=1).reshape(kernel.shape[1], -1)
            *context, linear = kernel.astype(dtype) @ seen
            context = at.mixing[:, 1:] @ jnp.stack(context)

            def velocity_and_slope(y):
                t = jnp.tanh(own[:, None] * y.astype(dtype).reshape(1, -1) + context)
                u = 1 / (at.complement[:, None] + at.square[:, None] * (1 - t**2))
                v, s = linear + scale @ (t * u), (scale * own) @ ((1 - t**2) * u * (2 * u - 1))
                v, s = (each.astype(x.dtype).reshape(y.shape) for each in (v, s))
                return v + centre * y, s + centre

            y = x[sites[k]]
            first, slope = velocity_and_slope(y)
            middle, slope_there = velocity_and_slope(y + step / 2 * first)
            y = y + step * middle
            gained = jnp.sum(jnp.log(1 + step * slope_there * (1 + step / 2 * slope)), axis=0)
            features = features.at[:, sites[k]].set(_features(y, at.squares, dtype))
            return x.at[sites[k]].set(y), features, log_det + gained

        return jax.lax.fori_loop(0, len(sites), one, carry)

    start = (x, _features(x, velocity.frequencies**2, dtype), jnp.zeros(x.shape[1]))
    x, _, log_det = jax.lax.fori_loop(0, 2 * steps, sweep, start)
    return x, log_det


def _weights(velocity, t, vectors):
    """Kernels of all contexts and of the linear term by vector, the linear term at the site, and the rest."""
    at = time_basis(t, len(velocity.weight))
    classes = fourier.displacements(2, velocity.radius)
    number = np.array([classes.index(tuple(sorted(map(abs, d)))) for d in vectors])
    share = 1 / np.sqrt(np.bincount(number, minlength=len(classes)))[number]
    kernel = jnp.tensordot(at, velocity.kernel, 1)[:, :, number - 1] * share
    linear = at @ velocity.linear
    row = jnp.zeros((1, *kernel.shape[1:])).at[0, 0].set(linear[number] * share)
    kernel = jnp.concatenate([kernel, row])
    return kernel.reshape(len(kernel), -1), linear[0], weights_at(velocity, t)


def _features(x, squares, dtype):
    x = x.astype(dtype)
    return jnp.stack([x, *(x / (1 + square.astype(dtype) * x**2) for square in squares)])
