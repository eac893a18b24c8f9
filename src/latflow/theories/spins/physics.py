"""Spin models at given parameters, and their physics for the stages of a study."""

import equinox as eqx
import jax
from jaxtyping import Array, Float

from latflow.actions.spins import SpinModel
from latflow.fields.compact import normalised
from latflow.lattice import Lattice
from latflow.observables.spins import spin_observables
from latflow.stats.quantities import AbstractEstimator
from latflow.theories.base import Settings
from latflow.theories.gauge.estimates import ChargeEstimator
from latflow.theories.physics import Physics
from latflow.theories.sectors import ChargeSectors, NoSectors
from latflow.theories.spins.estimates import spin_estimator
from latflow.theories.spins.table import ONTable, XYTable

STARTS = ("spin_product", "spin_magnetization")
"""Columns in which chains of all starts must agree."""

COMPARED = ("spin_product", "spin_susceptibility")
"""Estimates in which a flow and chains must agree."""


def action(table: XYTable | ONTable, lattice: Lattice) -> SpinModel:
    """S at the parameters of the table."""
    components = table.components if isinstance(table, ONTable) else 2
    return SpinModel(lattice, components=components, beta=table.beta)


def physics(table: XYTable | ONTable, lattice: Lattice, settings: Settings) -> Physics:
    """All that the stages of a study need of spins."""
    del settings
    return spin_physics(action(table, lattice))


def spin_physics(model: SpinModel) -> Physics:
    """Observables, estimators and sectors of spins.

    Args:
        model: S.
    """
    shape, components = model.lattice.shape, model.components
    estimators: list[AbstractEstimator] = [spin_estimator(shape, beta=float(model.beta), components=components)]
    has_charge = components == 3 and len(shape) == 2
    if has_charge:
        estimators.append(ChargeEstimator(model.lattice.volume))
    return Physics(
        action=model,
        observables=spin_observables(model.space),
        estimators=tuple(estimators),
        sectors=ChargeSectors() if has_charge else NoSectors(),
        starts=STARTS,
        compared=COMPARED,
        back=_normalised,
    )


@eqx.filter_jit
def _normalised(x: Float[Array, "chains n *sites"]) -> Float[Array, "chains n *sites"]:
    return jax.vmap(normalised)(x)
