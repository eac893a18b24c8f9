"""The schema of ``results.json``, version 2: every field with its type and its meaning.

All records are frozen, closed to unknown fields and strict. What could not be computed is null: a number that is
infinite or NaN becomes null when a record is made. Every estimate is a scalar, or an array whose axis stands with its
observable.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field, model_validator

from latflow.results.base import AbstractRecord as AbstractRecord
from latflow.results.base import Real as Real
from latflow.results.base import Reals as Reals
from latflow.results.base import Table as Table
from latflow.results.costs import ErrorCost as ErrorCost
from latflow.results.costs import SamplerCost as SamplerCost
from latflow.stats.estimates import UNRESOLVED, Estimate, State
from latflow.stats.evidence import Verdict, no_verdict
from latflow.words import plain_words

SCHEMA = 2
"""Version that this module describes."""


class Theory(AbstractRecord):
    """What was sampled."""

    lattice: tuple[int, ...] = Field(description="sites along each direction, time last; periodic")
    action: Table = Field(description="table [action] of the study: kind, normalisation, parameters")
    formula: str = Field(default="", description="S in words; `_{…}` is set low, `^{…}` high; empty if not known")
    space: str = Field(default="", description="group or space of the field variables, in words")


class Normalisation(AbstractRecord):
    """The field that all values are of: that of the study's action, which may be a multiple of the house field."""

    name: str = Field(description="of the normalisation: house, half, factorial, hopping; empty for links")
    rescaling: float = Field(
        gt=0, description="that field over the house field, in which configurations and their columns are stored"
    )
    measure: str = Field(default="", description="what log Z and free energies are integrals over, in words")
    sites: int = Field(description="V: log Z is V ln(rescaling) more than with the measure of the house field")

    @property
    def log_z_shift(self) -> float:
        """Log Z of the field of the study minus that of the house field."""
        return self.sites * math.log(self.rescaling)

    @property
    def words(self) -> str:
        """The field in words; empty where it has no normalisation."""
        if not self.name:
            return ""
        multiple = "" if self.rescaling == 1 else f", {self.rescaling:.6g} × the house field"
        return f"φ in the {self.name} normalisation{multiple}"


class Axis(AbstractRecord):
    """What the entries of an array are numbered by: values or labels, one for each."""

    name: str = Field(description="what it is, as a heading")
    values: tuple[int | float, ...] | None = Field(default=None, description="numbers; null where there are labels")
    labels: tuple[str, ...] | None = Field(default=None, description="words; null where there are values")

    @model_validator(mode="after")
    def _one_of_both(self) -> "Axis":
        if (self.values is None) == (self.labels is None):
            raise ValueError(f"axis {self.name}: either values or labels")
        return self

    @property
    def texts(self) -> tuple[str, ...]:
        """Every entry as it is printed."""
        return self.labels or tuple(f"{value:g}".replace("-", "−") for value in self.values or ())


class Observable(AbstractRecord):
    """How an observable is written."""

    title: str = Field(description="words")
    symbol: str = Field(description="short symbol; `_{…}` is set low, `^{…}` high")
    math: str = Field(description="the symbol in TeX")
    definition: str = Field(default="", description="what is measured, in the notation of docs/conventions.md")
    axis: Axis | None = Field(default=None, description="of an array, what its entries are numbered by; else null")
    place: int = Field(default=0, description="place in tables, from 0")
    power: int = Field(
        default=0, description="power of the field that values are proportional to; 0 if the same in all normalisations"
    )


class EstimateRecord(AbstractRecord):
    """One observable from one sampler; value, error, tau_int and tau_int_error are scalars, or lists of one length."""

    observable: str = Field(description="name of the observable, a key of `observables`")
    sampler: str = Field(description="flow, reweighted and reverse, or the name of a chain sampler")
    value: Reals = Field(description="the estimate")
    error: Reals = Field(default=None, description="one standard deviation")
    tau_int: Reals = Field(
        default=None, description="integrated autocorrelation time in records; null for weighted draws"
    )
    tau_int_error: Reals = Field(default=None, description="its standard deviation")
    n: int | None = Field(default=None, description="records of all chains, or draws")
    state: State | None = Field(
        default=None,
        description="whether value and error are to be believed; `error underestimated`: the error is a lower bound, "
        "`not resolved`: there is no value; null where it was not judged: chains, and older files",
    )
    slow_mode: str | None = Field(
        default=None,
        description="slow quantity of the chain whose tail is in error and tau_int, of an array in those of any entry; "
        "null where there is none",
    )
    variance_ratio: Reals = Field(
        default=None,
        description="variance of the plain weighted average of as many independent draws over that of this one: what "
        "quasi-random points and variates gain; null where there are none",
    )
    plain_value: Reals = Field(
        default=None, description="the same average without variates; null where the value has none"
    )
    plain_error: Reals = Field(default=None, description="its standard deviation")
    reference: Reals = Field(default=None, description="known value to compare with")
    reference_error: Real = Field(default=None, description="its error, 0 if exact")
    reference_source: str | None = Field(default=None, description="where it comes from")

    @model_validator(mode="after")
    def _of_one_length(self) -> "EstimateRecord":
        lengths = {_length(found) for found in (self.value, self.error, self.tau_int, self.tau_int_error)}
        if len(lengths) > 1 and self.is_array:
            raise ValueError(f"{self.observable} of {self.sampler}: fields of different lengths")
        return self

    @property
    def is_array(self) -> bool:
        """Whether it has an axis."""
        return isinstance(self.value, tuple)

    @property
    def number(self) -> Estimate | None:
        """A scalar with its error, 0 where that is absent, and its state; None for arrays and absent values."""
        found = None if self.state == UNRESOLVED else _estimate(self.value, self.error)
        return None if found is None else replace(found, state=self.state)

    @property
    def known(self) -> Estimate | None:
        """The known value of a scalar with its error; None without one."""
        return _estimate(self.reference, self.reference_error)


