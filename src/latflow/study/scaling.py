"""The scaling verb: every run of a scaling study, and the laws that its results follow.

Runs are ordinary run directories in one folder and driven by the ordinary stages, so what is done is not done again.
What they found is collected into ``scaling.json``: autocorrelation times and their powers of L, differences between
samplers, costs.
"""

import functools
import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from latflow.errors import ConfigError, Interrupted
from latflow.results import ErrorCost, FlowFigures, Results, SamplerCost, error_costs
from latflow.results.error_costs import sampled_as
from latflow.results.records import Reals
from latflow.results.scaling import (
    OvertakingRecord,
    PowerLawRecord,
    PullRecord,
    ScalarRecord,
    ScalingEntry,
    ScalingResults,
    TrainingRecord,
    TrajectoryRecord,
)
from latflow.stats.estimates import FEWEST_INDEPENDENT, RELIABLE, UNRESOLVED, Estimate, pull
from latflow.stats.power_law import fit_power_law
from latflow.store.atomic import make_directory, write_bytes, write_json
from latflow.store.lock import RunLock
from latflow.study.config import StudyConfig, load_study
from latflow.study.config.methods import BASELINE, HMC
from latflow.study.config.scaling import ScalingConfig, load_scaling
from latflow.study.context import Progress
from latflow.study.run import STAGES, released, run_stages
from latflow.study.stages.claims import differing_keys
from latflow.study.trajectory import tuned
from latflow.study.wording import read_results

OBSERVABLES = ("susceptibility", "ising_energy", "two_point_0", "pole_mass", "phi_squared")
"""What autocorrelation times and samplers are compared in; `two_point_0` is G_c(0)."""

HELD = 0.06
"""A flow counts as held at its acceptance if it is no further from it; others are shown, not fitted. A training stops
at the first evaluation above, so a flow that learns in leaps may end far above."""


class Done(NamedTuple):
    """A finished run: its study, with the trajectory that was found for it, and its results."""

    study: StudyConfig
    results: Results


def run_scaling(
    config: ScalingConfig,
    directory: Path,
    *,
    progress: Progress,
    write_report: Callable[[Path], Path] | None = None,
    overdue: Callable[[Interrupted], object] | None = None,
) -> ScalingResults:
    """Do all runs and collect them.

    Args:
        config: The scaling study.
        directory: Where the run directories lie; created if need be.
        progress: Display.
        write_report: What is called with every finished run directory.
        overdue: As for `latflow.study.run.run_order`.

    Returns:
        The content of ``scaling.json``.

    Raises:
        ConfigError: If the directory belongs to another scaling study.
        CannotCreateError: If another process works in it.
        Interrupted: After a signal; everything done so far is saved.
    """
    make_directory(directory)
    with RunLock(directory) as lock:
        _claim(config, directory)
        done: dict[str, Done] = {}
        for name, study in config.runs():
            run = functools.partial(run_stages, write_report=write_report, overdue=overdue and released(lock, overdue))
            done[name] = _run(study, directory / name, progress=progress, run=run)
            write_json(directory / "scaling.json", collect(config, done).plain())
        return collect(config, done)


def _claim(config: ScalingConfig, directory: Path) -> None:
    """Leave the study in its directory, or refuse one that holds another."""
    path = directory / "scaling.toml"
    differences = differing_keys(load_scaling(path), config) if path.exists() else []
    if differences:
        hint = "use --run-dir for another place"
        raise ConfigError([f"{directory}: belongs to another scaling study; {line}; {hint}" for line in differences])
    write_bytes(path, config.to_toml().encode())


