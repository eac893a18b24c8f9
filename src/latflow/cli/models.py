"""Commands on trained models: the list of the zoo, draws from a model without a study, configurations made again."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latflow.cli.boundary import last_words
from latflow.cli.device import prepare_jax
from latflow.cli.output import emit, emit_json, table_lines
from latflow.cli.overrides import as_mapping
from latflow.cli.stages import dry_run, refuse_directory
from latflow.errors import CannotCreateError, ConfigError, DataError, MissingInputError, UsageError
from latflow.numerals import whole
from latflow.stats.rounding import compact

if TYPE_CHECKING:
    from latflow.study.config.stages import SamplingConfig

MAX_CONFIGURATIONS = 1_000_000
"""Most configurations that one `regenerate` makes."""

_SHOWN = 20

_LEAST = 64
"""Fewest draws of a block that nothing else sizes: averages of a handful of weights have no error."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A request for draws from a model.

    Args:
        model: ``zoo:NAME``, a run or a model directory.
        configurations: How many; by default the study's default.
        ledger_only: Keep weights and decisions, not the fields.
        run_dir: Where to; by default runs/NAME-draws, or runs/NAME-ledger without fields.
        fork: If the directory holds another study, go on beside it.
        dry_run: Print what would be done, and do nothing.
        settings: Keys of the study as ``key=value``.
    """

    model: str
    configurations: int | None
    ledger_only: bool
    run_dir: Path | None
    fork: bool
    dry_run: bool
    settings: tuple[str, ...]


def list_models(*, machine: bool) -> None:
    """Print the zoo."""
    from latflow.study.card import summary, zoo

    cards = zoo()
    found = [summary(card, cards) for card in cards]
    if machine:
        emit_json(found)
        return
    rows = [["model", "lattice", "acceptance", "reweighting ESS", "draws", "log Z", "trained in", "what it is"]]
    rows += [_row(model) for model in found]
    emit("\n".join(table_lines(rows)))
    emit("log Z: with the measure of the field of the model's own action, as in docs/conventions.md")
    emit("\nlatflow sample --model zoo:NAME -n 100000 draws from one; latflow verify zoo:NAME checks its card.")


def _row(model: dict[str, Any]) -> list[str]:
    return [
        model["model"],
        " × ".join(str(extent) for extent in model["shape"]),
        f"{model['acceptance']:.3f}",
        f"{model['reweighting_ess']:.3f}",
        f"{model['draws']:,}",
        compact(model["log_z"], model["log_z_error"]),
        _duration(model),
        model["title"],
    ]


def _duration(model: dict[str, Any]) -> str:
    own, before = f"{model['training_seconds']:.0f} s", model["ancestors_seconds"]
    own = f"{own}, one step" if model["training_steps"] == 1 else own
    return f"{own} after {before:.0f} s" if before else own


def verify_model(name: str, *, machine: bool) -> int:
    """Check a model of the zoo against its card; returns the exit code."""
    from latflow.cli.judgement import print_checks
    from latflow.study.card import read_card, zoo_directory

    card = read_card(zoo_directory(name))
    prepare_jax()
    from latflow.study.card_maker import check_card
    from latflow.study.context import Silent

    return print_checks(check_card(card, progress=Silent()), DataError, subject=name, machine=machine)


def sample_model(wanted: Wanted, *, machine: bool) -> None:
    """Draw an ensemble from a trained model.

    Raises:
        ConfigError: If a key of the study would make the theory or the flow another one, or the directory holds
            another study.
        MissingInputError: If there is no model, or a file of it is missing.
        DataError: If it is damaged.
        CannotCreateError: If the directory holds another model.
    """
    from latflow.study.card import model_name, model_path

    path = model_path(wanted.model)
    settings = {"name": model_name(wanted.model), **as_mapping(wanted.settings), **_amounts(wanted)}
    prepare_jax()
    from latflow.cli.progress import progress_on
    from latflow.study.card_maker import copy_model, sampling_study
    from latflow.study.config.methods import FLOW
    from latflow.study.models import load_whole
    from latflow.study.run import run_stages
    from latflow.study.stages.claims import claim

    # The whole model is read before anything is written, so that an error leaves no files behind.
    load_whole(path)
    study = sampling_study(path, name=settings.pop("name"), draws=100_000)
    config = _changed(study, settings)
    at = "".join(f"-{settings[key]}" for key in _served(study) if key in settings)
    kept = "ledger" if config.sampling.ledger_only else "draws"
    directory = wanted.run_dir or Path("runs") / f"{config.name}{at}-{kept}"
    if "sampling.block_size" not in settings:
        size = block_of_draws(path, directory, config.sampling)
        config = _changed(config, {"sampling.block_size": str(size)})
    if wanted.dry_run:
        dry_run(config, directory, stages=("sample",), samplers=(), machine=machine, fork=wanted.fork)
        return
    refuse_directory(directory)
    directory = claim(config, directory, fork=wanted.fork)
    copy_model(path, directory / "model")
    with progress_on(sys.stderr) as progress:
        words = last_words(progress.close, machine=machine)
        run_stages(config, directory, stages=("sample",), progress=progress, overdue=words)
    if FLOW in config.sampling.samplers:
        _show_draws(directory, asked=config.sampling.configurations, machine=machine)
    else:
        emit_json({"run_dir": str(directory)}) if machine else emit(f"run directory: {directory}")


def block_of_draws(model: Path, directory: Path, wanted: "SamplingConfig") -> int:
    """Draws per block: as in the run of the model, or as draws that are there; else as wanted, at least 64.

    A draw has the same random numbers in blocks of any size.

    Args:
        model: Its directory.
        directory: Where the draws go.
        wanted: How many, and the usual size of a block.
    """
    from latflow.study.config import load_study

    stored = model.parent / "study.toml"
    if model.name == "model" and stored.is_file():
        return load_study(stored).sampling.block_size
    begun = directory / "study.toml"
    if begun.is_file():
        return load_study(begun).sampling.block_size
    return min(wanted.block_size, max(_LEAST, wanted.configurations))


def _amounts(wanted: Wanted) -> dict[str, str]:
    amounts = {} if wanted.configurations is None else {"sampling.configurations": str(wanted.configurations)}
    return {**amounts, **({"sampling.ledger_only": "true"} if wanted.ledger_only else {})}


def _show_draws(directory: Path, *, asked: int, machine: bool) -> None:
    """Print number of draws (a multiple of the block size), acceptance, reweighting ESS, log Z and its state."""
    from latflow.report.field import measured_by
    from latflow.report.numbers import shown
    from latflow.stats.estimates import UNRESOLVED
    from latflow.stats.reliability import judge_draws, with_images
    from latflow.stats.weights import log_z, reweighting_ess
    from latflow.store.ensemble import Ensemble
    from latflow.store.interrupts import Interrupts
    from latflow.study.config import load_study
    from latflow.study.config.reading import read_table
    from latflow.study.context import RunContext, Silent
    from latflow.study.stages.images import unseen_by_flow
    from latflow.study.wording import stored_normalisation

    ensemble = Ensemble.open(directory / "ensembles" / "flow", writable=False)
    weights, accepted = ensemble.column("log_weight"), ensemble.column("accepted")
    field = stored_normalisation(read_table(directory / "study.toml"))
    weights = weights + (0.0 if field is None else field.log_z_shift)
    partition, ess = log_z(weights), float(reweighting_ess(weights))
    figures = {"acceptance": float(accepted.mean()), "reweighting_ess": ess}
    context = RunContext(load_study(directory / "study.toml"), directory, Silent(), Interrupts())
    judged = with_images(judge_draws(weights, accepted), unseen_by_flow(context))
    found = (None, None) if judged.state == UNRESOLVED else (partition.value, partition.error)
    if machine:
        told = {"log_z": found[0], "log_z_error": found[1], "state": judged.state, "reasons": judged.reasons}
        told["normalisation"] = None if field is None else field.model_dump()
        emit_json({"run_dir": str(directory), "draws": int(weights.size), **figures, **told})
        return
    words = f"acceptance {figures['acceptance']:.4f}, reweighting ESS {ess:.4f}"
    more = f" ({asked:,} asked for; blocks are whole)" if weights.size != asked else ""
    plainly = f"{partition.value:.4f} ± {partition.error:.4f}"
    value, measure = plainly if judged.is_reliable else shown(*found, judged.state), measured_by(field)
    emit(f"{weights.size:,} draws{more}: {words}, log Z {value}{f' ({measure})' if measure else ''}")
    if not judged.is_reliable:
        emit(f"averages of these draws: {judged.state}: {'; '.join(judged.reasons)}")
    emit(f"run directory: {directory}")


def _changed(config: Any, settings: dict[str, str]) -> Any:
    """The study with other keys, as long as they leave the model what it is."""
    from latflow.study.config.study import with_overrides
    from latflow.study.context import MODEL_SECTIONS
    from latflow.study.stages.claims import differing_keys

    changed = with_overrides(config, settings)
    lines = [line for line in differing_keys(config, changed) if line.split(":")[0] not in _served(config)]
    fixed = [line for line in lines if line.split(".")[0] in MODEL_SECTIONS]
    if fixed:
        hint = "a model belongs to its theory; train another one from it: latflow train STUDY --from MODEL"
        raise ConfigError([f"{line}; {hint}" for line in fixed])
    return changed


def _served(config: Any) -> tuple[str, ...]:
    """Keys of the action of which a conditional model serves every value of its range."""
    return () if config.coupling_range() is None else (f"action.{config.conditional_parameter()}",)


def regenerate(ensemble: Path, words: tuple[str, ...], *, out: Path, machine: bool) -> None:
    """Make configurations of a flow ensemble again and write them.

    Args:
        ensemble: A run directory or its ensembles/flow.
        words: Numbers of configurations and ranges of them, see `parsed_indices`.
        out: A file that does not exist yet.
        machine: JSON instead of a table.

    Raises:
        UsageError: If no index is named, or a word is none.
        CannotCreateError: If the file exists or its directory does not.
        DataError: If what was drawn is not what the ledger says.
    """
    indices = parsed_indices(words)
    if not ensemble.is_dir():
        raise MissingInputError(str(ensemble), value="no such directory", hint="name a run or its ensembles/flow")
    if out.exists():
        raise CannotCreateError(str(out), value="exists already", hint="name another --out")
    refuse_directory(out.parent)
    if not out.parent.is_dir():
        raise CannotCreateError(str(out), value=f"{out.parent} is not there", hint="make the directory first")
    prepare_jax()
    from latflow.study.regenerate import regenerated, save

    found = regenerated(ensemble, indices)
    save(out, found)
    described = [{"index": made.index, "draw": made.draw, **made.columns, "level": made.level} for made in found]
    if machine:
        emit_json({"file": str(out), "configurations": described})
        return
    heads = [_HEADS.get(name, name.replace("_", " ")) for name in described[0]]
    emit("\n".join(table_lines([heads, *_lines(described)])))
    if len(described) > _SHOWN:
        emit(f"… and {len(described) - _SHOWN} more; --json shows all")
    emit(f"written: {out}")


def parsed_indices(words: tuple[str, ...]) -> tuple[int, ...]:
    """Numbers of configurations from words: ``7``, or ``10:20`` for 10 to 19.

    Raises:
        UsageError: If there is none, a word is neither, a range is empty, or they are too many.
    """
    if not words:
        raise UsageError("--index", value="not given", allowed=_INDICES)
    indices: list[int] = []
    for word in words:
        first, colon, last = word.partition(":")
        numbers = [_index(number) for number in ((first, last) if colon else (first,))]
        if None in numbers:
            raise UsageError("--index", value=repr(word), allowed=_INDICES)
        begin, stop = numbers[0] or 0, (numbers[-1] or 0) + (not colon)
        if not 0 < stop - begin <= MAX_CONFIGURATIONS - len(indices):
            allowed = f"ranges that rise, at most {MAX_CONFIGURATIONS:,} configurations"
            raise UsageError("--index", value=repr(word), allowed=allowed)
        indices.extend(range(begin, stop))
    return tuple(indices)


def _index(text: str) -> int | None:
    """A number from 0; None for another text."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else whole(text)
    return None if number is None or number < 0 else number


_INDICES = "numbers of configurations from 0, or ranges like 10:20"


_HEADS = {"index": "configuration", "log_prob": "log q", "log_weight": "log w", "level": "verified"}


def _lines(described: list[dict[str, Any]]) -> list[list[str]]:
    return [
        [f"{value:.10g}" if type(value) is float else str(value) for value in made.values()]
        for made in described[:_SHOWN]
    ]
