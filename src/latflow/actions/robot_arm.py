r"""The posterior of a planar robot arm: joint angles given that its tip is near one of several goals.

References:
    arXiv:2002.02428, section 5, has such a target; lengths, goals and widths here are our own.
"""

import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Scalar
from latflow.actions.directional import AbstractModes, plain
from latflow.actions.exact_arm import ArmMoments, arm_moments
from latflow.actions.targets import SIX_LINKS as SIX_LINKS
from latflow.actions.targets import THREE_GOALS as THREE_GOALS
from latflow.actions.targets import out_of_reach
from latflow.arguments import finite, positive, require_type
from latflow.display import call, fields_of
from latflow.errors import ConfigError
from latflow.fields.compact import TorusSpace
from latflow.fields.spaces import AbstractFieldSpace


class RobotArm(AbstractModes):
    r"""$e^{-S}=\prod_i\frac{e^{\kappa\cos\theta_i}}{I_0(\kappa)}\,\frac1m\sum_j\mathcal N(\mathrm{tip};c_j,\sigma^2)$.

    The tip is $\sum_kl_k(\cos\varphi_k,\sin\varphi_k)$ with absolute angles $\varphi_k=\sum_{i\le k}\theta_i$: the base
    is the origin, and joints are straight at zero. The measure is the normalised uniform one, so that Z is the
    expectation of the evidence under the prior.

    Args:
        lengths: Of the links, positive.
        goals: Positions c of the goals, each within reach.
        width: σ > 0, how near the tip is to a goal.
        concentration: κ ≥ 0 of the prior of every joint; zero for uniform angles.

    Raises:
        TypeError: If a number is something else.
        ConfigError: If there is no link or goal, a number is out of range, or a goal out of reach.
    """

    space: AbstractFieldSpace
    lengths: Float[Array, " links"]
    goals: Float[Array, "goals 2"]
    width: Scalar
    concentration: Scalar

    def __init__(
        self,
        lengths: Sequence[float] = SIX_LINKS,
        goals: Sequence[Sequence[float]] = THREE_GOALS,
        *,
        width: float | Scalar = 0.1,
        concentration: float | Scalar = 1.0,
    ) -> None:
        require_type("action.lengths", lengths, (tuple, list, np.ndarray), "lengths of links")
        if not len(lengths):
            raise ConfigError(["action.lengths: []; allowed: one or more positive numbers"])
        for length in lengths:
            positive("action.lengths", length)
        links, places = [plain("action.lengths", length) for length in lengths], _positions(goals)
        self.lengths, self.goals = jnp.asarray(links), jnp.asarray(places)
        self.width = positive("action.width", width)
        self.concentration = finite("action.concentration", concentration)
        self.require_values({"width": width, "concentration": concentration})
        refused = out_of_reach(links, places.tolist())
        if refused:
            raise ConfigError([f"action.goals: {goal}" for goal in refused])
        self.space = TorusSpace((len(lengths),))

    @override
    def require_values(self, values: Mapping[str, float | Scalar]) -> None:
        positive("action.width", values["width"])
        kappa = values["concentration"]
        if isinstance(kappa, int | float | np.number) and kappa < 0:
            raise ConfigError([f"action.concentration: {kappa}; allowed: a number that is not negative"])

    @override
    def __repr__(self) -> str:
        words = f"{len(self.lengths)} links, {len(self.goals)} goals"
        return call(type(self).__name__, words, **fields_of(self, skipped=("space", "lengths", "goals")))

    @override
    def __call__(self, x: Float[Array, " links"]) -> Scalar:
        self.space.require(x)
        kappa = self.concentration
        # log I₀(κ) without overflow
        norm = jnp.log(jax.scipy.special.i0e(kappa)) + kappa
        return -(kappa * jnp.sum(jnp.cos(x)) - len(self.lengths) * norm) - self.log_evidence(self.tip(x))

    def joints(self, x: Float[Array, " links"]) -> Float[Array, "2 points"]:
        """Positions of the base, of all joints behind it and of the tip."""
        angles = jnp.cumsum(x)
        steps = self.lengths[None] * jnp.stack([jnp.cos(angles), jnp.sin(angles)])
        return jnp.concatenate([jnp.zeros((2, 1)), jnp.cumsum(steps, axis=1)], axis=1)

    def bend(self, x: Float[Array, " links"]) -> Scalar:
        """The area between the arm and the line from its tip to the base, positive with the elbow on the right."""
        x_axis, y_axis = self.joints(x)
        return 0.5 * jnp.sum(x_axis[:-1] * y_axis[1:] - x_axis[1:] * y_axis[:-1])

    def tip(self, x: Float[Array, " links"]) -> Float[Array, "2"]:
        """Where the arm ends."""
        return self.joints(x)[:, -1]

    def log_evidence(self, position: Float[Array, "2"]) -> Scalar:
        """Log of the mean of the Gaussians about the goals."""
        return jax.scipy.special.logsumexp(self.by_goal(position)) - math.log(len(self.goals))

    @property
    @override
    def n_parts(self) -> int:
        return len(self.goals)

    @override
    def parts(self, x: Float[Array, " links"]) -> Float[Array, " goals"]:
        return self.by_goal(self.tip(x))

    def by_goal(self, position: Float[Array, "2"]) -> Float[Array, " goals"]:
        """Log of the Gaussian about every goal; their softmax is the share that each has in a configuration."""
        squares = jnp.sum((position[None] - self.goals) ** 2, axis=1)
        return -squares / (2 * self.width**2) - jnp.log(2 * jnp.pi * self.width**2)

    @property
    def exact(self) -> ArmMoments:
        """Evidence, shares of goals and moments by the transfer operator."""
        goals = tuple((float(x), float(y)) for x, y in np.asarray(self.goals))
        lengths = tuple(float(length) for length in np.asarray(self.lengths))
        return arm_moments(lengths, goals, width=float(self.width), concentration=float(self.concentration))

    @property
    @override
    def log_z(self) -> float:
        return self.exact.log_z


def _positions(goals: Sequence[Sequence[float]]) -> Float[np.ndarray, "goals 2"]:
    words = "pairs of numbers"
    require_type("action.goals", goals, (tuple, list, np.ndarray), words)
    for goal in goals:
        require_type("action.goals", goal, (tuple, list, np.ndarray), words)
    if not len(goals) or {len(goal) for goal in goals} != {2}:
        shown = f"rows of {sorted({len(goal) for goal in goals})} numbers" if len(goals) else "[]"
        raise ConfigError([f"action.goals: {shown}; allowed: one or more {words}"])
    return np.asarray([[plain("action.goals", number) for number in goal] for goal in goals])
