"""The public names: the stub in step with what is loaded, documented, typed, and all that the guides need."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import latflow
import latflow as lf

ROOT = Path(__file__).parents[1]
PACKAGE = Path(latflow.__file__).parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]
EXTENSION = {"latflow.tables", "latflow.words", "latflow.study", "latflow.theories", "latflow.fields", "latflow.groups"}
"""Rooms from which those import who write a theory, a method or an action of their own: the pages add-a-….md."""


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def imported(block: str) -> list[str]:
    """Modules of latflow that a block imports something from."""
    nodes = list(ast.walk(ast.parse(block)))
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return [
        name
        for name in [*plain, *(node.module or "" for node in nodes if isinstance(node, ast.ImportFrom))]
        if name.startswith("latflow.")
    ]


def allowed(page: Path, module: str) -> bool:
    """Whether a page may import from a module: only those on extending latflow, and only what is extended."""
    return page.name.startswith("add-a") and ".".join(module.split(".")[:2]) in EXTENSION


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_guides_import_the_facade_alone(page: Path) -> None:
    found = [module for block in blocks(page) for module in imported(block)]
    assert [module for module in found if not allowed(page, module)] == []


@pytest.mark.parametrize("page", [*PAGES, *ROOT.glob("docs/*.md")], ids=lambda page: page.name)
def test_every_name_of_the_facade_that_a_page_mentions_is_there(page: Path) -> None:
    named = set(re.findall(r"\blf\.([A-Za-z]\w*)", page.read_text(encoding="utf-8")))
    assert sorted(named - set(latflow.__all__)) == []


def test_the_stub_is_in_step() -> None:
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    named = {
        alias.asname: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    rooms = dict.fromkeys(latflow._ROOMS, "latflow")
    assert named == {**latflow._HOME, **rooms}
    assert (PACKAGE / "py.typed").is_file()


@pytest.mark.parametrize("name", sorted(latflow._HOME))
def test_public_names_are_documented(name: str) -> None:
    """Arguments are described; what is refused is said where something is."""
    thing = getattr(lf, name)
    if not callable(thing):
        return
    text = inspect.getdoc(thing) or ""
    assert len(text) > 20
    without = name.startswith("Abstract") or name == "U1" or (inspect.isclass(thing) and issubclass(thing, Exception))
    if (inspect.isfunction(thing) or inspect.isclass(thing)) and not without:
        needed = [p for p in inspect.signature(thing).parameters if p not in ("key", "args", "kwargs")]
        silent = [p for p in needed if not re.search(rf"\b{p}\b", text)]
        assert silent == []


def test_a_name_that_is_not_there_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'reel_nvp'"):
        getattr(lf, "reel_nvp")  # noqa: B009
    assert set(latflow.__all__) == set(dir(lf))
    assert lf.testing.action_laws


def test_reading_needs_no_jax() -> None:
    """Runs, tables and gauge files are read on machines without an accelerator, and quickly."""
    names = "open_run open_ensemble collect_runs runs_markdown read_configuration open_configurations zoo Estimate"
    code = f"import sys, latflow as lf; [getattr(lf, n) for n in {names.split()!r}]; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
