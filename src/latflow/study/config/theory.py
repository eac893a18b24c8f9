"""The theory of a study: its lattice and its action."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from latflow.study.config.values import AbstractSection, Coupling, Extent, List, Mass, Positive

_KINDS = "phi4, phi4_hopping, free, wilson or improved"


class LatticeConfig(AbstractSection):
    """The periodic lattice."""

    shape: List[Extent] = Field(min_length=1, max_length=6, description="sites along each direction, time last")


class PhiFourConfig(AbstractSection):
    """φ⁴ theory."""

    kind: Literal["phi4"] = Field(description=_KINDS)
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

    kind: Literal["phi4_hopping"] = Field(description=_KINDS)
    kappa: Positive = Field(description="κ of −2κ Σ φφ + (1−2λ)φ² + λφ⁴")
    coupling: Coupling = Field(description="λ of the same")

    def house(self, ndim: int) -> tuple[float, float]:
        """``(mass_squared, coupling)`` in the house normalisation, in `ndim` dimensions."""
        return (1 - 2 * self.coupling) / self.kappa - 2 * ndim, self.coupling / self.kappa**2


class FreeFieldConfig(AbstractSection):
    """The free field, (∂φ)² + m²φ²."""

    kind: Literal["free"] = Field(description=_KINDS)
    mass_squared: Positive = Field(description="m² in lattice units")

    def house(self, ndim: int) -> tuple[float, float]:
        """``(mass_squared, 0)``: the free field as φ⁴ without coupling."""
        del ndim
        return self.mass_squared, 0.0


Group: TypeAlias = Literal["U(1)", "SU(2)", "SU(3)", "SU(4)", "SU(5)", "SU(6)", "SU(7)", "SU(8)"]


class WilsonConfig(AbstractSection):
    """Wilson's gauge action, β Σ (1 − Re tr P / N)."""

    kind: Literal["wilson"] = Field(description=_KINDS)
    group: Group = Field(description="what lives on the links")
    beta: Positive = Field(description="β of β Σ (1 − Re tr P / N); N = 1 for U(1)")


class ImprovedConfig(AbstractSection):
    """A gauge action of plaquettes and 2×1 rectangles, c₀ = 1 − 8c₁."""

    kind: Literal["improved"] = Field(description=_KINDS)
    group: Group = Field(description="what lives on the links")
    beta: Positive = Field(description="β of β [c₀ Σ (1 − Re tr P / N) + c₁ Σ (1 − Re tr R / N)]")
    improvement: Literal["luscher-weisz", "iwasaki", "dbw2"] = Field(
        default="luscher-weisz", description="c₁ = −1/12 (tree level), −0.331 or −1.4088"
    )


ScalarConfig: TypeAlias = PhiFourConfig | HoppingPhiFourConfig | FreeFieldConfig
GaugeConfig: TypeAlias = WilsonConfig | ImprovedConfig

GAUGE_KINDS = ("wilson", "improved")
"""Words for `action.kind` whose fields are links."""

ActionConfig: TypeAlias = Annotated[ScalarConfig | GaugeConfig, Field(discriminator="kind", description="the theory")]
