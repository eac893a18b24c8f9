"""`results.json`: written and read again, version 1 converted, damage and newer versions refused; schema and page.

Run as a program, this file writes the JSON Schema that is shipped and the tables of docs/results-format.md.
"""

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from latflow.results import (
    SCHEMA_FILE,
    Axis,
    EstimateRecord,
    FlowFigures,
    Observable,
    Provenance,
    Results,
    Theory,
    Vocabulary,
    described,
    read,
    schema_text,
    write,
)
from latflow.stats.evidence import Check, Verdict
from latflow.store.records import ChecksumError, FormatError, SchemaError, seal
from latflow.study.wording import read_results, stored_theory, vocabulary
from latflow.words import FLOW_TIME, PLANE, AxisWords, ObservableWords

OLD = Path(__file__).parent / "data" / "results-v1"
"""Files of version 1: `links`, SU(3) in four dimensions with a gradient flow, and `scalar`, a flow beside chains."""

PAGE = Path(__file__).parents[1] / "docs" / "results-format.md"
MARKED = re.compile(r"(<!-- fields: [^\n]* -->\n).*(<!-- end of fields -->)", re.DOTALL)
REGENERATE = "run: python tests/test_results.py"

WORDS = {
    "energy": Observable(title="energy", symbol="E", math="$E$"),
    "spectrum": Observable(title="s", symbol="s", math="s", axis=Axis(name="k", labels=("a", "b"))),
}
ROWS = (
    EstimateRecord(observable="energy", sampler="hmc", value=1.25, error=0.5, tau_int=0.7, tau_int_error=0.1, n=64),
    EstimateRecord(
        observable="spectrum",
        sampler="hmc",
        value=(0.1, math.nan),
        error=(0.2, math.inf),
        tau_int=(None, None),
        tau_int_error=(None, None),
        n=64,
        reference=(0.0, 0.0),
        reference_error=0.0,
        reference_source="exact",
    ),
)
RESULTS = Results(
    study="s",
    date="2026-01-02T03:04:05Z",
    theory=Theory(lattice=(4, 6), action={"kind": "free", "mass_squared": 1.0}, formula="Σ φ²", space="real numbers"),
    observables=WORDS,
    estimates=ROWS,
    flow=FlowFigures(acceptance=0.5, log_z=math.nan, coupling_range=(1.0, 2.0)),
    verdict=Verdict("collapsed", ("a", "b"), 0.5, 0.1, (Check("gap", 32, None, "≥ 8", passed=True),)),
    provenance=Provenance(inputs={"model": None}, seed=1, versions={"latflow": "1"}, device="cpu", precision="float64"),
)


def written(path: Path, **changes: Any) -> Path:
    """A file of version 2 with some keys changed, its checksum right."""
    path.write_bytes(seal({**RESULTS.plain(), **changes}, indent=1) + b"\n")
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(RESULTS, tmp_path / "results.json")
    assert read(tmp_path / "results.json") == RESULTS
    content = json.loads((tmp_path / "results.json").read_text())
    assert content.pop("check")
    assert content == RESULTS.plain()
    assert content["verdict"]["evidence"][0]["value"] == 32


def test_what_could_not_be_computed_is_null(tmp_path: Path) -> None:
    assert RESULTS.estimates[1].value == (0.1, None)
    assert RESULTS.estimates[1].error == (0.2, None)
    assert RESULTS.flow is not None
    assert RESULTS.flow.log_z is None
    assert EstimateRecord(observable="energy", sampler="hmc", value=math.nan).number is None
    wrong = RESULTS.model_copy(update={"verdict": Verdict("exact", lost_weight=math.nan)})
    with pytest.raises(FormatError, match="JSON"):
        write(wrong, tmp_path / "results.json")
    assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize("name", ["links", "scalar"])
