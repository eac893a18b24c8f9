"""Every row of "to add X, touch Y" in docs/architecture.md, executed.

What the example package adds from outside is written into a copy of latflow: new files, and one entry in the file that
the row names. One study in another process then uses all of it. The rows of other packages run in `test_plugins`.
"""

import dataclasses
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import latflow
from installation import EXAMPLE, ROOT, answer
from latflow.study.config import load_study

BROUGHT = EXAMPLE / "latflow_example"

HERE, PLUG_INS, PHYSICS = (f"tests/theories/test_{name}.py" for name in ("to_add", "plugins", "sine_gordon"))

ROWS = {
    "a theory": (f"{HERE}::test_a_theory",),
    "a theory from another package": (f"{PLUG_INS}::test_a_theory_goes_from_study_to_report",),
    "an observable": (f"{HERE}::test_an_observable", f"{PHYSICS}::test_a_run_has_its_own_names_and_references"),
    "an observable from another package": (f"{PLUG_INS}::test_an_observable_serves_a_theory_that_does_not_know_it",),
    "an estimate of columns that are there": (f"{HERE}::test_an_estimate",),
    "a sampler": (f"{HERE}::test_a_sampler",),
    "a sampler from another package": (f"{PLUG_INS}::test_results_of_methods_are_those_of_the_theory",),
    "a flow": (f"{HERE}::test_a_flow",),
    "a flow from another package": (f"{PLUG_INS}::test_a_flow_is_trained_and_exact",),
}
"""The tests that execute a row."""


@dataclasses.dataclass(frozen=True)
class Addition:
    """What a row asks for, with files relative to the package.

    Attributes:
        files: New files or folders, and what of the example package they are.
        entries: By file a text that stands in it once, and what is written before it.
    """

    files: Mapping[str, str]
    entries: Mapping[str, tuple[tuple[str, str], ...]]


FLOW_TABLE = (BROUGHT / "flows.py").read_text(encoding="utf-8")

WORDS = '"example_fourth": ObservableWords("fourth moment of the example", "⟨M⁴⟩", "$M_4$", "M the mean field"),\n    '

QUANTITY = (
    '_quantity("example_fourth", ("magnetization_fourth",), lambda means, _: means["magnetization_fourth"]),\n        '
)

ADDITIONS = {
    "a theory": Addition(
        {"theories/example": "sine_gordon"},
        {"theories/catalogue.py": (('"phi4": "latflow', '"example": "latflow.theories.example",\n    '),)},
    ),
    "an observable": Addition(
        {"observables/example.py": "observables.py"},
        {"theories/further.py": (('"cos_phi": "', '"example_cos_phi": "latflow.observables.example:mean_cosine", '),)},
    ),
    "an estimate of columns that are there": Addition(
        {},
        {
            "theories/scalar/estimates.py": (('_mean("action_density")', QUANTITY),),
            "theories/scalar/words.py": (('"action_density": Observ', WORDS),),
        },
    ),
    "a sampler": Addition(
        {
            "samplers/example.py": "samplers.py",
            "study/config/example.py": "methods.py",
            "study/example.py": "builders.py",
        },
        {
            "study/config/methods.py": (
                ("from latflow.study.config.method import Method as", "from latflow.study.config import example\n"),
                (')\n"""In the order of sampling', "    example.MIXED,\n"),
            )
        },
    ),
    "a flow": Addition(
        {"flows/example.py": "affine.py"},
        {
            "flows/tables.py": (
                ("BUILT_IN = (", FLOW_TABLE[FLOW_TABLE.index("class ") :] + "\n\n"),
                ("    ContinuousTable,\n    RealNVPTable,", "    AffineTable,\n"),
            )
        },
    ),
}

MOVED = {
    "latflow_example.builders": "latflow.study.example",
    "latflow_example.samplers": "latflow.samplers.example",
    "latflow_example.affine": "latflow.flows.example",
}
"""Modules of the example package by the places that they take."""

STUDY = """
name = "added"
[lattice]
shape = [2, 2]
[action]
kind = "example_sine_gordon"
mass_squared = 0.5
alpha = 0.5
[flow]
kind = "example_affine"
scale = 0.5
[training]
batch_size = 32
evaluation_draws = 256
warmup_steps = 0
stop = { steps = 5 }
[sampling]
configurations = 512
block_size = 256
samplers = ["flow", "mixed"]
[mixed]
chains = 8
sweeps = 2
[measure]
observables = ["phi_squared", "example_fourth", "example_cos_phi"]
"""

OLD = STUDY.partition("[flow]")[0].replace("example_", "") + '[sampling]\nsamplers = ["hmc"]\n'

