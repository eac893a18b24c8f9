r"""Conditional densities of the joints of a robot arm by backward messages, as a bijection of the torus.

In absolute angles the posterior of an arm is a Markov chain: what follows joint k depends on its angle φ and on the
tip x of the links before it. With
$$h_n(\varphi,x)=E(x+l_ne_\varphi),\qquad
h_{k-1}(\varphi,x)=\int\!d\varphi'\,p(\varphi'-\varphi)\,h_k(\varphi',x+l_{k-1}e_\varphi)$$
for the evidence E and the prior p of a joint, the exact conditional of $\varphi_k$ is $p(\varphi_k-\varphi_{k-1})\,
h_k(\varphi_k,x_{k-1})$. Messages are kept on a grid of angles and positions, that of the last joint is evaluated where
it is asked for. Angles are moved by the monotone spline of the density at the angles of the grid, whose own log-det is
exact: what the grid gets wrong, weights correct.
"""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Configuration, Scalar
from latflow.bijections.base import AbstractBijection
from latflow.bijections.rational import Spline, evaluate, locate, solve
from latflow.fields.compact import TorusSpace
from latflow.groups.base import wrap

FLOOR = 1e-5
"""Share of the uniform density in every conditional, so that no configuration is impossible."""
_CUBIC = 0.5 * np.array([[0, -1, 2, -1], [2, 0, -5, 3], [0, 1, 4, -3], [0, 0, -1, 1]])
"""Weights of the values at −1, 0, 1, 2 as polynomials of a place t between 0 and 1: slopes there are central
differences."""
_LOWEST = -600.0
"""Least logarithm of a message, over the largest at its position: smaller ones are below every floor."""


class Arm(eqx.Module):
    """Lengths, goals and numbers of `latflow.actions.robot_arm.RobotArm`, as arrays."""

    lengths: Float[Array, " links"]
    goals: Float[Array, "goals 2"]
    width: Scalar
    concentration: Scalar

    def log_evidence(self, x: Float[Array, "n 2"]) -> Float[Array, " n"]:
        """At several positions, the log of the sum of Gaussians about the goals, without its norm."""
        squares = jnp.sum((x[:, None] - self.goals[None]) ** 2, axis=-1)
        return jax.scipy.special.logsumexp(-squares / (2 * self.width**2), axis=-1)


class Message(eqx.Module):
    """Log of a message at the angles of a grid, by the position of the tip before.

    Args:
        table: By position and angle. Positions are multiples of the spacing, as many on both sides of zero.
        spacing: Of positions.
    """

    table: Float[Array, "points points angles"]
    spacing: float = eqx.field(static=True)

    def at(self, x: Float[Array, "2"]) -> Float[Array, " angles"]:
        """Between positions by cubic convolution, which is exact for the logarithm of a Gaussian."""
        n, _, n_angles = self.table.shape
        place = x / self.spacing + n // 2
        first = jnp.clip(jnp.floor(place).astype(int) - 1, 0, n - 4)
        across, along = (jnp.asarray(_CUBIC) @ t ** jnp.arange(4) for t in place - first - 1)
        near = jax.lax.dynamic_slice(self.table, (first[0], first[1], 0), (4, 4, n_angles))
        return jnp.einsum("xya,x,y->a", near.astype(float), across, along)


