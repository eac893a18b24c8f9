"""The command line: one command per stage of a study, and the text that each prints."""

from latflow.cli.entry import main

__all__ = ["main"]
