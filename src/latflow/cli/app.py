"""The commands.

Each one first checks everything that can be checked from text and paths, then turns double precision on, and only then
imports the parts that compute, so that `--help`, `new` and errors in keys answer at once. For the same reason even the
schema of studies is imported inside the commands.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from latflow import __version__
from latflow.cli.device import prepare_jax
from latflow.cli.gauge_commands import convert, inspect
from latflow.cli.judgement import print_as_found
from latflow.cli.many_runs import compare, table, trend
from latflow.cli.output import emit, emit_json, table_lines, words
from latflow.cli.overrides import as_mapping
from latflow.cli.parameters import Count, Flag, Settings, Words
from latflow.cli.reducing import reduce
from latflow.cli.verifying import verify
from latflow.errors import PhysicsStop, UsageError

if TYPE_CHECKING:
    from latflow.study.config import StudyConfig

app = App(
    name="latflow",
    help="Exact ensembles of lattice-field configurations from machine-learned flows, HMC and local updates.",
    version=__version__,
    help_format="plaintext",
    default_parameter=Parameter(show_default=False),
    result_action="return_value",
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
)

app.command(verify, sort_key=6)
app.command(reduce, sort_key=6)
app.command(inspect, sort_key=8)
app.command(convert, sort_key=8)
app.command(table, sort_key=7)
app.command(compare, sort_key=7)
app.command(trend, sort_key=8)
app.register_install_completion_command()


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class StageOptions:
    """Options of the commands that work on a run. Every key of the study is an option too: --action.coupling 6.5.

    Args:
        run_dir: Directory of the run; by default runs/NAME.
        samplers: Work for these samplers of the study only.
        start: Start the training from this model: a run, a model directory or zoo:NAME; short for training.start_from.
        dry_run: Print the resolved study and what it needs; write nothing.
        fork: If the directory holds another study, go on beside it.
        json: Machine-readable output.
        debug: Show the traceback of an error.
        settings: Another value for a key of the study, such as action.coupling=6.5; --KEY VALUE is short for it.
    """

    run_dir: Path | None = None
    samplers: Words = ()
    start: Annotated[str, Parameter(name="--from")] = ""
    dry_run: Flag = False
    fork: Flag = False
    json: Flag = False
    debug: Flag = False
    settings: Settings = ()


@app.command(sort_key=0)
def new(name: str = "", /, *, json: Flag = False, debug: Flag = False) -> None:
    """Print a ready study file, or list what there is.

    Args:
        name: A preset; without one, all are listed with what they cost.
        json: Machine-readable output.
        debug: Show the traceback of an error.
    """
    del debug  # read by the error boundary, as everywhere
    from latflow.study.config.presets import preset, presets

    if name:
        chosen = preset(name)
        if json:
            emit_json(dataclasses.asdict(chosen))
        else:
            emit(chosen.text)
        return
    found = presets()
    if json:
        keys = ("name", "title", "cost", "command")
        emit_json([{key: getattr(entry, key) for key in keys} for entry in found])
    else:
        rows = [[entry.name, entry.cost, entry.command, entry.title] for entry in found]
        emit("\n".join(table_lines([["preset", "cost", "command", "study"], *rows])))
        emit("\nlatflow new PRESET > study.toml writes a copy to change; latflow COMMAND study.toml runs it.")


@app.command(name="run", sort_key=1)
def run_all(study: Path, /, *, options: StageOptions = StageOptions()) -> None:
    """Run a study to its report: train, sample, measure, analyse. What is done already is not done again.

    Args:
        study: A study file or a run directory.
        options: What all these commands share.
    """
    _stages(study, options, ("train", "sample", "measure", "analyse", "report"))


@app.command(sort_key=2)
def train(study: Path, /, *, options: StageOptions = StageOptions()) -> None:
    """Train the flow of a study.

    Args:
        study: A study file or a run directory.
        options: What all these commands share.
    """
    _stages(study, options, ("train",))


@app.command(sort_key=3)
def sample(
    study: Path | None = None,
    /,
    *,
    model: str = "",
    configurations: Count = None,
    ledger_only: Flag = False,
    options: StageOptions = StageOptions(),
) -> None:
    """Sample the ensembles of a study, or draw from a trained model alone.

    Args:
        study: A study file or a run directory; none if a model is named.
        model: Draw from this model: zoo:NAME, a run or a model directory.
        configurations: How many, in place of sampling.configurations; blocks are whole. A model that belongs to no run
            draws fewer than a block if fewer are asked for.
        ledger_only: Keep weights and decisions of the flow's draws, not the fields: `latflow regenerate` makes them.
        options: What all these commands share.
    """
    from latflow.cli.models import Wanted, sample_model

    if model:
        for name, given in (("a study", study), ("--from", options.start), ("--samplers", options.samplers)):
            if given:
                raise UsageError("sample", value=f"--model and {name}", allowed="one of them")
        wanted = Wanted(
            model,
            configurations,
            ledger_only,
            options.run_dir,
            fork=options.fork,
            dry_run=options.dry_run,
            settings=options.settings,
        )
        sample_model(wanted, machine=options.json)
        return
    if ledger_only and options.samplers:
        _refuse_ledger_of_chains(options.samplers)
    if study is None:
        raise UsageError("sample", value="nothing to sample", allowed="a study, or --model MODEL")
    more = [f"sampling.configurations={configurations}"] if configurations is not None else []
    more += ["sampling.ledger_only=true"] if ledger_only else []
    _stages(study, dataclasses.replace(options, settings=(*options.settings, *more)), ("sample",))


@app.command(sort_key=4)
def measure(study: Path, /, *, options: StageOptions = StageOptions()) -> None:
    """Measure and analyse the ensembles of a study, or configurations that another code has made.

    Args:
        study: A study file or a run directory; or a folder of gauge configurations, or an ensemble gathered from one.
        options: What all these commands share.
    """
    if study.is_dir() and not (study / "study.toml").exists():
        from latflow.study.foreign import is_collection, study_of

        if is_collection(study):
            config = study_of(study, as_mapping(options.settings))
            _go(config, None, options, ("sample", "measure", "analyse", "report"))
            return
    _stages(study, options, ("measure", "analyse"))


@app.command(sort_key=5)
def report(study: Path, /, *, options: StageOptions = StageOptions()) -> None:
    """Write figures and report.html of a study.

    Args:
        study: A study file or a run directory.
        options: What all these commands share.
    """
    from latflow.cli.stages import report_alone

    if not report_alone(study):
        _stages(study, options, ("analyse", "report"))


@app.command(sort_key=5)
def models(*, json: Flag = False, debug: Flag = False) -> None:
    """List the trained models of the zoo.

    Args:
        json: Machine-readable output.
        debug: Show the traceback of an error.
    """
    del debug
    from latflow.cli.models import list_models

    list_models(machine=json)


@app.command(sort_key=5)
def regenerate(
    ensemble: Path,
    /,
    *,
    index: Words = (),
    out: Path = Path("configurations.npy"),
    json: Flag = False,
    debug: Flag = False,
) -> None:
    """Make configurations of a flow's ensemble again from its model, key and ledger.

    Args:
        ensemble: A run directory or its ensembles/flow.
        index: Numbers of configurations of the Markov chain, from 0, or ranges: 10:20 is 10 to 19.
        out: Where they go, as one NumPy array in the order asked for.
        json: Machine-readable output.
        debug: Show the traceback of an error.
    """
    del debug
    from latflow.cli.models import regenerate as made_again

    made_again(ensemble, index, out=out, machine=json)


@app.command(sort_key=7)
def selfcheck(study: Path, /, *, json: Flag = False, debug: Flag = False, settings: Settings = ()) -> int:
    """Test the laws of sampling on the lattice, action and flow of a study: number, limit, verdict.

    Args:
        study: A study file.
        json: Machine-readable output.
        debug: Show the traceback of an error.
        settings: Another value for a key of the study, such as action.coupling=6.5; --KEY VALUE is short for it.
    """
    del debug
    from latflow.cli.stages import find_place
    from latflow.study.config import load_study

    config = load_study(find_place(study).study, as_mapping(settings))
    prepare_jax()
    from latflow.testing import selfchecks

    return print_as_found(selfchecks(config), PhysicsStop, subject=str(study), machine=json)


@app.command(sort_key=8)
def scaling(
    study: Path,
    /,
    *,
    run_dir: Path | None = None,
    quick: Flag = False,
    dry_run: Flag = False,
    json: Flag = False,
    debug: Flag = False,
    settings: Settings = (),
) -> None:
    """Run a scaling study: flows and classical samplers at several sizes, autocorrelation times, costs, one page.

    Args:
        study: A scaling study, such as studies/phi4-critical.toml.
        run_dir: Where the runs go, one directory each; by default runs/NAME.
        quick: Small statistics and short trainings, in a directory of its own.
        dry_run: Print the runs and what they need; write nothing.
        json: Machine-readable output.
        debug: Show the traceback of an error.
        settings: Keys of the scaling study that replace those of the file.
    """
    del debug
    from latflow.cli.scaling import dry_run as planned
    from latflow.cli.scaling import run
    from latflow.study.config.scaling import load_scaling

    config = load_scaling(study, as_mapping(settings))
    config = config.quick() if quick else config
    directory = run_dir or Path("runs") / config.name
    if dry_run:
        planned(config, directory, machine=json)
    else:
        run(config, directory, machine=json)


@app.command(name="free-energy", sort_key=8)
def free_energy(first: Path, second: Path, /, *, json: Flag = False, debug: Flag = False) -> None:
    """Difference of the free energies −ln Z of two runs on one lattice, by every way that their draws allow.

    Args:
        first: Run directory A.
        second: Run directory B; the difference is F_B − F_A.
        json: Machine-readable output.
        debug: Show the traceback of an error.
    """
    del debug
    from latflow.cli.free_energy import compare

    compare(first, second, machine=json)


@app.command(sort_key=9)
def doctor(*, json: Flag = False, debug: Flag = False) -> None:
    """Say what this machine offers: versions, devices, precision, memory, disk, optional tools, plug-ins.

    Args:
        json: Machine-readable output.
        debug: Show the traceback of an error.
    """
    del debug
    from latflow.doctor import examine

    findings = examine(Path())
    if json:
        emit_json(findings)
    else:
        emit("\n".join(table_lines([[name, words(value)] for name, value in findings.items()])))
    prepare_jax()


def _refuse_ledger_of_chains(samplers: tuple[str, ...]) -> None:
    from latflow.study.config.methods import FLOW, REDRAWN

    if not set(REDRAWN) & set(samplers):
        allowed = f"--samplers {FLOW}"
        raise UsageError("--ledger-only", value=f"without the {FLOW}", allowed=allowed, hint="chains keep all")


def _stages(study: Path, options: StageOptions, stages: tuple[str, ...]) -> None:
    from latflow.cli.stages import find_place, load_place

    place = find_place(study)
    more = (f"training.start_from={options.start}",) if options.start else ()
    _go(load_place(place, as_mapping((*options.settings, *more))), place.directory, options, stages)


def _go(config: "StudyConfig", place: Path | None, options: StageOptions, stages: tuple[str, ...]) -> None:
    """Run stages of a study in the directory that was asked for, or its own."""
    from latflow.cli.stages import dry_run, run

    directory = options.run_dir or place or Path("runs") / config.name
    if options.dry_run:
        dry_run(
            config,
            directory,
            stages=stages,
            samplers=options.samplers,
            machine=options.json,
            fork=options.fork,
        )
    else:
        run(
            config,
            directory,
            stages=stages,
            samplers=options.samplers,
            fork=options.fork,
            machine=options.json,
        )
