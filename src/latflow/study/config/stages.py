"""What a study does with its theory: training, sampling, and what is measured beside the observables."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast

from pydantic import Field, field_validator, model_validator

from latflow.study.config.methods import METHODS, USUAL
from latflow.tables import (
    ADDED,
    AbstractSection,
    Count,
    Coupling,
    Extent,
    Fraction,
    LearningRate,
    List,
    Number,
    Positive,
)

if TYPE_CHECKING:
    Sampler: TypeAlias = str
else:
    Sampler = Literal[tuple(METHODS)]

SAMPLERS: tuple[str, ...] = tuple(METHODS)
"""Every sampler in the order of sampling: the flow is first, since HMC may have to match its acceptance."""


class StopConfig(AbstractSection):
    """When training ends: whichever comes first."""

    acceptance: Fraction | None = Field(
        default=None, description="stop at this acceptance of the independence Metropolis"
    )
    ess: Fraction | None = Field(default=None, description="stop at this reweighting effective sample size per draw")
    steps: Count = Field(default=20000, description="stop after so many steps")
    minutes: Positive | None = Field(default=None, description="stop after so many minutes of training")
    plateau: Count | None = Field(default=None, description="stop after so many evaluations without improvement")


WARMUP_SHARE, MOST_WARMUP = 10, 100


def default_warmup(steps: int) -> int:
    """Steps of warm-up where a study does not say: a tenth of all, at most 100."""
    return min(MOST_WARMUP, steps // WARMUP_SHARE)


class CurriculumConfig(AbstractSection):
    """Smaller lattices on which the flow is trained first; their numbers are lists of equal length."""

    extents: List[Extent] = Field(default=(), max_length=16, description="L of hypercubic lattices to train on first")
    couplings: List[Coupling] = Field(default=(), max_length=16, description="λ of each of them")
    steps: List[Count] = Field(default=(), max_length=16, description="training steps on each of them")
    learning_rates: List[LearningRate] = Field(
        default=(), max_length=16, description="highest learning rate on each of them; empty: training.learning_rate"
    )


WITH_TARGETS = ("mixture", "forward_kl")
"""Losses that read draws of the target."""


class TrainingConfig(AbstractSection):
    """How the flow is trained."""

    loss: Literal["reverse_kl", "path_gradient", "mixture", "forward_kl", "least_squares"] = Field(
        default="reverse_kl",
        description="reverse KL, its path gradient, mixed with the forward KL, that alone; or least squares on a flow",
    )
    forward_weight: Fraction = Field(default=0.5, description="share of the forward KL; mixture only")
    target_draws: Annotated[int, Field(ge=64, le=2**24)] = Field(
        default=8192, description="HMC draws the forward KL reads; mixture and forward_kl only"
    )
    batch_size: Annotated[int, Field(ge=1, le=2**20)] = Field(default=512, description="draws per step")
    precision: Literal["float32", "float64"] = Field(
        default="float32", description="of the networks while training; densities are always float64"
    )
    learning_rate: LearningRate = Field(default=1e-3, description="of Adam, at its highest")
    schedule: Literal["constant", "cosine", "exponential"] = Field(
        default="cosine", description="decay of the learning rate over stop.steps"
    )
    warmup_steps: Number = Field(
        default=cast("Any", None),
        description="steps of linear rise from zero",
        json_schema_extra={"default_words": "a tenth of `training.stop.steps`, at most 100"},
    )
    final_learning_rate_fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.01, description="last learning rate over the highest"
    )
    gradient_clip: Positive = Field(default=10.0, description="bound on the norm of the gradient")
    evaluate_every: Count = Field(default=100, description="steps between evaluations")
    evaluation_draws: Annotated[int, Field(ge=16, le=2**24)] = Field(default=4096, description="draws per evaluation")
    checkpoint_minutes: Positive = Field(default=1.0, description="minutes between checkpoints")
    start_from: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="trained model to start from: a run, a model directory or zoo:NAME",
    )
    stop: StopConfig = Field(default_factory=StopConfig)
    curriculum: CurriculumConfig = Field(default_factory=CurriculumConfig)

    @model_validator(mode="before")
    @classmethod
    def _with_warmup(cls, data: Any) -> Any:
        """The warm-up as a number, whether or not it was given: it is part of what a model depends on."""
        if type(data) is not dict or "warmup_steps" in data:
            return data
        stop: Any = data.get("stop", {})
        given: Any = stop.get("steps") if isinstance(stop, dict) else getattr(stop, "steps", None)
        steps: int = given if isinstance(given, int) and given > 0 else StopConfig().steps
        return {**data, "warmup_steps": default_warmup(steps)}


class SamplingConfig(AbstractSection):
    """How much is sampled, and by which samplers."""

    configurations: Count = Field(default=100_000, description="configurations per sampler")
    samplers: List[Sampler] = Field(
        default=USUAL, min_length=1, max_length=len(METHODS), description="samplers by name"
    )
    block_size: Annotated[int, Field(ge=1, le=2**22)] = Field(default=4096, description="configurations per file")
    start_from: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="file of a gauge configuration in which all chains begin, instead of hot and cold ones",
    )
    integration: Literal["fine", "matched", "fitted"] = Field(
        default="fine",
        description="how draws integrate a continuous flow: to 1e-6, to .1 of their error, or so with a fitted log-det",
        json_schema_extra=ADDED,
    )
    ledger_only: bool = Field(
        default=False, description="keep weights and decisions of the flow's draws, but no fields: they are drawn again"
    )


class GradientFlowConfig(AbstractSection):
    """Gradient flow of every configuration measured: t₀, w₀ and, for SU(N), the topological charge."""

    kind: Literal["none", "wilson", "symanzik"] = Field(
        default="none", description="whose flow, in four dimensions; without rectangles or improved by them"
    )
    spacing: Positive = Field(default=0.1, description="flow time between records, lattice units")
    records: Annotated[int, Field(ge=3, le=1000)] = Field(default=20, description="records after that of time zero")
    tolerance: Annotated[float, Field(ge=1e-10, le=0.1)] = Field(
        default=1e-3, description="largest error of an adaptive step, entry by entry"
    )


class SmearingConfig(AbstractSection):
    """Smearing of links in space, for a second static potential."""

    kind: Literal["none", "ape"] = Field(default="none", description="how, in three or more dimensions")
    alpha: Fraction = Field(default=0.5, description="weight of the staples")
    steps: Annotated[int, Field(ge=1, le=1000)] = Field(default=4, description="how often")


class MeasureConfig(AbstractSection):
    """What is measured and estimated."""

    observables: List[str] = Field(
        default=(), max_length=200, description="estimates by name; empty: all of the theory", json_schema_extra=ADDED
    )


class ReduceConfig(AbstractSection):
    """Smaller errors of chains by Stein fields, control variates that are learned."""

    samplers: List[Sampler] = Field(
        default=(), description="chains whose averages are corrected; empty: none", json_schema_extra=ADDED
    )
    fields: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="directory of trained Stein fields, used on all chains; else a fourth of the chains trains them",
        json_schema_extra=ADDED,
    )
    flow: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="trained flow whose latent modes give the fields: a run, a model directory or zoo:NAME",
        json_schema_extra=ADDED,
    )
    products: Literal["total", "slices"] = Field(
        default="total",
        description="of links: velocities times all plaquettes, or those of a time slice, for correlators",
        json_schema_extra=ADDED,
    )
    steps: Count = Field(default=400, description="training steps", json_schema_extra=ADDED)
    batch_size: Annotated[int, Field(ge=64, le=2**20)] = Field(
        default=768, description="configurations per step", json_schema_extra=ADDED
    )
    learning_rate: LearningRate = Field(default=1e-2, description="of Adam, at its highest", json_schema_extra=ADDED)

    @field_validator("fields", "flow", mode="before")
    @classmethod
    def _cleared(cls, value: Any) -> Any:
        """On the command line an empty word takes what the file names away."""
        return None if value == "" else value


MEASUREMENT_SECTIONS = ("gradient_flow", "smearing")
"""Tables, each with a `kind`, that add to what is measured and change nothing that is sampled."""

MEASURED_ONLY = (*MEASUREMENT_SECTIONS, "measure", "reduce")
"""Tables that may change in a finished run: it is then measured again, but not sampled again."""