PROGRAM = """
from pathlib import Path
from latflow.study.config import load_study
json.dump({
    "digest": load_study(Path("old.toml")).digest(),
    "run": told("run", "study.toml", "--run-dir", "run"),
    "verify": told("verify", "run")[0],
    "doctor": told("doctor")[1],
}, sys.stdout)
"""


def rows() -> dict[str, tuple[str, str]]:
    """The table of the document: what is written and what gets an entry, by what is added."""
    section = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## To add X, touch Y")[2]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", section, re.M)]
    return {name: (written, entry) for name, written, entry in cells[2:]}


def moved(text: str) -> str:
    """A module of the example package as a module of latflow."""
    for old, new in MOVED.items():
        text = text.replace(old, new)
    return text


def add(package: Path, addition: Addition) -> None:
    """Write an addition into a copy of the package."""
    for target, source in addition.files.items():
        if (BROUGHT / source).is_dir():
            shutil.copytree(BROUGHT / source, package / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (package / target).write_text(moved((BROUGHT / source).read_text(encoding="utf-8")), encoding="utf-8")
    for name, entries in addition.entries.items():
        text = (package / name).read_text(encoding="utf-8")
        for before, entry in entries:
            assert text.count(before) == 1, (name, before)
            text = text.replace(before, moved(entry) + before)
        (package / name).write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The run of a study that uses all additions, and what the commands said."""
    site, folder = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("runs")
    package = shutil.copytree(Path(latflow.__file__).parent, site / "latflow")
    for addition in ADDITIONS.values():
        add(package, addition)
    (folder / "study.toml").write_text(STUDY)
    (folder / "old.toml").write_text(OLD)
    return folder, answer(PROGRAM, site, folder=folder)


@pytest.fixture(scope="module")
def results(told: tuple[Path, dict[str, Any]]) -> dict[str, Any]:
    """Of that run."""
    folder, found = told
    assert found["run"][0] == 0, found["run"]
    assert found["verify"] == 0
    return json.loads((folder / "run" / "results.json").read_text())


def estimates(results: Mapping[str, Any], observable: str) -> dict[str, float]:
    """Values of an estimate by sampler."""
    return {row["sampler"]: row["value"] for row in results["estimates"] if row["observable"] == observable}


def test_every_row_has_a_test() -> None:
    assert set(rows()) == set(ROWS)
    for path, _, name in (test.partition("::") for tests in ROWS.values() for test in tests):
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), name


@pytest.mark.parametrize("row", ADDITIONS)
def test_an_addition_touches_what_its_row_names(row: str) -> None:
    """New files lie in the folders of the second column, entries in the file of the third; a quantity has none."""
    written, entry = rows()[row]
    for folder in (str(Path(name).parent) for name in ADDITIONS[row].files):
        assert f"`{folder}/" in written, folder
    named = set(re.findall(r"`([a-z_0-9/]+\.py)`", entry))
    touched = set(ADDITIONS[row].entries)
    if entry == "–":
        assert {f"`{Path(name).stem}`" for name in touched} <= set(re.findall("`[a-z]+`", written))
    else:
        assert touched == named


def test_a_theory(results: dict[str, Any]) -> None:
    assert results["study"] == "added"
    assert 0.2 < estimates(results, "phi_squared")["mixed"] < 0.6


def test_an_observable(told: tuple[Path, dict[str, Any]], results: dict[str, Any]) -> None:
    assert set(estimates(results, "example_cos_phi")) == {"flow", "reweighted", "mixed"}
    assert "mean cosine of the example" in (told[0] / "run" / "report.html").read_text()


def test_an_estimate(told: tuple[Path, dict[str, Any]], results: dict[str, Any]) -> None:
    """It stands in the results with its words, and in the report."""
    assert estimates(results, "example_fourth")["mixed"] > 0
    assert "fourth moment of the example" in json.dumps(results, ensure_ascii=False)
    assert "fourth moment of the example" in (told[0] / "run" / "report.html").read_text()


def test_a_sampler(told: tuple[Path, dict[str, Any]], results: dict[str, Any]) -> None:
    """Its table is a section of studies; those that do not use it keep their hash."""
    assert results["samplers"]["mixed"]["sweeps"] == 2
    assert told[1]["digest"] == load_study(told[0] / "old.toml").digest()


def test_a_flow(told: tuple[Path, dict[str, Any]], results: dict[str, Any]) -> None:
    header = json.loads((told[0] / "run" / "model" / "model.json").read_text())["header"]
    assert header["identity"]["flow"] == {"kind": "example_affine", "scale": 0.5}
    assert results["flow"]["training_steps"] == 5
    assert not [name for name in told[1]["doctor"] if "example" in name]
