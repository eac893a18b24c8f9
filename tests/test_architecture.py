"""The house rules that no linter knows, kept by every module of the package."""

import importlib
import pathlib
import pkgutil
import tomllib

import pytest

import import_rules
import latflow
import source_rules

ROOT = pathlib.Path(latflow.__file__).parent
PYPROJECT = pathlib.Path(__file__).parents[1] / "pyproject.toml"
MODULES = [name for _, name, _ in pkgutil.walk_packages(latflow.__path__, "latflow.") if not name.endswith("__main__")]


@pytest.mark.parametrize(
    "guard",
    [
        source_rules.modules_without_docstring,
        source_rules.long_modules,
        source_rules.forbidden_names,
        source_rules.forbidden_imports,
        source_rules.prints_outside_the_faces,
        source_rules.long_functions,
        source_rules.crowded_functions,
        source_rules.silent_functions,
        source_rules.concrete_parents,
        source_rules.missing_overrides,
        import_rules.reaching_jax,
    ],
    ids=lambda guard: guard.__name__,
)
def test_the_package_keeps_the_rule(guard):
    assert guard(ROOT) == []


def test_the_guards_see_the_package():
    """A folder that was moved away would leave its rule without anything to look at."""
    watched = import_rules.must_be_jax_free(ROOT)
    assert {"latflow", "latflow.errors", "latflow.stats.gamma", "latflow.store.ensemble"} <= set(watched)
    assert any(name.startswith("latflow.report.") for name in watched)
    assert any(name.startswith("latflow.study.config.") for name in watched)
    assert "latflow.flows.tables" in watched
    assert len(source_rules.sources(ROOT)) == len(MODULES) + 2  # and the package itself and __main__


def test_every_module_stands_on_a_floor():
    """The contract that import-linter checks names everything directly under latflow."""
    contracts = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    floors = next(contract for contract in contracts if contract["type"] == "layers")
    assert (floors["containers"], floors["exhaustive"]) == (["latflow"], True)
    assert "exhaustive_ignores" not in floors
    assert import_rules.on_no_floor(ROOT, floors["layers"]) == []


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports(name):
    importlib.import_module(name)


def test_the_facade_delivers_its_names():
    assert all(getattr(latflow, name) is not None for name in latflow.__all__)
    assert set(latflow.__all__) <= set(dir(latflow))
