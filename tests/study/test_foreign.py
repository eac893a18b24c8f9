"""An ensemble that another code has made: measured, analysed by its numbers, verified, extended."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import latflow as lf
from latflow.cli import main
from latflow.errors import CannotCreateError, ConfigError, DataError
from latflow.report import data, gauge
from latflow.report.canvas import Picture
from latflow.results import Results
from latflow.store.ensemble import Ensemble
from latflow.store.gauge_files import measure as annex
from latflow.store.gauge_files.configuration import examine
from latflow.store.gauge_files.files import read_configuration, write_configuration
from latflow.store.gauge_files.folders import import_folder
from latflow.store.gauge_files.refusals import ShapeUnknownError, UnsupportedError
from latflow.store.gauge_files.replicas import Place, is_sidecar, listing, places
from latflow.store.records import ChecksumError, FormatError
from latflow.study.config import load_study
from latflow.study.context import Silent
from latflow.study.foreign import study_of
from latflow.study.run import run_stages
from latflow.study.verify import verify
from latflow.study.wording import read_results

SHAPE = (2, 2, 2, 4)
NUMBERS = {"r0": (10, 20, 30, 50, 60, 70, 80, 90), "r1": (5, 15, 25, 35, 45)}
"""Replica r0 has a gap; r1 is shorter."""

STAGES = ("sample", "measure", "analyse")
FEW = {"measure.observables": "plaquette clover_charge", "gradient_flow.records": "3", "smearing.kind": "none"}


def links(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(2, 4, 2, 2, *SHAPE))
    return annex.reunitarised(noise[0] + 1j * noise[1])


def write(path: Path, seed: int, format: str = "ildg") -> None:
    found = examine(links(seed), format="made", precision="float64", details={})
    write_configuration(path, found, format)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("other") / "B1"
    path.mkdir()
    for replica, numbers in NUMBERS.items():
        for number in numbers:
            write(path / f"B1{replica}n{number}", seed=number, format="ildg" if replica == "r0" else "nersc")
    (path / "README.txt").write_text("made elsewhere")
    (path / "B1r0n10.info").write_text("{}")
    return path


def measured(folder: Path, directory: Path, **changes: str) -> Results:
    config = study_of(folder, {**FEW, **changes})
    results = run_stages(config, directory, stages=STAGES, progress=Silent())
    assert results is not None
    return results


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "B1"
    measured(folder, directory)
    return directory


def test_the_study_of_a_folder(folder: Path) -> None:
    study = study_of(folder, {})
    assert study.lattice.shape == SHAPE
    assert (study.action.kind, study.action.group) == ("given_links", "SU(2)")
    assert (study.name, study.sampling.samplers, study.sampling.configurations) == ("B1", ("files",), 13)
    # the flow ends where its radius is half the lattice: 2² / 32
    assert study.gradient_flow.kind == "wilson"
    assert study.gradient_flow.spacing * study.gradient_flow.records == pytest.approx(0.125)
    assert study.smearing.kind == "ape"
    assert study_of(folder, {"name": "other", "smearing.kind": "none"}).name == "other"
    with pytest.raises(ConfigError, match="spacing"):
        study_of(folder, {"gradient_flow.spacing": "5.0"})


def test_estimates_follow_the_numbers(folder: Path, run: Path) -> None:
    results = read_results(run / "results.json")
    names = [f"B1{replica}n{number}" for replica, numbers in NUMBERS.items() for number in numbers]
    plaquettes = [read_configuration(folder / name).plaquette for name in names]
    row = results.estimate("plaquette", "files")
    assert row is not None
    assert row.value == pytest.approx(np.mean(plaquettes), rel=1e-12)
    assert row.n == 13
    charge = results.estimate("clover_charge", "files")
    assert charge is not None
    assert charge.number is not None
    settings = results.samplers["files"]
    assert (settings["replicas"], settings["gaps"], settings["step"]) == (2, 1, 10)
    assert settings["numbers"] == "B1r0 10 to 90; B1r1 5 to 45"
    # R̂ needs eight records of a replica, which only the longer one has
    assert (results.chains["files"].chains, results.chains["files"].records) == (1, 8)


def test_the_run_as_arrays(run: Path) -> None:
    found = lf.open_run(run).ensemble("files").to_pyerrors(("plaquette",))["plaquette"]
    assert found.idl == {"B1_files|r000": list(NUMBERS["r0"]), "B1_files|r001": range(5, 55, 10)}
    row = read_results(run / "results.json").estimate("plaquette", "files")
    assert row is not None
    assert found.value == pytest.approx(row.value, rel=1e-12)


def test_histories_of_replicas_follow_their_numbers_and_show_where_one_begins(folder: Path, run: Path) -> None:
    opened = data.load(run)
    history = data.series(opened, "files", "plaquette")
    names = [f"B1{replica}n{number}" for replica, numbers in NUMBERS.items() for number in numbers]
    assert history is not None
    np.testing.assert_allclose(history[0], [read_configuration(folder / name).plaquette for name in names])
    assert data.borders(opened, "files") == (8,)
    drawn = gauge.plaquette_history(opened)
    assert isinstance(drawn, Picture)
    assert "2 replicas, in all 13 records. Dotted: another replica begins." in drawn.caption


def test_the_run_is_verified_and_up_to_date(folder: Path, run: Path) -> None:
    checks = verify(run)
    assert all(check.passed for check in checks), checks
    assert any("13 files unchanged" in check.name for check in checks)
    before = (run / "results.json").read_bytes()
    measured(folder, run)
    assert (run / "results.json").read_bytes() == before
    manifest = Ensemble.open(run / "ensembles" / "files").manifest
    assert "fields" in manifest["identity"]
    assert sum(path.stat().st_size for path in (run / "ensembles").rglob("*.h5")) < 40_000


def test_a_gathered_ensemble_gives_the_same(folder: Path, run: Path, tmp_path: Path) -> None:
    written = import_folder(folder, tmp_path / "gathered")
    assert written.replicas == {"B1r0": 8, "B1r1": 5}
    assert written.passed_over == ["B1r0n10.info", "README.txt"]
    again, first = measured(tmp_path / "gathered", tmp_path / "run"), read_results(run / "results.json")
    for name in ("plaquette", "clover_charge"):
        assert again.estimate(name, "files") == first.estimate(name, "files")


def test_a_folder_that_grows_and_files_that_change(folder: Path, tmp_path: Path) -> None:
    copy, only = tmp_path / "copy", {"measure.observables": "plaquette", "gradient_flow.kind": "none"}
    copy.mkdir()
    for number in NUMBERS["r0"]:
        (copy / f"B1r0n{number}").write_bytes((folder / f"B1r0n{number}").read_bytes())
    first = measured(copy, tmp_path / "run", **only)
    assert first.chains["files"].chains == 1
    write(copy / "B1r0n40", seed=40)
    second = measured(copy, tmp_path / "run", **only)
    row = second.estimate("plaquette", "files")
    assert row is not None
    assert row.n == 9
    assert second.samplers["files"]["gaps"] == 0
    (copy / "B1r0n20").unlink()
    write(copy / "B1r0n20", seed=99)
    (changed,) = [check for check in verify(tmp_path / "run") if not check.passed]
    assert changed.value == "B1r0n20"
    write(copy / "B1r0n100", seed=100)
    with pytest.raises(ChecksumError, match="B1r0n20: not the file that was entered before"):
        measured(copy, tmp_path / "run", **{**only, "measure.observables": "plaquette polyakov_loop"})
    (copy / "B1r0n20").unlink()
    with pytest.raises(CannotCreateError, match="B1r0n20 was measured and is gone"):
        measured(copy, tmp_path / "run", **only)


def test_beside_samplers_of_our_own(folder: Path, tmp_path: Path) -> None:
    """A study of a known action may compare another code's configurations with ours."""
    text = (
        'name = "both"\n[lattice]\nshape = [2, 2, 2, 4]\n[action]\nkind = "wilson"\ngroup = "SU(2)"\nbeta = 1.0\n'
        '[sampling]\nsamplers = ["files", "heatbath"]\nconfigurations = 32\n'
        f'[heatbath]\nchains = 4\nwarmup = 4\n[files]\nfolder = "{folder}"\n[measure]\nobservables = ["plaquette"]\n'
    )
    (tmp_path / "both.toml").write_text(text)
    config = load_study(tmp_path / "both.toml")
    results = run_stages(config, tmp_path / "run", stages=STAGES, progress=Silent(), samplers=("files",))
    assert results is not None
    assert [row.sampler for row in results.of("plaquette")] == ["files"]
    assert results.theory is not None
    assert results.theory.action["beta"] == 1.0


