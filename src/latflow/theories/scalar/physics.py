"""The physics of any action of one real number at every site."""

from latflow.actions.base import AbstractAction
from latflow.observables.base import AbstractObservable
from latflow.observables.scalar import scalar_observables
from latflow.stats.quantities import AbstractEstimator
from latflow.theories.physics import Physics
from latflow.theories.scalar.estimates import scalar_estimator
from latflow.theories.sectors import AbstractSectors, SignSectors

STARTS = ("abs_magnetization", "phi_squared", "action_density")
"""Columns that are even in φ: chains in different vacua agree on them."""

COMPARED = (*STARTS, "abs_susceptibility")
"""Even estimates that flow and chains must agree in."""


def scalar_physics(
    action: AbstractAction,
    *,
    sectors: AbstractSectors | None = None,
    observables: tuple[AbstractObservable, ...] = (),
    estimators: tuple[AbstractEstimator, ...] = (),
) -> Physics:
    """Observables, estimators and sectors of a scalar field.

    Args:
        action: S.
        sectors: By default the sign of the mean field.
        observables: Columns beside those of every scalar field.
        estimators: Their estimators.
    """
    return Physics(
        action=action,
        observables=(*scalar_observables(action), *observables),
        estimators=(scalar_estimator(action.space.shape), *estimators),
        sectors=SignSectors() if sectors is None else sectors,
        starts=STARTS,
        compared=COMPARED,
    )