class StartFigures(AbstractRecord):
    """The model that a training started from, and its quality before the first step."""

    model: str = Field(description="run, model directory or zoo:NAME")
    draws: int | None = Field(default=None, description="draws behind the figures")
    acceptance: Real = Field(default=None, description="expected acceptance")
    reweighting_ess: Real = Field(default=None, description="reweighting ESS per draw")
    kl: Real = Field(default=None, description="KL(q‖p) in nats")


class ReliabilityRecord(AbstractRecord):
    """Whether averages of the flow's draws are to be believed, and why (`latflow.stats.reliability`)."""

    state: State = Field(description="of all averages of these draws, weighted or along the accept/reject chain")
    reasons: tuple[str, ...] = Field(default=(), description="sentences; empty if reliable")
    n: int = Field(description="draws")
    effective: Real = Field(default=None, description="N·ESS = (Σw)² / Σw²")
    behind_error: Real = Field(default=None, description="(Σw²)² / Σw⁴: effective draws that errors rest on")
    tail: Real = Field(default=None, description="Pareto k̂; null without a tail, or where its shape cannot be known")
    tail_limit: Real = Field(default=None, description="largest k̂ allowed for so many draws")
    largest_share: Real = Field(default=None, description="of one draw in Σw")
    largest_after: Real = Field(default=None, description="part of the draws after which the largest weight came")
    maxima: int | None = Field(default=None, description="how often a weight was larger than all before it")
    longest_run: int | None = Field(default=None, description="most rejections in a row")
    drift: Real = Field(default=None, description="largest difference of both halves of the draws, in its errors")
    drift_of: str = Field(default="", description="what differs most between the halves")
    gap: Real = Field(default=None, description="reverse − forward log Z in its errors; null where it is not known")
    lost_weight: Real = Field(default=None, description="1 − exp(−gap): weight that the draws do not account for")
    beyond: Real = Field(
        default=None, description="part of the target draws with larger weights than any draw of the flow"
    )
    unseen: Real = Field(
        default=None, description="the same of the draws and their images; null without a symmetry, or if not looked at"
    )


class FlowFigures(AbstractRecord):
    """Figures of merit of the flow's draws, and how it was trained."""

    acceptance: Real = Field(default=None, description="of the independence Metropolis")
    expected_acceptance: Real = Field(default=None, description="the same, expected from the weights")
    reweighting_ess: Real = Field(default=None, description="(Σw)² / (N Σw²)")
    pareto_k: Real = Field(default=None, description="tail shape k̂ of the weights")
    log_weight_std: Real = Field(default=None, description="standard deviation of log w")
    reliability: ReliabilityRecord | None = Field(
        default=None, description="whether averages of the draws are to be believed; null in older files"
    )
    n: int | None = Field(default=None, description="draws")
    log_z: Real = Field(default=None, description="ln⟨w⟩")
    log_z_error: Real = Field(default=None, description="its error")
    kl: Real = Field(default=None, description="KL(q‖p) in nats, with this log Z")
    kl_error: Real = Field(default=None, description="its error")
    training_seconds: Real = Field(default=None, description="wall clock of the training")
    training_steps: int | None = Field(default=None, description="its steps")
    stopped_by: str | None = Field(default=None, description="what ended it")
    limits_changed_at: tuple[int, ...] | None = Field(
        default=None, description="steps at which its limits were changed and it went on; null if never"
    )
    coupling_range: tuple[float, ...] | None = Field(default=None, description="range of a conditional flow, both ends")
    inside_coupling_range: bool | None = Field(default=None, description="whether the study lies in it")
    start: StartFigures | None = Field(default=None, description="the model that the training started from")


