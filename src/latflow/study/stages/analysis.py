"""The analyse verb: from measurement columns to estimates with errors, pulls and costs in ``results.json``.

Chains are analysed with the Γ method, the flow's draws a second time as weighted independent draws. Estimates stand
beside exact, independent or published values where such are known.
"""

import contextlib
import dataclasses
import datetime
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from latflow.errors import MissingInputError
from latflow.plugins import installed
from latflow.results import (
    ChainAgreement,
    EstimateRecord,
    GradientFlowRecord,
    Observable,
    Provenance,
    Results,
    SamplerCost,
    Theory,
    Vocabulary,
    described,
    error_costs,
    write,
)
from latflow.stats.estimates import Estimate, TooShortError, slowest
from latflow.stats.evidence import R_HAT_LIMIT, R_HAT_RECORDS, Verdict, agreement
from latflow.stats.quantities import all_estimates
from latflow.stats.reliability import Reliability, all_bounded, judge_draws, with_images
from latflow.stats.replicas import Replicas
from latflow.stats.runs import r_hat
from latflow.stats.scrambling_reliability import judge_scramblings
from latflow.stats.scramblings import Scrambled
from latflow.store.atomic import sha256_file
from latflow.store.ensemble import Ensemble
from latflow.store.records import ChecksumError, FormatError
from latflow.study.config import StudyConfig
from latflow.study.config.methods import BASELINE, CHAINS, FLOW, GIVEN, METHODS, REVERSE
from latflow.study.config.stages import SAMPLERS
from latflow.study.context import RunContext
from latflow.study.stages import evidence
from latflow.study.stages.averages import accepted_averages, in_order, partition, quasi_weights, weighted_averages
from latflow.study.stages.cost import costs
from latflow.study.stages.figures_of_merit import flow_figures, reliability_record, weights_of
from latflow.study.stages.files import by_replicas, of_equal_length
from latflow.study.stages.images import unseen_by_flow
from latflow.study.stages.measuring import is_as_asked, require_of_study
from latflow.study.stages.provenance import origin
from latflow.study.stages.reducing import reduced_inputs, with_reduction
from latflow.study.stages.rows import rows_of
from latflow.study.stages.seconds import with_all_seconds
from latflow.study.stages.settings import sampler_settings
from latflow.study.stages.smaller_errors import Smaller, WeightedColumns, smaller_errors
from latflow.study.theories import in_study_field, is_wanted, known_values, normalisation, study_physics
from latflow.study.wording import read_results, theory_of
from latflow.theories.catalogue import words_of

_DECIMALS = 9
"""Decimals to which columns are rounded before R̂ is taken."""


def analyse(context: RunContext) -> Results:
    """Analyse every measured sampler of a run and write ``results.json``; skipped when no input changed.

    The file carries its own checksum; one that does not match is written anew.

    Returns:
        The content of ``results.json``.

    Raises:
        SchemaError: If the results that are there were written by a newer latflow.
    """
    inputs, path = inputs_of(context), context.path("results.json")
    if path.exists():
        with contextlib.suppress(FormatError, ChecksumError):
            results = read_results(path)
            if results.provenance is not None and results.provenance.inputs == inputs:
                context.progress.line("analyse  up to date")
                return results
            if results.provenance is not None and _only_the_program(results.provenance.inputs, inputs):
                context.progress.line("analyse  estimates have changed since these results were made: made anew")
    samplers = _measured(context)
    context.progress.stage("analyse", ", ".join(samplers))
    with context.timed(stage="analyse"):
        results = _results(context, samplers, inputs)
        write(results, path)
    return results


def inputs_of(context: RunContext, *, writable: bool = True) -> dict[str, Any]:
    """Hashes of everything that the results of a run are computed from, as it is now.

    Args:
        context: The run.
        writable: False for a reader that must not put right what a killed writer left.

    Raises:
        LatflowError: If an ensemble or its measurements are damaged.
    """
    files = file_inputs(context.directory, _measured(context), writable=writable)
    return {"config": context.config.digest(), PROGRAM: program_digest(context.config), **files}


