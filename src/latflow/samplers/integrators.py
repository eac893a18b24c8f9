r"""Reversible, volume-preserving integrators of molecular dynamics, as tables of coefficients.

A scheme alternates kicks $p\leftarrow p-c\,\epsilon F(x)$ and drifts $x\leftarrow\exp(d\,\epsilon p)\,x$, beginning and
ending with a kick. A kick may use the force at a displaced field, $F(\exp(-g\,\epsilon^2F(x))\,x)$: to the order of the
scheme it then follows the gradient of $S-\tfrac g2\epsilon^2|F|^2$ without second derivatives. With `Nested` schemes
every term of an action has its own time scale: a drift of one level consists of steps of the next.

Every kick changes momenta by a function of positions, every drift positions by the momenta, so each of them, and any
sequence, preserves volume; palindromic sequences are reversible. One engine runs every table on every field space. The
last kick of a step and the first of the next are at the same field and are made as one.

References:
    I. P. Omelyan, I. M. Mryglod & R. Folk, Comput. Phys. Commun. 151 (2003) 272 (tables) and Phys. Rev. E 66 (2002)
    026701 (force gradients); H. Yin & R. D. Mawhinney, arXiv:1111.5059 (displaced fields); J. C. Sexton &
    D. H. Weingarten, Nucl. Phys. B 380 (1992) 665 (levels).
"""

import dataclasses
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from latflow._typing import Configuration, Momentum, Scalar
from latflow.actions.base import AbstractAction
from latflow.actions.sums import SummedAction
from latflow.arguments import count, require_type
from latflow.batching import beside, repeat
from latflow.errors import ConfigError
from latflow.fields.transport import total

_OMF2_LAMBDA = 0.1931833275037836
_OMF4_KICKS = (0.08398315262876693, 0.6822365335719091)
_OMF4_DRIFTS = (0.2539785108410595, -0.03230286765269967)


@dataclasses.dataclass(frozen=True)
class Scheme:
    """A palindromic splitting.

    Args:
        name: Its name in study files.
        order: Global error of a trajectory of fixed length is proportional to step_size**order.
        kicks: Momentum coefficients c_0 … c_s, summing to 1.
        drifts: Position coefficients d_1 … d_s, summing to 1.
        gradients: Displacements g_1 … g_{s−1} of the kicks between drifts; all zero if empty.
    """

    name: str
    order: int
    kicks: tuple[float, ...]
    drifts: tuple[float, ...]
    gradients: tuple[float, ...] = ()

    def __repr__(self) -> str:
        return self.name

    @property
    def levels(self) -> "tuple[Level, ...]":
        """One level for the whole action."""
        return (Level(self),)

    def parts(self, action: AbstractAction) -> tuple[AbstractAction, ...]:
        """The action that each level integrates."""
        return (action,)


LEAPFROG = Scheme("leapfrog", order=2, kicks=(0.5, 0.5), drifts=(1.0,))
"""Kick, drift, kick: one force per step."""

OMF2 = Scheme("omf2", order=2, kicks=(_OMF2_LAMBDA, 1 - 2 * _OMF2_LAMBDA, _OMF2_LAMBDA), drifts=(0.5, 0.5))
"""Omelyan, Mryglod and Folk's minimum-norm scheme of second order: two forces per step."""

OMF4 = Scheme(
    "omf4",
    order=4,
    kicks=(*_OMF4_KICKS, 0.5 - sum(_OMF4_KICKS), 0.5 - sum(_OMF4_KICKS), *reversed(_OMF4_KICKS)),
    drifts=(*_OMF4_DRIFTS, 1 - 2 * sum(_OMF4_DRIFTS), *reversed(_OMF4_DRIFTS)),
)
"""Fourth-order scheme of Omelyan, Mryglod and Folk with five forces per step (velocity form)."""

FORCE_GRADIENT = Scheme("force-gradient", order=4, kicks=(1 / 6, 2 / 3, 1 / 6), drifts=(0.5, 0.5), gradients=(1 / 24,))
"""Fourth order with three forces per step, two of them for the middle kick (arXiv:1111.5059)."""

SCHEMES: dict[str, Scheme] = {scheme.name: scheme for scheme in (LEAPFROG, OMF2, OMF4, FORCE_GRADIENT)}
"""Every scheme by name."""

