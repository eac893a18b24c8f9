"""The command line: one verb per stage of a study, and the few lines a user sees of each."""

from latflow.cli.entry import main

__all__ = ["main"]
