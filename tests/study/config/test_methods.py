"""The table of methods: what it must say, what it takes from plug-ins, and that nothing else lists samplers."""

import ast
import copy
import dataclasses
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import create_model

import latflow
from latflow.errors import ConfigError
from latflow.plugins import Plugin
from latflow.study.config import StudyConfig
from latflow.study.config.method import Method
from latflow.study.config.methods import (
    BASELINE,
    BUILT_IN,
    CHAINS,
    DRAWS,
    FLOW,
    METHODS,
    QUASI,
    RESERVED,
    STYLES,
    TARGETS,
    collected,
    method_of,
)
from latflow.study.config.rules import samplers_of
from latflow.study.config.study import with_sections
from latflow.tables import AbstractSection
from latflow.theories.catalogue import all_tables, table_of

ROOT = Path(latflow.__file__).parent


def test_built_in_methods_are_whole() -> None:
    assert (FLOW, QUASI) == ("flow", "quasi")
    assert tuple(METHODS) == ("flow", "quasi", "messages", "hmc", "local", "cluster", "heatbath", "metropolis", "files")
    assert (DRAWS, CHAINS) == (("flow", "messages"), ("hmc", "local", "cluster", "heatbath", "metropolis"))
    assert TARGETS == ("hmc", "cluster", "local", "heatbath", "metropolis")
    assert list(STYLES)[:7] == ["flow", "reweighted", "reverse", "quasi", "messages", "messages_reweighted", "hmc"]
    assert [(name, method.look.label) for name, method in METHODS.items() if method.baseline] == [(BASELINE, "HMC")]
    assert len({look.colour for look in STYLES.values()}) == len({look.marker for look in STYLES.values()}) == 11
    for method in BUILT_IN:
        assert method.table is None or StudyConfig.model_fields[method.name].annotation is method.table
    assert {name for table in all_tables() for name in table.samplers} == set(METHODS)
    assert set(RESERVED) == (set(StudyConfig.model_fields) | {"flow"}) - {m.name for m in BUILT_IN if m.table}


class Settings(AbstractSection):
    """Settings of a toy."""

    chains: int = 4
    warmup: int = 3
    thin: int = 1


TOY = Method("toy", "chains", "toys:kernel", Settings)
DRAWN = Method("drawn", "draws", "toys:sampler")


def bad(**changes: object) -> Method:
    """The toy with attributes that a type checker would have refused."""
    made = copy.copy(TOY)
    vars(made).update(changes)
    return made


REFUSED = {
    "METHODLESS": ("no method", "str; allowed: a latflow"),
    "TAKEN": (bad(name="hmc"), "the name hmc is taken"),
    "SECTION": (bad(name="training"), "the name training is taken"),
    "PART": (bad(name="start"), "the name start is taken"),
    "ANALYSIS": (bad(reweighted_as="reweighted", stage="draws"), "the name reweighted is taken"),
    "SPELT": (bad(name="../x"), "name '../x'; allowed"),
    "STAGE": (bad(stage="dance"), "stage 'dance'"),
    "STREAMS": (bad(streams=(4,)), "streams (4,); allowed: none"),
    "TRAINED": (bad(trained=True), "chains that need a trained model"),
    "HOOK": (bad(build="toys"), "'toys'; allowed: package.module:function"),
    "TABLELESS": (bad(table=None), "no table"),
    "FOREIGN": (bad(table=dict), "table dict; allowed: an AbstractSection"),
    "SHORT": (bad(table=create_model("Short", __base__=AbstractSection)), "table without chains, warmup, thin"),
    "BARE": (bad(table=create_model("Bare", __base__=AbstractSection, chains=(int, ...))), "ValidationError"),
}


