"""What studies see of the flow. No JAX here."""

from typing import ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from latflow.flows.tables import AbstractFlowTable
from latflow.tables import Positive


class AffineTable(AbstractFlowTable):
    """One factor and one shift at every site of a scalar field."""

    builder: ClassVar[str] = "latflow_example.affine:affine"
    kind: Literal["example_affine"] = Field(default="example_affine", description="the flow; docs/cli.md lists all")
    scale: Positive = Field(default=1.0, description="factor of the untrained map")

    @override
    def work(self, parameters: int, volume: int) -> tuple[int, int]:
        return parameters, 2 * volume
