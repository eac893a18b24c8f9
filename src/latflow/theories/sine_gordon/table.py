"""The table of sine-Gordon theory in a study."""

from typing import ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from latflow.tables import Coupling, Positive, Rule
from latflow.theories.base import SCALAR_SAMPLERS, AbstractActionTable


class SineGordonTable(AbstractActionTable):
    """Sine-Gordon theory, (∂φ)² + m²φ² + α(1 − cos φ)."""

    samplers: ClassVar[tuple[str, ...]] = SCALAR_SAMPLERS
    parameters: ClassVar[tuple[str, ...]] = ("mass_squared", "alpha")
    free_parameters: ClassVar[tuple[str, ...]] = ("mass_squared", "alpha")
    terms: ClassVar[tuple[str, ...]] = ("kinetic", "potential")

    kind: Literal["sine_gordon"] = Field(description="the theory; docs/cli.md lists all")
    mass_squared: Positive = Field(description="m² in lattice units; it keeps the field from wandering off")
    alpha: Coupling = Field(description="α, the factor of 1 − cos φ")

    @override
    def formula(self) -> str:
        return "Σ_{x} [Σ_{μ} (φ_{x+μ} − φ_{x})² + m² φ_{x}² + α (1 − cos φ_{x})]"


TABLES = (SineGordonTable,)

RULES: tuple[Rule, ...] = ()
