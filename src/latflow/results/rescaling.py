"""From results of the house field, as older files hold them, to those of the field of the study."""

from collections.abc import Mapping
from dataclasses import replace

from latflow.results.error_costs import error_costs
from latflow.results.records import EstimateRecord, FlowFigures, Normalisation, Reals, Results
from latflow.stats.evidence import DIFFERENCE, Check, Verdict

_LOG_Z, _PER_SITE = "log_z", "free_energy_density"


def rescaled(results: Results, normalisation: Normalisation, powers: Mapping[str, int]) -> Results:
    """Values of the house field as those of the field of the study, which the results then name.

    Args:
        results: Their values are those of the house field.
        normalisation: That of the study.
        powers: Power of the field by observable; one that is not there does not depend on it.
    """
    observables = {name: o.model_copy(update={"power": powers.get(name, 0)}) for name, o in results.observables.items()}
    found = results.model_copy(update={"normalisation": normalisation, "observables": observables})
    if normalisation.rescaling == 1:
        return found
    factors = {name: normalisation.rescaling**power for name, power in powers.items()}
    shifts = {_LOG_Z: normalisation.log_z_shift, _PER_SITE: -normalisation.log_z_shift / normalisation.sites}
    found = found.model_copy(
        update={
            "estimates": tuple(_row(row, factors, shifts) for row in results.estimates),
            "flow": None if results.flow is None else _flow(results.flow, normalisation),
            "verdict": _verdict(results.verdict, factors, normalisation),
        }
    )
    return found.model_copy(update={"error_costs": error_costs(found)}) if found.error_costs else found


def _row(row: EstimateRecord, factors: Mapping[str, float], shifts: Mapping[str, float]) -> EstimateRecord:
    factor, shift = factors.get(row.observable, 1.0), shifts.get(row.observable, 0.0)
    return row.model_copy(
        update={
            "value": _times(row.value, factor, shift),
            "error": _times(row.error, factor),
            "plain_value": _times(row.plain_value, factor, shift),
            "plain_error": _times(row.plain_error, factor),
            "reference": _times(row.reference, factor, shift),
            "reference_error": _times(row.reference_error, factor),
        }
    )


def _times(value: Reals, factor: float, shift: float = 0.0) -> Reals:
    if isinstance(value, tuple):
        return tuple(None if entry is None else factor * entry + shift for entry in value)
    return None if value is None else factor * value + shift


def _flow(figures: FlowFigures, normalisation: Normalisation) -> FlowFigures:
    return figures.model_copy(update={"log_z": _times(figures.log_z, 1.0, normalisation.log_z_shift)})


def _verdict(verdict: Verdict, factors: Mapping[str, float], normalisation: Normalisation) -> Verdict:
    """Checks of log Z and differences of observables; sentences stay as they were written."""
    return replace(verdict, evidence=tuple(_check(check, factors, normalisation) for check in verdict.evidence))


def _check(check: Check, factors: Mapping[str, float], normalisation: Normalisation) -> Check:
    if check.value is None:
        return check
    if check.name in ("log Z, forward", "log Z, reverse"):
        return replace(check, value=check.value + normalisation.log_z_shift)
    factor = factors.get(check.name.removesuffix(DIFFERENCE).replace(" ", "_"), 1.0)
    return replace(check, value=factor * check.value, error=None if check.error is None else factor * check.error)
