"""Displays of progress for tests."""

from latflow.study.context import Silent


class Listening(Silent):
    """A display that keeps its sentences."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        """Keep it."""
        self.lines.append(text)
