r"""Losses, and the steps of an optimiser that lower them.

A loss draws its own batch, so one key determines one number and its gradient. `ReverseKL` and `PathGradient` have the
same value and the same mean gradient over draws of the flow; they differ in the variance of that gradient. `ForwardKL`
is a mean over draws of the target, and `MixtureLoss` is a weighted sum of losses.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact
from typing_extensions import override

from latflow._typing import Field, PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.arguments import count, number, require_type
from latflow.errors import ConfigError
from latflow.flows.mixture import TrainableFlow
from latflow.flows.reduced import reduced
from latflow.flows.weighted import FlowSampler
from latflow.randomness import fold_in, pinned, split
from latflow.training.schedules import Optimiser
from latflow.training.split_steps import Integration, run_split_steps
from latflow.training.steps import Outcome, TrainingState, run_steps


class AbstractLoss(eqx.Module):
    """A differentiable number that is smallest where the flow is the theory."""

    @abc.abstractmethod
    def __call__(self, flow: TrainableFlow, action: AbstractAction, key: PRNGKey) -> tuple[Scalar, Float[Array, " n"]]:
        """The loss of one batch and the log-weights of its draws.

        Args:
            flow: What is trained.
            action: The target theory.
            key: Randomness of the batch.
        """

    def descend(
        self, state: TrainingState, key: PRNGKey, target: int, *, action: AbstractAction, optimiser: Optimiser
    ) -> tuple[TrainingState, Outcome]:
        """Lower this loss step by step until `target` steps have been made or a number is not finite.

        By default in one compiled loop, with gradients by automatic differentiation. A loss with a faster way for some
        flows overrides this; draws and values are the same, gradients up to a discretisation error.

        Args:
            state: Where to start.
            key: Root of all randomness; step i uses ``fold_in(key, i)``.
            target: Number of the last step.
            action: The target theory.
            optimiser: Makes a step of a gradient.
        """
        return run_steps(state, key, target, action=action, loss=self, optimiser=optimiser)

    def split_draws(self, flow: TrainableFlow) -> int | None:
        """Draws of a step whose path gradient `latflow.training.split_steps` can compute part by part.

        Args:
            flow: What is trained.

        Returns:
            Their number, or None if this loss has another gradient or the flow is of another kind.
        """
        return None


class ReverseKL(AbstractLoss):
    r"""$\langle\log q + S\rangle_q = D_\mathrm{KL}(q\|p) - \log Z$, over a batch of flow draws.

    Args:
        batch_size: Draws per step.

    References:
        arXiv:1904.12072 eq. (17).
    """

    batch_size: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        count("training.batch_size", self.batch_size)

    @override
    def __call__(self, flow: TrainableFlow, action: AbstractAction, key: PRNGKey) -> tuple[Scalar, Float[Array, " n"]]:
        keys = split(key, self.batch_size)
        log_weights = jax.vmap(FlowSampler(*reduced(flow, action)).draw)(keys).log_weight
        return -jnp.mean(log_weights), log_weights


class PathGradient(AbstractLoss):
    r"""The reverse KL with the gradient that reaches the parameters through the draws alone.

    $x=f_\theta(z)$ depends on the parameters, and so does $\log q_\theta$ at fixed x. The second part, the score, has
    mean zero, and its variance does not vanish at the optimum; it is left out:
    $g=\partial_\theta x\cdot\nabla_x[\log q + S]_{\theta\ \mathrm{fixed}}$. Where q = p the bracket is constant and
    the gradient of every draw is zero. The slope of $\log q$ is that of `log_prob`, one inverse pass from x with the
    parameters fixed. Continuous flows of a `LatticeVelocity` are trained part by part on all cores, with a gradient
    derived by hand.

    Args:
        batch_size: Draws per step.

    References:
        arXiv:1703.09194; for flows arXiv:2206.09016 and arXiv:2207.08219.
    """

    batch_size: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        count("training.batch_size", self.batch_size)

    @override
    def __call__(self, flow: TrainableFlow, action: AbstractAction, key: PRNGKey) -> tuple[Scalar, Float[Array, " n"]]:
        trained, target = reduced(flow, action)
        fixed = jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_array(leaf) else leaf, trained)

        def rise(x: Field) -> tuple[Scalar, Scalar]:
            energy = target(x)
            return fixed.log_prob(x) + energy, energy

        def draw(key: PRNGKey) -> tuple[Scalar, Scalar]:
            x, log_prob = trained.sample_and_log_prob(key)
            slope, energy = jax.grad(rise, has_aux=True)(jax.lax.stop_gradient(x))
            along = jax.tree.map(lambda s, x: jnp.real(jnp.sum(jax.lax.stop_gradient(s) * x)), slope, x)
            path = sum(jax.tree.leaves(along), jnp.zeros(()))
            return jax.lax.stop_gradient(-energy - log_prob), path - jax.lax.stop_gradient(path)

        log_weights, paths = jax.vmap(draw)(split(key, self.batch_size))
        # The values of `paths` are zero: they add the gradient, and the loss has the value of the reverse KL.
        return jnp.mean(paths) - jnp.mean(log_weights), log_weights

    @override
    def descend(
        self, state: TrainingState, key: PRNGKey, target: int, *, action: AbstractAction, optimiser: Optimiser
    ) -> tuple[TrainingState, Outcome]:
        if Integration.of(state.flow) is None:
            return run_steps(state, key, target, action=action, loss=self, optimiser=optimiser)
        return run_split_steps(state, key, target, action=action, batch_size=self.batch_size, optimiser=optimiser)

    @override
    def split_draws(self, flow: TrainableFlow) -> int | None:
        return None if Integration.of(flow) is None else self.batch_size


class ForwardKL(AbstractLoss):
    r"""$-\langle\log q\rangle_p = D_\mathrm{KL}(p\|q)$ + entropy of p, over minibatches of draws of the target.

    It is large wherever the target has weight and the flow has none: it detects modes that a reverse KL misses.

    Args:
        targets: Draws of the target, $e^{-S}/Z$; every step takes a few of them with replacement.
        batch_size: Draws per step.
        directions: So many last axes are directions of a periodic lattice, and every draw taken is translated and
            mirrored at random, along equal extents exchanged as well: right for scalar fields and spins of actions
            that are the same afterwards. A flow that has to learn these symmetries then sees more than its targets.
    """

    targets: Inexact[Array, "n_targets *shape"]
    batch_size: int = eqx.field(static=True)
    directions: int = eqx.field(static=True, default=0)

    def __check_init__(self) -> None:
        count("training.batch_size", self.batch_size)
        count("training.directions", self.directions, least=0)

    @override
    def __call__(self, flow: TrainableFlow, action: AbstractAction, key: PRNGKey) -> tuple[Scalar, Float[Array, " n"]]:
        chosen = jax.random.randint(pinned(key), (self.batch_size,), 0, len(self.targets))
        # Targets are data: no gradient flows into them.
        x = jax.lax.stop_gradient(self.targets)[chosen]
        if self.directions:
            keys = split(fold_in(key, 1), self.batch_size)
            x = jax.vmap(lambda key, x: moved_at_random(key, x, self.directions))(keys, x)
        log_probs = jax.vmap(flow.log_prob)(x)
        return -jnp.mean(log_probs), -jax.vmap(action)(x) - log_probs


class MixtureLoss(AbstractLoss):
    """A weighted sum of losses; each draws its batch with a key of its own.

    Args:
        losses: One or more.
        weights: One positive number for each.

    Raises:
        ConfigError: If a weight is missing or not positive.
    """

    losses: tuple[AbstractLoss, ...]
    weights: tuple[float, ...] = eqx.field(static=True)

    def __check_init__(self) -> None:
        require_type("training.loss", self.losses, (tuple, list), "a tuple of losses")
        require_type("training.loss", self.weights, (tuple, list), "a tuple of weights, one positive number per loss")
        for loss in self.losses:
            require_type("training.loss", loss, AbstractLoss, "losses")
        for weight in self.weights:
            number("training.loss: weight", weight)
        if not self.losses or len(self.weights) != len(self.losses) or not all(w > 0 for w in self.weights):
            raise ConfigError([f"training.loss: weights {list(self.weights)}; allowed: one positive number per loss"])

    @override
    def __call__(self, flow: TrainableFlow, action: AbstractAction, key: PRNGKey) -> tuple[Scalar, Float[Array, " n"]]:
        parts = [loss(flow, action, jax.random.fold_in(key, i)) for i, loss in enumerate(self.losses)]
        value = sum((w * part for w, (part, _) in zip(self.weights, parts, strict=True)), start=jnp.zeros(()))
        return value, jnp.concatenate([log_weights for _, log_weights in parts])


def moved_at_random(key: PRNGKey, x: Inexact[Array, "*shape"], directions: int) -> Inexact[Array, "*shape"]:
    """A field translated, mirrored and with two directions of equal extent exchanged at random.

    Args:
        key: Of the choice.
        x: Whose last axes are the directions.
        directions: How many.
    """
    axes = range(x.ndim - directions, x.ndim)
    for i, axis in enumerate(axes):
        by, mirrored = split(fold_in(key, i))
        x = jnp.roll(x, jax.random.randint(pinned(by), (), 0, x.shape[axis]), axis)
        x = jnp.where(jax.random.bernoulli(pinned(mirrored)), jnp.flip(x, axis), x)
        for j, other in enumerate(axes[:i]):
            if x.shape[axis] == x.shape[other]:
                exchanged = jax.random.bernoulli(pinned(fold_in(key, directions * (i + 1) + j)))
                x = jnp.where(exchanged, jnp.swapaxes(x, axis, other), x)
    return x
