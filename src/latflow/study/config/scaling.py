"""A scaling study: one theory at several sizes, with a value of one of its parameters at each, and every sampler.

Its points are ordinary studies, made here from one file, so each is a run directory like any other.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from latflow.errors import ConfigError
from latflow.flows.tables import ContinuousTable, FlowConfig
from latflow.study.config.methods import METHODS, TARGETS
from latflow.study.config.reading import complaints, marked, merge, read_table, shown
from latflow.study.config.rules import COUPLING, Complaint
from latflow.study.config.sampler_tables import ClusterConfig, HMCConfig, LocalConfig
from latflow.study.config.stages import SamplingConfig, TrainingConfig
from latflow.study.config.study import NAME, StudyConfig
from latflow.study.config.theory import ActionConfig
from latflow.study.config.writing import toml_text
from latflow.tables import ADDED, AbstractSection, Extent, Fraction, List, Mass
from latflow.theories.catalogue import kinds

QUICK_CONFIGURATIONS = 8192
"""Configurations per sampler of a quick look."""

QUICK_EXTENTS = 3
"""Sizes of a quick look, the smallest ones: as many as test a power law."""

QUICK_SHARE = 5
"""A quick training takes this fraction of the steps at most; a clock would count compilation on a slow machine."""


class PointsConfig(AbstractSection):
    """Where the theory is studied: hypercubic lattices and a value of one of its parameters on each."""

    dimensions: Annotated[int, Field(ge=1, le=6)] = Field(default=2, description="directions of every lattice")
    extents: List[Extent] = Field(min_length=1, max_length=32, description="L of every point")
    parameter: str = Field(
        default=COUPLING, max_length=40, description="key of [action] that changes", json_schema_extra=ADDED
    )
    couplings: List[Mass] = Field(min_length=1, max_length=32, description="its value at every point; λ of φ⁴")
    mass_squared: Mass | None = Field(default=None, description="m² of φ⁴ at all points, instead of a table [action]")
    acceptances: List[Fraction] = Field(
        default=(0.5, 0.7), min_length=1, max_length=4, description="one flow is trained to each of these acceptances"
    )


class ScalingConfig(AbstractSection):
    """A whole scaling study."""

    name: str = NAME
    seed: Annotated[int, Field(ge=0, le=2**31)] = Field(default=1, description="root of all random numbers")
    points: PointsConfig
    action: ActionConfig | None = Field(
        default=None,
        description="another theory, or φ⁴ in full; its value of points.parameter is not used",
        json_schema_extra=ADDED,
    )
    flow: FlowConfig = Field(default_factory=ContinuousTable)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    sampling: SamplingConfig = Field(default_factory=SamplingConfig)
    hmc: HMCConfig = Field(default_factory=HMCConfig)
    local: LocalConfig = Field(default_factory=LocalConfig)
    cluster: ClusterConfig = Field(default_factory=ClusterConfig)

    def to_toml(self, *, commented: bool = False) -> str:
        """The study as a file, every key written out."""
        return toml_text(self.model_dump(mode="json"), ScalingConfig, commented=commented)

    def runs(self) -> tuple[tuple[str, StudyConfig], ...]:
        """Every run by the name of its directory: size by size, the tightest flow together with the classical samplers.

        Flows of the other acceptances have a directory of their own, with HMC beside them as their target draws.

        Raises:
            ConfigError: If a point cannot be a study, with the complaints of all.
        """
        found: list[tuple[str, StudyConfig]] = []
        broken: dict[str, None] = {}
        # Runs have seeds of their own: with one seed two flows would share their latent draws.
        for extent, value in zip(self.points.extents, self.points.couplings, strict=True):
            for acceptance in sorted(self.points.acceptances, reverse=True):
                name = f"L{extent:02d}" if acceptance == max(self.points.acceptances) else _loose(extent, acceptance)
                try:
                    found.append((name, self._study(name, extent, value, acceptance, seed=self.seed + len(found))))
                except ConfigError as error:
                    broken |= dict.fromkeys(error.complaints)
        if broken:
            raise ConfigError(list(broken))
        return tuple(found)

    def kind(self) -> str:
        """The word of `action.kind`."""
        return self._theory()["kind"]

    def quick(self) -> "ScalingConfig":
        """The smallest sizes with one flow each, few steps and small statistics, under a name of its own.

        Trainings end at the acceptance or at a number of steps, never by the clock, so what comes out does not depend
        on how fast the machine compiles.
        """
        pairs = sorted(zip(self.points.extents, self.points.couplings, strict=True))[:QUICK_EXTENTS]
        points = {
            "extents": tuple(extent for extent, _ in pairs),
            "couplings": tuple(value for _, value in pairs),
            "acceptances": (max(self.points.acceptances),),
        }
        stop = {"minutes": None, "steps": max(1, self.training.stop.steps // QUICK_SHARE)}
        training = {"stop": self.training.stop.model_copy(update=stop)}
        sampling = {"configurations": min(QUICK_CONFIGURATIONS, self.sampling.configurations)}
        return self.model_copy(
            update={
                "name": f"{self.name}-quick",
                "points": self.points.model_copy(update=points),
                "training": self.training.model_copy(update=training),
                "sampling": self.sampling.model_copy(update=sampling),
            }
        )

    def _study(self, name: str, extent: int, value: float, acceptance: float, *, seed: int) -> StudyConfig:
        plain = self.model_dump(mode="json", exclude={"points", "action"})
        plain["training"]["stop"]["acceptance"] = acceptance
        if not name.endswith(f"L{extent:02d}"):
            kept = [word for word in self.sampling.samplers if METHODS[word].trained or word == TARGETS[0]]
            plain["sampling"]["samplers"] = kept
        data = {
            **plain,
            "name": f"{self.name}-{name}",
            "seed": seed,
            "lattice": {"shape": [extent] * self.points.dimensions},
            "action": {**self._theory(), self.points.parameter: value},
        }
        try:
            return StudyConfig.model_validate(data)
        except ValidationError as error:
            found = complaints(error.errors(include_url=False), data, StudyConfig)
            raise ConfigError([self._at_its_key(complaint).text() for complaint in found]) from error

    def _at_its_key(self, complaint: Complaint) -> Complaint:
        """A complaint of a point about the parameter, under the key of this file that holds its value."""
        changed = complaint.key == f"action.{self.points.parameter}"
        return dataclasses.replace(complaint, key="points.couplings") if changed else complaint

    def _theory(self) -> dict[str, Any]:
        """The table of the action, with any value of the parameter that changes."""
        if self.action is not None:
            return self.action.model_dump(mode="json")
        return {"kind": kinds()[0], "mass_squared": self.points.mass_squared}


def load_scaling(path: Path, overrides: Mapping[str, str] | None = None) -> ScalingConfig:
    """Read and check a scaling study.

    Args:
        path: The file.
        overrides: Values by dotted key that replace those of the file, as written on the command line.

    Raises:
        MissingInputError, DataError, StorageError: As for a study.
        ConfigError: With every complaint about its content and about the studies of its points.
    """
    table = read_table(path)
    if "lattice" in table and "points" not in table:
        raise ConfigError([f"{path}: a study of one lattice, no scaling study; run it with `latflow run {path}`"])
    data, refused = merge(table, overrides or {}, ScalingConfig)
    config = None
    try:
        config = ScalingConfig.model_validate(data)
    except ValidationError as error:
        refused += complaints(error.errors(include_url=False), data, ScalingConfig)
    refused += _together(config) if config is not None else []
    lines = [complaint.text() for complaint in marked(refused, overrides or {})]
    if config is not None and not refused:
        try:
            config.runs()
        except ConfigError as error:
            lines += error.complaints
    if config is None or lines:
        raise ConfigError([f"{path}: {line}" for line in lines])
    return config


def _together(config: ScalingConfig) -> list[Complaint]:
    """What the keys of a scaling study must fulfil together."""
    points, found = config.points, []
    if (config.action is None) == (points.mass_squared is None):
        found.append(Complaint("points.mass_squared", shown(points.mass_squared), "this, or a table [action]"))
    if config.action is not None and points.parameter not in config.action.parameters:
        allowed = " or ".join(f'"{name}"' for name in config.action.parameters)
        found.append(Complaint("points.parameter", repr(points.parameter), allowed))
    if len(points.couplings) != len(points.extents):
        count = f"{len(points.couplings)} entries"
        found.append(Complaint("points.couplings", count, f"one per extent, {len(points.extents)}"))
    repeated: dict[str, tuple[Any, ...]] = {"points.extents": points.extents, "points.acceptances": points.acceptances}
    for key, entries in repeated.items():
        if len(set(entries)) != len(entries):
            found.append(Complaint(key, str(list(entries)), "each once"))
    if config.training.stop.acceptance is not None:
        value, hint = str(config.training.stop.acceptance), "points.acceptances says it"
        found.append(Complaint("training.stop.acceptance", value, "unset in a scaling study", hint))
    if "flow" not in config.sampling.samplers:
        found.append(Complaint("sampling.samplers", str(list(config.sampling.samplers)), 'with "flow"'))
    return found


def _loose(extent: int, acceptance: float) -> str:
    return f"L{extent:02d}-a{100 * acceptance:g}"