def point(name: str, value: str) -> Plugin:
    """An entry point as an installed package brings it."""
    return Plugin("latflow.methods", name, value, "toys", "1")


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Plugin]]:
    """Entry points of the module ``toys``, by the names of what they offer."""
    toys = types.ModuleType("toys")
    vars(toys).update({"TOY": TOY, "DRAWN": DRAWN, **{name: offered for name, (offered, _) in REFUSED.items()}})
    monkeypatch.setitem(sys.modules, "toys", toys)
    return lambda *names: [point(name.lower(), f"toys:{name}") for name in names]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_method_is_left_out_and_said(name: str, points: Callable[..., list[Plugin]]) -> None:
    found, checked = collected(points("DRAWN", name))
    assert found == (DRAWN,)
    assert [plugin.problem == "" for plugin in checked] == [True, False]
    assert REFUSED[name][1] in checked[1].problem


def test_a_plug_in_that_cannot_be_imported_breaks_nothing(points: Callable[..., list[Plugin]]) -> None:
    found, checked = collected([point("x", "no.such:METHOD"), *points("TOY", "DRAWN", "TOY")])
    assert [method.name for method in found] == ["drawn", "toy"]
    problems = [plugin.problem for plugin in checked]
    assert problems == ["ModuleNotFoundError: No module named 'no'", "", "", "the name toy is taken"]


def test_the_table_of_a_plug_in_is_a_section(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its keys are read and refused like all others; unused it is silent, and its settings decide when it is used."""
    schema = with_sections(StudyConfig, (TOY, DRAWN))
    assert with_sections(StudyConfig, (DRAWN,)) is StudyConfig
    monkeypatch.setattr("latflow.study.config.study.METHODS", {**METHODS, "toy": TOY})
    plain = {"name": "a", "lattice": {"shape": [2, 2]}, "action": {"kind": "free", "mass_squared": 1.0}}
    study = schema.model_validate(plain)
    assert study.toy == Settings()
    assert study.digest() == StudyConfig.model_validate(plain).digest()
    assert study.every_table()["toy"] == {"chains": 4, "warmup": 3, "thin": 1}
    changed = schema.model_validate({**plain, "toy": {"thin": 2}})
    assert changed.digest() != study.digest()
    assert changed.model_dump()["toy"]["thin"] == 2


def test_streams_of_plug_ins_follow_from_the_name() -> None:
    numbers = [method.stream(part) for method in (TOY, DRAWN) for part in (0, 1)]
    assert len(set(numbers)) == 4
    assert all(2**31 <= number < 2**32 for number in numbers)
    assert TOY.stream() == 2990502896
    assert METHODS["flow"].stream(1) == 3


def test_theories_and_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    links = dataclasses.replace(DRAWN, name="links", serves=("wilson",))
    monkeypatch.setattr("latflow.study.config.rules.METHODS", {**METHODS, "toy": TOY, "links": links})
    assert samplers_of("phi4") == (*table_of("phi4").samplers, "toy")
    assert samplers_of("wilson") == (*table_of("wilson").samplers, "links")
    assert samplers_of("improved") == table_of("improved").samplers
    with pytest.raises(ConfigError, match="needs the package that brings it"):
        method_of("toy")


NAMES = {"hmc", "local", "cluster", "heatbath", "metropolis"}

EXCEPTIONS = {
    "study/config/methods.py": "the table",
    "theories/base.py": "the samplers that the table of a scalar theory allows",
    "theories/directional/table.py": "the samplers that the tables of tori and spheres allow",
    "theories/gauge/table.py": "the samplers that the tables of links allow, and a rule of one of them",
    "theories/particles/table.py": "the samplers that the tables of points and particles allow",
    "theories/robot_arm/table.py": "the samplers that the table of an arm allows",
    "theories/spins/table.py": "the samplers that the tables of spins allow, and a rule of two of them",
    "theories/spins/words.py": "works that are cited for clusters of spins",
}


def listing(root: Path) -> set[str]:
    """Modules below a folder that spell a sampler in a string."""
    return {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in NAMES
    }


def test_samplers_are_spelt_in_the_table_only(tmp_path: Path) -> None:
    assert listing(ROOT) == set(EXCEPTIONS)
    (tmp_path / "stage.py").write_text('def f(sampler):\n    return sampler == "hmc"\n')
    assert listing(tmp_path) == {"stage.py"}
