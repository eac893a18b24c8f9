"""Mistakes of plug-ins are refused by name before anything is sampled; they never end as a defect of latflow."""

import dataclasses
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import jax.numpy as jnp
import pytest
from pydantic import Field, create_model

from latflow import doctor
from latflow.errors import ConfigError
from latflow.observables.base import AbstractObservable
from latflow.plugins import Plugin
from latflow.study import methods
from latflow.study.config import StudyConfig, load_study
from latflow.study.config.method import Method, SamplerStyle
from latflow.study.config.methods import METHODS
from latflow.study.context import Silent
from latflow.study.methods import build_kernel, build_sampler
from latflow.study.rehearsal import rehearse
from latflow.study.run import run_stages
from latflow.tables import AbstractSection
from latflow.theories import further
from latflow.words import AxisWords, ObservableWords


def observable(called: str, gives: Any, axis: AxisWords | None = None) -> AbstractObservable:
    """One of a class of its own."""

    class Toy(AbstractObservable):
        """A toy."""

        name: ClassVar[str] = called
        words: ClassVar[ObservableWords | None] = ObservableWords(called, called, called, "", axis)

        def __call__(self, x: Any) -> Any:
            return gives(x)

    return Toy()


def boom(given: Any) -> Any:
    """Fails."""
    raise RuntimeError("boom")


OFFERED = {
    "raiser": boom,
    "fails": lambda action: observable("fails", boom),
    "phase": lambda action: observable("phase", lambda x: jnp.mean(jnp.exp(1j * x))),
    "matrix": lambda action: observable("matrix", lambda x: x),
    "vector": lambda action: observable("vector", lambda x: x.ravel()),
    "row": lambda action: observable("row", lambda x: x.ravel(), AxisWords("site")),
    "magnetization_squared": lambda action: observable("magnetization_squared", lambda x: jnp.mean(x) ** 2),
    "other": lambda action: observable("another", jnp.mean),
}


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A module with these observables, and methods that fail."""
    module = types.ModuleType("toys")
    vars(module).update(
        OFFERED, NOBUILD=Method("nobuild", "draws", "toys:nothing"), PLAIN=Method("p", "draws", "toys:raiser")
    )
    monkeypatch.setitem(sys.modules, "toys", module)
    monkeypatch.setattr(further, "BUILT_IN", {name: f"toys:{name}" for name in OFFERED})
    further.further.cache_clear()
    yield module
    further.further.cache_clear()


def study(tiny_study: Path, **settings: str) -> StudyConfig:
    """The tiny study with other keys; `__` stands for a dot."""
    return load_study(tiny_study, {key.replace("__", "."): value for key, value in settings.items()})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raiser", r"'raiser'; toys:raiser fails, RuntimeError: boom"),
        ("fails", r"'fails'; Toy fails, RuntimeError: boom"),
        ("phase", "phase gives complex128 numbers"),
        ("matrix", "matrix has 2 axes"),
        ("vector", "vector is an array of 4 entries and its words have no axis; allowed: .*AxisWords"),
        ("magnetization_squared", "'magnetization_squared' is the name of a column of the theory; allowed: another"),
        ("other", "'other' measures 'another'; allowed: an observable of the name of its entry point"),
    ],
)
def test_a_wrong_observable_costs_no_sampling(
    name: str, said: str, offered: types.ModuleType, tiny_study: Path, tmp_path: Path
) -> None:
    config = study(tiny_study, sampling__samplers="hmc", hmc__target_acceptance="0.8", measure__observables=name)
    with pytest.raises(ConfigError, match=said):
        run_stages(config, tmp_path / "run", stages=("sample", "measure"), progress=Silent())
    assert not (tmp_path / "run" / "ensembles").exists()


def test_an_array_with_an_axis_is_accepted(offered: types.ModuleType, tiny_study: Path) -> None:
    rehearse(study(tiny_study, measure__observables="row"), stages=("measure",), samplers=("hmc",))


def test_a_tuned_kernel_needs_a_target(monkeypatch: pytest.MonkeyPatch, tiny_study: Path) -> None:
    table = create_model("Table", __base__=AbstractSection, chains=(int, Field(default=4)))
    hmc = dataclasses.replace(METHODS["hmc"], table=table)
    monkeypatch.setattr(methods, "method_of", lambda name: hmc)
    with pytest.raises(ConfigError, match="hmc: builds HMC, which is tuned, and its table has no target_acceptance"):
        build_kernel(study(tiny_study), "hmc")


def test_a_method_that_fails_is_named(
    offered: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tiny_study: Path
) -> None:
    monkeypatch.setattr(methods, "method_of", lambda name: vars(offered)[name])
    with pytest.raises(ConfigError, match="p: toys:raiser fails, RuntimeError: boom"):
        build_sampler(study(tiny_study), "PLAIN")
    with pytest.raises(ConfigError, match="toys:nothing: AttributeError"):
        build_sampler(study(tiny_study), "NOBUILD")


@pytest.mark.parametrize(
    ("colour", "marker", "said"),
    [
        ("notacolour", "o", "colour of toy: 'notacolour'; allowed: hexadecimal"),
        ("#112233", "??", "marker of toy: '??'"),
    ],
)
def test_a_style_that_cannot_be_drawn_is_refused_when_it_is_made(colour: str, marker: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        SamplerStyle("toy", colour, marker, "")
    assert str(refused.value).startswith(said)


def test_the_doctor_imports_what_a_plug_in_names(offered: types.ModuleType) -> None:
    def problem(group: str, value: str) -> str:
        return doctor._loaded(Plugin(group, "x", value, "toys", "1")).problem

    assert "has no attribute 'nothing'" in problem("latflow.methods", "toys:NOBUILD")
    assert problem("latflow.methods", "toys:PLAIN") == ""
    assert problem("latflow.observables", "toys:PLAIN") == "toys:PLAIN is no function"
    assert problem("latflow.theories", "latflow.theories.free") == ""
    assert problem("latflow.theories", "latflow.theories.scalar").startswith("AttributeError")
