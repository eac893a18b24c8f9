"""Many runs side by side: the table of their observables, the trend of their autocorrelation times."""

from pathlib import Path

from latflow.cli.output import emit, emit_json
from latflow.cli.stages import refuse_directory
from latflow.errors import MissingInputError, UsageError

DEFAULT = ("topological_charge_squared", "topological_charge")
"""Observables of a trend by default: the charge, which freezes towards the continuum limit, and its square."""

LAYOUTS = ("markdown", "csv", "json")
"""How a table can be written."""


def show_trend(runs: tuple[Path, ...], observables: tuple[str, ...], *, figure: Path | None, machine: bool) -> None:
    """Print the trend of finished runs and write its figure.

    Raises:
        UsageError: If fewer than two runs are named, or they do not differ in one number of the action, or for a
            figure of another ending than `FIGURES`.
        MissingInputError: If one of them is no analysed run.
        CannotCreateError: If the figure cannot be written where it is wanted.
    """
    if len(runs) < 2:
        raise UsageError("trend", value=f"{len(runs)} run(s)", allowed="two or more run directories")
    for path in runs:
        if not (path / "results.json").is_file():
            raise MissingInputError(str(path), value="no analysed run", hint="`latflow run` writes them")
    kind = _kind(figure)
    from latflow.report.trend import trend, trend_figure, trend_lines

    wanted = observables or _usual(runs)
    found = trend(runs, wanted)
    if machine:
        emit_json(found.plain())
    else:
        emit("\n".join(trend_lines(found)))
    if figure is not None:
        _write(figure, trend_figure(found, wanted[0], format=kind))


def _usual(runs: tuple[Path, ...]) -> tuple[str, ...]:
    """The charge and its square where they were measured; else what comes first among the estimates of chains."""
    from latflow.archive.directory import load

    results = load(runs[0]).results
    if all(name in results.observables for name in DEFAULT):
        return DEFAULT
    timed = [row.observable for row in results.estimates if row.tau_int is not None and not row.is_array]
    return tuple(dict.fromkeys(timed))[:2] or DEFAULT


def show_table(
    runs: tuple[Path, ...],
    *,
    observables: tuple[str, ...],
    samplers: tuple[str, ...],
    against: tuple[str, ...],
    layout: str,
    figure: Path | None,
) -> None:
    """Print the observables of finished runs and write a figure of the first.

    Raises:
        UsageError: If no run is named, an option names what no run has, or a figure has another ending than `FIGURES`.
        MissingInputError: If a path holds no analysed run.
        CannotCreateError: If the figure cannot be written where it is wanted.
    """
    if not runs:
        raise UsageError("table", value="no run", allowed="run directories, or folders of them")
    if layout not in LAYOUTS:
        raise UsageError("--format", value=repr(layout), allowed=" or ".join(LAYOUTS))
    kind = _kind(figure)
    from latflow.archive.collection import collect_runs
    from latflow.report import many_runs

    found = collect_runs(runs, observables=observables, samplers=samplers, against=against)
    if not found.rows:
        raise MissingInputError(str(runs[0]), value="no estimate of a scalar observable")
    if layout == "json":
        emit_json([row.plain() for row in found.rows])
    else:
        emit(found.csv() if layout == "csv" else many_runs.runs_markdown(found))
    if figure is not None:
        _write(figure, many_runs.runs_figure(found, found.observables[0], format=kind))


def show_comparison(
    runs: tuple[Path, ...],
    *,
    baseline: Path | None,
    observables: tuple[str, ...],
    samplers: tuple[str, ...],
    machine: bool,
) -> None:
    """Print runs beside each other.

    Raises:
        UsageError: If fewer than two runs are named, or an option names what no run has.
        MissingInputError: If a path holds no analysed run.
    """
    if not runs or (len(runs) == 1 and (runs[0] / "results.json").is_file()):
        raise UsageError("compare", value=f"{len(runs)} run(s)", allowed="two or more run directories")
    for path in (*runs, *([] if baseline is None else [baseline])):
        if not _holds_a_run(path):
            raise MissingInputError(str(path), value="no analysed run", hint="`latflow run` writes them")
    from latflow.archive.comparison import compare_runs

    found = compare_runs(runs, baseline=baseline, observables=observables, samplers=samplers)
    if machine:
        emit_json(found.plain())
        return
    from latflow.report.comparison import comparison_lines

    emit("\n".join(comparison_lines(found, columns=len(observables) or 3)))


def _holds_a_run(path: Path) -> bool:
    """Whether a path is an analysed run, a folder of some, or an ensemble of one."""
    of_ensemble = path.parent.name == "ensembles" and (path.parent.parent / "results.json").is_file()
    return of_ensemble or (path / "results.json").is_file() or any(path.glob("*/results.json"))


FIGURES = ("svg", "pdf", "png")
"""What a figure can be, by the ending of its file."""


def _kind(figure: Path | None) -> str:
    """The format that the ending of a figure's file names.

    Raises:
        UsageError: For another ending.
        CannotCreateError: If the figure cannot be written where it is wanted.
    """
    if figure is None:
        return FIGURES[0]
    kind = figure.suffix.lower().removeprefix(".")
    if kind not in FIGURES:
        allowed = ", ".join(f"NAME.{each}" for each in FIGURES)
        raise UsageError("--figure", value=repr(str(figure)), allowed=allowed)
    refuse_directory(figure.parent)
    return kind


def _write(path: Path, image: bytes) -> None:
    from latflow.store.atomic import make_directory, write_bytes

    make_directory(path.parent)
    write_bytes(path, image)