class ChainAgreement(AbstractRecord):
    """Whether chains from different starts agree."""

    chains: int = Field(description="how many")
    records: int = Field(description="of each")
    r_hat: dict[str, Real] = Field(description="split R̂ by column; null where it is infinite")
    limit: float = Field(description="largest R̂ of chains that agree")
    least_records: int | None = Field(default=None, description="below that chains are too short to say so")
    agree: bool | None = Field(default=None, description="null where chains are too short to say so, or nothing tells")
    still: tuple[str, ...] = Field(default=(), description="columns of sectors that never moved in any chain")
    defect: Real = Field(default=None, description="largest distance of a link from its group; null if it cannot leave")


class GradientFlowRecord(AbstractRecord):
    """The gradient flow that was measured."""

    kind: str = Field(description="wilson or symanzik")
    spacing: float = Field(description="flow time between records")
    records: int = Field(description="records after that of time zero")
    tolerance: float = Field(description="largest error of an adaptive step")
    times: tuple[float, ...] = Field(description="flow times from 0 on, lattice units")


class Provenance(AbstractRecord):
    """Where the numbers come from."""

    inputs: dict[str, str | None] = Field(
        description="SHA-256 of the study, the model and every ensemble; null if absent"
    )
    seed: int = Field(description="root of all random numbers")
    versions: dict[str, str] = Field(description="of what can change a bit")
    device: str = Field(description="what computed the analysis")
    precision: str = Field(description="of energies and densities")
    threads: int | None = Field(default=None, description="of the compiler's pool; null in older files")
    settings: dict[str, str] = Field(default={}, description="variables of the environment that may change a number")
    generator: str | None = Field(default=None, description="of random numbers, with a probe of its bits")


class Results(AbstractRecord):
    """The content of ``results.json``."""

    schema_number: Literal[2] = Field(default=SCHEMA, alias="schema", description="version of this format")
    study: str = Field(description="name of the study")
    date: str | None = Field(
        default=None,
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$",
        description="when it was analysed, UTC; null in files of version 1",
    )
    theory: Theory | None = Field(
        default=None, description="what was sampled; null if a file of version 1 has no study"
    )
    normalisation: Normalisation | None = Field(
        default=None,
        description="the field that values and log Z are of; null without a theory, and in older files, whose values "
        "are those of the house field",
    )
    observables: dict[str, Observable] = Field(default={}, description="by name: how they are written")
    estimates: tuple[EstimateRecord, ...] = Field(default=(), description="every observable of every sampler")
    flow: FlowFigures | None = Field(default=None, description="figures of the flow; null without one")
    reliability: dict[str, ReliabilityRecord] = Field(
        default={}, description="by sampler of quasi-random draws: whether their averages are to be believed"
    )
    chains: dict[str, ChainAgreement] = Field(default={}, description="by chain sampler")
    samplers: dict[str, Table] = Field(default={}, description="by chain sampler: its settings, as warm-up left them")
    gradient_flow: GradientFlowRecord | None = Field(default=None, description="null if none was measured")
    cost: dict[str, SamplerCost] = Field(default={}, description="by sampler")
    error_costs: tuple[ErrorCost, ...] = Field(
        default=(), description="what the errors of scalar averages cost; empty in older files"
    )
    verdict: Verdict = Field(default=no_verdict(), description="what may be said of the flow, and the evidence for it")
    provenance: Provenance | None = Field(default=None, description="null only where nothing was analysed")

    @model_validator(mode="after")
    def _of_described_observables(self) -> "Results":
        for row in self.estimates:
            if row.observable not in self.observables:
                raise ValueError(f"{row.observable} is not among the observables")
            axis = self.observables[row.observable].axis
            if row.is_array and (axis is None or len(axis.texts) != _length(row.value)):
                raise ValueError(f"{row.observable} of {row.sampler}: an array without an axis of its length")
        return self

    def estimate(self, observable: str, sampler: str) -> EstimateRecord | None:
        """The estimate of one observable by one sampler."""
        return next((row for row in self.of(observable) if row.sampler == sampler), None)

    def of(self, observable: str) -> tuple[EstimateRecord, ...]:
        """All estimates of one observable."""
        return tuple(row for row in self.estimates if row.observable == observable)

    def words(self, observable: str) -> Observable:
        """How an observable is written; its own name, spaced, where the results do not say."""
        if observable in self.observables:
            return self.observables[observable]
        words = plain_words(observable)
        return Observable(title=words.title, symbol=words.symbol, math=words.math)

    def in_order(self, observables: Iterable[str]) -> list[str]:
        """Names in the order of tables, unknown ones after the others."""
        last = len(self.observables)
        places = {name: found.place for name, found in self.observables.items()}
        return sorted(observables, key=lambda name: (places.get(name, last), name))

    def plain(self) -> dict[str, Any]:
        """The results as plain data, as they stand in the file."""
        return self.model_dump(mode="json", by_alias=True)


def _length(value: Reals) -> int | None:
    return len(value) if isinstance(value, tuple) else None


def _estimate(value: Reals, error: Reals) -> Estimate | None:
    if value is None or isinstance(value, tuple):
        return None
    return Estimate(value, 0.0 if error is None or isinstance(error, tuple) else error)