def test_what_cannot_be_measured(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "1").write_text("0.5\n" * 100)
    with pytest.raises(ShapeUnknownError, match=r"--lattice\.shape X Y Z T"):
        study_of(tmp_path / "text", {})
    ours = Ensemble.create(tmp_path / "ours", {"kind": "ensemble", "sampler": "hmc", "identity": {}})
    ours.append({"fields": links(0)[None]}, n=1, attributes={})
    with pytest.raises(UnsupportedError, match="not gathered from files"):
        study_of(tmp_path / "ours", {})
    (tmp_path / "open").mkdir()
    bad = links(1)
    bad[3, ..., -1] = 0
    found = examine(bad, format="made", precision="float64", details={})
    for number in range(1, 9):
        write_configuration(tmp_path / "open" / str(number), found, "ildg")
    config = study_of(tmp_path / "open", {})
    with pytest.raises(UnsupportedError, match="boundary in time: open"):
        run_stages(config, tmp_path / "run", stages=STAGES[:1], progress=Silent())
    for changes, words in (({"action.group": "U(1)"}, r"SU\(N\)"), ({"files.folder": ""}, "files.folder")):
        with pytest.raises(ConfigError, match=words):
            study_of(folder, changes)


def test_files_of_one_content_are_named(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "few").mkdir()
    for number in range(4):
        write(tmp_path / f"c.{number}", seed=number)
    # copies: a file names the second in which it was written
    for number in range(8):
        shutil.copy(tmp_path / "c.1", tmp_path / "one" / f"c.{number}")
        shutil.copy(tmp_path / f"c.{number // 2}", tmp_path / "few" / f"c.{number}")
    with pytest.raises(FormatError, match=r"all 8 configurations are one: c\.0, c\.1, c\.2, … are the same file"):
        measured(tmp_path / "one", tmp_path / "run-one")
    lines = Lines()
    run_stages(study_of(tmp_path / "few", FEW), tmp_path / "run-few", stages=STAGES[:1], progress=lines)
    assert lines.told[-1] == (
        "warning  c.0, c.1 are the same file, byte by byte: 8 files hold 4 configurations, errors are too small"
    )


