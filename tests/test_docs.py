"""Every Python block of the README and the guides runs as written, in order, in one namespace per page."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert blocks, f"{page.name} shows no Python"
    namespace: dict[str, object] = {"__name__": page.stem}
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"{page.name}[{number}]", "exec"), namespace)


EXAMPLE = ROOT / "tests" / "example_package" / "latflow_example"


@pytest.mark.parametrize("guide", ["add-a-theory", "add-a-method"])
def test_the_example_package_holds_what_the_guides_show(guide: str) -> None:
    """Every class, function and constant that a guide defines stands in the package with the same text."""
    text = (ROOT / "docs" / "guides" / f"{guide}.md").read_text()
    shown = [found for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL) for found in _defined(block)]
    held = {found for file in EXAMPLE.rglob("*.py") for found in _defined(file.read_text())}
    assert shown
    assert [text for text in shown if text not in held] == []


def _defined(source: str) -> list[str]:
    """Classes, functions and constants of a module; what is tried out in lower-case names is none."""
    kinds = ast.ClassDef | ast.FunctionDef | ast.Assign
    found = [ast.unparse(node) for node in ast.parse(source).body if isinstance(node, kinds)]
    return [text for text in found if text.startswith(("class ", "def ")) or text.partition(" ")[0].isupper()]


def test_links_between_documents_resolve() -> None:
    for page in [*PAGES, *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
