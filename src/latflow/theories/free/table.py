"""The table of the free field in a study."""

from typing import ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from latflow.tables import Positive, Rule
from latflow.theories.base import SCALAR_SAMPLERS, AbstractActionTable


class FreeFieldTable(AbstractActionTable):
    """The free field, (∂φ)² + m²φ²."""

    samplers: ClassVar[tuple[str, ...]] = SCALAR_SAMPLERS
    parameters: ClassVar[tuple[str, ...]] = ("mass_squared",)
    free_parameters: ClassVar[tuple[str, ...]] = ("mass_squared",)

    kind: Literal["free"] = Field(description="the theory; docs/cli.md lists all")
    mass_squared: Positive = Field(description="m² in lattice units")

    @override
    def formula(self) -> str:
        return "Σ_{x} [Σ_{μ} (φ_{x+μ} − φ_{x})² + m² φ_{x}²]"


TABLES = (FreeFieldTable,)

RULES: tuple[Rule, ...] = ()
