r"""Flow matching: a continuous flow of particles learns the velocity between draws of its prior and of the target.

With a draw z of the prior and one x of the target, $x_t=(1-t)z+tx$, the loss is $\langle|v(t,x_t)-(x-z)|^2\rangle$;
its minimum carries the prior to the target. Nothing is integrated, so that a step costs a hundredth of one of the
reverse KL. z is first turned and its particles renamed to be near to x, which changes neither density where both have
these symmetries, and leaves less to average over.

References:
    arXiv:2210.02747; with symmetries arXiv:2306.15030.
"""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.arguments import count
from latflow.bijections.ode.continuous import ContinuousFlow
from latflow.errors import ConfigError
from latflow.flows.flow import Flow
from latflow.flows.mixture import TrainableFlow
from latflow.randomness import pinned, split
from latflow.training.losses import AbstractLoss

MOST_NAMED = 6
"""Most particles of which all permutations are tried."""


class FlowMatching(AbstractLoss):
    """The mean squared error of a velocity. It does not see the density: train on by `PathGradient`.

    Args:
        targets: Draws of the target, $e^{-S}/Z$, of identical particles; every step takes a few with replacement.
        batch_size: Draws per step.

    Raises:
        ConfigError: If the batch is empty.
    """

    targets: Float[Array, "n_targets n d"]
    batch_size: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        count("training.batch_size", self.batch_size)

    @override
    def __call__(self, flow: TrainableFlow, action: AbstractAction, key: PRNGKey) -> tuple[Scalar, Float[Array, " n"]]:
        if not isinstance(flow, Flow) or not isinstance(flow.bijection, ContinuousFlow):
            raise ConfigError([f"training.loss: flow matching of {flow}; allowed: one continuous flow"])
        velocity = flow.bijection.velocity
        chosen_key, prior_key, time_key = split(key, 3)
        chosen = jax.random.randint(pinned(chosen_key), (self.batch_size,), 0, len(self.targets))
        start = jax.random.uniform(pinned(time_key))
        times = (jnp.arange(self.batch_size) + start) / self.batch_size

        def error(x: Float[Array, "n d"], t: Scalar, key: PRNGKey) -> Scalar:
            # the prior is not trained here: its width changes the pairs, not how well they are matched
            z = aligned(jax.lax.stop_gradient(flow.prior.sample_and_log_prob(key)[0]), x)
            found, _ = velocity(t, (1 - t) * z + t * x)
            return jnp.sum((found - (x - z)) ** 2)

        errors = jax.vmap(error)(self.targets[chosen], times, split(prior_key, self.batch_size))
        return jnp.mean(errors), errors


def aligned(z: Float[Array, "n d"], x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Z with its particles renamed and turned, or mirrored, as near to x as can be; of many particles turned only.

    The best element of O(d) for one naming is the orthogonal factor of $z^Tx$, and the sum of the singular values of
    that tells how near they come.
    """
    n = len(z)
    orders = np.array(list(itertools.permutations(range(n)))) if n <= MOST_NAMED else np.arange(n)[None]
    named = z[orders]
    products = jnp.einsum("pia,ib->pab", named, x)
    if z.shape[1] == 2:
        return _in_the_plane(named, products)
    u, s, v = jnp.linalg.svd(products)
    best = jnp.argmax(jnp.sum(s, axis=1))
    return named[best] @ (u[best] @ v[best])


def _in_the_plane(named: Float[Array, "p n 2"], products: Float[Array, "p 2 2"]) -> Float[Array, "n 2"]:
    """Without singular values: the best rotation or mirror of the plane in closed form."""
    (a, b), (c, d) = jnp.moveaxis(products, 0, -1)
    turn, mirror = jnp.stack([a + d, b - c]), jnp.stack([a - d, b + c])
    turning, mirroring = jnp.sum(turn**2, axis=0), jnp.sum(mirror**2, axis=0)
    i, j = jnp.argmax(turning), jnp.argmax(mirroring)
    # zero only if all particles of one of them stand in one point
    (cos, sin), (cosm, sinm) = turn[:, i] / jnp.sqrt(turning[i]), mirror[:, j] / jnp.sqrt(mirroring[j])
    turned = named[i] @ jnp.stack([jnp.stack([cos, sin]), jnp.stack([-sin, cos])])
    mirrored = named[j] @ jnp.stack([jnp.stack([cosm, sinm]), jnp.stack([sinm, -cosm])])
    return jnp.where(turning[i] > mirroring[j], turned, mirrored)
