"""What a study is: the one schema behind study files, command-line options and the reference of keys.

A `StudyConfig` is frozen plain data; nothing here imports jax, so a wrong key is refused before anything slow starts.
Numbers are checked one by one by the field types and together by `latflow.study.config.rules`.
"""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    Field,
    ValidationError,
    create_model,
    model_serializer,
    model_validator,
)

from latflow.errors import ConfigError
from latflow.flows.tables import ContinuousTable, FlowConfig
from latflow.study.config.methods import METHODS, TRAINED, Method
from latflow.study.config.reading import complaints, lookup, marked, merge, read_table
from latflow.study.config.rules import COUPLING, broken_rules, samplers_of
from latflow.study.config.sampler_tables import (
    ClusterConfig,
    HeatbathConfig,
    HMCConfig,
    LocalConfig,
    MetropolisConfig,
)
from latflow.study.config.shapes import with_own_shape
from latflow.study.config.stages import (
    SAMPLERS,
    WITH_TARGETS,
    CurriculumConfig,
    GradientFlowConfig,
    MeasureConfig,
    ReduceConfig,
    SamplingConfig,
    SmearingConfig,
    StopConfig,
    TrainingConfig,
)
from latflow.study.config.theory import ActionConfig, LatticeConfig
from latflow.study.config.writing import toml_text
from latflow.tables import ADDED, AbstractSection


def _words(text: str) -> dict[str, Any]:
    return {"allowed": text}


NAME: Any = Field(
    pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$",
    max_length=100,
    description="names the run directory, runs/NAME",
    json_schema_extra=_words("up to 100 letters, digits and . _ + -, the first a letter or digit"),
)
"""The key `name` of every kind of study."""


