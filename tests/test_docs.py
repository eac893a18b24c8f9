"""Every Python block of the README and the guides runs as written, in order, in one namespace per page."""

import ast
import json
import re
import shlex
from pathlib import Path

import pytest

import compilation
from latflow.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]
LONG = ("README.md", "add-an-action.md", "gradient-flow.md", "measure-an-ensemble.md", "sample-phi4.md")
"""Pages that compute for longer than it takes to optimise their programs."""


@pytest.mark.filterwarnings("default::latflow.errors.UnreliableWarning")  # a page may show a poor flow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(
    page: Path,
    capsys: pytest.CaptureFixture[str],
    compiler: compilation.Compiler,
    pytestconfig: pytest.Config,
) -> None:
    compiler.set(optimised=page.name in LONG or bool(pytestconfig.getoption("optimised")))
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert blocks, f"{page.name} shows no Python"
    namespace: dict[str, object] = {"__name__": page.stem}
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"{page.name}[{number}]", "exec"), namespace)
    if page.name == "README.md":  # from a poor flow to a reliable one
        assert "\nerror underestimated\nreliable\n" in capsys.readouterr().out


def story() -> list[list[str]]:
    """The commands of the README that lead from a poor flow to a reliable one, without `latflow`."""
    section = (ROOT / "README.md").read_text().partition("## From a poor flow")[2]
    block = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)[0]
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    return [command[1 : command.index(">") if ">" in command else None] for command in commands]


def test_the_story_of_the_readme_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its commands are taken as they stand; what they do is run by the nightly test below."""
    monkeypatch.chdir(tmp_path)
    new, first, _ = story()
    assert main(new) == 0
    Path("study.toml").write_text(capsys.readouterr().out)
    assert main([*first, "--dry-run"]) == 0
    assert "[training.stop]\nacceptance = 0.6\nsteps = 60\n" in capsys.readouterr().out


@pytest.mark.nightly
def test_the_story_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bounds and no verdict; then the same run trains on, and its averages are reliable."""
    monkeypatch.chdir(tmp_path)
    new, first, second = story()
    main(new)
    Path("study.toml").write_text(capsys.readouterr().out)
    assert main(first) == 0
    poor = capsys.readouterr()
    assert "verdict: no verdict (averages of the flow: error underestimated" in poor.out
    assert "error underestimated" in Path("runs/phi4-quick/report.html").read_text()
    assert main(second) == 0
    better = capsys.readouterr()
    assert "at step 60 the limits change: training.stop.steps: 60 → 4000" in better.err
    assert "verdict: exact" in better.out
    results = json.loads(Path("runs/phi4-quick/results.json").read_text())
    assert results["flow"]["reliability"]["state"] == "reliable"
    assert "gone on with other limits at step 60" in Path("runs/phi4-quick/report.html").read_text()
    assert main(["verify", "runs/phi4-quick"]) == 0


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