SCHEME_NAMES = ("LEAPFROG", "OMF2", "OMF4", "FORCE_GRADIENT")
"""How they are called in Python, for messages."""


@dataclasses.dataclass(frozen=True)
class Level:
    """One time scale.

    Args:
        scheme: The splitting.
        n_steps: Steps in one drift of the level before; 1 for the first level, whose steps are those of the trajectory.
        terms: Numbers of the terms of the action that this level kicks.

    Raises:
        TypeError: If an argument is of another type.
    """

    scheme: Scheme
    n_steps: int = 1
    terms: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        require_type("level.scheme", self.scheme, Scheme, ", ".join(SCHEME_NAMES))
        count("level.n_steps", self.n_steps, least=0)  # `Nested` knows how many there must be
        require_type("level.terms", self.terms, tuple, "numbers of terms of the action")
        for term in self.terms:
            count("level.terms", term, least=0)


@dataclasses.dataclass(frozen=True)
class Nested:
    """Nested time scales for the terms of an action.

    Args:
        levels: From the slowest to the fastest. Together they name every term of the action once.

    Raises:
        ConfigError: If there is no level, a number of steps is not positive, the first level has not 1 step, or a term
            is missing or named twice.
    """

    levels: tuple[Level, ...]

    def __post_init__(self) -> None:
        require_type("levels", self.levels, (tuple, list), "a tuple of Level(scheme, n_steps, terms)")
        for level in self.levels:
            require_type("levels", level, Level, "Level(scheme, n_steps, terms)")
        counts = [level.n_steps for level in self.levels]
        if not counts or counts[0] != 1 or min(counts) < 1:
            raise ConfigError([f"levels: {counts} steps; allowed: one or more levels, 1 step for the first of them"])
        named = sorted(term for level in self.levels for term in level.terms)
        if named != list(range(len(named))) or not all(level.terms for level in self.levels):
            raise ConfigError([f"levels: terms {named}; allowed: every term of the action once, on one level"])

    @property
    def name(self) -> str:
        """The schemes from slowest to fastest, with the numbers of steps of the inner ones."""
        first, *others = (level.scheme.name for level in self.levels)
        inner = zip(others, self.levels[1:], strict=True)
        return " / ".join([first, *(f"{level.n_steps} {name}" for name, level in inner)])

    @property
    def order(self) -> int:
        """The lowest order among the schemes."""
        return min(level.scheme.order for level in self.levels)

    def parts(self, action: AbstractAction) -> tuple[AbstractAction, ...]:
        """The sum of terms that each level integrates.

        Raises:
            ConfigError: If the action has another number of terms.
        """
        terms, n = action.terms, sum(len(level.terms) for level in self.levels)
        if len(terms) != n:
            raise ConfigError([f"levels: {n} terms; allowed: {len(terms)}, as {type(action).__name__} has"])
        return tuple(_sum([terms[i] for i in level.terms]) for level in self.levels)


def n_forces(scheme: Scheme | Nested, n_steps: int) -> tuple[int, ...]:
    """Force evaluations of a trajectory on every level: one per drift and per displacement, and one at the end."""
    out, steps = [], n_steps
    for level in scheme.levels:
        steps *= level.n_steps
        out.append(steps * (len(level.scheme.drifts) + len(level.scheme.gradients)) + 1)
        steps *= len(level.scheme.drifts)
    return tuple(out)


def _sum(terms: list[AbstractAction]) -> AbstractAction:
    return terms[0] if len(terms) == 1 else SummedAction(tuple(terms))


def integrate(
    action: AbstractAction,
    scheme: Scheme | Nested,
    x: Configuration,
    p: Momentum,
    *,
    step_size: Scalar,
    n_steps: int,
) -> tuple[Configuration, Momentum, Scalar]:
    """Follow Hamilton's equations for S(x) + p²/2.

    Args:
        action: Its forces, and the space of `x`.
        scheme: One splitting, or one for every level.
        x: Starting configuration.
        p: Starting momentum.
        step_size: Length of one step; the trajectory has length ``step_size * n_steps``.
        n_steps: Number of steps, at least 1.

    Returns:
        Final configuration, momentum, and the action of the configuration, which comes with the last forces.

    Raises:
        ConfigError: If levels do not fit the terms of the action.
    """
    return _Engine(scheme.levels, scheme.parts(action), step_size).trajectory(x, p, n=n_steps)


