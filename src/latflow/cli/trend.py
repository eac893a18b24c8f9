"""The trend command: one table in Markdown, one figure."""

from pathlib import Path

from latflow.cli.output import emit, emit_json
from latflow.cli.stages import refuse_directory
from latflow.errors import MissingInputError, UsageError

DEFAULT = ("topological_charge_squared", "topological_charge")
"""Observables shown by default: the charge, which freezes towards the continuum limit, and its square."""


def show(runs: tuple[Path, ...], observables: tuple[str, ...], *, figure: Path | None, machine: bool) -> None:
    """Print the trend of finished runs and write its figure.

    Raises:
        UsageError: If fewer than two runs are named, or they do not differ in one number of the action.
        MissingInputError: If one of them is no analysed run.
        CannotCreateError: If the figure cannot be written where it is wanted.
    """
    if len(runs) < 2:
        raise UsageError("trend", value=f"{len(runs)} run(s)", allowed="two or more run directories")
    for path in runs:
        if not (path / "results.json").is_file():
            raise MissingInputError(str(path), value="no analysed run", hint="`latflow run` writes them")
    if figure is not None:
        refuse_directory(figure.parent)
    from latflow.report.trend import trend, trend_figure, trend_lines
    from latflow.store.atomic import make_directory, write_bytes

    wanted = observables or DEFAULT
    found = trend(runs, wanted)
    if machine:
        emit_json(found.plain())
    else:
        emit("\n".join(trend_lines(found)))
    if figure is not None:
        make_directory(figure.parent)
        write_bytes(figure, trend_figure(found, wanted[0]))
