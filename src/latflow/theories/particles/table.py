"""The tables of energies of points and particles in a study."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from latflow.tables import Mass, Positive
from latflow.theories.base import AbstractActionTable

Particles = Annotated[int, Field(ge=2, le=1024)]
Dimension = Annotated[int, Field(ge=1, le=16)]

_TEMPERATURE = "k_B T in units of the energy"
_PARTICLES = "how many particles"
_DIMENSION = "of the space they are in"


class AbstractPointTable(AbstractActionTable):
    """A point in the plane: no lattice, and no control variates."""

    samplers: ClassVar[tuple[str, ...]] = ("flow", "quasi", "hmc")
    lattice: ClassVar[bool] = False
    fields: ClassVar[str] = "points"
    stein_fields: ClassVar[str] = ""

    @override
    def measure(self) -> str:
        return "dx dy"

    @override
    def space_words(self) -> str:
        return "a point of the plane"

    @override
    def own_shape(self) -> tuple[int, ...]:
        return (2,)

    @override
    def normalised(self) -> str:
        return ""


class DoubleWellTable(AbstractPointTable):
    """A double well in the plane, with a tilt."""

    parameters: ClassVar[tuple[str, ...]] = ("tilt", "temperature")
    free_parameters: ClassVar[tuple[str, ...]] = parameters

    kind: Literal["double-well"] = Field(description="the theory; docs/cli.md lists all")
    tilt: Mass = Field(default=1.0, description="t; positive: the left well is deeper")
    temperature: Positive = Field(default=1.0, description=_TEMPERATURE)

    @override
    def formula(self) -> str:
        return "(x^{4} − 6x^{2} + t x + y^{2}/2)/k_{B}T"


class MuellerBrownTable(AbstractPointTable):
    """The Müller–Brown potential."""

    parameters: ClassVar[tuple[str, ...]] = ("scale", "temperature")
    free_parameters: ClassVar[tuple[str, ...]] = parameters

    kind: Literal["mueller-brown"] = Field(description="the theory; docs/cli.md lists all")
    scale: Positive = Field(default=0.1, description="s, a factor of the potential")
    temperature: Positive = Field(default=1.0, description=_TEMPERATURE)

    @override
    def formula(self) -> str:
        return "s V_{MB}(x, y)/k_{B}T"


class AbstractParticlesTable(AbstractActionTable):
    """Mean-free particles: no lattice, and no control variates."""

    samplers: ClassVar[tuple[str, ...]] = ("flow", "hmc")
    lattice: ClassVar[bool] = False
    fields: ClassVar[str] = "particles"
    stein_fields: ClassVar[str] = ""

    particles: Particles
    dimension: Dimension

    @override
    def measure(self) -> str:
        return "Lebesgue measure on the mean-free subspace"

    @override
    def space_words(self) -> str:
        return f"{self.particles} particles in R^{{{self.dimension}}}, mean-free"

    @override
    def own_shape(self) -> tuple[int, ...]:
        return (self.particles, self.dimension)

    @override
    def normalised(self) -> str:
        return ""


class DoubleWellPairsTable(AbstractParticlesTable):
    """Particles whose pairs have a double well (DW4)."""

    parameters: ClassVar[tuple[str, ...]] = ("quartic", "quadratic", "linear", "offset", "temperature")
    free_parameters: ClassVar[tuple[str, ...]] = parameters

    kind: Literal["dw4"] = Field(description="the theory; docs/cli.md lists all")
    particles: Particles = Field(default=4, description=_PARTICLES)
    dimension: Dimension = Field(default=2, description=_DIMENSION)
    quartic: Positive = Field(default=0.9, description="a of every pair")
    quadratic: Mass = Field(default=-4.0, description="b of every pair")
    linear: Mass = Field(default=0.0, description="c of every pair")
    offset: Mass = Field(default=4.0, description="d₀, the distance between the wells of a pair")
    temperature: Positive = Field(default=1.0, description=_TEMPERATURE)

    @override
    def formula(self) -> str:
        return "Σ_{i<j} [a(d_{ij} − d_{0})^{4} + b(d_{ij} − d_{0})^{2} + c(d_{ij} − d_{0})]/k_{B}T"


class LennardJonesTable(AbstractParticlesTable):
    """A Lennard-Jones cluster held together by an oscillator (LJ13)."""

    parameters: ClassVar[tuple[str, ...]] = ("epsilon", "radius", "oscillator", "temperature")
    free_parameters: ClassVar[tuple[str, ...]] = parameters

    kind: Literal["lj13"] = Field(description="the theory; docs/cli.md lists all")
    particles: Particles = Field(default=13, description=_PARTICLES)
    dimension: Dimension = Field(default=3, description=_DIMENSION)
    epsilon: Positive = Field(default=1.0, description="ε, with every pair counted once")
    radius: Positive = Field(default=1.0, description="r_m, the distance of the minimum")
    oscillator: Positive = Field(default=1.0, description="k of ½k Σ|x − mean|²")
    temperature: Positive = Field(default=1.0, description=_TEMPERATURE)

    @override
    def formula(self) -> str:
        return "[ε Σ_{i<j} ((r_{m}/d_{ij})^{12} − 2(r_{m}/d_{ij})^{6}) + (k/2) Σ_{i} |x_{i} − x_{mean}|^{2}]/k_{B}T"


TABLES = (DoubleWellTable, MuellerBrownTable, DoubleWellPairsTable, LennardJonesTable)

RULES = ()