class StudyConfig(AbstractSection):
    """A whole study."""

    name: str = NAME
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = Field(default=1, description="root of all random numbers")
    lattice: LatticeConfig
    action: ActionConfig
    flow: FlowConfig = Field(default_factory=ContinuousTable)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    sampling: SamplingConfig = Field(default_factory=SamplingConfig)
    hmc: HMCConfig = Field(default_factory=HMCConfig)
    local: LocalConfig = Field(default_factory=LocalConfig)
    cluster: ClusterConfig = Field(default_factory=ClusterConfig)
    heatbath: HeatbathConfig = Field(default_factory=HeatbathConfig)
    metropolis: MetropolisConfig = Field(default_factory=MetropolisConfig)
    gradient_flow: GradientFlowConfig = Field(default_factory=GradientFlowConfig)
    smearing: SmearingConfig = Field(default_factory=SmearingConfig)
    measure: MeasureConfig = Field(default_factory=MeasureConfig, json_schema_extra=ADDED)
    reduce: ReduceConfig = Field(default_factory=ReduceConfig, json_schema_extra=ADDED)

    @model_validator(mode="before")
    @classmethod
    def _place_a_shape(cls, study: Any) -> Any:
        return with_own_shape(study)

    @model_validator(mode="after")
    def _obey_rules(self) -> "StudyConfig":
        broken = broken_rules(lookup(self.model_dump(mode="json"), StudyConfig))
        if broken:
            raise ConfigError([complaint.text() for complaint in broken])
        return self

    @model_serializer(mode="wrap")
    def _silent_on_idle_methods(self, plain: Callable[[Any], dict[str, Any]], info: Any) -> dict[str, Any]:
        """Tables of added methods that the study does not use are left out, so that their coming changes no digest."""
        found = plain(self)
        every = (info.context or {}).get("every_table", False)
        idle = () if every else [m for m in _added() if m.table is not None and m.name not in self.sampling.samplers]
        return {k: v for k, v in found.items() if not any(m.name == k and _is_default(self, m) for m in idle)}

    def every_table(self) -> dict[str, Any]:
        """The study as plain data, with the tables of all methods."""
        return self.model_dump(mode="json", context={"every_table": True})

    def course(self) -> tuple["StudyConfig", ...]:
        """The studies whose trainings follow one another: those of the curriculum, then this one."""
        first = self.training.curriculum
        rates = first.learning_rates or (self.training.learning_rate,) * len(first.extents)
        rows = zip(first.extents, first.couplings, first.steps, rates, strict=True)
        return (*(self._before(*row) for row in rows), self)

    def _before(self, extent: int, coupling: float, steps: int, learning_rate: float) -> "StudyConfig":
        training = self.training
        return self.model_copy(
            update={
                "lattice": LatticeConfig(shape=(extent,) * len(self.lattice.shape)),
                "action": self.action.model_copy(update={"coupling": coupling}),
                "flow": self._flow_before(),
                "training": training.model_copy(
                    update={
                        # A forward KL reads draws of the study's own theory, which those before it do not have.
                        "loss": "reverse_kl" if training.loss in WITH_TARGETS else training.loss,
                        "learning_rate": learning_rate,
                        "warmup_steps": min(training.warmup_steps, steps // 2),
                        "stop": StopConfig(steps=steps),
                        "curriculum": CurriculumConfig(),
                    }
                ),
            }
        )

    def _flow_before(self) -> AbstractSection:
        """The flow on earlier lattices of a curriculum: for one coupling, even if the last is trained over a range."""
        flow = self.flow
        return flow if self.coupling_range() is None else flow.model_copy(update={"coupling_range": None})

    def coupling_range(self) -> tuple[float, float] | None:
        """The values that one model serves, in the normalisation of the study; None for an ordinary flow."""
        ends: tuple[float, ...] | None = getattr(self.flow, "coupling_range", None)
        return None if ends is None else (ends[0], ends[1])

    def conditional_parameter(self) -> str:
        """The key of the action that the range is for."""
        return getattr(self.flow, "parameter", COUPLING)

    def outside_range(self) -> bool:
        """Whether the study samples at a value that its conditional model was not trained for."""
        ends = self.coupling_range()
        return ends is not None and not ends[0] <= self.action.values()[self.conditional_parameter()] <= ends[1]

    def to_toml(self, *, commented: bool = False, samplers: Collection[str] = SAMPLERS) -> str:
        """The study as a file, every key written out.

        Args:
            commented: Explain each key, and show the unset ones as comments. Tables at their defaults which the theory
                has no use for are left out then, and the lattice of a theory without one.
            samplers: Leave out the tables of all others, too.
        """
        plain = self.model_dump(mode="json")
        idle = self._idle(samplers) if commented or samplers is not SAMPLERS else set()
        if commented and not self.action.lattice:
            del plain["lattice"]
        blank = {name: StudyConfig.model_fields[name].get_default(call_default_factory=True) for name in idle}
        kept = {name: value for name, value in plain.items() if name not in idle or getattr(self, name) != blank[name]}
        return toml_text(kept, StudyConfig, commented=commented)

    def _idle(self, samplers: Collection[str]) -> set[str]:
        """Tables that this theory and these samplers do not use."""
        used = set(samplers) & set(samplers_of(self.action.kind))
        idle = {word for word in SAMPLERS if word not in used and word in StudyConfig.model_fields}
        idle |= {"training"} if set(TRAINED) <= idle else set()
        directions = len(self.lattice.shape)
        measured = {"gradient_flow": directions == 4, "smearing": directions > 2}
        idle |= {name for name, fits in measured.items() if not (fits and name in self.action.sections)}
        return idle | {"measure", "reduce"}


def _is_default(config: StudyConfig, method: Method) -> bool:
    return method.table is None or getattr(config, method.name) == method.table()


def _added() -> list[Method]:
    """Methods whose tables are no fields of the class above: those of plug-ins, and built-in ones that came later."""
    return [method for method in METHODS.values() if method.name not in _WRITTEN]


def with_sections(base: type[StudyConfig], methods: Collection[Method]) -> type[StudyConfig]:
    """The schema of studies with a section for the table of every method."""
    tables = {method.name: method.table for method in methods if method.table is not None}
    sections: dict[str, Any] = {name: (table, Field(default_factory=table)) for name, table in tables.items()}
    return create_model(base.__name__, __base__=base, __module__=__name__, **sections) if sections else base


_WRITTEN = frozenset(StudyConfig.model_fields)

if not TYPE_CHECKING:
    StudyConfig = with_sections(StudyConfig, _added())


def load_study(path: Path, overrides: Mapping[str, str] | None = None) -> StudyConfig:
    """Read and check a study file.

    Args:
        path: The file.
        overrides: Values by dotted key that replace those of the file, as written on the command line.

    Raises:
        MissingInputError: If there is no such file.
        DataError: If it is too large to be a study or not UTF-8 text.
        StorageError: If it cannot be read.
        ConfigError: With every complaint about its content, each naming the file and the key.
    """
    table = read_table(path)
    if "points" in table and "lattice" not in table:
        raise ConfigError([f"{path}: a scaling study, of several lattices; run it with `latflow scaling {path}`"])
    study, lines = _checked(table, overrides or {})
    if study is None or lines:
        raise ConfigError([f"{path}: {line}" for line in lines])
    return study


def with_overrides(study: StudyConfig, overrides: Mapping[str, str]) -> StudyConfig:
    """A study with other values of some keys, written as on the command line.

    Raises:
        ConfigError: With every complaint about them.
    """
    changed, lines = _checked(study.model_dump(mode="json", exclude_none=True), overrides)
    if changed is None or lines:
        raise ConfigError(lines)
    return changed


def _checked(table: Mapping[str, Any], overrides: Mapping[str, str]) -> tuple[StudyConfig | None, list[str]]:
    """The study that a table with overrides describes, if it does, and every complaint about them."""
    data, refused = merge(table, overrides, StudyConfig)
    study = None
    try:
        study = StudyConfig.model_validate(data)
    except (ValidationError, ConfigError) as error:
        details = error.errors(include_url=False) if type(error) is ValidationError else []
        refused += complaints(details, data, StudyConfig)
    return study, [complaint.text() for complaint in marked(refused, overrides)]