def _run(study: StudyConfig, directory: Path, *, progress: Progress, run: Callable[..., Results | None]) -> Done:
    """One run, made or found."""
    stored, results = directory / "study.toml", directory / "results.json"
    # The trajectory was chosen when the run began; choosing it again could only contradict what is there.
    if stored.exists():
        study = study.model_copy(update={HMC: load_study(stored).hmc})
    elif HMC in study.sampling.samplers:
        progress.stage("trajectory", f"of HMC for {study.name}")
        study = tuned(study)
    if results.exists():
        found = read_results(results)
        if found.provenance is not None and found.provenance.inputs["config"] == study.digest():
            progress.line(f"scaling  {study.name}: up to date")
            return Done(study, found)
    analysed = run(study, directory, stages=STAGES, progress=progress)
    return Done(study, analysed or Results(study=study.name))


def collect(config: ScalingConfig, done: Mapping[str, Done]) -> ScalingResults:
    """Everything that is compared, from the runs done so far by name."""
    tightest = max(config.points.acceptances)
    entries = [entry for name, run in done.items() for entry in _entries(name, run, tightest)]
    return ScalingResults(
        study=config.name,
        extents=tuple(config.points.extents),
        theory=config.kind(),
        parameter=config.points.parameter,
        couplings=tuple(config.points.couplings),
        fewest_independent=FEWEST_INDEPENDENT,
        samplers=tuple(entries),
        fits=tuple(_fits(entries)),
        pulls=tuple(_pulls(entries)),
        overtaking=tuple(_overtaking(entries)),
        verdicts={name: run.results.verdict for name, run in done.items()},
        normalisation={name: n for name, run in done.items() if (n := run.results.normalisation) is not None},
    )


def _entries(name: str, run: Done, tightest: float) -> list[ScalingEntry]:
    """One entry per sampler of a run; HMC beside a looser flow than the tightest is evidence alone and left out."""
    samplers = run.study.sampling.samplers
    loose = run.study.training.stop.acceptance != tightest
    return [_entry(name, run.study, run.results, sampler) for sampler in (("flow",) if loose else samplers)]


def _entry(name: str, study: StudyConfig, results: Results, sampler: str) -> ScalingEntry:
    thin = 1 if sampler == "flow" else getattr(study, sampler).thin
    found = {o: pair for o in OBSERVABLES if (pair := _component(results, sampler, o)) is not None}
    values = {o: scalar for o, (scalar, n) in found.items() if _is_estimated(n, scalar.tau_int)}
    cost = results.cost.get(sampler, SamplerCost())
    judged = None if results.flow is None or sampler != "flow" else results.flow.reliability
    believed = sampler != "flow" or (judged is not None and judged.state == RELIABLE)
    paid = believed and _is_estimated(cost.configurations, cost.tau_int)
    absent = [o for o in OBSERVABLES if o not in values and (o in found or _is_unresolved(results, sampler, o))]
    return ScalingEntry(
        run=name,
        sampler=_name(study) if sampler == "flow" else sampler,
        extent=study.lattice.shape[0],
        estimates=values,
        tau_int={o: (thin * scalar.tau_int, thin * scalar.tau_int_error) for o, scalar in values.items()},
        not_estimated=tuple(absent),
        seconds_per_independent=cost.seconds_per_independent if paid else None,
        training=_training(study, results.flow or FlowFigures()) if sampler == "flow" else None,
        trajectory=_trajectory(study) if sampler == HMC else None,
        state=None if judged is None else judged.state,
        error_costs=tuple(_error_costs(results, sampler)),
    )


def _error_costs(results: Results, sampler: str) -> list[ErrorCost]:
    """Of the observables that are compared, of all averages that are made of the draws of a sampler."""
    found = error_costs(results, baseline=BASELINE)
    return [each for each in found if each.observable in OBSERVABLES and sampled_as(each.sampler) == sampler]


def _is_unresolved(results: Results, sampler: str, name: str) -> bool:
    row = results.estimate("two_point" if name == "two_point_0" else name, sampler)
    return row is not None and row.state == UNRESOLVED


def _name(study: StudyConfig) -> str:
    """What a flow is called: by the acceptance asked for, whether or not it was reached."""
    return f"flow {100 * (study.training.stop.acceptance or 0.0):g} %"


