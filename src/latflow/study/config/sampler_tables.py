"""The tables of a study that set its samplers, one for each."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from latflow.tables import AbstractSection, Fraction, Positive, Warmup

Start: TypeAlias = Literal["mixed", "hot", "cold"]


class HMCConfig(AbstractSection):
    """Hybrid Monte Carlo."""

    integrator: Literal["leapfrog", "omf2", "omf4", "force-gradient"] = Field(
        default="omf2", description="scheme of the trajectories"
    )
    inner_steps: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1,
        description="steps of the inner term (plaquettes beside rectangles, or the potential) in one of the rest",
    )
    trajectory_length: Positive = Field(default=1.0, description="before the warm-up tunes the step size")
    n_steps: Annotated[int, Field(ge=1, le=10**6)] = Field(default=4, description="integration steps per trajectory")
    jitter: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="random shortening of a trajectory, against modes in resonance with it"
    )
    target_acceptance: Fraction | Literal["flow"] = Field(
        default=0.8,
        description='what the warm-up tunes to; "flow" matches the acceptance of the flow, where that is 0.6 or more',
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
_START = "random links or spins, ones near 1, or both by turns"


class HeatbathConfig(AbstractSection):
    """Heat bath of gauge links or spins, with sweeps of overrelaxation."""

    overrelaxation: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=1, description="sweeps of overrelaxation after every sweep of the heat bath"
    )
    start: Start = Field(default="mixed", description=_START)
    chains: Annotated[int, Field(ge=1, le=2**20)] = Field(default=16, description="independent chains")
    warmup: Warmup = Field(default=200, description="discarded updates per chain")
    thin: Annotated[int, Field(ge=1, le=10**6)] = Field(
        default=1, description="updates, of one heat bath and its overrelaxation, per kept configuration"
    )


class QuasiConfig(AbstractSection):
    """Quasi-random draws of the flow: weighted averages with smaller errors, no accept/reject chain."""

    points: Literal["sobol"] = Field(default="sobol", description="the sequence: scrambled Sobol points")
    scramblings: Annotated[int, Field(ge=16, le=32)] = Field(
        default=16, description="independent scramblings, from whose scatter errors come"
    )
    points_per_scrambling: Annotated[int, Field(ge=128, le=2**24)] = Field(
        default=4096, description="points of each, a power of two; may be raised later, and the sequences go on"
    )


class FilesConfig(AbstractSection):
    """Configurations that another code has made."""

    folder: Annotated[str, Field(max_length=4000)] = Field(
        default="", description="folder of gauge configurations, or ensemble gathered from one"
    )
    force: bool = Field(default=False, description="read also what fails a check, and say so")


class MetropolisConfig(AbstractSection):
    """Metropolis of gauge links, one proposal for every link and sweep."""

    target_acceptance: Fraction = Field(default=0.5, description="what the warm-up tunes the width of the steps to")
    start: Start = Field(default="mixed", description=_LINK_START)
    chains: Annotated[int, Field(ge=1, le=2**20)] = Field(default=16, description="independent chains")
    warmup: Warmup = Field(default=400, description="discarded sweeps per chain")
    thin: Annotated[int, Field(ge=1, le=10**6)] = Field(default=1, description="sweeps per kept configuration")