Kicks: TypeAlias = tuple[float | Scalar, ...]
"""Coefficients of postponed kicks, for every level from some level on, in units of the outermost step size."""


@dataclasses.dataclass(frozen=True)
class _Engine:
    """The levels of a trajectory, the action of each, and the outermost step size."""

    levels: tuple[Level, ...]
    parts: tuple[AbstractAction, ...]
    step_size: Scalar

    def trajectory(self, x: Configuration, p: Momentum, *, n: int) -> tuple[Configuration, Momentum, Scalar]:
        """Field and momentum after `n` steps of the first level, and the action of that field."""
        x, p = self._steps(0, x, p, n=n, scale=1.0, waiting=(0.0,) * len(self.levels))
        values, forces = zip(*(part.value_and_force(x) for part in self.parts), strict=True)
        for kick, force in zip(self._left(0, 1.0), forces, strict=True):
            p = self._kicked(p, kick, force)
        return x, p, total(values)

    def _scaled(self, coefficient: float | Scalar, y: Momentum) -> Momentum:
        return jax.tree.map(lambda part: beside(coefficient * self.step_size, part) * part, y)

    def _kicked(self, p: Momentum, coefficient: float | Scalar, force: Momentum) -> Momentum:
        return jax.tree.map(lambda own, kick: own - kick, p, self._scaled(coefficient, force))

    def _steps(
        self, k: int, x: Configuration, p: Momentum, *, n: int, scale: float, waiting: Kicks
    ) -> tuple[Configuration, Momentum]:
        """Steps of level k, each of length `scale`, beginning with the postponed kicks `waiting`.

        Their own last kicks are postponed in turn; `_left` gives the coefficients.
        """
        scheme = self.levels[k].scheme
        *inner, last = zip(scheme.drifts, scheme.kicks[1:], (*_gradients(scheme), 0.0), strict=True)
        left = self._left(k, scale)

        def step(i: Int[Array, ""], state: tuple[Configuration, Momentum]) -> tuple[Configuration, Momentum]:
            x, p = state
            own, *below = (jnp.where(i == 0, before, after) for before, after in zip(waiting, left, strict=True))
            p = self._kicked(p, own + scheme.kicks[0] * scale, self.parts[k].force(x))
            for drift, kick, gradient in inner:
                x, p = self._drift(k, x, p, scale=drift * scale, waiting=tuple(below))
                below = self._left_by_drift(k, drift * scale)
                p = self._kicked(p, kick * scale, self._force(k, x, gradient * scale**2))
            return self._drift(k, x, p, scale=last[0] * scale, waiting=tuple(below))

        return repeat(step, (x, p), n=n)

    def _left(self, k: int, scale: float) -> tuple[float, ...]:
        """Coefficients of the last kicks of steps of level k and of the levels inside it."""
        scheme = self.levels[k].scheme
        return (scheme.kicks[-1] * scale, *self._left_by_drift(k, scheme.drifts[-1] * scale))

    def _left_by_drift(self, k: int, scale: float) -> tuple[float, ...]:
        within = k + 1
        return self._left(within, scale / self.levels[within].n_steps) if within < len(self.levels) else ()

    def _drift(
        self, k: int, x: Configuration, p: Momentum, *, scale: float, waiting: Kicks
    ) -> tuple[Configuration, Momentum]:
        """A drift of level k: a displacement by the momenta on the innermost level, else steps of the next level."""
        within = k + 1
        if within == len(self.levels):
            return self.parts[k].space.carry(x, self._scaled(scale, p), p)
        n = self.levels[within].n_steps
        return self._steps(within, x, p, n=n, scale=scale / n, waiting=waiting)

    def _force(self, k: int, x: Configuration, gradient: float) -> Momentum:
        """The force of level k at the field displaced by `gradient` along the steepest descent, carried back."""
        part = self.parts[k]
        if gradient == 0:
            return part.force(x)
        d = jax.tree.map(jnp.negative, self._scaled(gradient * self.step_size, part.force(x)))
        y, way = part.space.carry(x, d, d)
        return part.space.carry(y, jax.tree.map(jnp.negative, way), part.force(y))[1]


def _gradients(scheme: Scheme) -> tuple[float, ...]:
    return scheme.gradients or (0.0,) * (len(scheme.kicks) - 2)
