"""Observables along the gradient flow, as one measurement column."""

from typing import ClassVar

from jax import numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field
from latflow.arguments import count, positive
from latflow.fields.gradient_flow import GradientFlow
from latflow.given import require_type
from latflow.observables.base import AbstractObservable


class AlongTheFlow(AbstractObservable):
    r"""Energy by plaquettes, energy by the clover, and charge at the times $0, s, 2s, \ldots$ of a flow.

    Rows are those of `latflow.fields.gradient_flow.History`; `latflow.stats.flow_scale` makes t₀ and w₀ of an energy.

    Args:
        flow: Wilson's flow or the improved one, with the space of the links.
        spacing: s, the flow time between records.
        n_records: Records after that of time zero.
        tolerance: Largest error of an entry in one step.
    """

    name: ClassVar[str] = "gradient_flow"
    section: ClassVar[str] = "gradient_flow"
    flow: GradientFlow
    spacing: float
    n_records: int
    tolerance: float = 1e-5

    def __check_init__(self) -> None:
        require_type("flow", self.flow, GradientFlow, "GradientFlow(space)")
        positive("flow.spacing", self.spacing)
        count("flow.n_records", self.n_records, least=0)
        positive("flow.tolerance", self.tolerance)

    @property
    def times(self) -> Float[Array, " records"]:
        """The flow times."""
        return self.spacing * jnp.arange(self.n_records + 1)

    @override
    def __call__(self, x: Field) -> Float[Array, "three records"]:
        _, found = self.flow.adaptive_history(
            x, spacing=self.spacing, n_records=self.n_records, tolerance=self.tolerance
        )
        return jnp.stack([found.plaquette_energy, found.clover_energy, found.charge])
