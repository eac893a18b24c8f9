"""Planted bugs: the table is up to date, and (nightly) every bug turns its test red."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import latflow
from planted_bugs import BUGS

PACKAGE = pathlib.Path(latflow.__file__).parent
ROOT = PACKAGE.parents[1]
TESTS_FAILED = 1


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_table_is_up_to_date(bug):
    assert (PACKAGE / bug.file).read_text(encoding="utf-8").count(bug.right) == 1
    path, _, name = bug.test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8")


def test_the_document_lists_every_bug():
    text = (ROOT / "docs" / "planted-bugs.md").read_text(encoding="utf-8")
    assert [bug.name for bug in BUGS if bug.name not in text or bug.test not in text] == []


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package and its tests, which the tests named in the table pass."""
    target = tmp_path_factory.mktemp("planted")
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    for folder in ("src", "tests", "studies"):
        shutil.copytree(ROOT / folder, target / folder, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", target)
    healthy = run(target, sorted({bug.test for bug in BUGS}))
    assert healthy.returncode == 0, healthy.stdout[-5000:]
    return target


def run(folder, tests):
    """pytest on the copy, which shadows the installed package."""
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.nightly
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_bug_is_caught(copy, bug):
    file = copy / "src" / "latflow" / bug.file
    healthy = file.read_text(encoding="utf-8")
    file.write_text(healthy.replace(bug.right, bug.wrong), encoding="utf-8")
    try:
        result = run(copy, [bug.test])
    finally:
        file.write_text(healthy, encoding="utf-8")
    assert result.returncode == TESTS_FAILED, f"{bug.test} did not fail\n{result.stdout[-3000:]}"
    assert "error" not in result.stdout.splitlines()[-1], result.stdout[-3000:]
