"""The schema of ``scaling.json``: what the runs of a scaling study found together."""

from typing import Any, Literal

from pydantic import Field

from latflow.results.records import AbstractRecord, ErrorCost, Normalisation, Real
from latflow.stats.estimates import RELIABLE, State
from latflow.stats.evidence import Verdict

SCHEMA = 1


class ScalarRecord(AbstractRecord):
    """A scalar estimate whose τ_int is known, in records."""

    value: float
    error: float
    tau_int: float
    tau_int_error: float


class TrainingRecord(AbstractRecord):
    """The acceptance wanted of a flow, and that of its production draws; `reached` if it was held at the wanted one."""

    acceptance: Real
    wanted: float
    reached: bool
    seconds: Real
    steps: int | None
    stopped_by: str | None


class TrajectoryRecord(AbstractRecord):
    """The trajectory of HMC that was found to be the cheapest."""

    n_steps: int
    length: float


class ScalingEntry(AbstractRecord):
    """One sampler of one run.

    Attributes:
        run: Name of the run.
        sampler: Its name; of a flow with the acceptance asked for.
        extent: L.
        estimates: By observable.
        tau_int: By observable, τ_int and its error in updates of the sampler.
        not_estimated: Observables with too few independent records.
        seconds_per_independent: Time per independent configuration; None if it is not known.
        training: Of a flow.
        trajectory: Of HMC.
        state: Whether averages of a flow are to be believed; None of other samplers and in older files.
        error_costs: What the errors of its averages cost, plain and corrected, of a flow by Metropolis and by weights,
            as in the results of the run; empty in older files.
    """

    run: str
    sampler: str
    extent: int
    estimates: dict[str, ScalarRecord]
    tau_int: dict[str, tuple[float, float]]
    not_estimated: tuple[str, ...]
    seconds_per_independent: Real
    training: TrainingRecord | None
    trajectory: TrajectoryRecord | None
    state: State | None = None
    error_costs: tuple[ErrorCost, ...] = ()

    @property
    def is_reliable(self) -> bool:
        """Whether its averages were judged reliable; of classical samplers, which are judged by their chains, true."""
        return self.state == RELIABLE or (self.state is None and self.training is None)

    @property
    def is_held(self) -> bool:
        """Whether it may be fitted: a classical sampler, or a reliable flow held at its acceptance."""
        return self.is_reliable and (self.training is None or self.training.reached)


class PowerLawRecord(AbstractRecord):
    """τ_int = amplitude × L^z of one observable of one sampler."""

    sampler: str
    observable: str
    z: float
    z_error: float
    amplitude: float
    chi2: float
    dof: int
    probability: Real


class PullRecord(AbstractRecord):
    """Difference of two samplers at one size, in combined errors."""

    extent: int
    samplers: tuple[str, str]
    observable: str
    pull: float


class OvertakingRecord(AbstractRecord):
    """Independent configurations from which on a flow is cheaper than another sampler; None where it never is."""

    extent: int
    flow: str
    sampler: str
    independent_configurations: Real


class ScalingResults(AbstractRecord):
    """The content of ``scaling.json``."""

    schema_number: Literal[1] = Field(default=SCHEMA, alias="schema")
    study: str
    extents: tuple[int, ...]
    theory: str = Field(default="", description="kind of the action; files that do not say it are of φ⁴")
    parameter: str = Field(default="coupling", description="key of [action] that changes from point to point")
    couplings: tuple[float, ...] = Field(description="its value at every point")
    fewest_independent: int
    samplers: tuple[ScalingEntry, ...]
    fits: tuple[PowerLawRecord, ...]
    pulls: tuple[PullRecord, ...]
    overtaking: tuple[OvertakingRecord, ...]
    verdicts: dict[str, Verdict]
    normalisation: dict[str, Normalisation] = Field(
        default={}, description="by run, the field that values are of; empty in older files, of the house field"
    )

    def plain(self) -> dict[str, Any]:
        """The same as plain data, as it stands in the file."""
        return self.model_dump(mode="json", by_alias=True)
