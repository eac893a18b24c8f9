"""The command that checks what is on the disk: runs, ensembles, models, gauge configurations of other codes."""

from pathlib import Path

from latflow.cli.device import prepare_jax
from latflow.cli.judgement import print_checks
from latflow.cli.parameters import Extents, Flag, Which
from latflow.errors import ConfigError, DataError, MissingInputError


def verify(
    path: Path,
    /,
    *,
    shape: Extents = (),
    group: str = "",
    precision: str = "",
    which: Which = None,
    json: Flag = False,
    debug: Flag = False,
) -> int:
    """Verify a run, an ensemble, a measurement, a model or a gauge configuration: hashes, recomputed quantities.

    Args:
        path: Its directory, the file of a gauge configuration, or zoo:NAME for a model of the zoo and its card.
        shape: Extents of a configuration whose file does not say them, time last.
        group: SU(N), likewise.
        precision: float32 or float64, likewise.
        which: Number of the configuration, from 0, in a file that holds several.
        json: Machine-readable output.
        debug: Show the traceback of an error.
    """
    del debug
    if str(path).startswith("zoo:"):
        from latflow.cli.models import verify_model

        return verify_model(str(path), machine=json)
    if path.is_file():
        from latflow.cli.gauge_files import Given
        from latflow.cli.gauge_files import verify as verify_file

        return verify_file(path, Given(shape, group, precision, which), machine=json)
    if not path.is_dir():
        hint = "name a directory that `run` wrote, or a gauge configuration"
        raise MissingInputError(str(path), value="no such file or directory", hint=hint)
    prepare_jax()
    from latflow.study.checks import INSTALLED, MISSING
    from latflow.study.verify import verify as verified

    checks = verified(path)
    failed = {check.name: check.value for check in checks if not check.passed}
    missing = ConfigError([f"{path}: {failed[INSTALLED]}"]) if [*failed] == [INSTALLED] else None
    if failed and all(getattr(check, "state", "") == MISSING for check in checks if not check.passed):
        return print_checks(checks, MissingInputError, subject=str(path), machine=json)
    return print_checks(checks, DataError, subject=str(path), machine=json, instead=missing)
