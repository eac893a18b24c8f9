"""What a study does with its theory: training, sampling and the classical samplers."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

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
    Warmup,
)

Sampler: TypeAlias = Literal["flow", "hmc", "local", "cluster", "heatbath", "metropolis"]

SAMPLERS: tuple[Sampler, ...] = ("flow", "hmc", "local", "cluster", "heatbath", "metropolis")
"""Every sampler in the order of sampling: the flow goes first, since HMC may be told to match its acceptance."""

Start: TypeAlias = Literal["mixed", "hot", "cold"]


class StopConfig(AbstractSection):
    """When training ends: whichever comes first."""

    acceptance: Fraction | None = Field(
        default=None, description="stop at this acceptance of the independence Metropolis"
    )
    ess: Fraction | None = Field(default=None, description="stop at this reweighting effective sample size per draw")
    steps: Count = Field(default=20000, description="stop after so many steps")
    minutes: Positive | None = Field(default=None, description="stop after so many minutes of training")
    plateau: Count | None = Field(default=None, description="stop after so many evaluations without improvement")


class CurriculumConfig(AbstractSection):
    """Smaller lattices on which the flow is trained first; their numbers are lists of equal length."""

    extents: List[Extent] = Field(default=(), max_length=16, description="L of hypercubic lattices to train on first")
    couplings: List[Coupling] = Field(default=(), max_length=16, description="λ of each of them")
    steps: List[Count] = Field(default=(), max_length=16, description="training steps on each of them")
    learning_rates: List[LearningRate] = Field(
        default=(), max_length=16, description="highest learning rate on each of them; empty: training.learning_rate"
    )


class TrainingConfig(AbstractSection):
    """How the flow is trained."""

    loss: Literal["reverse_kl", "path_gradient", "mixture"] = Field(
        default="reverse_kl",
        description="reverse KL, its path gradient, or mixed with the forward KL",
    )
    forward_weight: Fraction = Field(default=0.5, description="share of the forward KL; mixture only")
    target_draws: Annotated[int, Field(ge=64, le=2**24)] = Field(
        default=8192, description="HMC draws the forward KL reads; mixture only"
    )
    batch_size: Annotated[int, Field(ge=1, le=2**20)] = Field(default=512, description="draws per step")
    precision: Literal["float32", "float64"] = Field(
        default="float32", description="of the networks while training; densities are always float64"
    )
    learning_rate: LearningRate = Field(default=1e-3, description="of Adam, at its highest")
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
    start_from: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="trained model to start from: a run, a model directory or zoo:NAME",
    )
    stop: StopConfig = Field(default_factory=StopConfig)
    curriculum: CurriculumConfig = Field(default_factory=CurriculumConfig)


class SamplingConfig(AbstractSection):
    """How much is sampled, and by whom."""

    configurations: Count = Field(default=100_000, description="configurations per sampler")
    samplers: List[Sampler] = Field(
        default=("flow", "hmc", "local"), min_length=1, max_length=6, description="who samples"
    )
    block_size: Annotated[int, Field(ge=1, le=2**22)] = Field(default=4096, description="configurations per file")
    start_from: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="file of a gauge configuration in which all chains begin, instead of hot and cold ones",
    )
    ledger_only: bool = Field(
        default=False, description="keep weights and decisions of the flow's draws, but no fields: they are drawn again"
    )


class HMCConfig(AbstractSection):
    """Hybrid Monte Carlo."""

    integrator: Literal["leapfrog", "omf2", "omf4", "force-gradient"] = Field(
        default="omf2", description="scheme of the trajectories"
    )
    inner_steps: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1,
        description="steps of plaquettes beside rectangles, or of the potential of φ⁴, in a drift of the rest",
    )
    trajectory_length: Positive = Field(default=1.0, description="before the warm-up tunes the step size")
    n_steps: Annotated[int, Field(ge=1, le=10**6)] = Field(default=4, description="integration steps per trajectory")
    jitter: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="random shortening of a trajectory, against modes in resonance with it"
    )
    target_acceptance: Fraction | Literal["flow"] = Field(
        default=0.8, description='what the warm-up tunes to; "flow" matches the acceptance of the flow'
    )
    start: Start = Field(default="mixed", description="random fields, fields near the cold one, or both by turns")
    chains: Annotated[int, Field(ge=1, le=2**20)] = Field(default=64, description="independent chains")
    warmup: Warmup = Field(default=500, description="discarded trajectories per chain")
    thin: Annotated[int, Field(ge=1, le=10**6)] = Field(default=1, description="trajectories per kept configuration")


class LocalConfig(AbstractSection):
    """Local Metropolis on checkerboards."""

    target_acceptance: Fraction = Field(default=0.5, description="what the warm-up tunes the proposal width to")
    chains: Annotated[int, Field(ge=1, le=2**20)] = Field(default=64, description="independent chains")
    warmup: Warmup = Field(default=500, description="discarded sweeps per chain")
    thin: Annotated[int, Field(ge=1, le=10**6)] = Field(default=1, description="sweeps per kept configuration")


class ClusterConfig(AbstractSection):
    """Wolff clusters between local sweeps."""

    target_acceptance: Fraction = Field(default=0.5, description="what the warm-up tunes the width of the sweeps to")
    sweeps: Annotated[int, Field(ge=1, le=1000)] = Field(default=3, description="local sweeps before the clusters")
    clusters: Annotated[int, Field(ge=1, le=1000)] = Field(default=1, description="clusters flipped in one update")
    chains: Annotated[int, Field(ge=1, le=2**20)] = Field(default=64, description="independent chains")
    warmup: Warmup = Field(default=500, description="discarded updates per chain")
    thin: Annotated[int, Field(ge=1, le=10**6)] = Field(default=1, description="updates per kept configuration")


_LINK_START = "random links, links near 1, or both by turns"


class HeatbathConfig(AbstractSection):
    """Heat bath of gauge links, with sweeps of overrelaxation."""

    overrelaxation: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=1, description="sweeps of overrelaxation after every sweep of the heat bath"
    )
    start: Start = Field(default="mixed", description=_LINK_START)
    chains: Annotated[int, Field(ge=1, le=2**20)] = Field(default=16, description="independent chains")
    warmup: Warmup = Field(default=200, description="discarded updates per chain")
    thin: Annotated[int, Field(ge=1, le=10**6)] = Field(
        default=1, description="updates, of one heat bath and its overrelaxation, per kept configuration"
    )


class MetropolisConfig(AbstractSection):
    """Metropolis of gauge links, one proposal for every link and sweep."""

    target_acceptance: Fraction = Field(default=0.5, description="what the warm-up tunes the width of the steps to")
    start: Start = Field(default="mixed", description=_LINK_START)
    chains: Annotated[int, Field(ge=1, le=2**20)] = Field(default=16, description="independent chains")
    warmup: Warmup = Field(default=400, description="discarded sweeps per chain")
    thin: Annotated[int, Field(ge=1, le=10**6)] = Field(default=1, description="sweeps per kept configuration")


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


MEASUREMENT_SECTIONS = ("gradient_flow", "smearing")
"""Tables, each with a `kind`, that add to what is measured and change nothing that is sampled."""

MEASURED_ONLY = (*MEASUREMENT_SECTIONS, "measure")
"""Tables that may change in a finished run: what they ask for is measured anew, nothing is sampled again."""
