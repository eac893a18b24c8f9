"""Displays of progress for tests."""

from latflow.study.context import Silent


class Listening(Silent):
    """A display that keeps its sentences, and the stages."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def stage(self, name: str, detail: str) -> None:
        """Keep it."""
        self.lines.append(f"{name} {detail}")

    def line(self, text: str) -> None:
        """Keep it."""
        self.lines.append(text)
