"""A step along the path gradient of a continuous flow as one would write it by hand for one lattice and RK4.

Dictionaries, `jnp`, constants of the lattice in closures; no modules, schemes, schedules or checks: the yardstick for
what the abstractions of the package cost. Parts of a batch are shared among threads here as there.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from latflow import fourier

NODES, STEPS = np.array([0.0, 0.5, 0.5, 1.0]), 6
H = 1.0 / STEPS


def parameters_of(flow):
    """The arrays of a `latflow.flows.continuous.continuous_flow`."""
    v = flow.bijection.velocity
    names = ("frequencies", "linear", "kernel", "own", "context", "offset", "weight")
    return {name: getattr(v, name) for name in names} | {"log_widths": flow.prior.log_widths}


class Bare:
    """The functions of one lattice."""

    def __init__(self, lattice, radius, mass_squared, coupling):
        self.lattice, self.volume = lattice, lattice.volume
        self.mass_squared, self.coupling = mass_squared, coupling
        table = fourier.kernels(lattice, radius).reshape(-1, lattice.volume)
        self.table, self.hollow = np.float32(table), np.float32((table - table.mean(axis=1, keepdims=True))[1:])
        self.centres = np.float32(table.mean(axis=1))
        self.orbits = fourier.momentum_orbits(lattice).ravel()
        matrices = [fourier.basis(n) for n in lattice.shape]
        if lattice.volume <= 144:
            self.factors = [(1, functools.reduce(np.kron, matrices))]
        else:
            self.factors = [(1, matrices[0]), (lattice.shape[0], matrices[1])]

    def transform(self, x, *, back=False):
        """Channels of fields to real Fourier modes, or back."""
        for before, matrix in self.factors:
            m = jnp.asarray(matrix.T if back else matrix, x.dtype)
            x = jnp.einsum("kn,cnb->ckb", m, x.reshape(x.shape[0] * before, m.shape[0], -1)).reshape(x.shape)
        return x

    def weights(self, p):
        """Everything at the times of all stages."""
        t = (np.arange(STEPS)[:, None] + NODES) * H
        n = len(p["weight"])
        bells = np.exp(-0.5 * ((t[..., None] - np.arange(n) / (n - 1)) * (n - 1) / 0.83) ** 2)
        at = jnp.asarray(bells / bells.sum(axis=-1, keepdims=True), jnp.float32)
        linear, offset = at @ p["linear"], at @ p["offset"]
        mixing = jnp.concatenate([p["own"][..., None], p["context"]], axis=-1)
        return {
            "linear": linear @ self.table,
            "kernels": jnp.einsum("ijt,trmo,ok->ijrmk", at, p["kernel"], self.hollow),
            "constant": linear @ self.centres * self.volume,
            "mixing": jnp.tensordot(at, mixing, 1),
            "square": jnp.tanh(offset) ** 2,
            "complement": jax.lax.stop_gradient(1 / jnp.cosh(offset) ** 2),
            "weight": at @ p["weight"],
            "squares": jnp.broadcast_to(p["frequencies"] ** 2, (STEPS, 4, len(p["frequencies"]))),
        }

    def inputs(self, w, phi):
        """Inputs of the network, the linear term, features by momentum."""
        squares, kernels = w["squares"][:, None, None], w["kernels"][..., None]
        f = self.transform(jnp.concatenate([phi[None], phi[None] / (1 + squares * phi[None] ** 2)]))
        modes = [sum(kernels[r, m] * f[m] for m in range(len(f))) for r in range(len(kernels))]
        fields = self.transform(jnp.stack([*modes, w["linear"][:, None] * f[0]]), back=True)
        return jnp.concatenate([phi[None], fields[:-1]]), fields[-1], f

    def inputs_transposed(self, w, cotangent, linear, phi):
        """The transposed derivative of `inputs`."""
        squares, kernels = w["squares"][:, None, None], w["kernels"][..., None]
        modes = self.transform(jnp.concatenate([cotangent[1:], linear[None]]))
        mixed = [sum(kernels[r, m] * modes[r] for r in range(len(kernels))) for m in range(kernels.shape[1])]
        mixed[0] = mixed[0] + w["linear"][:, None] * modes[-1]
        fields = self.transform(jnp.stack(mixed), back=True)
        q = 1 / (1 + squares * phi[None] ** 2)
        back = cotangent[0] + fields[0] + jnp.sum(fields[1:] * (2 * q - 1) * q, axis=0)
        return back, modes, -jnp.sum(fields[1:] * phi[None] ** 3 * q**2, axis=(1, 2))

    def hidden(self, w, inputs):
        """T and u, as in `latflow.bijections.ode.path_adjoint`."""
        t = jnp.tanh((w["mixing"] @ flat(inputs)).reshape(-1, *inputs.shape[1:]))
        return t, 1 / (w["complement"][:, None, None] + w["square"][:, None, None] * (1 - t**2))

    def scored(self, w, phi, score):
        """Velocity, divergence, the rate of the score, and what the way back needs."""
        inputs, linear, f = self.inputs(w, phi)
        t, u = self.hidden(w, inputs)
        scale, own = 2 * w["complement"] * w["weight"], w["mixing"][:, 0]
        even = (1 - t**2) * u
        slope = even * (2 * u - 1)
        bend = t * u * even * (2 - w["complement"][:, None, None] * (4 * u - 1))
        v = linear + (scale @ flat(t * u)).reshape(phi.shape)
        divergence = ((scale * own) @ flat(slope)).reshape(phi.shape).sum(axis=0) + w["constant"]
        cotangent = scale[:, None, None] * (score[None] * slope + 2 * own[:, None, None] * bend)
        cotangent = (w["mixing"].T @ flat(cotangent)).reshape(inputs.shape)
        return v, divergence, -self.inputs_transposed(w, cotangent, score, phi)[0], (inputs, f)

    def transposed(self, w, record, a):
        """The transposed derivative of the velocity."""
        inputs, f = record
        t, u = self.hidden(w, inputs)
        scale, even = 2 * w["complement"] * w["weight"], (1 - t**2) * u
        cotangent = scale[:, None, None] * a[None] * even * (2 * u - 1)
        into = (w["mixing"].T @ flat(cotangent)).reshape(inputs.shape)
        back, modes, squares = self.inputs_transposed(w, into, a, inputs[0])
        return back, {
            "linear": jnp.sum(modes[-1] * f[0], axis=1),
            "kernels": jnp.einsum("rkb,mkb->rmk", modes[:-1], f),
            "constant": jnp.zeros((), jnp.float32),
            "mixing": flat(cotangent) @ flat(inputs).T,
            "square": -2 * w["weight"] * (flat(t * u * even) @ a.ravel()),
            "complement": jnp.zeros_like(w["complement"]),
            "weight": 2 * w["complement"] * (flat(t * u) @ a.ravel()),
            "squares": squares,
        }

    @functools.partial(jax.jit, static_argnums=(0, 4))
    def part(self, weights, log_widths, key, n):
        """Gradients of one part with respect to the weights and the spectrum, and log-weights."""
        modes = jax.random.normal(key, (1, self.volume, n))
        widths = log_widths[self.orbits][:, None]
        x, s = (
            self.transform(jnp.exp(widths) * modes, back=True)[0],
            -self.transform(modes / jnp.exp(widths), back=True)[0],
        )

        def forward(carry, w):
            x, log_det, s = carry
            k, records = [], []
            for i, c in enumerate(NODES):
                y, r = (x, s) if i == 0 else (x + H * c * k[-1][0], s + H * c * k[-1][2])
                *slopes, record = self.scored(take(w, i), y.astype(jnp.float32), r.astype(jnp.float32))
                k.append([slope.astype(x.dtype) for slope in slopes])
                records.append(record)
            x, log_det, s = (q + H / 6 * (a + 2 * b + 2 * c + d) for q, a, b, c, d in zip(carry, *k, strict=True))
            return (x, log_det, s), records

        (x, log_det, s), records = jax.lax.scan(forward, (x, jnp.zeros(n), s), weights)
        energy, force = self.action(x)

        def backward(a, there):
            w, records = there
            pulled, out = jnp.zeros_like(a), []
            total = a
            for i in (3, 2, 1, 0):
                share = H * ((1 / 6, 1 / 3, 1 / 3, 1 / 6)[i] * a + (NODES[i + 1] * pulled if i < 3 else 0.0))
                back, grads = self.transposed(take(w, i), records[i], share.astype(jnp.float32))
                pulled, total = back.astype(a.dtype), total + back
                out.insert(0, grads)
            return total, jax.tree.map(lambda *g: jnp.stack(g), *out)

        a, grads = jax.lax.scan(backward, s + force, (weights, records), reverse=True)
        by_mode = jnp.sum(self.transform(a[None])[0] * jnp.exp(widths) * modes[0], axis=1)
        log_q = jnp.sum(-0.5 * modes[0] ** 2, axis=0) - self.volume / 2 * jnp.log(2 * jnp.pi) - widths.sum() - log_det
        return grads, jnp.zeros_like(log_widths).at[self.orbits].add(by_mode), -energy - log_q

    def action(self, x):
        """House normalisation in two dimensions, and its gradient."""
        phi = x.reshape(*self.lattice.shape, -1)
        around = sum(jnp.roll(phi, s, axis) for s in (1, -1) for axis in (0, 1))
        local = (4 + self.mass_squared) * phi**2 + self.coupling * phi**4 - phi * around
        force = 2 * (4 + self.mass_squared) * phi + 4 * self.coupling * phi**3 - 2 * around
        return local.sum(axis=(0, 1)), force.reshape(x.shape)

    @functools.partial(jax.jit, static_argnums=(0, 3, 4))
    def finish(self, carry, parts, rate, clip):
        """Adam on the mean over the parts; the weights for the next step."""
        p, m, v, step, _ = carry
        n = sum(len(part[2]) for part in parts)
        grads, widths = jax.tree.map(lambda *g: sum(g) / n, *[part[:2] for part in parts])
        velocity = {name: array for name, array in p.items() if name != "log_widths"}
        gradient = jax.vjp(self.weights, velocity)[1](grads)[0] | {"log_widths": widths}
        norm = jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(gradient)))
        gradient = jax.tree.map(lambda g: (g * jnp.minimum(1.0, clip / norm)).astype(g.dtype), gradient)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, v, gradient)
        one, two = 1 - 0.9 ** (step + 1), 1 - 0.999 ** (step + 1)
        move = jax.tree.map(
            lambda p, m, v: (p - rate * (m / one) / (jnp.sqrt(v / two) + 1e-8)).astype(p.dtype), p, m, v
        )
        return move, m, v, step + 1, self.weights(move)


def take(w, i):
    return {name: array[i] for name, array in w.items()}


def flat(x):
    return x.reshape(x.shape[0], -1)
