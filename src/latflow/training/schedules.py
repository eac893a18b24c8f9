"""Optimisers: Adam with gradient clipping and a learning rate that follows a schedule.

The learning rate is kept apart from the gradient transformation, because `fit` records it and may have to lower it.
"""

import dataclasses

import optax

from latflow.arguments import count, positive
from latflow.errors import ConfigError
from latflow.given import require_function, require_type


@dataclasses.dataclass(frozen=True)
class Optimiser:
    """Direction and length of a step.

    Args:
        transform: From gradients to an ascent direction of unit scale; a step subtracts it times the learning rate.
        learning_rate: Step length as a function of the step count.
    """

    transform: optax.GradientTransformation
    learning_rate: optax.Schedule

    def __post_init__(self) -> None:
        require_type("optimiser.transform", self.transform, optax.GradientTransformation, "one of optax, or adam(...)")
        require_function("optimiser.learning_rate", self.learning_rate, "a function of the step")


def schedule(
    name: str, *, learning_rate: float, n_steps: int, warmup_steps: int = 0, final_fraction: float = 0.01
) -> optax.Schedule:
    """A learning rate that rises linearly to its peak and then follows the named curve.

    Args:
        name: ``constant``, ``cosine`` (half a period) or ``exponential`` decay.
        learning_rate: The peak.
        n_steps: Steps at which the decay reaches its end; constant beyond.
        warmup_steps: Length of the rise.
        final_fraction: Last learning rate as a fraction of the peak; without effect for ``constant``.

    Raises:
        TypeError: If a number is none.
        ConfigError: If the name is unknown, or a number out of range.
    """
    positive("training.learning_rate", learning_rate)
    n_steps = count("n_steps", n_steps, least=0)
    warmup_steps = count("training.warmup_steps", warmup_steps, least=0)
    decay_steps = max(1, n_steps - warmup_steps)
    curves = {
        "constant": lambda: optax.constant_schedule(learning_rate),
        "cosine": lambda: optax.cosine_decay_schedule(learning_rate, decay_steps, alpha=final_fraction),
        "exponential": lambda: optax.exponential_decay(
            learning_rate, decay_steps, final_fraction, end_value=learning_rate * final_fraction
        ),
    }
    if name not in curves:
        raise ConfigError([f"training.schedule: {name}; allowed: {', '.join(curves)}"])
    if not warmup_steps:
        return curves[name]()
    warmup = optax.linear_schedule(learning_rate / (warmup_steps + 1), learning_rate, warmup_steps)
    return optax.join_schedules([warmup, curves[name]()], [warmup_steps])


def adam(
    learning_rate: optax.Schedule,
    *,
    gradient_clip: float | None = None,
    beta1: float = 0.9,
    beta2: float = 0.999,
) -> Optimiser:
    """Adam, after rescaling gradients whose global norm exceeds `gradient_clip`.

    Args:
        learning_rate: Step length as a function of the step count.
        gradient_clip: Largest global norm of a gradient; None for no limit.
        beta1: Decay of the mean of gradients.
        beta2: Decay of the mean of their squares.

    Raises:
        TypeError: If the learning rate is no function.
        ConfigError: If the clip is not positive.

    References:
        arXiv:1412.6980.
    """
    if not callable(learning_rate):
        given = f"training.learning_rate: {learning_rate}"
        raise TypeError(f"{given}; allowed: a function of the step, such as schedule(...) or lambda step: 1e-3")
    if gradient_clip is not None:
        positive("training.gradient_clip", gradient_clip)
    clip = optax.identity() if gradient_clip is None else optax.clip_by_global_norm(gradient_clip)
    return Optimiser(optax.chain(clip, optax.scale_by_adam(b1=beta1, b2=beta2)), learning_rate)
