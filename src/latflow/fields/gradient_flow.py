r"""Gradient flow: links follow the steepest descent of an action and are smoothed over the distance $\sqrt{8t}$.

$\dot V_\mu(x)=-\{\mathrm{projection\ of\ }V_\mu(x)A_\mu(x)\mathrm{\ on\ the\ algebra}\}\,V_\mu(x)$ with the loops of
Wilson's action or, with rectangles, of the tree-level improved one. For weak fields of any group that is the heat
equation with unit coefficient; for SU(N), t is the flow time of Lüscher's papers. Steps are Lüscher's Runge–Kutta
scheme of third order, which stays in the group; an embedded scheme of second order estimates its error.

References:
    M. Lüscher, JHEP 08 (2010) 071, arXiv:1006.4518, appendix C. Adaptive steps: P. Fritzsch & A. Ramos, JHEP 10 (2013)
    008, arXiv:1301.4388, appendix D. w₀: BMW, JHEP 09 (2012) 010, arXiv:1203.4469.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from latflow._typing import Field, Scalar, Tangent
from latflow.arguments import count, finite, positive, require_type
from latflow.batching import beside, repeat
from latflow.display import call, fields_of
from latflow.errors import ConfigError
from latflow.fields.field_strength import charge, clover_energy, has_charge, plaquette_energy
from latflow.fields.link_loops import coefficients_of_loops, loops_with_rectangles, plaquettes_through_links
from latflow.fields.spaces import GaugeSpace

_TREE_LEVEL = -1 / 12
_SAFETY = 0.95
_LARGEST_GROWTH = 2.0
_LEAST = 1e-30


class Adaptive(NamedTuple):
    """Result of a flow with adaptive steps.

    Attributes:
        x: The configuration at the end.
        step_size: Size that the next step would have.
        n_steps: Steps made.
        n_rejected: Steps that were rejected because their error exceeded the tolerance.
    """

    x: Field
    step_size: Scalar
    n_steps: Int[Array, ""]
    n_rejected: Int[Array, ""]


class History(NamedTuple):
    """Measurements along the flow, from time zero on.

    Attributes:
        time: Flow times.
        plaquette_energy: E per site from plaquettes.
        clover_energy: E per site from the clover.
        charge: Topological charge, zero where it is not defined (`latflow.fields.field_strength.has_charge`).
    """

    time: Float[Array, " records"]
    plaquette_energy: Float[Array, " records"]
    clover_energy: Float[Array, " records"]
    charge: Float[Array, " records"]


class GradientFlow(eqx.Module):
    """The flow of one action.

    Args:
        space: Space of the links.
        c1: Coefficient of the rectangles, 0 for Wilson's action; part of the compiled program.

    Raises:
        TypeError: If `space` is no space of links.
    """

    space: GaugeSpace
    c1: float = eqx.field(static=True, default=0.0)

    def __check_init__(self) -> None:
        require_type("space", self.space, GaugeSpace, "the space of the links, such as action.space")
        finite("flow.c1", self.c1)

    def __repr__(self) -> str:
        return call("GradientFlow", **fields_of(self))

    @classmethod
    def symanzik(cls, space: GaugeSpace) -> "GradientFlow":
        """The flow of the action improved at tree level, c₁ = −1/12."""
        return cls(space, _TREE_LEVEL)

    def velocity(self, x: Field) -> Tangent:
        """Dx/dt in the coordinates of `GaugeSpace.move`."""
        links = self.space.links(x)
        loops = loops_with_rectangles(links, c1=self.c1) if self.c1 else plaquettes_through_links(links)
        return -coefficients_of_loops(loops, group=self.space.group)

    def step(self, x: Field, step_size: Scalar) -> Field:
        """One step of third order."""
        return self._step(x, step_size)[0]

    def step_with_error(self, x: Field, step_size: Scalar) -> tuple[Field, Scalar]:
        """One step of third order, and the largest difference of an entry from a step of second order."""
        y, first, second = self._step(x, step_size)
        lower = self.space.move(x, 2 * second - first)
        difference = self.space.links(y) - self.space.links(lower)
        return y, jnp.max(jnp.abs(difference))

    def integrate(self, x: Field, *, step_size: float | Scalar, n_steps: int) -> Field:
        """Flow for the time ``step_size * n_steps``.

        Args:
            x: Initial configuration.
            step_size: Size of every step; on rough fields in four dimensions the scheme is unstable beyond about 0.1.
            n_steps: Number of steps, possibly zero.
        """
        size = jnp.asarray(step_size, dtype=float)
        return repeat(lambda _, y: self.step(y, size), x, n=n_steps)

    def integrate_adaptively(
        self, x: Field, *, duration: float | Scalar, tolerance: float, first_step: float | Scalar = 0.01
    ) -> Adaptive:
        """Flow for a given time with steps as long as the tolerance allows.

        Args:
            x: Initial configuration.
            duration: Flow time, not negative.
            tolerance: Largest error of an entry in one step, as `step_with_error` estimates it.
            first_step: Size of the first step to try.

        Raises:
            ConfigError: If the tolerance is not positive.
        """
        if not tolerance > 0:
            raise ConfigError([f"flow.tolerance: {tolerance}; allowed: a positive number"])
        end = jnp.asarray(duration, dtype=float)

        def attempt(state: tuple[Scalar, Adaptive]) -> tuple[Scalar, Adaptive]:
            time, here = state
            size = jnp.minimum(here.step_size, end - time)
            y, error = self.step_with_error(here.x, size)
            taken = error <= tolerance
            factor = _SAFETY * (tolerance / jnp.maximum(error, _LEAST)) ** (1 / 3)
            wanted = size * jnp.clip(factor, 0.1, _LARGEST_GROWTH)
            # a last step that was shortened to end at the duration must not reduce the size of the next
            wanted = jnp.where(taken & (size < here.step_size), jnp.maximum(wanted, here.step_size), wanted)
            chosen = jnp.where(beside(taken, y), y, here.x)
            counts = here.n_steps + taken, here.n_rejected + ~taken
            # ends at the duration exactly, without the rounding of a sum
            time = jnp.where(taken, jnp.where(size < end - time, time + size, end), time)
            return time, Adaptive(chosen, wanted, *counts)

        none = jnp.zeros((), dtype=int)
        start = jnp.zeros(()), Adaptive(x, jnp.asarray(first_step, dtype=float), none, none)
        return jax.lax.while_loop(lambda state: (state[0] < end) & (state[1].step_size > _LEAST), attempt, start)[1]

    def history(
        self, x: Field, *, step_size: float | Scalar, n_records: int, steps_per_record: int = 1
    ) -> tuple[Field, History]:
        """Energies and charge along the flow, with steps of fixed size.

        Args:
            x: Initial configuration.
            step_size: Size of every step.
            n_records: Records after that of time zero.
            steps_per_record: Steps between two records.

        Returns:
            The configuration at the end, and ``n_records + 1`` records.
        """
        steps_per_record = count("flow.steps_per_record", steps_per_record)
        spacing = steps_per_record * positive("flow.step_size", step_size)
        return self._history(
            x, spacing, n_records, lambda y: self.integrate(y, step_size=step_size, n_steps=steps_per_record)
        )

    def adaptive_history(self, x: Field, *, spacing: float, n_records: int, tolerance: float) -> tuple[Field, History]:
        """As `history`, with adaptive steps between records a flow time `spacing` apart."""
        return self._history(
            x,
            positive("flow.spacing", spacing),
            n_records,
            lambda y: self.integrate_adaptively(y, duration=spacing, tolerance=tolerance, first_step=spacing).x,
        )

    def _history(self, x, spacing, n_records, onward):
        n_records = count("flow.n_records", n_records, least=0)

        def record(y, _):
            y = onward(y)
            return y, self._measured(y)

        end, later = jax.lax.scan(record, x, None, length=n_records)
        rows = jnp.concatenate([self._measured(x)[None], later])
        return end, History(spacing * jnp.arange(n_records + 1), *rows.T)

    def _measured(self, x: Field) -> Float[Array, "three"]:
        q = charge(self.space, x) if has_charge(self.space) else jnp.zeros(())
        return jnp.stack([plaquette_energy(self.space, x), clover_energy(self.space, x), q])

    def _step(self, x: Field, step_size: Scalar) -> tuple[Field, Tangent, Tangent]:
        """The new configuration, and the increments of the first two Runge–Kutta stages."""

        def stage(y: Field) -> Tangent:
            z = self.velocity(y)
            return beside(step_size, z) * z

        first = stage(x)
        y = self.space.move(x, first / 4)
        second = stage(y)
        third = 8 / 9 * second - 17 / 36 * first
        y = self.space.move(y, third)
        return self.space.move(y, 3 / 4 * stage(y) - third), first, second
