"""What stands in the table [action] of a study."""

from typing import ClassVar, Literal

from pydantic import Field

from latflow.tables import Coupling, Positive
from latflow.theories.base import SCALAR_SAMPLERS, AbstractActionTable


class SineGordonTable(AbstractActionTable):
    """Sine-Gordon theory, (∂φ)² + m²φ² + α(1 − cos φ)."""

    samplers: ClassVar[tuple[str, ...]] = SCALAR_SAMPLERS
    parameters: ClassVar[tuple[str, ...]] = ("mass_squared", "alpha")

    kind: Literal["example_sine_gordon"] = Field(description="the theory; docs/cli.md lists all")
    mass_squared: Positive = Field(description="m² in lattice units")
    alpha: Coupling = Field(description="α")

    def formula(self) -> str:
        return "Σ_{x} [Σ_{μ} (φ_{x+μ} − φ_{x})² + m² φ_{x}² + α (1 − cos φ_{x})]"


TABLES = (SineGordonTable,)

RULES = ()
