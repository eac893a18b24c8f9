"""The action, what is measured, what may be lost."""

import jax
import jax.numpy as jnp

import latflow as lf
from latflow.theories.scalar.physics import scalar_physics
from latflow.theories.sectors import VacuumSectors


class SineGordon(lf.AbstractLocalAction):
    """S = Σ[(∂φ)² + m²φ² + α(1 − cos φ)]."""

    space: lf.AbstractFieldSpace
    mass_squared: jax.Array
    alpha: jax.Array

    def __init__(self, lattice, *, mass_squared, alpha):
        self.space = lf.ScalarSpace(lattice.shape)
        self.mass_squared = jnp.asarray(mass_squared, dtype=float)
        self.alpha = jnp.asarray(alpha, dtype=float)

    def __call__(self, x):
        hops = sum((jnp.roll(x, -1, axis=mu) - x) ** 2 for mu in range(x.ndim))
        return jnp.sum(hops + self._potential(x))

    def force(self, x):
        return lf.autodiff_force(self, x)

    def site_difference(self, x, proposal):
        neighbours = sum(jnp.roll(x, step, axis=mu) for mu in range(x.ndim) for step in (1, -1))

        def local(y):
            return 2 * x.ndim * y**2 - 2 * y * neighbours + self._potential(y)

        return local(proposal) - local(x)

    def _potential(self, x):
        return self.mass_squared * x**2 + self.alpha * (1 - jnp.cos(x))


def action(table, lattice):
    """S at the parameters of the table."""
    return SineGordon(lattice, mass_squared=table.mass_squared, alpha=table.alpha)


def physics(table, lattice, settings):
    """Everything the stages of a study ask."""
    return scalar_physics(action(table, lattice), sectors=VacuumSectors())
