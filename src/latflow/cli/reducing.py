"""The reduce command: smaller errors for chains that are there, of a run or of another origin."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from latflow.cli.device import prepare_jax
from latflow.cli.output import emit, emit_json, table_lines
from latflow.cli.overrides import as_mapping
from latflow.cli.parameters import Flag, Settings, Words, whole_number
from latflow.errors import ConfigError, MissingInputError, UsageError

if TYPE_CHECKING:
    from latflow.study.config import StudyConfig
    from latflow.study.reduction import Reduced

Steps: TypeAlias = Annotated[int | None, Parameter(converter=whole_number)]


def reduce(
    ensemble: Path,
    /,
    *,
    action: Path | None = None,
    fields: Path | None = None,
    flow: str = "",
    save: Path | None = None,
    steps: Steps = None,
    samplers: Words = (),
    json: Flag = False,
    debug: Flag = False,
    settings: Settings = (),
) -> None:
    """Smaller errors from chains that are there, by learned control variates (Stein fields) of mean zero.

    A run keeps its corrected averages and shows them in its results and report. A fourth of the chains trains the
    fields and the others are corrected; with --fields all are.

    Args:
        ensemble: A run directory; an ensemble, RUN/ensembles/SAMPLER; or configurations of another origin: a NumPy
            file, axes (record, chain, sites …), or a folder of gauge configurations, as of `latflow measure`.
        action: Study file whose lattice and action the configurations belong to; needed for those of another origin.
        fields: Trained Stein fields of an earlier reduction, also of another lattice or coupling.
        flow: Use velocities in the latent variables of this trained flow of the same theory: zoo:NAME, a run or a model
            directory. Nothing is trained or saved; a run keeps the name and hash of the model.
        save: Where the trained fields go; a run keeps them in RUN/reduced/SAMPLER/fields.
        steps: Training steps; by default 400.
        samplers: Chains of a run; by default all.
        json: Machine-readable output.
        debug: Show the traceback of an error.
        settings: Another value for a key of the table [reduce], such as reduce.steps=200; --KEY VALUE is short for it.
    """
    del debug
    if not ensemble.exists():
        raise MissingInputError(str(ensemble), value="not there", hint="a run, an ensemble or a NumPy file")
    if ensemble.suffix == ".toml":
        hint = f"`latflow run {ensemble}` corrects the averages of the samplers that its table [reduce] names"
        raise UsageError(str(ensemble), value="a study", allowed="a run, an ensemble or configurations", hint=hint)
    if fields is not None and steps is not None:
        raise UsageError("--steps", value="with --fields", allowed="one of them", hint="trained fields are used as is")
    if flow and any(given is not None for given in (fields, save, steps)):
        raise UsageError(
            "--flow", value="with --fields, --save or --steps", allowed="alone", hint="it is used as it is"
        )
    overrides = _overrides(settings, steps=steps, fields=fields)
    if (ensemble / "study.toml").is_file():
        for name, given in (("--action", action), ("--save", save)):
            if given is not None:
                raise UsageError(name, value="with a run", allowed="an ensemble", hint="a run has its own")
        _of_run(ensemble, fields, steps, samplers, overrides, flow=flow, machine=json)
        return
    if samplers:
        raise UsageError("--samplers", value="with an ensemble", allowed="a run directory")
    if overrides and (fields is not None or flow):
        raise UsageError(f"--{next(iter(overrides))}", value="with --fields or --flow", allowed="without, to train")
    asked = _training_of(ensemble, action, overrides) | ({} if steps is None else {"steps": steps})
    _of_ensemble(ensemble, action, fields, save, asked, flow=flow, machine=json)


_TRAINING = ("steps", "batch_size", "learning_rate")
"""Keys of [reduce] that say how fields are trained, as `SteinTraining` calls them."""


def _overrides(settings: tuple[str, ...], *, steps: int | None, fields: Path | None) -> Mapping[str, str]:
    """Keys of the table [reduce] by their dotted names.

    Raises:
        UsageError: If one is of another table, or given by an option as well.
    """
    found = as_mapping(settings)
    for key in found:
        if not key.startswith("reduce."):
            raise UsageError(f"--{key}", value="with reduce", allowed="keys of [reduce]", hint="use `latflow run`")
    for option, given in (("steps", steps), ("fields", fields)):
        if given is not None and f"reduce.{option}" in found:
            raise UsageError(f"--reduce.{option}", value=f"with --{option}", allowed="one of them")
    return found


def _training_of(path: Path, action: Path | None, overrides: Mapping[str, str]) -> dict[str, Any]:
    """Settings of the training among the keys given, for an ensemble; checked as those of a study are."""
    foreign = [key for key in overrides if key.removeprefix("reduce.") not in _TRAINING]
    if foreign:
        allowed = ", ".join(f"--reduce.{name}" for name in _TRAINING)
        raise UsageError(f"--{foreign[0]}", value="with an ensemble", allowed=allowed, hint="--fields names fields")
    if not overrides:
        return {}
    from latflow.study.config import load_study

    study = action or path.absolute().parent.parent / "study.toml"
    reduce = load_study(study, overrides).reduce
    return {name: getattr(reduce, name) for name in _TRAINING if f"reduce.{name}" in overrides}


def _of_run(
    run: Path,
    fields: Path | None,
    steps: int | None,
    samplers: tuple[str, ...],
    overrides: Mapping[str, str],
    *,
    flow: str,
    machine: bool,
) -> None:
    """The stage of a study, then its analysis and report anew."""
    from latflow.cli.stages import find_place, load_place
    from latflow.cli.stages import run as run_stages
    from latflow.study.config.methods import CHAINS, GIVEN

    config = load_place(find_place(run), overrides)
    there = [name for name in (*CHAINS, *GIVEN) if (run / "measurements" / name / "manifest.json").is_file()]
    asked = samplers or config.reduce.samplers or tuple(there)
    if not asked:
        raise MissingInputError(str(run), value="no measured chains", hint="latflow run samples and measures")
    _require_start(config, fields, flow)  # before the study is changed
    settings: dict[str, Any] = {"samplers": list(asked)}
    # fields or a flow of before would not be trained
    settings |= {} if fields is None else {"fields": str(fields.absolute()), "flow": ""}
    settings |= {} if steps is None else {"steps": steps, "fields": "", "flow": ""}
    settings |= {"flow": _absolute(flow), "fields": ""} if flow else {}
    changed = _with_reduce(config, settings)
    run_stages(changed, run, stages=("reduce", "analyse", "report"), samplers=tuple(asked), fork=False, machine=machine)


def _absolute(flow: str) -> str:
    """The name of a model for a study, which is read from anywhere."""
    from latflow.study.card import PREFIX

    return flow if flow.startswith(PREFIX) else str(Path(flow).absolute())


def _require_start(config: "StudyConfig", fields: Path | None, flow: str) -> None:
    """Refuse fields or a flow that are not there, or do not belong to the chains of a study."""
    if fields is None and not flow:
        return
    prepare_jax()
    from latflow.study.latent import latent_fields
    from latflow.study.stein_files import load_fields
    from latflow.study.theories import build_action

    action = build_action(config)
    if fields is not None:
        load_fields(fields, action.space)
    else:
        latent_fields(flow, action)


def _with_reduce(config: "StudyConfig", settings: Mapping[str, Any]) -> "StudyConfig":
    """The study with other settings of its table [reduce].

    Raises:
        ConfigError: If one is out of range.
    """
    from pydantic import ValidationError

    from latflow.study.config.reading import complaints
    from latflow.study.config.study import StudyConfig

    plain = config.model_dump(mode="json", exclude_none=True)
    data = {**plain, "reduce": {**plain.get("reduce", {}), **settings}}
    try:
        return StudyConfig.model_validate(data)
    except ValidationError as error:
        found = complaints(error.errors(include_url=False), data, StudyConfig)
        raise ConfigError([complaint.text() for complaint in found]) from error


def _of_ensemble(
    path: Path,
    action: Path | None,
    fields: Path | None,
    save: Path | None,
    asked: Mapping[str, Any],
    *,
    flow: str,
    machine: bool,
) -> None:
    """Configurations of any origin whose action is known."""
    from latflow.study.config import load_study

    study = None if action is None else load_study(action)
    prepare_jax()
    from latflow.reduction import reduce, stored_configurations
    from latflow.study.latent import latent_fields
    from latflow.study.stages.carried import made_from
    from latflow.study.stein_files import save_fields
    from latflow.study.theories import build_action
    from latflow.variates.training import SteinTraining

    given = None if study is None else build_action(study)
    theory, configurations = stored_configurations(path, given)
    start = latent_fields(flow, theory) if flow else fields
    training = SteinTraining(**asked) if asked else None
    found = reduce(theory, configurations, velocities=start, training=training)
    card = None
    if save is not None:
        made = made_from(fields, {"ensemble": str(path), **found.facts()})
        card = save_fields(save, found.fields, space=theory.space, made=made)
    if machine:
        emit_json(_plain(found, card))
    else:
        emit("\n".join(_lines(found)))


def _plain(found: "Reduced", card: str | None) -> dict[str, Any]:
    rows = [
        {
            "observable": name,
            "value": [each.value for each in found.estimates[name]],
            "error": [each.error for each in found.estimates[name]],
            "plain_value": [each.value for each in plain],
            "plain_error": [each.error for each in plain],
            "variance_ratio": None if name in found.withheld else found.variance_ratio[name],
            "withheld": found.withheld.get(name),
        }
        for name, plain in found.plain.items()
    ]
    return {"estimates": rows, "fields_sha256": card, **found.facts()}


def _lines(found: "Reduced") -> list[str]:
    """A table of scalar averages, and a line on cost and null tests."""
    from latflow.study.reduction_wording import tests_told

    rows = [["observable", "corrected", "plain", "variance ÷", "why not"]]
    for name, (first, *rest) in found.plain.items():
        if rest:
            continue
        made = found.corrections.get(name)
        ratio = f"{found.variance_ratio[name][0]:.1f}" if made else "–"
        rows.append([name, str(made[0]) if made else "–", str(first), ratio, found.withheld.get(name, "")])
    null, seen = tests_told(found.facts())
    cost = (
        f"trained on {found.trained_on} chains in {found.training_seconds:.0f} s" if found.trained_on else "not trained"
    )
    told = f"{cost}; {found.corrected} chains corrected in {found.evaluation_seconds:.0f} s"
    return [*table_lines(rows), f"{told}; {null}", seen]
