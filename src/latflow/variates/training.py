r"""Training of Stein fields: the velocities that remove most variance from what was measured.

The loss is the sum over observables of the logarithm of the residual variance. Coefficients of the velocities are no
weights: they are solved for on one half of every batch, and the residual variance is that of the other half, so that
more velocities than the batch can tell apart do not pay.

References:
    Learned control variates by Stein's identity: C. Oates, M. Girolami, N. Chopin, arXiv:1410.2392.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Inexact

from latflow._typing import PRNGKey, Scalar
from latflow.actions.base import AbstractAction
from latflow.arguments import count, positive
from latflow.errors import PhysicsStop
from latflow.execution import map_pieces
from latflow.randomness import fold_in, pinned
from latflow.variates.base import AbstractSteinFields

_Module = TypeVar("_Module", bound=eqx.Module)

_RIDGE = 1e-4
_CLIP = 5.0
_TINY = 1e-30
_PIECE = 512


@dataclasses.dataclass(frozen=True)
class SteinTraining:
    """How velocities are trained.

    Args:
        steps: Steps of Adam; the learning rate falls to zero over them.
        batch_size: Configurations of a step.
        learning_rate: At the beginning.
        seconds: Stop after so many seconds of wall clock, whatever the step; None for no limit.
    """

    steps: int = 400
    batch_size: int = 768
    learning_rate: float = 1e-2
    seconds: float | None = None

    def __post_init__(self) -> None:
        count("steps", self.steps)
        count("batch_size", self.batch_size, least=4)
        positive("learning_rate", self.learning_rate)
        if self.seconds is not None:
            positive("seconds", self.seconds)


def is_trainable(fields: AbstractSteinFields) -> bool:
    """Whether the family has weights."""
    return bool(jax.tree.leaves(eqx.filter(fields, eqx.is_inexact_array)))


def train(
    key: PRNGKey,
    fields: AbstractSteinFields,
    action: AbstractAction,
    configurations: Inexact[np.ndarray, "n *shape"],
    observables: Float[np.ndarray, "n observables"],
    *,
    weights: Float[np.ndarray, " observables"],
    training: SteinTraining,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> AbstractSteinFields:
    """Velocities trained on some configurations; they are to correct others.

    Args:
        key: Of the batches.
        fields: Where to start; a family without weights comes back as it is.
        action: S.
        configurations: What is trained on.
        observables: Their columns.
        weights: Of every column in the loss; zero for one that is left out.
        training: Settings.
        on_step: Called after every step with its number from 1 and the loss.

    Returns:
        The trained velocities, of the precision that they came with; single precision while they are trained.

    Raises:
        PhysicsStop: If the loss is not finite.
    """
    if not is_trainable(fields) or not np.any(weights):
        return fields
    theory, moving = cast(action, jnp.float32), cast(fields, jnp.float32)
    used = np.flatnonzero(weights)
    step = _step_of(theory, jnp.asarray(weights[used]), training)
    state = _optimiser(training).init(eqx.filter(moving, eqx.is_inexact_array))
    begin = time.perf_counter()
    for number in range(training.steps):
        rows = np.asarray(jax.random.randint(pinned(fold_in(key, number)), (training.batch_size,), 0, len(observables)))
        x, y = _single(configurations[rows]), jnp.asarray(observables[rows][:, used])
        moving, state, loss = step(moving, state, x, y)
        if not np.isfinite(loss):
            raise PhysicsStop("stein fields", value=f"loss {float(loss)} at step {number + 1}", hint="train anew")
        on_step(number + 1, float(loss))
        if training.seconds is not None and time.perf_counter() - begin > training.seconds:
            break
    return jax.tree.map(lambda new, old: new.astype(old.dtype) if eqx.is_inexact_array(old) else old, moving, fields)


def evaluate(
    fields: AbstractSteinFields, action: AbstractAction, configurations: Inexact[np.ndarray, "n *shape"]
) -> Float[np.ndarray, "n n_fields"]:
    """Values of all velocities at every configuration, in double precision but for fields that keep their own."""
    double = fields if fields.keeps_precision else cast(fields, jnp.float64)
    return map_pieces(lambda piece: _values(double, action, piece), configurations, size=_PIECE)


def cast(tree: _Module, dtype: jnp.dtype | type) -> _Module:
    """The same module with real arrays of another precision."""
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if _is_real(leaf) else leaf, tree)


@eqx.filter_jit
def _values(
    fields: AbstractSteinFields, action: AbstractAction, x: Inexact[np.ndarray | Array, "n *shape"]
) -> Float[Array, "n n_fields"]:
    return fields.values(action, _double(x))


def _is_real(leaf: object) -> bool:
    return eqx.is_inexact_array(leaf) and not jnp.iscomplexobj(leaf)


def _single(x: np.ndarray) -> Inexact[Array, "..."]:
    return jnp.asarray(x, jnp.complex64 if np.iscomplexobj(x) else jnp.float32)


def _double(x: Inexact[np.ndarray | Array, "..."]) -> Inexact[Array, "..."]:
    return jnp.asarray(x, jnp.complex128 if jnp.iscomplexobj(x) else jnp.float64)


def _optimiser(training: SteinTraining) -> optax.GradientTransformation:
    rate = optax.cosine_decay_schedule(training.learning_rate, max(training.steps, 1))
    return optax.chain(optax.clip_by_global_norm(_CLIP), optax.adam(rate))


def _step_of(
    action: AbstractAction, weights: Float[Array, " observables"], training: SteinTraining
) -> Callable[..., tuple]:
    """One compiled step."""
    optimiser = _optimiser(training)

    def loss(fields: AbstractSteinFields, x: Inexact[Array, "n *shape"], y: Float[Array, "n observables"]) -> Scalar:
        f, half = fields.values(action, x), len(x) // 2
        first = _residual(f[:half], y[:half], f[half:], y[half:])
        second = _residual(f[half:], y[half:], f[:half], y[:half])
        return jnp.sum(weights * jnp.log(0.5 * (first + second)))

    @eqx.filter_jit
    def step(fields: AbstractSteinFields, state: optax.OptState, x: Array, y: Array) -> tuple:
        value, gradient = eqx.filter_value_and_grad(loss)(fields, x, y)
        update, state = optimiser.update(gradient, state)
        return eqx.apply_updates(fields, update), state, value

    return step


def _residual(
    f: Float[Array, "n fields"], y: Float[Array, "n o"], others: Float[Array, "m fields"], values: Float[Array, "m o"]
) -> Float[Array, " o"]:
    """Share of the variance of `values` that is left by the coefficients which fit y to f."""
    # a velocity that is zero everywhere, as a mode that the lattice lacks, must not spoil the gradient
    scale = jax.lax.stop_gradient(jnp.sqrt(jnp.mean(f**2, axis=0, keepdims=True)) + _TINY)
    centred = (f - f.mean(axis=0, keepdims=True)) / scale
    gram = centred.T @ centred / len(f) + _RIDGE * jnp.eye(f.shape[1])
    coefficients = jnp.linalg.solve(gram, centred.T @ (y - y.mean(axis=0, keepdims=True)) / len(f))
    left = values - (others / scale) @ coefficients
    return left.var(axis=0) / (values.var(axis=0) + _TINY)