def test_version_1_is_read_with_every_key_at_its_place(name: str) -> None:
    """Version 2 only adds: whoever reads keys of version 1 finds the same values under them."""
    old = json.loads((OLD / name / "results.json").read_text())
    results = read_results(OLD / name / "results.json")
    assert old["schema"] == 1
    assert differences({k: v for k, v in old.items() if k not in ("schema", "check")}, results.plain()) == []
    assert results.date is None
    assert results.theory is not None
    assert results.theory.lattice == (4,) * (4 if name == "links" else 2)
    assert results.words("action_density").title == vocabulary().words_of("action_density").title


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Where something of `old` is missing from `new` or is not the same there."""
    if isinstance(old, dict):
        return [d for k in old for d in differences(old[k], new.get(k, "absent"), f"{path}.{k}")]
    if isinstance(old, list) and len(old) == len(new):
        return [d for i, pair in enumerate(zip(old, new, strict=True)) for d in differences(*pair, f"{path}[{i}]")]
    return [] if old == new and type(old) is type(new) else [path]


def test_arrays_of_version_1_have_the_axes_that_the_report_gave_them() -> None:
    links = read_results(OLD / "links" / "results.json")
    axes = {name: observable.axis for name, observable in links.observables.items() if observable.axis is not None}
    assert axes["plaquette_planes"].texts[2:4] == ("(0,3) with time", "(1,2)")
    assert axes["static_potential"].values == (1, 2, 3)
    assert axes["flow_energy"].texts[:2] == ("0.0625", "0.125")
    assert axes["flow_energy"].name == "flow time t"
    assert links.theory is not None
    assert links.theory.space == "SU(3) on every link"
    two_point = read_results(OLD / "scalar" / "results.json").words("two_point").axis
    assert two_point is not None
    assert (two_point.name, two_point.values) == ("r", (0, 1, 2))


def test_version_1_without_its_study_or_its_words(tmp_path: Path) -> None:
    shutil.copy(OLD / "links" / "results.json", tmp_path)
    found = read(tmp_path / "results.json")
    assert found.theory is None
    assert found.words("flow_energy").title == "flow energy"
    assert found.words("plaquette_planes").axis == Axis(name="entry", values=tuple(range(6)))
    # a study that cannot be read is no reason to refuse results
    (tmp_path / "study.toml").write_text("name = ")
    assert read_results(tmp_path / "results.json").theory is None


def test_early_files_of_version_1(tmp_path: Path) -> None:
    """Without the tables that were added later, and with one reason of the verdict."""
    old = {
        "schema": 1,
        "study": "s",
        "estimates": [],
        "flow": None,
        "cost": {"hmc": {"seconds": 1.0, "configurations": 8, "tau_int": None}},
        "verdict": {"status": "no verdict", "reason": "nothing was collected"},
        "provenance": RESULTS.plain()["provenance"],
    }
    (tmp_path / "results.json").write_bytes(seal(old, indent=1) + b"\n")
    found = read(tmp_path / "results.json")
    assert found.verdict == Verdict("no verdict", ("nothing was collected",))
    assert (found.chains, found.samplers, found.cost["hmc"].configurations) == ({}, {}, 8)
    (tmp_path / "results.json").write_bytes(seal({"schema": 1, "estimates": 3}, indent=1) + b"\n")
    with pytest.raises(FormatError, match="not results of version 1"):
        read(tmp_path / "results.json")


@pytest.mark.parametrize("name", ["links", "scalar"])
def test_a_changed_byte_is_found(name: str, tmp_path: Path) -> None:
    data = (OLD / name / "results.json").read_bytes()
    for changed in (data.replace(b"0.", b"1.", 1), data[:-2], data.replace(b"hmc", b"HMC", 1)):
        (tmp_path / "results.json").write_bytes(changed)
        with pytest.raises((ChecksumError, FormatError), match=r"results\.json"):
            read(tmp_path / "results.json")


def test_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="written by a newer latflow: schema 3; allowed: up to 2; update latflow"):
        read(written(tmp_path / "results.json", schema=3))
    for schema in (None, 0, "2"):
        with pytest.raises(FormatError, match="no schema number"):
            read(written(tmp_path / "results.json", schema=schema))


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"more": 1}, "more"),
        ({"date": "yesterday"}, "date"),
        ({"flow": {"acceptance": "0.5"}}, "flow.acceptance"),
        ({"verdict": {"status": "exact", "because": "so"}}, "verdict.because"),
        ({"verdict": {"status": 1}}, "verdict.status"),
        ({"observables": {}}, "energy is not among the observables"),
        (
            {"observables": {**RESULTS.plain()["observables"], "spectrum": RESULTS.plain()["observables"]["energy"]}},
            "axis",
        ),
        ({"estimates": [{**RESULTS.plain()["estimates"][1], "error": [0.1]}]}, "different lengths"),
        ({"estimates": [{**RESULTS.plain()["estimates"][1], "error": None}]}, "different lengths"),
    ],
)
def test_foreign_content_is_refused_where_it_stands(changes: dict[str, Any], place: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError) as refused:
        read(written(tmp_path / "results.json", **changes))
    assert place in str(refused.value)
    assert str(tmp_path / "results.json") in str(refused.value)


def test_an_axis_has_values_or_labels() -> None:
    with pytest.raises(ValidationError, match="either values or labels"):
        Axis(name="x", values=(1,), labels=("a",))
    with pytest.raises(ValidationError, match="either values or labels"):
        Axis(name="x")
    assert Axis(name="Q", values=(-1, 0, 0.5)).texts == ("−1", "0", "0.5")


def test_words_become_observables_in_their_order() -> None:
    words = {
        "b": ObservableWords("B", "B", "B", "", AxisWords("Q", first=-1)),
        "a": ObservableWords("A", "A", "A", "", PLANE),
        "t": ObservableWords("T", "T", "T", "", FLOW_TIME),
        "u": ObservableWords("U", "U", "U", ""),
    }
    lengths = {"zeta": None, "u": 2, "alpha_beta": 2, "t": 2, "a": 3, "b": 3}
    found = described(lengths, Vocabulary(words), shape=(2, 2, 2), flow_times=(0.0, 0.5, 1.0, 1.5))
    results = Results(study="s", observables=found)
    assert results.in_order(lengths) == ["b", "a", "t", "u", "alpha_beta", "zeta"]
    axes = {name: observable.axis for name, observable in found.items()}
    assert axes["b"] == Axis(name="Q", values=(-1, 0, 1))
    assert axes["a"] == Axis(name="plane", labels=("(0,1)", "(0,2) with time", "(1,2) with time"))
    assert axes["t"] == Axis(name="flow time t", values=(0.5, 1.0))
    assert axes["zeta"] is None
    assert axes["u"] == Axis(name="entry", values=(0, 1))
    assert (found["alpha_beta"].title, axes["alpha_beta"]) == ("alpha beta", Axis(name="entry", values=(0, 1)))
    assert results.words("unheard_of").title == "unheard of"


def test_theories_of_studies_that_say_too_little() -> None:
    assert stored_theory({"lattice": {"shape": [4]}}) is None
    assert stored_theory({"action": {"kind": "free"}}) is None
    found = stored_theory({"lattice": {"shape": [4]}, "action": {"kind": "of a plug-in", "a": [1, 2]}})
    assert found is not None
    assert (found.formula, found.action["a"]) == ("", [1, 2])


def test_the_shipped_schema_is_that_of_the_records() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), REGENERATE


def test_the_page_lists_every_field() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert MARKED.search(text)
    assert text == with_fields(text), REGENERATE


def test_the_code_of_the_page_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(PAGE.parents[1])
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        exec(block, names)
    assert capsys.readouterr().out == f"{names['row']['value']} {names['row']['error']}\n"


def with_fields(text: str) -> str:
    """The page with the tables of fields as they should be."""
    schema = json.loads(schema_text())
    tables = [
        fields("The whole", schema),
        *(fields(name, d) for name, d in schema["$defs"].items() if "properties" in d),
    ]
    return MARKED.sub(lambda found: f"{found[1]}\n" + "\n".join(tables) + f"\n{found[2]}", text)


def fields(name: str, schema: dict[str, Any]) -> str:
    """One table in Markdown."""
    lines = [f"### {name}", "", "| field | type | meaning |", "|---|---|---|"]
    told = dict(re.findall(r"^    (\w+): (.+)$", schema.get("description", ""), re.MULTILINE))
    for field, found in schema["properties"].items():
        meaning = found.get("description") or told[field]
        lines.append(f"| `{field}` | {kind(found)} | {meaning} |")
    return "\n".join([*lines, ""])


def kind(schema: dict[str, Any]) -> str:
    """The type of a field in words."""
    if "anyOf" in schema:
        kinds = dict.fromkeys(kind(each) for each in schema["anyOf"])
        return " or ".join(each for each in kinds if each != "integer" or "number" not in kinds)
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return "any" if name == "JsonValue" else f"[{name}](#{name.lower()})"
    if schema.get("type") == "array":
        return f"list of {_grouped(kind(schema['items']))}"
    if schema.get("type") == "object":
        entries = kind(schema["additionalProperties"])
        return "table" if entries == "any" else f"{_grouped(entries)} by name"
    return schema.get("type", "any")


def _grouped(words: str) -> str:
    return f"({words})" if " or " in words else words


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
    PAGE.write_text(with_fields(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
