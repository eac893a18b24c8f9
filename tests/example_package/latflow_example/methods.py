"""What studies see of the methods: names, settings, looks. No JAX here."""

from pydantic import Field

from latflow.study.config.method import Method, SamplerStyle
from latflow.tables import AbstractSection, Count, Fraction, Warmup


class AnnealedConfig(AbstractSection):
    """Annealed importance sampling from independent normal sites."""

    steps: Count = Field(default=8, description="actions between the two")
    width: Fraction = Field(default=0.5, description="of the proposals")


class MixedConfig(AbstractSection):
    """Trajectories of HMC and local sweeps by turns."""

    target_acceptance: Fraction = Field(default=0.8, description="of the trajectories")
    sweeps: Count = Field(default=1, description="after every trajectory")
    chains: Count = Field(default=8, description="independent chains")
    warmup: Warmup = Field(default=50, description="discarded updates")
    thin: Count = Field(default=1, description="updates per kept configuration")


class NormalsConfig(AbstractSection):
    """Importance sampling from normal sites."""

    width: float = Field(default=0.35, gt=0, le=100, description="of the normal distribution")


ANNEALED = Method(
    "annealed",
    "draws",
    "latflow_example.builders:annealed",
    AnnealedConfig,
    SamplerStyle("annealed", "#332288", "h", "annealed importance sampling"),
)
MIXED = Method("mixed", "chains", "latflow_example.builders:mixed", MixedConfig, even_extents=True, target_rank=5)
NORMALS = Method(
    "normals",
    "draws",
    build="latflow_example.builders:normals",
    table=NormalsConfig,
    style=SamplerStyle("normals", "#332288", "h", "importance sampling from normal sites"),
)
