"""The field that values are of and the measure of log Z, in words."""

from collections.abc import Iterable

from latflow.archive.directory import Run
from latflow.report.markdown import plain_symbol
from latflow.results import Normalisation, Results


def measured_by(found: Normalisation | None) -> str:
    """The measure of log Z, with the field it is made of; empty where it is not known."""
    if found is None or not found.measure:
        return ""
    field = f" of {found.words}" if found.words else ""
    return f"measure {plain_symbol(found.measure)}{field}"


def field_lines(results: Results) -> list[str]:
    """One line that says which field values are of, and with which measure log Z is given where it is."""
    found = results.normalisation
    if found is None:
        return []
    measure = f"log Z: measure {plain_symbol(found.measure)}" if results.of("log_z") and found.measure else ""
    told = [text for text in (found.words, measure) if text]
    return [f"field: {'; '.join(told)}"] if found.words else told


def field_of(runs: Iterable[Run]) -> str:
    """The fields that values of several runs are of; empty where they have no normalisation."""
    found = (run.normalisation for run in runs)
    return "; ".join(dict.fromkeys(each.words for each in found if each is not None and each.words))
