"""Arguments of the commands for gauge configurations of other codes, implemented in `latflow.cli.gauge_files`."""

from pathlib import Path

from latflow.cli.parameters import Extents, Flag, Which


def inspect(
    path: Path,
    /,
    *,
    shape: Extents = (),
    group: str = "",
    precision: str = "",
    which: Which = None,
    force: Flag = False,
    json: Flag = False,
    debug: Flag = False,
) -> None:
    """Say what a gauge configuration of any known format holds.

    Args:
        path: Its file.
        shape: Extents, time last, if the file does not say them.
        group: SU(N), likewise.
        precision: float32 or float64, likewise.
        which: Number of the configuration, from 0, in a file that holds several.
        force: Look at it even if a check fails.
        json: Machine-readable output.
        debug: Show the traceback of an error.
    """
    del debug
    from latflow.cli.gauge_files import Given
    from latflow.cli.gauge_files import inspect as inspected

    inspected(path, Given(shape, group, precision, which, force), machine=json)


def convert(
    source: Path,
    target: Path,
    /,
    *,
    format: str = "",
    precision: str = "",
    shape: Extents = (),
    group: str = "",
    which: Which = None,
    reunitarise: Flag = False,
    force: Flag = False,
    json: Flag = False,
    debug: Flag = False,
) -> None:
    """Write a gauge configuration, a folder of them or an ensemble in another format.

    Args:
        source: A file, a folder of files, or the directory of an ensemble.
        target: A new file, or a directory.
        format: ildg, scidac, nersc, nersc-two-row, milc, openqcd or ensemble; by default the ending of a target file.
        precision: float32 or float64; by default that of the source.
        shape: Extents, time last, if the source does not say them.
        group: SU(N), likewise.
        which: Number of the configuration, from 0, in a file that holds several, or in every file of a folder.
        reunitarise: Project the links to the group first.
        force: Convert even what fails a check, and say so.
        json: Machine-readable output.
        debug: Show the traceback of an error.
    """
    del debug
    from latflow.cli.gauge_files import Given
    from latflow.cli.gauge_files import convert as converted

    converted(
        source,
        target,
        format=format,
        precision=precision,
        given=Given(shape, group, which=which, force=force),
        reunitarise=reunitarise,
        machine=json,
    )
