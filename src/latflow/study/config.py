"""What a study is: the one schema behind study files, command-line options and the reference of keys.

A `StudyConfig` is frozen plain data; nothing here imports jax, so a wrong key is refused before anything slow starts.
Numbers are checked one by one by the field types and together by `latflow.study.rules`.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from latflow.errors import ConfigError
from latflow.study.reading import complaints, lookup, marked, merge, read_table
from latflow.study.rules import broken_rules
from latflow.study.writing import toml_text

_T = TypeVar("_T")


def _as_tuple(value: object) -> object:
    return tuple(value) if type(value) is list else value


def _words(text: str) -> dict[str, Any]:
    return {"allowed": text}


List: TypeAlias = Annotated[tuple[_T, ...], BeforeValidator(_as_tuple)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=10**9)]
Number: TypeAlias = Annotated[int, Field(ge=0, le=10**9)]
Positive: TypeAlias = Annotated[float, Field(gt=0, le=1e6)]
Fraction: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
Extent: TypeAlias = Annotated[int, Field(ge=1, le=2**24)]
Width: TypeAlias = Annotated[int, Field(ge=1, le=16384)]
Mass: TypeAlias = Annotated[float, Field(ge=-1e6, le=1e6)]
Coupling: TypeAlias = Annotated[float, Field(ge=0, le=1e6)]
Sampler: TypeAlias = Literal["flow", "hmc", "local"]


class AbstractSection(BaseModel):
    """A table of a study: immutable, closed to unknown keys, without silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def digest(self) -> str:
        """SHA-256 of the canonical JSON: equal content gives equal digests, however the file was written."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


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


class RealNVPConfig(AbstractSection):
    """The flow: affine couplings on alternating checkerboards."""

    kind: Literal["real_nvp"] = Field(default="real_nvp", description="affine couplings on alternating checkerboards")
    layers: Annotated[int, Field(ge=2, le=256)] = Field(default=10, description="coupling layers")
    network: Literal["dense", "convolutional"] = Field(
        default="dense", description="dense sees the whole lattice, convolutional is translation-equivariant"
    )
    hidden: List[Width] = Field(
        default=(256, 256), min_length=1, max_length=8, description="units (dense) or channels of each hidden layer"
    )
    kernel_size: Annotated[int, Field(ge=1, le=63)] = Field(
        default=3, description="extent of the kernel, odd; convolutional only"
    )
    log_scale_bound: Annotated[float, Field(gt=0, le=50)] = Field(
        default=2.0, description="bound on |log scale| of one layer"
    )


class StopConfig(AbstractSection):
    """When training ends: whichever comes first."""

    acceptance: Fraction | None = Field(
        default=None, description="stop at this acceptance of the independence Metropolis"
    )
    ess: Fraction | None = Field(default=None, description="stop at this reweighting effective sample size per draw")
    steps: Count = Field(default=20000, description="stop after so many steps")
    minutes: Positive | None = Field(default=None, description="stop after so many minutes of training")
    plateau: Count | None = Field(default=None, description="stop after so many evaluations without improvement")


class TrainingConfig(AbstractSection):
    """How the flow is trained."""

    loss: Literal["reverse_kl"] = Field(default="reverse_kl", description="⟨log q + S⟩ over draws of the flow")
    batch_size: Annotated[int, Field(ge=1, le=2**20)] = Field(default=512, description="draws per step")
    precision: Literal["float32", "float64"] = Field(
        default="float32", description="of the networks while training; densities are always float64"
    )
    learning_rate: Annotated[float, Field(gt=0, le=1)] = Field(default=1e-3, description="of Adam, at its highest")
    schedule: Literal["constant", "cosine", "exponential"] = Field(
        default="cosine", description="decay of the learning rate over stop.steps"
    )
    warmup_steps: Number = Field(default=100, description="steps of linear rise from zero")
    final_learning_rate_fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.01, description="last learning rate over the highest"
    )
    gradient_clip: Positive = Field(default=10.0, description="bound on the norm of the gradient")
    evaluate_every: Count = Field(default=100, description="steps between evaluations")
    evaluation_draws: Annotated[int, Field(ge=16, le=2**24)] = Field(default=4096, description="draws per evaluation")
    checkpoint_minutes: Positive = Field(default=1.0, description="minutes between checkpoints")
    stop: StopConfig = Field(default_factory=StopConfig)


class SamplingConfig(AbstractSection):
    """How much is sampled, and by whom."""

    configurations: Count = Field(default=100_000, description="configurations per sampler")
    samplers: List[Sampler] = Field(
        default=("flow", "hmc", "local"), min_length=1, max_length=3, description="who samples"
    )
    block_size: Annotated[int, Field(ge=1, le=2**22)] = Field(default=4096, description="configurations per file")


class HMCConfig(AbstractSection):
    """Hybrid Monte Carlo."""

    integrator: Literal["leapfrog", "omf2", "omf4"] = Field(default="omf2", description="scheme of the trajectories")
    trajectory_length: Positive = Field(default=1.0, description="before the warm-up tunes the step size")
    n_steps: Annotated[int, Field(ge=1, le=10**6)] = Field(default=4, description="integration steps per trajectory")
    target_acceptance: Fraction | Literal["flow"] = Field(
        default=0.8, description='what the warm-up tunes to; "flow" matches the acceptance of the flow'
    )
    chains: Annotated[int, Field(ge=1, le=2**20)] = Field(default=64, description="independent chains")
    warmup: Number = Field(default=500, description="discarded trajectories per chain")
    thin: Annotated[int, Field(ge=1, le=10**6)] = Field(default=1, description="trajectories per kept configuration")


class LocalConfig(AbstractSection):
    """Local Metropolis on checkerboards."""

    target_acceptance: Fraction = Field(default=0.5, description="what the warm-up tunes the proposal width to")
    chains: Annotated[int, Field(ge=1, le=2**20)] = Field(default=64, description="independent chains")
    warmup: Number = Field(default=500, description="discarded sweeps per chain")
    thin: Annotated[int, Field(ge=1, le=10**6)] = Field(default=1, description="sweeps per kept configuration")


class StudyConfig(AbstractSection):
    """A whole study."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$",
        max_length=100,
        description="names the run directory, runs/NAME",
        json_schema_extra=_words("up to 100 letters, digits and . _ + -, the first a letter or digit"),
    )
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = Field(default=1, description="root of all random numbers")
    lattice: LatticeConfig
    action: ActionConfig
    flow: RealNVPConfig = Field(default_factory=RealNVPConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    sampling: SamplingConfig = Field(default_factory=SamplingConfig)
    hmc: HMCConfig = Field(default_factory=HMCConfig)
    local: LocalConfig = Field(default_factory=LocalConfig)

    @model_validator(mode="after")
    def _obey_rules(self) -> "StudyConfig":
        broken = broken_rules(lookup(self.model_dump(mode="json"), StudyConfig))
        if broken:
            raise ConfigError([complaint.text() for complaint in broken])
        return self

    def to_toml(self, *, commented: bool = False) -> str:
        """The study as a file, every key written out.

        Args:
            commented: Explain each key, and show the unset ones as comments.
        """
        return toml_text(self.model_dump(mode="json"), StudyConfig, commented=commented)


def load_study(path: Path, overrides: Mapping[str, str] | None = None) -> StudyConfig:
    """Read and check a study file.

    Args:
        path: The file.
        overrides: Values by dotted key that replace those of the file, as written on the command line.

    Raises:
        MissingInputError: If there is no such file.
        DataError: If it is too large to be a study or not UTF-8 text.
        StorageError: If it cannot be read.
        ConfigError: With every complaint about its content, each naming the file and the key.
    """
    table = read_table(path)
    data, refused = merge(table, overrides or {}, StudyConfig)
    try:
        study = StudyConfig.model_validate(data)
    except (ValidationError, ConfigError) as error:
        details = error.errors(include_url=False) if type(error) is ValidationError else []
        refused += complaints(details, data, StudyConfig)
        study = None
    if study is None or refused:
        raise ConfigError([f"{path}: {complaint.text()}" for complaint in marked(refused, overrides or {})])
    return study
