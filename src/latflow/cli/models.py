"""Commands on trained models: the list of the zoo, draws from a model without a study, configurations made again."""

import dataclasses
from pathlib import Path
from typing import Any

from latflow.cli.device import prepare_jax
from latflow.cli.output import emit, emit_json, table_lines
from latflow.cli.overrides import as_mapping
from latflow.cli.stages import refuse_directory, run
from latflow.errors import CannotCreateError, ConfigError, DataError, MissingInputError, UsageError


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What shall be drawn from a model.

    Args:
        model: ``zoo:NAME``, a run or a model directory.
        configurations: How many; by default the study's default.
        ledger_only: Keep weights and decisions, not the fields.
        run_dir: Where to; by default runs/NAME.
        settings: Keys of the study as ``key=value``.
    """

    model: str
    configurations: int | None
    ledger_only: bool
    run_dir: Path | None
    settings: tuple[str, ...]


def list_models(*, machine: bool) -> None:
    """Print the zoo."""
    from latflow.study.card import summary, zoo

    found = [summary(card) for card in zoo()]
    if machine:
        emit_json(found)
        return
    rows = [["model", "lattice", "acceptance", "reweighting ESS", "draws", "log Z", "trained in", "what it is"]]
    rows += [_row(model) for model in found]
    emit("\n".join(table_lines(rows)))
    emit("\nlatflow sample --model zoo:NAME -n 100000 draws from one; latflow verify zoo:NAME checks its card.")


def _row(model: dict[str, Any]) -> list[str]:
    return [
        model["model"],
        " × ".join(str(extent) for extent in model["shape"]),
        f"{model['acceptance']:.3f}",
        f"{model['reweighting_ess']:.3f}",
        f"{model['draws']:,}",
        f"{model['log_z']:.4f} ± {model['log_z_error']:.4f}",
        f"{model['training_seconds']:.0f} s",
        model["title"],
    ]


def verify_model(name: str, *, machine: bool) -> int:
    """Hold a model of the zoo to its card; the exit code."""
    from latflow.cli.judgement import judge
    from latflow.study.card import read_card, zoo_directory

    card = read_card(zoo_directory(name))
    prepare_jax()
    from latflow.study.card_maker import check_card
    from latflow.study.context import Silent

    return judge(check_card(card, progress=Silent()), DataError, subject=name, machine=machine)


def sample_model(wanted: Wanted, *, machine: bool) -> None:
    """Draw an ensemble from a trained model.

    Raises:
        ConfigError: If a key of the study would make the theory or the flow another one.
        MissingInputError: If there is no model.
        CannotCreateError: If the directory holds another model or study.
    """
    from latflow.study.card import PREFIX, zoo_directory

    if wanted.model.startswith(PREFIX):
        zoo_directory(wanted.model)
    elif not Path(wanted.model).is_dir():
        raise MissingInputError(wanted.model, value="no such directory", hint="a run, a model directory or zoo:NAME")
    settings = dict(as_mapping(wanted.settings))
    if wanted.configurations is not None:
        settings["sampling.configurations"] = str(wanted.configurations)
    if wanted.ledger_only:
        settings["sampling.ledger_only"] = "true"
    prepare_jax()
    from latflow.study.card_maker import copy_model, sampling_study
    from latflow.study.models import model_path

    path = model_path(wanted.model)
    name = settings.pop("name", wanted.model.removeprefix(PREFIX) if wanted.model.startswith(PREFIX) else path.name)
    config = _changed(sampling_study(path, name=name, draws=100_000), settings)
    at = f"-{settings['action.coupling']}" if "action.coupling" in settings else ""
    directory = wanted.run_dir or Path("runs") / f"{config.name}{at}-draws"
    refuse_directory(directory)
    copy_model(path, directory / "model")
    run(config, directory, stages=("sample",), samplers=("flow",), fork=False, machine=machine)


def _changed(config: Any, settings: dict[str, str]) -> Any:
    """The study with other keys, as long as they leave the model what it is."""
    from latflow.study.config.study import with_overrides
    from latflow.study.context import MODEL_SECTIONS
    from latflow.study.stages.claims import differing_keys

    changed = with_overrides(config, settings)
    served = () if config.coupling_range() is None else ("action.coupling",)
    lines = [line for line in differing_keys(config, changed) if line.split(":")[0] not in served]
    fixed = [line for line in lines if line.split(".")[0] in MODEL_SECTIONS]
    if fixed:
        hint = "a model belongs to its theory; train another one from it: latflow train STUDY --from MODEL"
        raise ConfigError([f"{line}; {hint}" for line in fixed])
    return changed


def regenerate(ensemble: Path, indices: tuple[int, ...], *, out: Path, machine: bool) -> None:
    """Make configurations of a flow ensemble again and write them.

    Raises:
        UsageError: If no index is named.
        CannotCreateError: If the file exists.
        DataError: If what was drawn is not what the ledger says.
    """
    if not indices:
        raise UsageError("--index", value="not given", allowed="one or more numbers of configurations, from 0")
    if not ensemble.is_dir():
        raise MissingInputError(str(ensemble), value="no such directory", hint="name a run or its ensembles/flow")
    if out.exists():
        raise CannotCreateError(str(out), value="exists already", hint="name another --out")
    prepare_jax()
    from latflow.study.regenerate import regenerated, save

    found = regenerated(ensemble, indices)
    save(out, found)
    described = [{key: value for key, value in dataclasses.asdict(made).items() if key != "field"} for made in found]
    if machine:
        emit_json({"file": str(out), "configurations": described})
        return
    rows = [["configuration", "draw", "action", "log q", "log w", "verified"]]
    rows += [
        [
            str(made.index),
            str(made.draw),
            f"{made.action:.10g}",
            f"{made.log_prob:.10g}",
            f"{made.log_weight:.10g}",
            made.level,
        ]
        for made in found
    ]
    emit("\n".join(table_lines(rows)))
    emit(f"written: {out}")