def _training(study: StudyConfig, flow: FlowFigures) -> TrainingRecord:
    wanted = study.training.stop.acceptance or 0.0
    return TrainingRecord(
        acceptance=flow.acceptance,
        wanted=wanted,
        reached=abs((flow.acceptance or 0.0) - wanted) <= HELD,
        seconds=flow.training_seconds,
        steps=flow.training_steps,
        stopped_by=flow.stopped_by,
    )


def _trajectory(study: StudyConfig) -> TrajectoryRecord:
    return TrajectoryRecord(n_steps=study.hmc.n_steps, length=study.hmc.trajectory_length)


def _component(results: Results, sampler: str, name: str) -> tuple[ScalarRecord, int] | None:
    """A scalar observable and its N; G_c(0) begins the two-point function. None where anything of it is absent."""
    row = results.estimate("two_point" if name == "two_point_0" else name, sampler)
    if row is None:
        return None
    value, error, tau, tau_error = map(_first, (row.value, row.error, row.tau_int, row.tau_int_error))
    if value is None or error is None or tau is None or tau_error is None or row.n is None:
        return None
    return ScalarRecord(value=value, error=error, tau_int=tau, tau_int_error=tau_error), row.n


def _first(value: Reals) -> float | None:
    return value[0] if isinstance(value, tuple) else value


def _is_estimated(n: int | None, tau_int: float | None) -> bool:
    """Whether `n` records hold enough independent ones, N/(2τ_int), for τ_int itself to be known."""
    return n is not None and tau_int is not None and n >= 2 * tau_int * FEWEST_INDEPENDENT


def _fits(entries: list[ScalingEntry]) -> list[PowerLawRecord]:
    """τ_int ∝ L^z for every sampler and observable of at least two sizes; of flows if held and reliable."""
    found = []
    for sampler, name in itertools.product(dict.fromkeys(e.sampler for e in entries), OBSERVABLES):
        kept = [e for e in entries if e.sampler == sampler and name in e.tau_int and e.is_held]
        points = np.array([(e.extent, *e.tau_int[name]) for e in kept], dtype=float).reshape(-1, 3)
        points = points[points[:, 2] > 0]
        if np.unique(points[:, 0]).size < 2:
            continue
        law = fit_power_law(*points.T)
        record = PowerLawRecord(
            sampler=sampler,
            observable=name,
            z=law.exponent,
            z_error=law.error,
            amplitude=law.amplitude,
            chi2=law.chi2,
            dof=law.dof,
            probability=law.probability,
        )
        found.append(record)
    return found


def _pulls(entries: list[ScalingEntry]) -> list[PullRecord]:
    """Differences of all pairs of samplers at the same size, in combined errors, where errors are to be believed."""
    found = []
    for a, b in itertools.combinations(entries, 2):
        if a.extent != b.extent:
            continue
        for name in a.estimates.keys() & b.estimates.keys():
            one, other = (Estimate(e.estimates[name].value, e.estimates[name].error, state=e.state) for e in (a, b))
            value = pull(one, other)
            if math.isfinite(value):
                pair = (a.sampler, b.sampler)
                found.append(PullRecord(extent=a.extent, samplers=pair, observable=name, pull=value))
    return sorted(found, key=lambda p: (p.extent, p.samplers, OBSERVABLES.index(p.observable)))


def _overtaking(entries: list[ScalingEntry]) -> list[OvertakingRecord]:
    """Independent configurations from which on a flow, its training counted, is cheaper than a classical sampler.

    Training over the difference of the costs of one; null where a configuration of the flow is not cheaper.
    """
    found = []
    for flow, other in itertools.product(entries, entries):
        if flow.training is None or other.training is not None or flow.extent != other.extent:
            continue
        own, theirs, trained = flow.seconds_per_independent, other.seconds_per_independent, flow.training.seconds
        if own is None or theirs is None or trained is None:
            continue
        size = trained / (theirs - own) if theirs > own else None
        pair = {"extent": flow.extent, "flow": flow.sampler, "sampler": other.sampler}
        found.append(OvertakingRecord(**pair, independent_configurations=size))
    return found
