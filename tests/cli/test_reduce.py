"""The reduce command: a finished run, an ensemble, configurations of another origin."""

import functools
import io
import json
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from typing_extensions import override

import latflow as lf
from latflow.archive.directory import open_ensemble
from latflow.cli import main
from latflow.cli.progress import PlainProgress
from latflow.errors import ConfigError, UsageError
from latflow.reduction import stored_configurations
from latflow.results.files import read
from latflow.stats.estimates import TooShortError
from latflow.store.atomic import sha256_file
from latflow.store.interrupts import Interrupts
from latflow.store.records import FormatError, seal, unseal
from latflow.study.card import zoo_directory
from latflow.study.checks import MISSING
from latflow.study.config import StudyConfig, load_study
from latflow.study.config.stages import ReduceConfig
from latflow.study.context import RunContext, Silent
from latflow.study.models import lineage
from latflow.study.run import run_stages
from latflow.study.stages import reducing
from latflow.study.stages.carried import are_whole, seconds_of_given
from latflow.study.stages.reducing import reduction_of
from latflow.study.stein_files import load_fields, save_fields
from latflow.study.verify_reduced import verify_reduced
from latflow.training.model_file import read_header
from latflow.variates.training import SteinTraining

STUDY = """
name = "small"
lattice.shape = [2, 2]
action = { kind = "phi4", mass_squared = -1.0, coupling = 2.0, normalisation = "half" }
sampling = { samplers = ["hmc"], configurations = 2048, block_size = 1024 }
hmc = { chains = 8, warmup = 60 }
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of HMC whose averages were corrected, after it had been finished without."""
    folder = tmp_path_factory.mktemp("reduce")
    (folder / "study.toml").write_text(STUDY)
    assert main(["run", str(folder / "study.toml"), "--run-dir", str(folder / "run")]) == 0
    assert main(["reduce", str(folder / "run"), "--steps", "15"]) == 0
    return folder / "run"


def test_results_hold_both_averages(run: Path) -> None:
    results = read(run / "results.json")
    row = results.estimate("phi_squared", "hmc")
    assert row is not None
    assert isinstance(row.variance_ratio, float)
    assert isinstance(row.plain_error, float)
    assert isinstance(row.error, float)
    assert np.isclose(row.variance_ratio, (row.plain_error / row.error) ** 2)
    assert row.variance_ratio > 4
    assert results.provenance is not None
    assert "reduced/hmc" in results.provenance.inputs
    assert "corrected by Stein fields" in (run / "report.html").read_text()


def test_what_is_done_is_not_done_again(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(run)]) == 0
    told = capsys.readouterr()
    assert "reduce   hmc: up to date" in told.err
    assert "analyse  up to date" in told.err
    assert "HMC, corrected by Stein fields: " in told.out
    assert main(["verify", str(run)]) == 0


