"""The tables of φ⁴ theory in a study.

`house()` maps each normalisation to that of the action class `latflow.actions.scalar.PhiFour`, `rescaling()` its field;
docs/conventions.md derives the maps.
"""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from latflow.tables import Complaint, Coupling, Lookup, Mass, Positive
from latflow.theories.base import SCALAR_SAMPLERS, AbstractActionTable

_TERMS = ("kinetic", "potential")
_KINETIC = "Σ_{μ} (φ_{x+μ} − φ_{x})²"
_FORMULAS = {
    "house": f"Σ_{{x}} [{_KINETIC} + m² φ_{{x}}² + λ φ_{{x}}⁴]",
    "half": f"Σ_{{x}} [½ {_KINETIC} + ½ m² φ_{{x}}² + ¼ λ φ_{{x}}⁴]",
    "factorial": f"Σ_{{x}} [½ {_KINETIC} + ½ m² φ_{{x}}² + λ φ_{{x}}⁴/4!]",
}
_RESCALING = {"house": 1.0, "half": math.sqrt(2), "factorial": math.sqrt(2)}
"""The field of each normalisation over that of the house."""


class PhiFourTable(AbstractActionTable):
    """φ⁴ theory."""

    samplers: ClassVar[tuple[str, ...]] = SCALAR_SAMPLERS
    parameters: ClassVar[tuple[str, ...]] = ("mass_squared", "coupling")
    free_parameters: ClassVar[tuple[str, ...]] = ("mass_squared", "coupling")
    terms: ClassVar[tuple[str, ...]] = _TERMS

    kind: Literal["phi4"] = Field(description="the theory; docs/cli.md lists all")
    mass_squared: Mass = Field(description="m² in lattice units; may be negative when coupling > 0")
    coupling: Coupling = Field(description="λ, the factor of φ⁴")
    normalisation: Literal["house", "half", "factorial"] = Field(
        default="house",
        description="house (∂φ)²+m²φ²+λφ⁴; half ½(∂φ)²+½m²φ²+¼λφ⁴; factorial ½(∂φ)²+½m²φ²+λφ⁴/4!",
    )

    def house(self, ndim: int) -> tuple[float, float]:
        """``(mass_squared, coupling)`` in the house normalisation, in `ndim` dimensions."""
        del ndim  # only the hopping form depends on it
        return self.mass_squared, self.coupling / 6 if self.normalisation == "factorial" else self.coupling

    @override
    def in_house(self, ndim: int) -> Mapping[str, float]:
        return dict(zip(("mass_squared", "coupling"), self.house(ndim), strict=True))

    @override
    def normalised(self) -> str:
        return self.normalisation

    @override
    def rescaling(self) -> float:
        return _RESCALING[self.normalisation]

    @override
    def formula(self) -> str:
        return _FORMULAS[self.normalisation]


class HoppingPhiFourTable(AbstractActionTable):
    """φ⁴ theory in the hopping form −2κΣφφ + (1−2λ)φ² + λφ⁴."""

    samplers: ClassVar[tuple[str, ...]] = SCALAR_SAMPLERS
    parameters: ClassVar[tuple[str, ...]] = ("kappa", "coupling")
    terms: ClassVar[tuple[str, ...]] = _TERMS

    kind: Literal["phi4_hopping"] = Field(description="the theory; docs/cli.md lists all")
    kappa: Positive = Field(description="κ of −2κ Σ φφ + (1−2λ)φ² + λφ⁴")
    coupling: Coupling = Field(description="λ of the same")

    def house(self, ndim: int) -> tuple[float, float]:
        """``(mass_squared, coupling)`` in the house normalisation, in `ndim` dimensions."""
        return (1 - 2 * self.coupling) / self.kappa - 2 * ndim, self.coupling / self.kappa**2

    @override
    def in_house(self, ndim: int) -> Mapping[str, float]:
        return dict(zip(("mass_squared", "coupling"), self.house(ndim), strict=True))

    @override
    def normalised(self) -> str:
        return "hopping"

    @override
    def rescaling(self) -> float:
        return 1 / math.sqrt(self.kappa)

    @override
    def formula(self) -> str:
        return "Σ_{x} [−2κ Σ_{μ} φ_{x} φ_{x+μ} + (1 − 2λ) φ_{x}² + λ φ_{x}⁴]"


def _bounded_phi4(value: Lookup) -> list[Complaint]:
    if value("action.kind") != "phi4" or value("action.coupling") != 0:
        return []
    mass_squared = value("action.mass_squared")
    if mass_squared is None or mass_squared > 0:
        return []
    hint = "without a quartic term exp(−S) is normalisable only for a positive mass squared"
    return [Complaint("action.mass_squared", repr(mass_squared), "> 0 when coupling = 0", hint)]


def _bounded_hopping(value: Lookup) -> list[Complaint]:
    if value("action.kind") != "phi4_hopping" or value("action.coupling") != 0:
        return []
    kappa, shape = value("action.kappa"), value("lattice.shape")
    if kappa is None or shape is None or 2 * len(shape) * kappa < 1:
        return []
    hint = "without a quartic term exp(−S) is normalisable only there"
    return [Complaint("action.kappa", repr(kappa), f"< {1 / (2 * len(shape)):g} when coupling = 0", hint)]


TABLES = (PhiFourTable, HoppingPhiFourTable)

RULES = (_bounded_phi4, _bounded_hopping)
