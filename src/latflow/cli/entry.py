"""Entry point of the program: arguments in, exit code out, every failure as lines and a documented code."""

import sys
from collections.abc import Sequence

from latflow.cli.app import app
from latflow.cli.boundary import ErrorBoundary
from latflow.cli.output import use_any_terminal
from latflow.cli.overrides import gather_overrides


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; by default those of the process.

    Returns:
        The exit code: 0, or the one documented for what went wrong.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    use_any_terminal()
    boundary = ErrorBoundary(debug="--debug" in arguments, machine="--json" in arguments)
    with boundary:
        boundary.exit_code = app(gather_overrides(arguments)) or 0
    return boundary.exit_code