class ArmMessages(AbstractBijection):
    """Joint after joint, each by the spline of its conditional density at the angles of the grid.

    The base of a flow with it is uniform. Nothing in it is trained.

    Args:
        space: One angle for every joint.
        arm: The posterior.
        messages: Of every joint but the last.
        n_angles: Of the grid.
    """

    space: TorusSpace
    arm: Arm
    messages: tuple[Message, ...]
    n_angles: int = eqx.field(static=True)

    @classmethod
    def of(cls, arm: Arm, *, n_angles: int, spacing: float) -> "ArmMessages":
        """With messages computed on a grid.

        Args:
            arm: The posterior.
            n_angles: Of the grid.
            spacing: Of positions.
        """
        lengths = np.asarray(arm.lengths)
        angles = np.asarray(_angles(n_angles))
        ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        turns = np.exp(float(arm.concentration) * (np.cos(angles[:, None] - angles) - 1))
        kernel = turns / np.sum(turns, axis=0)
        sizes = grid_sizes(lengths, spacing)
        logs = _last(arm, sizes[-1], spacing, ways)
        tables: list[np.ndarray] = []
        for size, length in zip(sizes[-2::-1], lengths[-2::-1], strict=True):
            top = np.max(logs, axis=-1, keepdims=True)
            after = np.log(np.exp(np.maximum(logs - top, _LOWEST)) @ kernel) + top
            logs = np.stack([_shifted(after[..., i], length * way / spacing, size) for i, way in enumerate(ways)], -1)
            tables.insert(0, logs)
        # of a position, only ratios between angles count
        relative = (table - np.max(table, axis=-1, keepdims=True) for table in tables)
        messages = tuple(Message(jnp.asarray(table, dtype=jnp.float32), spacing) for table in relative)
        return cls(TorusSpace((lengths.size,)), arm, messages, n_angles)

    @override
    def forward_and_log_det(self, x: Configuration) -> tuple[Configuration, Scalar]:
        u, joints = self.space.uniforms_of(x), []
        before, tip, log_det = jnp.zeros(()), jnp.zeros(2), jnp.zeros(())
        for i in range(u.size):
            spline = self._spline(i, before, tip)
            bins = locate(u[i : i + 1], spline.y, spline)
            fraction = solve(bins, u[i : i + 1] - bins.bottom)
            log_det = log_det - evaluate(bins, fraction)[1][0]
            angle = _angle((bins.left + bins.width * fraction)[0])
            joints.append(wrap(angle - before))
            before, tip = angle, tip + self.arm.lengths[i] * _way(angle)
        return jnp.stack(joints), log_det

    @override
    def inverse_and_log_det(self, y: Configuration) -> tuple[Configuration, Scalar]:
        absolute, u = wrap(jnp.cumsum(y)), []
        before, tip, log_det = jnp.zeros(()), jnp.zeros(2), jnp.zeros(())
        for i in range(self.space.n_uniforms):
            spline = self._spline(i, before, tip)
            turn = 0.5 * (1 - absolute[i : i + 1] / jnp.pi)
            bins = locate(turn, spline.x, spline)
            image, log_slope = evaluate(bins, (turn - bins.left) / bins.width)
            log_det = log_det + log_slope[0]
            u.append(image)
            before, tip = absolute[i], tip + self.arm.lengths[i] * _way(absolute[i])
        return self.space.of_uniforms(jnp.concatenate(u)), log_det

    def _spline(self, i: int, before: Scalar, tip: Float[Array, "2"]) -> Spline:
        """The distribution function of the absolute angle of a joint, as a function of the turn."""
        arm = jax.lax.stop_gradient(self.arm)
        angles = _angles(self.n_angles)
        if i < len(self.messages):
            message = jax.lax.stop_gradient(self.messages[i]).at(tip)
        else:
            message = arm.log_evidence(tip[None] + arm.lengths[i] * jax.vmap(_way)(angles))
        raw = jax.nn.softmax(message + arm.concentration * jnp.cos(angles - before)) * self.n_angles
        density = FLOOR + (1 - FLOOR) * raw
        slope = jnp.concatenate([density, density[:1]])
        rises = 0.5 * (slope[1:] + slope[:-1]) / self.n_angles
        y = jnp.concatenate([jnp.zeros(1), jnp.cumsum(rises)[:-1], jnp.ones(1)])
        return Spline(jnp.linspace(0, 1, self.n_angles + 1)[None], y[None], slope[None])


def _angle(turn: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """In (−π, π], of a number in [0, 1); as the coordinates of `TorusSpace`."""
    return jnp.pi * (1 - 2 * turn)


def _angles(n: int) -> Float[Array, " n"]:
    return _angle(jnp.arange(n) / n)


def _way(angle: Scalar) -> Float[Array, "2"]:
    return jnp.stack([jnp.cos(angle), jnp.sin(angle)])


def grid_sizes(lengths: Sequence[float] | Float[np.ndarray, " links"], spacing: float) -> list[int]:
    """Positions along an axis of the grid before every joint: the disc within reach, and two more on either side."""
    reached = np.cumsum(lengths) - np.asarray(lengths)
    return [2 * (math.ceil(float(reach) / spacing) + 2) + 1 for reach in reached]


def _last(
    arm: Arm, size: int, spacing: float, ways: Float[np.ndarray, "angles 2"]
) -> Float[np.ndarray, "points points angles"]:
    axis = (np.arange(size) - size // 2) * spacing
    x = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    places = (x[:, :, None] + float(arm.lengths[-1]) * ways).reshape(-1, 2)
    return np.asarray(arm.log_evidence(jnp.asarray(places))).reshape(size, size, -1)


def _shifted(
    plane: Float[np.ndarray, "n n"], shift: Float[np.ndarray, "2"], size: int
) -> Float[np.ndarray, "points points"]:
    """Values at displaced points of a smaller grid; the edge value where the grid ends, outside of the disc."""
    whole = np.floor(shift).astype(int)
    across, along = (_CUBIC @ t ** np.arange(4) for t in shift - whole)
    first = plane.shape[0] // 2 - size // 2 + whole - 1
    rows, columns = (np.clip(np.arange(size + 3) + f, 0, plane.shape[0] - 1) for f in first)
    near = plane[np.ix_(rows, columns)]
    windows = np.lib.stride_tricks.sliding_window_view(near, (4, 4))
    return np.einsum("xyij,i,j->xy", windows, across, along)
