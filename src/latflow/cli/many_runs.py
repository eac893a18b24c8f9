"""Arguments of the commands that put many runs side by side, implemented in `latflow.cli.run_tables`."""

from pathlib import Path

from latflow.cli.parameters import Flag, Words


def table(
    *runs: Path,
    observables: Words = (),
    samplers: Words = (),
    against: Words = (),
    format: str = "markdown",
    figure: Path | None = None,
    json: Flag = False,
    debug: Flag = False,
) -> None:
    """Observables of many runs side by side, against the parameters in which the runs differ.

    Args:
        runs: Run directories, or folders that hold them.
        observables: Which; by default every scalar one.
        samplers: Whose; by default all.
        against: Keys of the study that are the parameters, such as action.coupling, lattice.shape or L; by default
            the keys of lattice and action in which the runs differ.
        format: markdown (the default), csv or json.
        figure: Where a figure of the first observable against the parameter goes: NAME.svg, .pdf or .png.
        json: Short for --format json.
        debug: Show the traceback of an error.
    """
    del debug
    from latflow.cli.run_tables import show_table

    layout = "json" if json else format
    show_table(runs, observables=observables, samplers=samplers, against=against, layout=layout, figure=figure)


def compare(
    *runs: Path,
    baseline: Path | None = None,
    observables: Words = (),
    samplers: Words = (),
    json: Flag = False,
    debug: Flag = False,
) -> None:
    """Runs beside each other: values with their differences, and the seconds that errors take against one of them.

    Args:
        runs: Two or more run directories, folders that hold them, or ensembles of runs, RUN/ensembles/SAMPLER.
        baseline: The one of them whose HMC the others are compared with; by default the first that has HMC.
        observables: Which; by default every scalar one.
        samplers: Whose; by default all.
        json: Machine-readable output.
        debug: Show the traceback of an error.
    """
    del debug
    from latflow.cli.run_tables import show_comparison

    show_comparison(runs, baseline=baseline, observables=observables, samplers=samplers, machine=json)


def trend(
    *runs: Path,
    observables: Words = (),
    figure: Path | None = None,
    json: Flag = False,
    debug: Flag = False,
) -> None:
    """Autocorrelation times of finished runs against the number in which actions differ, as Markdown and a figure.

    Args:
        runs: Run directories of studies that differ in one number of the action.
        observables: Which; by default the topological charge and its square, without charge the first two.
        figure: Where the figure of the first of them goes: NAME.svg, .pdf or .png.
        json: Machine-readable output.
        debug: Show the traceback of an error.
    """
    del debug
    from latflow.cli.run_tables import show_trend

    show_trend(runs, observables, figure=figure, machine=json)
