"""docs/cli.md says what the program does; run as a program, this file writes the table of keys into it."""

import re
from pathlib import Path

import pytest

import latflow.stats.estimates
import latflow.training.fit  # noqa: F401  (both have codes of their own)
from latflow import errors
from latflow.cli.app import app
from latflow.study.config import StudyConfig
from latflow.study.config.schema import key_table

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
MARKED = re.compile(r"(<!-- keys: [^\n]* -->\n).*(<!-- end of keys -->)", re.DOTALL)


def with_keys(text: str) -> str:
    """The page with the table of keys as it should be."""
    return MARKED.sub(lambda found: f"{found[1]}\n{key_table(StudyConfig)}\n{found[2]}", text)


def test_the_table_of_keys_is_current() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert MARKED.search(text)
    assert text == with_keys(text), "run: python tests/cli/test_reference.py"


def test_every_command_is_described() -> None:
    text = PAGE.read_text(encoding="utf-8")
    commands = {name for name in app if not name.startswith("-")}
    assert commands == set(re.findall(r"`latflow ([a-z][a-z-]*)", text.partition("## Options")[0]))


def test_every_option_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    text = PAGE.read_text(encoding="utf-8").partition("### Keys as options")[0]
    app(["run", "--help"])
    options = set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))
    assert options == set(re.findall(r"\| `(--[a-z-]+)", text.partition("## Options")[2]))


def test_every_exit_code_is_described() -> None:
    rows = re.findall(r"^\| (\d\d) \| ([A-Z]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    codes = {(error.exit_code, error.code) for error in refusals(errors.LatflowError)}
    assert {(int(code), word) for code, word in rows} == codes


def refusals(root: type[errors.LatflowError]) -> list[type[errors.LatflowError]]:
    """A class and all that derive from it in the modules imported above."""
    return [root, *(found for child in root.__subclasses__() for found in refusals(child))]


if __name__ == "__main__":
    PAGE.write_text(with_keys(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
