"""The theory of a study: its lattice and its action."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from latflow.study.config.values import AbstractSection, Coupling, Extent, List, Mass, Positive


class LatticeConfig(AbstractSection):
    """The periodic lattice."""

    shape: List[Extent] = Field(min_length=1, max_length=6, description="sites along each direction, time last")


class PhiFourConfig(AbstractSection):
    """φ⁴ theory."""

    kind: Literal["phi4"] = Field(description="phi4, phi4_hopping or free")
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


class HoppingPhiFourConfig(AbstractSection):
    """φ⁴ theory in the hopping form −2κΣφφ + (1−2λ)φ² + λφ⁴."""

    kind: Literal["phi4_hopping"] = Field(description="phi4, phi4_hopping or free")
    kappa: Positive = Field(description="κ of −2κ Σ φφ + (1−2λ)φ² + λφ⁴")
    coupling: Coupling = Field(description="λ of the same")

    def house(self, ndim: int) -> tuple[float, float]:
        """``(mass_squared, coupling)`` in the house normalisation, in `ndim` dimensions."""
        return (1 - 2 * self.coupling) / self.kappa - 2 * ndim, self.coupling / self.kappa**2


class FreeFieldConfig(AbstractSection):
    """The free field, (∂φ)² + m²φ²."""

    kind: Literal["free"] = Field(description="phi4, phi4_hopping or free")
    mass_squared: Positive = Field(description="m² in lattice units")

    def house(self, ndim: int) -> tuple[float, float]:
        """``(mass_squared, 0)``: the free field as φ⁴ without coupling."""
        del ndim
        return self.mass_squared, 0.0


ActionConfig: TypeAlias = Annotated[
    PhiFourConfig | HoppingPhiFourConfig | FreeFieldConfig, Field(discriminator="kind", description="the theory")
]