def file_inputs(directory: Path, samplers: Sequence[str], *, writable: bool) -> dict[str, str | None]:
    """The part of `inputs_of` that needs no study: hashes of the model and its log, the evidence and the ensembles.

    Args:
        directory: The run directory.
        samplers: Whose ensembles and measurements.
        writable: As for `inputs_of`.
    """
    files = {
        "model": directory / "model" / "model.json",
        "training": directory / "model" / "train.jsonl",
        "evidence": directory / evidence.FILE,
    }
    digests = {name: sha256_file(path) if path.exists() else None for name, path in files.items()}
    ledgers = {
        f"{kind}/{name}": Ensemble.open(directory / kind / name, writable=writable).digest
        for kind in ("ensembles", "measurements")
        for name in samplers
    }
    return {**digests, **ledgers, **reduced_inputs(directory)}


def _only_the_program(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether nothing but the program has changed since results were made."""
    return {**old, PROGRAM: None} == {**new, PROGRAM: None}


PROGRAM = "estimators"
"""Name of the input that is no file: the revisions of the analysis and of all estimates."""

REVISION = 7
"""Revision of the analysis, beside those of the estimators: raised whenever the same columns give other results."""


def program_digest(config: StudyConfig) -> str:
    """SHA-256 of all that makes results from columns: revisions, references, words, versions of other packages."""
    physics = study_physics(config)
    revisions = {name: r for each in physics.all_estimators for name, r in each.revisions().items()}
    known = {name: (f"{k.value:.9g}", f"{k.error:.9g}", k.source) for name, k in known_values(config).items()}
    beside = repr((known, physics.words(), physics.compared, physics.starts, installed()))
    text = json.dumps({"analysis": REVISION, "estimates": revisions, "beside": beside}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _measured(context: RunContext) -> list[str]:
    return [name for name in SAMPLERS if context.path("measurements", name).exists()]


_Found: TypeAlias = dict[str, dict[str, list[Estimate]]]
"""Estimates by sampler and observable."""


@dataclasses.dataclass(frozen=True)
class _Analysed:
    """What the columns of all samplers give, before target draws and draws of the flow are held together.

    Attributes:
        found: Estimates, of weighted draws without variates.
        judged: Averages of draws, by sampler.
        weighted: Columns and weights of draws, by the name that their weighted averages have.
        chains: Whether they agree.
        settings: Of samplers.
    """

    found: _Found = dataclasses.field(default_factory=dict)
    judged: dict[str, Reliability] = dataclasses.field(default_factory=dict)
    weighted: dict[str, WeightedColumns] = dataclasses.field(default_factory=dict)
    chains: dict[str, ChainAgreement] = dataclasses.field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

    @property
    def quasi(self) -> dict[str, Scrambled]:
        """Log-weights of quasi-random draws."""
        weights = {name: each.weights for name, each in self.weighted.items()}
        return {name: each for name, each in weights.items() if isinstance(each, Scrambled)}


def _results(context: RunContext, samplers: list[str], inputs: dict[str, Any]) -> Results:
    made, known = _Analysed(), known_values(context.config)
    for number, sampler in enumerate(samplers):
        _analyse_one(context, sampler, made)
        context.progress.update("analyse", number + 1, len(samplers), {})
    found, judged, verdict = _weighed(context, made.found, made.judged, made.quasi)
    smaller = smaller_errors(context, made.weighted, found, judged)
    found |= {
        name: all_bounded(each.shown, judged[made.weighted[name].sampler])
        for name, each in smaller.items()
        if each is not None
    }
    rows = (row for sampler, values in found.items() for row in rows_of(sampler, values, known, smaller.get(sampler)))
    estimates = tuple(row for row in rows if is_wanted(context.config, row.observable))
    plain, estimates = estimates, with_reduction(context, estimates)
    gradient_flow = _gradient_flow(context.config)
    results = Results(
        study=context.config.name,
        date=_now(),
        theory=_theory(context.config),
        normalisation=normalisation(context.config),
        observables=_described(context.config, estimates, gradient_flow),
        estimates=estimates,
        flow=flow_figures(context, judged[FLOW]) if FLOW in judged else None,
        reliability={name: reliability_record(judged[name]) for name in made.quasi},
        chains=made.chains,
        samplers=made.settings,
        gradient_flow=gradient_flow,
        cost=_costs(context, made, plain, estimates, smaller),
        verdict=verdict,
        provenance=_provenance(context.config, inputs),
    )
    return results.model_copy(update={"error_costs": error_costs(results, baseline=BASELINE)})


def _analyse_one(context: RunContext, sampler: str, made: _Analysed) -> None:
    """Add what the columns of one sampler give."""
    columns, method = _columns(context, sampler), METHODS[sampler]
    if method.name != FLOW:
        made.settings[sampler] = sampler_settings(context, sampler)
    if method.stage == "draws":
        weights = weights_of(context, sampler)
        with _naming(sampler):
            made.found[sampler] = accepted_averages(context, columns, weights["index"])
            made.found[method.reweighted] = weighted_averages(context, sampler, columns, weights["log_weight"])
        made.weighted[method.reweighted] = WeightedColumns(sampler, columns, weights["log_weight"])
        made.judged[sampler] = judge_draws(weights["log_weight"], weights["accepted"], columns=columns)
    elif method.stage == "scramblings":
        columns, weights = in_order(context, sampler, columns), quasi_weights(context, sampler)
        made.found[sampler] = weighted_averages(context, sampler, columns, weights)
        made.weighted[sampler] = WeightedColumns(sampler, columns, weights)
    else:
        columns, replicas = by_replicas(context, sampler, columns)
        with _naming(sampler):
            made.found[sampler] = _chain(context, columns, replicas)
        tau, defect = slowest(made.found[sampler]), _defect(context, sampler)
        made.chains[sampler] = _agreement(context, columns, tau, defect=defect, replicas=replicas)


def _weighed(
    context: RunContext, found: _Found, judged: dict[str, Reliability], quasi: Mapping[str, Scrambled]
) -> tuple[_Found, dict[str, Reliability], Verdict]:
    """Estimates with their states, the judgements of all draws with what target draws add, and the verdict."""
    weighed = evidence.weigh(context, found, judged.get(FLOW))
    reverse = {} if weighed.reverse is None else {REVERSE: partition(context, weighed.reverse)}
    judged = judged if weighed.reliability is None else {**judged, FLOW: weighed.reliability}
    if FLOW in judged and judged[FLOW].beyond is None:
        judged = {**judged, FLOW: with_images(judged[FLOW], unseen_by_flow(context))}
    judged = {**judged, **{name: judge_scramblings(w, of_flow=judged.get(FLOW)) for name, w in quasi.items()}}
    states = {
        name: all_bounded(found[name], reliability)
        for sampler, reliability in judged.items()
        for name in (sampler, METHODS[sampler].reweighted)
        if name in found
    }
    return {**found, **reverse, **states}, judged, weighed.verdict


def _costs(
    context: RunContext,
    made: _Analysed,
    plain: Sequence[EstimateRecord],
    corrected: Sequence[EstimateRecord],
    smaller: Mapping[str, Smaller | None],
) -> dict[str, SamplerCost]:
    """Seconds of every sampler: of sampling by the plain rows, of corrections by what they gave."""
    return with_all_seconds(
        context,
        costs(context.metrics(), plain),
        variates={made.weighted[name].sampler: each.seconds for name, each in smaller.items() if each is not None},
        reduced={row.sampler for row, before in zip(corrected, plain, strict=True) if row is not before},
        scramblings={name: each.scramblings for name, each in made.quasi.items()},
    )


def _provenance(config: StudyConfig, inputs: dict[str, Any]) -> Provenance:
    """Where the results come from; packages that add theories, samplers, flows or observables are named too."""
    found = origin()
    return Provenance(inputs=inputs, seed=config.seed, **{**found, "versions": {**found["versions"], **installed()}})


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _theory(config: StudyConfig) -> Theory:
    return theory_of(tuple(config.lattice.shape), config.action.model_dump(mode="json"))


def _described(
    config: StudyConfig, estimates: Sequence[EstimateRecord], flow: GradientFlowRecord | None
) -> dict[str, Observable]:
    """How the observables are written, with the axes of arrays."""
    lengths = {row.observable: len(row.value) if isinstance(row.value, tuple) else None for row in estimates}
    words = Vocabulary({**words_of(config.action.kind), **study_physics(config).words()})
    times = () if flow is None else flow.times
    return described(lengths, words, shape=tuple(config.lattice.shape), flow_times=times)


def _columns(context: RunContext, sampler: str) -> dict[str, np.ndarray]:
    path = context.path("measurements", sampler)
    require_of_study(context, sampler)
    measurement = Ensemble.open(path)
    if not is_as_asked(measurement, context.config):
        hint = "run `latflow measure` first, without --samplers"
        raise MissingInputError(str(path), value="measured with other settings than the study's", hint=hint)
    return {name: measurement.column(name) for name in measurement.manifest["identity"]["observables"]}


@contextlib.contextmanager
def _naming(sampler: str) -> Iterator[None]:
    """Name the sampler with too few records: a study is checked for this, but a directory may hold old ensembles."""
    try:
        yield
    except TooShortError as error:
        hint = f"raise sampling.configurations{f' or lower {sampler}.chains' if sampler in CHAINS else ''}"
        hint = "more configurations of a replica are needed for an error" if sampler in GIVEN else hint
        what = f"{sampler}: {error.what}"
        raise TooShortError(what, value=error.value, allowed=f"{error.allowed} of a chain", hint=hint) from None


def _chain(
    context: RunContext, columns: Mapping[str, np.ndarray], replicas: Replicas | None = None
) -> dict[str, list[Estimate]]:
    """Γ-method estimates of columns (records, chains, ...) with tails of slow modes, for the field of the study."""
    series, known = _by_chain(columns), study_physics(context.config)
    found = all_estimates(known.all_estimators, series, known.along(series, replicas))
    return in_study_field(context.config, found)


def _by_chain(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.swapaxes(column, 0, 1) for name, column in columns.items()}


def _agreement(
    context: RunContext,
    columns: Mapping[str, np.ndarray],
    tau: float,
    *,
    defect: float | None,
    replicas: Replicas | None = None,
) -> ChainAgreement:
    """How many chains there were, and split R̂ of the columns in which all must agree.

    Replicas of different lengths are compared up to the length of the shortest that is long enough to tell.
    """
    known = study_physics(context.config)
    columns = columns if replicas is None else of_equal_length(columns, replicas)
    scalars = {**columns, **known.further(columns)}
    # without its rounding a charge that is frozen does not vary at all
    rounded = {name: np.round(scalars[name], _DECIMALS) for name in known.starts if name in scalars}
    found: dict[str, float | None] = {name: r_hat(column.T) for name, column in rounded.items() if np.ptp(column) > 0}
    records, chains = next(iter(columns.values())).shape[:2]
    largest = max((math.inf if value is None else value for value in found.values()), default=math.nan)
    return ChainAgreement(
        chains=chains,
        records=records,
        r_hat=found,
        limit=R_HAT_LIMIT,
        least_records=R_HAT_RECORDS,
        agree=agreement(largest, records=records, tau=tau),
        still=tuple(name for name, column in rounded.items() if name in known.sectors.columns and np.ptp(column) == 0),
        defect=defect,
    )


def _gradient_flow(config: StudyConfig) -> GradientFlowRecord | None:
    """Settings of the gradient flow that was measured, and its times; None without one."""
    settings = config.gradient_flow
    if settings.kind == "none":
        return None
    times = tuple(settings.spacing * i for i in range(settings.records + 1))
    return GradientFlowRecord(**settings.model_dump(mode="json"), times=times)


def _defect(context: RunContext, sampler: str) -> float | None:
    """Largest distance of a link from its group at the end of a block; None where links cannot leave it."""
    ensemble = Ensemble.open(context.path("ensembles", sampler))
    found = [ensemble.read(block, ()).attributes.get("defect") for block in range(ensemble.n_blocks)]
    return max((defect for defect in found if defect is not None), default=None)
