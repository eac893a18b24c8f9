r"""The exact log-determinant of a continuous flow as it is integrated, step by step.

A Runge–Kutta scheme with a finite step is a map of its own. Its Jacobian is a product over steps of
$1+h\sum_jb_jK_j$ with $K_j=J(y_j)\,(1+h\sum_ka_{jk}K_k)$, where J is the Jacobian of the velocity, a dense matrix of
all sites. That costs the third power of the volume, some thousand times a draw: meant for judging, on few draws.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from latflow import fourier
from latflow.bijections.ode.of_draws import FlowOfDraws, network_slopes, velocity_of_draws
from latflow.bijections.ode.stage_weights import StageWeights, weights_at
from latflow.lattice import Lattice

_Fields = Float[Array, "draws volume"]
_Matrices = Float[Array, "*any volume volume"]
_Kept = tuple[Float[Array, "draws stages volume"], Float[Array, "draws stages volume volume"]]


def discrete_log_dets(flow: FlowOfDraws, x: _Fields) -> Float[Array, " draws"]:
    r"""$\ln|\det\partial f/\partial x|$ of the map f as `flow` computes it, for every draw.

    Args:
        flow: Networks in float64; how it weighs divergences plays no part.
        x: Where it begins, sites in row-major order.
    """
    lattice, n = flow.velocity.lattice, len(flow.scheme.weights)
    rows, nodes, weights = flow.scheme.arrays()
    step, one = 1 / flow.n_steps, jnp.eye(lattice.volume)

    def advance(i: Int[Array, ""], carry: tuple[_Fields, Float[Array, " draws"]]) -> tuple[_Fields, Array]:
        x, log_det = carry

        def stage(j: Int[Array, ""], kept: _Kept) -> _Kept:
            at = weights_at(flow.velocity, step * (i + nodes[j]))
            kernels = _matrices(lattice, at.kernels)
            linear = _matrices(lattice, at.linear)

            def of_one(x: Array, slopes: Array, tangents: Array) -> tuple[Array, Array]:
                y = (x + step * rows[j] @ slopes)[:, None]
                moved = one + step * jnp.tensordot(rows[j], tangents, 1)
                jacobian = linear + _of_network(at, y, kernels, lattice)
                return velocity_of_draws(at, y, lattice, y.dtype)[0][:, 0], jacobian @ moved

            found = jax.vmap(of_one)(x, *kept)
            return kept[0].at[:, j].set(found[0]), kept[1].at[:, j].set(found[1])

        nothing = (jnp.zeros((len(x), n, lattice.volume)), jnp.zeros((len(x), n, lattice.volume, lattice.volume)))
        slopes, tangents = jax.lax.fori_loop(0, n, stage, nothing)
        jacobian = one[None] + step * jnp.einsum("j,djxy->dxy", weights, tangents)
        return x + step * jnp.einsum("j,djx->dx", weights, slopes), log_det + jnp.linalg.slogdet(jacobian)[1]

    return jax.lax.fori_loop(0, flow.n_steps, advance, (x, jnp.zeros(len(x))))[1]


def _of_network(
    at: StageWeights,
    y: Float[Array, "volume 1"],
    kernels: Float[Array, "n_contexts n_features volume volume"],
    lattice: Lattice,
) -> Float[Array, "volume volume"]:
    """Jacobian of the velocity at y without its linear term."""
    slopes = (at.mixing.T @ network_slopes(at, y, lattice)[..., 0])[..., None]
    y = y.ravel()
    features = [jnp.ones_like(y), *((1 - square * y**2) / (1 + square * y**2) ** 2 for square in at.squares)]
    n_contexts, n_features = kernels.shape[:2]
    contexts = [
        slopes[1 + r] * sum((kernels[r, m] * features[m][None] for m in range(n_features)), start=jnp.zeros(()))
        for r in range(n_contexts)
    ]
    return sum(contexts, start=jnp.diag(slopes[0, :, 0]))


def _matrices(lattice: Lattice, eigenvalues: Float[Array, "*any volume"]) -> _Matrices:
    """Convolutions as matrices of all sites."""
    basis = functools.reduce(np.kron, [fourier.basis(extent) for extent in lattice.shape])
    columns = eigenvalues @ jnp.asarray(basis[:, :1] * basis)
    return jnp.take(columns, jnp.asarray(_differences(lattice)), axis=-1)


@functools.lru_cache
def _differences(lattice: Lattice) -> Int[np.ndarray, "volume volume"]:
    """Number of the site x − y for all pairs of sites."""
    sites = np.array(np.unravel_index(np.arange(lattice.volume), lattice.shape))
    extents = np.array(lattice.shape)[:, None, None]
    return np.asarray(np.ravel_multi_index(tuple((sites[:, :, None] - sites[:, None]) % extents), lattice.shape))
