"""State shared by all stages of a run: the study, the directory, the display and the signal watch."""

import dataclasses
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from latflow.store.interrupts import Interrupts
from latflow.study.config import StudyConfig
from latflow.theories.catalogue import package_of

MODEL_SECTIONS = ("lattice", "action", "flow", "training")
"""Sections of a study that determine its model."""

PACKAGE = "package"
"""What an identity calls the package that brings its theory, where latflow does not."""


@runtime_checkable
class Progress(Protocol):
    """Progress display of a run. The command line shows it; a library user may ignore it."""

    def stage(self, name: str, detail: str) -> None:
        """A stage begins."""

    def update(self, name: str, done: float, total: float, fields: dict[str, Any]) -> None:
        """`done` of `total` units of a stage are finished; `fields` are live figures."""

    def line(self, text: str) -> None:
        """A message that stays on the screen."""


class Silent:
    """A progress display that shows nothing."""

    def stage(self, name: str, detail: str) -> None:
        """Ignored."""

    def update(self, name: str, done: float, total: float, fields: dict[str, Any]) -> None:
        """Ignored."""

    def line(self, text: str) -> None:
        """Ignored."""


class Stopwatch:
    """Seconds of a part of a unit of work that is told apart: writing its files."""

    def __init__(self) -> None:
        self.storing_seconds = 0.0

    @contextmanager
    def storing(self) -> Iterator[None]:
        """Count the seconds of what is enclosed as those of writing files."""
        begin = time.perf_counter()
        yield
        self.storing_seconds += time.perf_counter() - begin


@dataclasses.dataclass(frozen=True)
class RunContext:
    """One run in one directory.

    Args:
        config: The resolved study.
        directory: The run directory.
        progress: Display.
        interrupts: Signal watch; stages call `interrupts.check()` after every saved unit of work.
    """

    config: StudyConfig
    directory: Path
    progress: Progress
    interrupts: Interrupts

    def path(self, *parts: str) -> Path:
        """A path inside the run directory."""
        return self.directory.joinpath(*parts)

    def record(self, **fields: Any) -> None:
        """Append one line to ``metrics.jsonl``: timings and other figures that are not part of any artefact."""
        line = json.dumps(fields, sort_keys=True) + "\n"
        descriptor = os.open(self.path("metrics.jsonl"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    @contextmanager
    def timed(self, **fields: Any) -> Iterator[Stopwatch]:
        """Record the wall-clock seconds of the enclosed unit of work, and which of them went into writing its files."""
        begin, watch = time.perf_counter(), Stopwatch()
        yield watch
        storing = {"storing": round(watch.storing_seconds, 6)} if watch.storing_seconds else {}
        self.record(**fields, **storing, seconds=round(time.perf_counter() - begin, 6))

    def metrics(self) -> list[dict[str, Any]]:
        """Every whole line of ``metrics.jsonl``; an incomplete last line of a killed process is skipped."""
        path = self.path("metrics.jsonl")
        lines = path.read_text().splitlines() if path.exists() else []
        records = []
        for line in lines:
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:  # a torn line is expected after a kill
                continue
        return records


def model_identity(config: StudyConfig) -> dict[str, Any]:
    """The part of a study that determines its model; a conditional one is the same at all values of its range."""
    ends = config.coupling_range()
    if ends is not None:
        middle = math.sqrt(ends[0] * ends[1])
        config = config.model_copy(
            update={"action": config.action.with_parameters(**{config.conditional_parameter(): middle})}
        )
    return identity(config, *MODEL_SECTIONS)


def theory_differences(own: Mapping[str, Any], made: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Keys of lattice and action that two studies, or a study and an identity, both name and that differ.

    Args:
        own: Of the study, plain data.
        made: What an artefact was made with.

    Returns:
        Dotted keys, each with both values.
    """
    tables = [(table, own.get(table) or {}, made.get(table) or {}) for table in ("lattice", "action")]
    pairs = [(f"{table}.{key}", a[key], b[key]) for table, a, b in tables for key in a if key in b]
    return [pair for pair in pairs if pair[1] != pair[2]]


def identity(config: StudyConfig, *sections: str) -> dict[str, Any]:
    """The part of a study that determines an artefact: the named sections and the seed, as plain data.

    With the action the package that brings its theory belongs to it, where latflow does not.
    """
    plain = config.plain(every_table=True)
    package = package_of(config.action.kind) if "action" in sections else ""
    brought = {PACKAGE: package} if package else {}
    return {"seed": plain["seed"], **brought, **{section: plain[section] for section in sections}}