class Lines(Silent):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def line(self, text: str) -> None:
        self.told.append(text)


def test_one_command(folder: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [word for key, value in FEW.items() for word in (f"--{key}", *value.split())]
    assert main(["measure", str(folder), *options, "--run-dir", str(run / "planned"), "--dry-run"]) == 0
    assert "# seconds, measure" in capsys.readouterr().out
    assert not (run / "planned").exists()
    assert main(["measure", str(folder), *options, "--run-dir", str(run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["observable"] for row in found["estimates"]} == {"plaquette", "clover_charge"}
    assert (run / "report.html").read_text(encoding="utf-8").count("files") > 2


# Names


def test_replicas_by_name() -> None:
    def told(*names: str, stated: tuple[str, ...] = ()) -> list[Place]:
        return places(names, names, stated or ("",) * len(names))

    assert told("cfg.8", "cfg.10") == [Place("cfg", 8), Place("cfg", 10)]
    assert told("A1r000n40", "A1r001n40") == [Place("A1r000", 40), Place("A1r001", 40)]
    assert told("r0/conf_0100", "r1/conf_0100") == [Place("r0/conf", 100), Place("r1/conf", 100)]
    assert told("conf_0100.cfg", "conf_0120.cfg") == [Place("conf", 100), Place("conf", 120)]
    assert told("a", "b", stated=("30", "10")) == [Place("", 30), Place("", 10)]
    assert told("a", "b") == [Place("", 0), Place("", 1)]
    with pytest.raises(FormatError, match=r"configuration 8 of replica 'cfg': cfg\.8 and cfg\.08"):
        told("cfg.8", "cfg.08")


def test_files_beside_configurations(tmp_path: Path) -> None:
    beside = (
        "cfg.1.info",
        "a.json",
        "MD5SUMS",
        "sha256sums.txt",
        "readme",
        "x.md5",
        "x.xml.gz",
        "plot.svg",
        "PLOT.PNG",
    )
    for name in ("cfg.1", *beside):
        (tmp_path / name).write_bytes(b"")
    found = listing(tmp_path)
    assert found.names == ["cfg.1"]
    assert len(found.passed_over) == 9
    assert not is_sidecar("cfg.txt")
    (tmp_path / "cfg.1").unlink()
    for replica in ("r1", "r0"):
        (tmp_path / replica).mkdir()
        (tmp_path / replica / "cfg.2").write_bytes(b"")
    assert listing(tmp_path).names == ["r0/cfg.2", "r1/cfg.2"]


@pytest.mark.parametrize(
    ("names", "message"),
    [(["a.1", "a.2", "a.3"], "at least 8"), ([*(f"a.{n}" for n in range(1, 10)), "a.07"], "configuration 7")],
)
def test_what_no_error_can_be_given_for_is_refused_before_it_is_read(
    tmp_path: Path, names: list[str], message: str
) -> None:
    folder = tmp_path / "short"
    folder.mkdir()
    write(folder / names[0], seed=1)
    for name in names[1:]:
        (folder / name).write_bytes(b"not read")
    with pytest.raises(DataError, match=message):
        measured(folder, tmp_path / "run")
