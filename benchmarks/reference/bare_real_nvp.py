"""A real NVP and its training step as one would write them by hand for one lattice: batched arrays, dictionaries, jnp.

No modules, no spaces, no per-draw keys, no checks: the yardstick for what the abstractions of the package cost.
"""

import jax
import jax.numpy as jnp
import numpy as np


def parameters_of(flow):
    """The arrays of a convolutional `latflow.flows.architectures.real_nvp`."""
    *couplings, scale = flow.bijection.bijections
    layers = [
        {
            "kernel": c.conditioner.kernel,
            "bias": c.conditioner.bias,
            "hidden": [(layer.weight, layer.bias) for layer in c.conditioner.hidden],
            "last": (c.conditioner.last.weight, c.conditioner.last.bias),
        }
        for c in couplings
    ]
    return {"layers": layers, "log_scale": scale.log_scale}


def geometry(shape):
    """Index arrays of the two checkerboards: even and odd sites, the way back, and the circulant matrix of each."""
    sites = np.stack(np.indices(shape), axis=-1).reshape(-1, len(shape))
    parity = sites.sum(axis=1) % 2
    half = np.array(shape) // 2
    boards = []
    for active_parity in (0, 1):
        frozen, active = np.flatnonzero(parity != active_parity), np.flatnonzero(parity == active_parity)
        displacement = (sites[frozen][:, None] - sites[active][None] + half) % np.array(shape)
        labels = np.ravel_multi_index(tuple(np.moveaxis(displacement, -1, 0)), shape)
        table = np.searchsorted(np.unique(labels), labels)
        boards.append((frozen, active, np.argsort(np.concatenate([frozen, active])), table))
    return boards


def forward(parameters, z, boards, bound):
    """Images and log-determinants of a batch; kernels as large as the lattice."""
    x, log_det = z, jnp.zeros(len(z))
    for i, layer in enumerate(parameters["layers"]):
        frozen, active, order, table = boards[i % 2]
        h = x[:, frozen].astype(layer["kernel"].dtype) @ layer["kernel"][table].reshape(len(frozen), -1)
        h = jax.nn.gelu(h.reshape(len(z), len(active), -1) + layer["bias"])
        for weight, bias in layer["hidden"]:
            h = jax.nn.gelu(h @ weight + bias)
        raw_shift = (h @ layer["last"][0] + layer["last"][1]).astype(x.dtype)
        log_scale = bound * jnp.tanh(raw_shift[..., 0] / bound)
        moved = x[:, active] * jnp.exp(log_scale) + raw_shift[..., 1]
        x = jnp.concatenate([x[:, frozen], moved], axis=1)[:, order]
        log_det = log_det + log_scale.sum(axis=1)
    return x * jnp.exp(parameters["log_scale"]), log_det + x.shape[1] * parameters["log_scale"]


def draw(parameters, key, n, boards, bound):
    """`n` configurations, flattened, and log q."""
    sites = boards[0][2].size
    z = jax.random.normal(key, (n, sites))
    log_prior = -0.5 * (z**2 + jnp.log(2 * jnp.pi)).sum(axis=1)
    x, log_det = forward(parameters, z, boards, bound)
    return x, log_prior - log_det


def phi_four(x, shape, mass_squared, coupling):
    """House normalisation, in two dimensions."""
    phi = x.reshape(-1, *shape)
    neighbours = jnp.roll(phi, -1, 1) + jnp.roll(phi, -1, 2)
    return ((4 + mass_squared) * phi**2 + coupling * phi**4 - 2 * phi * neighbours).sum(axis=(1, 2))


def training_steps(shape, batch_size, bound, learning_rate, clip, mass_squared, coupling):
    """A jitted function that makes `n` steps of Adam on the reverse KL."""
    boards = geometry(shape)

    def loss(parameters, key):
        x, log_q = draw(parameters, key, batch_size, boards, bound)
        return jnp.mean(log_q + phi_four(x, shape, mass_squared, coupling))

    def step(i, carry):
        parameters, first, second, key = carry
        gradient = jax.grad(loss)(parameters, jax.random.fold_in(key, i))
        norm = jnp.sqrt(sum(jnp.sum(g.astype(float) ** 2) for g in jax.tree.leaves(gradient)))
        gradient = jax.tree.map(lambda g: (g * jnp.minimum(1.0, clip / norm)).astype(g.dtype), gradient)
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, second, gradient)
        c1, c2 = 1 - 0.9 ** (i + 1.0), 1 - 0.999 ** (i + 1.0)
        parameters = jax.tree.map(
            lambda p, m, v: (p - learning_rate * (m / c1) / (jnp.sqrt(v / c2) + 1e-8)).astype(p.dtype),
            parameters,
            first,
            second,
        )
        return parameters, first, second, key

    @jax.jit
    def steps(carry, start, n):
        return jax.lax.fori_loop(start, start + n, step, carry)

    return steps