def test_its_costs_beside_those_of_its_ensemble(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Seconds of the second block, the first compiles, without those of writing it: as the log of the run says."""
    assert main(["compare", str(run), str(run / "ensembles" / "hmc"), "--observables", "phi_squared", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    second = {r["stage"]: r for r in log if r.get("block") == 1}
    seconds = sum(2 * (second[stage]["seconds"] - second[stage]["storing"]) for stage in ("sample", "measure"))
    plain, corrected, *again = told["error_costs"]
    assert plain["seconds"] == pytest.approx(seconds)
    assert [each["cost"] for each in again] == [plain["cost"], corrected["cost"]]
    assert corrected["seconds"] > plain["seconds"]
    assert [each["pull"] for each in told["averages"]] == [None, None]  # the same numbers
    assert told["differences"] == []


def test_verify_notices_what_is_damaged_or_gone(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """66 for what is not there, 65 for what was changed."""
    path = run / "reduced" / "hmc" / "averages.json"
    kept = path.read_bytes()
    try:
        path.write_bytes(kept.replace(b"1", b"2", 1))
        damaged = main(["verify", str(run)]), capsys.readouterr()
        path.unlink()
        gone = main(["verify", str(run)]), capsys.readouterr()
    finally:
        path.write_bytes(kept)
    assert damaged[0] == 65
    assert "reduced/hmc: averages and fields" in damaged[1].err
    assert gone[0] == 66
    assert "MISSING" in gone[1].out


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
def test_fields_of_averages_are_verified(run: Path, name: str) -> None:
    path = run / "reduced" / "hmc" / "fields" / name
    kept = path.read_bytes()
    try:
        path.write_bytes(kept.replace(b"1", b"2", 1))
        (damaged,) = verify_reduced(run)
        path.unlink()
        (gone,) = verify_reduced(run)
    finally:
        path.write_bytes(kept)
    (whole,) = verify_reduced(run)
    assert [(each.passed, each.state) for each in (damaged, gone, whole)] == [(False, ""), (False, MISSING), (True, "")]


def test_damaged_averages_are_made_anew(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The analysis says how; null tests and counts are said of a run as of an ensemble."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    path = copy / "reduced" / "hmc" / "averages.json"
    kept = path.read_bytes()
    path.write_bytes(kept[:-100])
    with pytest.raises(FormatError, match=f"`latflow reduce {copy}` makes it anew"):
        reduction_of(copy, "hmc")
    capsys.readouterr()
    assert main(["reduce", str(copy)]) == 0
    told = capsys.readouterr().err
    assert "averages.json: damaged, made anew" in told
    assert "null tests: means p = " in told
    assert "plain errors would be seen, in 95 of 100 cases" in told
    assert re.search(r"hmc: \d+ of \d+ scalar and \d+ of \d+ vector averages have smaller errors", told)
    old, new = (unseal(each.removesuffix(b"\n"), what="", indent=1) for each in (kept, path.read_bytes()))
    assert old["averages"] == new["averages"]
    assert main(["reduce", str(copy)]) == 0
    assert "null tests: means p = " in capsys.readouterr().err


class Lines(Silent):
    """Keeps what stays on the screen."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @override
    def line(self, text: str) -> None:
        self.told.append(text)


def test_what_the_study_does_not_show_is_not_told_of(tmp_path: Path) -> None:
    """Three quantities are there; the study asks for two, of which one is corrected."""
    config = StudyConfig.model_validate(
        {**tomllib.loads(STUDY), "measure": {"observables": ["phi_squared", "susceptibility"]}}
    )
    lines = Lines()
    context = RunContext(config=config, directory=tmp_path, progress=lines, interrupts=Interrupts())
    plain = {name: [0.0] for name in ("phi_squared", "susceptibility", "pole_mass")}
    assert reducing._counts(config, plain, ("phi_squared", "pole_mass")) == "1 of 2 scalar"
    null = {"means": 1.0, "corrections": 1.0, "folds": 1.0}
    withheld = {"susceptibility": "too short", "binder": "too short"}
    reducing._tell(context, {"null_tests": null, "bias_seen": {}, "withheld": withheld})
    assert lines.told[-1].strip() == "not corrected: susceptibility: too short"


def test_averages_of_older_chains_are_left_out(run: Path) -> None:
    """The identity of what was corrected is compared before it is shown."""
    path = run / "reduced" / "hmc" / "averages.json"
    kept = path.read_bytes()
    record = unseal(kept.removesuffix(b"\n"), what="", indent=1)
    path.write_bytes(seal({**record, "identity": {}}, indent=1) + b"\n")
    analyse = functools.partial(run_stages, load_study(run / "study.toml"), run, stages=("analyse",), progress=Silent())
    try:
        older = analyse()
    finally:
        path.write_bytes(kept)
    newer = analyse()
    assert older is not None
    assert newer is not None
    assert {row.variance_ratio for row in older.estimates} == {None}
    assert {row.variance_ratio for row in newer.estimates} != {None}


@pytest.fixture(scope="module")
def other_run(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fields of the first run, and another run whose averages they have corrected."""
    folder = tmp_path_factory.mktemp("carried")
    shutil.copytree(run / "reduced" / "hmc" / "fields", folder / "fields")
    shutil.copytree(run, folder / "run", ignore=shutil.ignore_patterns("reduced"))
    _reduce(folder / "run", folder / "fields")
    return folder


@pytest.fixture
def carried(other_run: Path, tmp_path: Path) -> Path:
    """A copy of the other run, beside a copy of the fields."""
    shutil.copytree(other_run, tmp_path, dirs_exist_ok=True)
    return tmp_path / "run"


def _reduce(run: Path, fields: Path | str) -> str:
    """The stage alone; what it says."""
    config, said = load_study(run / "study.toml", {"reduce.fields": str(fields)}), io.StringIO()
    run_stages(config, run, stages=("reduce",), progress=PlainProgress(said), fork=False)
    return said.getvalue()


def test_carried_fields_are_known_by_their_card(carried: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By another path they are the same, at the same path other ones are not; gone ones are those that were there."""
    source = carried.parent / "fields"
    assert reduction_of(carried, "hmc")["identity"]["fields"] == sha256_file(source / "model.json")
    monkeypatch.chdir(carried.parent)
    assert "reduce   hmc: up to date" in _reduce(carried, "fields")
    header = read_header(source)
    fields = load_fields(source, lf.ScalarSpace((2, 2)))
    save_fields(source, fields, space=lf.ScalarSpace((2, 2)), made={**header["stein_fields"]["made"], "again": True})
    assert "up to date" not in _reduce(carried, source)
    source.rename(source.with_name("elsewhere"))
    assert "reduce   hmc: up to date" in _reduce(carried, source)
    assert "up to date" not in _reduce(carried, carried)  # its own, on another card
    assert "reduce   hmc: up to date" in _reduce(carried, carried)


def test_the_card_of_carried_fields_tells_of_their_training(run: Path, carried: Path) -> None:
    """Its seconds are those that came once for the corrected averages, wherever they were spent."""
    first, later = (read_header(each / "reduced/hmc/fields")["stein_fields"]["made"] for each in (run, carried))
    assert {name: later[name] for name in first} == first
    assert later["parents"] == [sha256_file(run / "reduced/hmc/fields/model.json")]
    assert later["used"]["facts"]["trained_on"] == 0
    config = load_study(carried / "study.toml", {"reduce.fields": str(carried.parent / "fields")})
    results = run_stages(config, carried, stages=("analyse",), progress=Silent(), fork=False)
    assert results is not None
    assert results.cost["hmc"].correction_training_seconds == first["facts"]["training_seconds"] > 0
    old = {"facts": {"trained_on": 0, "training_seconds": 0.0}}  # as carried fields of earlier versions
    fields = load_fields(carried, lf.ScalarSpace((2, 2)))
    save_fields(carried.parent / "old", fields, space=lf.ScalarSpace((2, 2)), made=old)
    assert seconds_of_given(ReduceConfig(fields=str(carried.parent / "old")), fields) is None
    trainings = lineage(zoo_directory("phi4-e1"))
    assert seconds_of_given(ReduceConfig(flow="zoo:phi4-e1"), fields) == sum(each["seconds"] for each in trainings)


def test_fields_that_are_damaged_or_gone_are_made_anew(carried: Path) -> None:
    """As `latflow verify` says."""
    fields = carried / "reduced" / "hmc" / "fields"
    weights = fields / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    (check,) = verify_reduced(carried)
    assert not check.passed
    assert "`latflow reduce` makes it anew" in str(check.limit)
    assert "fields: damaged or not there, made anew" in _reduce(carried, carried.parent / "fields")
    assert verify_reduced(carried)[0].passed
    shutil.rmtree(fields)
    assert verify_reduced(carried)[0].state == MISSING
    assert not are_whole(fields, "0" * 64)


def test_keys_of_the_table_are_options(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an ensemble they are settings of its training, checked as those of its study."""
    asked = []

    def caught(*_: object, training: SteinTraining, **__: object) -> None:
        asked.append(training)
        raise UsageError("reduce", value="caught")

    monkeypatch.setattr("latflow.reduction.reduce", caught)
    command = ["reduce", str(run / "ensembles" / "hmc"), "--reduce.batch_size", "64"]
    assert main([*command, "--reduce.steps", "2"]) == 64
    assert main([*command, "--steps", "3"]) == 64
    assert asked == [SteinTraining(steps=2, batch_size=64), SteinTraining(steps=3, batch_size=64)]


FLOW = """
[flow]
kind = "real_nvp"
layers = 2
hidden = [4]
[training]
batch_size = 16
stop = { steps = 1 }
evaluation_draws = 16
"""


def test_a_flow_gives_a_run_its_fields(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name and hash of the model are kept; another model makes the averages out of date."""
    (tmp_path / "study.toml").write_text(STUDY.replace('["hmc"]', '["flow"]') + FLOW)
    assert main(["train", str(tmp_path / "study.toml"), "--run-dir", str(tmp_path / "flow")]) == 0
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    assert main(["reduce", str(copy), "--flow", str(tmp_path / "nowhere")]) == 66
    assert load_study(copy / "study.toml").reduce.flow is None
    monkeypatch.chdir(tmp_path)
    assert main(["reduce", str(copy), "--flow", "flow"]) == 0
    assert load_study(copy / "study.toml").reduce.flow == str(tmp_path / "flow")
    kept = unseal((copy / "reduced/hmc/averages.json").read_bytes().removesuffix(b"\n"), what="", indent=1)
    assert kept["stein_fields"] == "latent"
    assert kept["trained_on"] == 0
    assert kept["fields"] is None
    assert kept["identity"]["flow"] == sha256_file(tmp_path / "flow" / "model" / "model.json")
    capsys.readouterr()
    assert main(["reduce", str(copy)]) == 0
    assert "reduce   hmc: up to date" in capsys.readouterr().err
    assert main(["verify", str(copy)]) == 0
    assert "reduced/hmc: averages  " in capsys.readouterr().out
    (tmp_path / "flow").rename(tmp_path / "elsewhere")
    assert main(["run", str(copy)]) == 0
    assert "reduce   hmc: up to date" in capsys.readouterr().err


def test_fields_of_the_file_can_be_cleared(run: Path) -> None:
    with_fields = load_study(run / "study.toml", {"reduce.fields": "somewhere"})
    assert with_fields.reduce.fields == "somewhere"
    assert load_study(run / "study.toml", {"reduce.fields": ""}).reduce.fields is None


def test_configurations_of_another_origin(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A NumPy file with the action of a study, and the fields of the run."""
    np.save(tmp_path / "x.npy", open_ensemble(run / "ensembles" / "hmc").fields())
    fields = str(run)  # its only fields, those of HMC
    command = ["reduce", str(tmp_path / "x.npy"), "--fields", fields, "--json"]
    assert main(command) == 78
    assert "action: missing for" in capsys.readouterr().err
    assert main([*command, "--action", str(run / "study.toml"), "--save", str(tmp_path / "saved")]) == 0
    told = json.loads(capsys.readouterr().out)
    rows = {row["observable"]: row for row in told["estimates"]}
    assert rows["phi_squared"]["variance_ratio"][0] > 4
    assert told["trained_on"] == 0
    made = read_header(tmp_path / "saved")["stein_fields"]["made"]
    assert made["facts"]["trained_on"] == 2
    assert made["parents"] == [sha256_file(run / "reduced" / "hmc" / "fields" / "model.json")]


def test_a_single_chain_is_cut_into_parts(tmp_path: Path) -> None:
    action = lf.PhiFour(lf.Lattice((2, 2)), mass_squared=-1.0, coupling=2.0)
    x = np.arange(4.0 * 83).reshape(83, 1, 2, 2)
    np.save(tmp_path / "x.npy", x)
    _, parts = stored_configurations(tmp_path / "x.npy", action)
    assert parts.shape == (10, 8, 2, 2)
    assert np.array_equal(np.swapaxes(parts, 0, 1).reshape(80, 2, 2), x[3:, 0])
    np.save(tmp_path / "x.npy", x[:12])
    with pytest.raises(TooShortError, match="at least 16 configurations"):
        stored_configurations(tmp_path / "x.npy", action)


def test_what_does_not_fit_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ensemble = str(run / "ensembles" / "hmc")
    cases = (
        (["reduce", str(tmp_path / "none")], 66, "not there"),
        (["reduce", str(run), "--action", "study.toml"], 64, "--action: with a run"),
        (["reduce", ensemble, "--samplers", "hmc"], 64, "--samplers: with an ensemble"),
        (["reduce", str(run), "--reduce.fields", "a", "--reduce.flow", "b"], 78, "reduce.flow: 'b'; allowed: not tog"),
        (["reduce", ensemble, "--fields", str(run / "model")], 66, "no Stein fields there; allowed: a run whose aver"),
        (
            ["reduce", str(run / "study.toml")],
            64,
            "a study; allowed: a run, an ensemble or configurations; `latflow run",
        ),
        (["reduce", ensemble, "--fields", ensemble, "--steps", "3"], 64, "--steps: with --fields"),
        (["reduce", str(run), "--steps", "0"], 78, "reduce.steps: 0; allowed: integer ≥ 1"),
        (["reduce", str(run), "--samplers", "flow"], 78, "reduce.samplers: 'flow'; allowed: chains among"),
        (["reduce", ensemble, "--hmc.chains", "9"], 64, "--hmc.chains: with reduce; allowed: keys of [reduce]"),
        (["reduce", ensemble, "--steps", "3", "--reduce.steps", "4"], 64, "--reduce.steps: with --steps"),
        (["reduce", ensemble, "--reduce.samplers", "hmc"], 64, "--reduce.samplers: with an ensemble; allowed: --red"),
        (["reduce", ensemble, "--reduce.steps", "-1"], 78, "--reduce.steps: -1; allowed:"),
        (["reduce", ensemble, "--fields", ensemble, "--reduce.steps", "4"], 64, "--reduce.steps: with --fields or --f"),
    )
    for arguments, code, words in cases:
        assert main(arguments) == code, arguments
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["--hmc.chains", "2"], "hmc.chains: 2; allowed: 3 or more"),
        (["--reduce.samplers", "local"], "reduce.samplers: 'local'; allowed: chains among sampling.samplers: hmc"),
    ],
)
def test_studies_that_cannot_be_reduced_are_refused(
    settings: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.toml").write_text(STUDY + "reduce = { samplers = ['hmc'] }\n")
    assert main(["run", str(tmp_path / "study.toml"), "--dry-run", *settings]) == 78
    assert words in capsys.readouterr().err


def test_fields_that_are_not_there_leave_the_study_as_it_was(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "study.toml").read_text()
    assert main(["reduce", str(run), "--fields", str(tmp_path / "nowhere")]) == 66
    assert "nowhere: no Stein fields there; allowed: a run whose averages" in capsys.readouterr().err
    assert (run / "study.toml").read_text() == before


def test_an_archive_of_arrays_is_named(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "x.npz", a=np.zeros((8, 4, 2, 2)))
    assert main(["reduce", str(tmp_path / "x.npz"), "--action", str(run / "study.toml")]) == 65
    assert "an archive of several arrays; allowed: an array in a NumPy file, .npy" in capsys.readouterr().err


def test_a_run_with_fields_of_several_samplers_names_them(run: Path, tmp_path: Path) -> None:
    for sampler in ("hmc", "local"):
        shutil.copytree(run / "reduced" / "hmc" / "fields", tmp_path / "reduced" / sampler / "fields")
    with pytest.raises(ConfigError, match=r"a run; allowed: one of .*reduced/hmc/fields, .*reduced/local/fields"):
        load_fields(tmp_path, lf.ScalarSpace((2, 2)))
