"""Every guard of the house rules fails on a planted violation and passes on a package that keeps the rules."""

import pathlib
from collections.abc import Callable

import pytest

import import_rules
import source_rules

HEALTHY = {
    "__init__.py": '"""A small package."""\n',
    "errors.py": '''"""Errors."""


class HouseError(Exception):
    """Any error."""


class DataError(HouseError):
    """Damaged data."""
''',
    "actions/__init__.py": '"""Actions."""\n',
    "actions/base.py": '''"""The abstract action."""

import abc

import jax


class AbstractAction(abc.ABC):
    """An action."""

    @abc.abstractmethod
    def force(self, x):
        """Its gradient."""

    def energy(self, x):
        """Its value, which an action may compute in another way."""
''',
    "actions/free.py": '''"""The free field."""

from typing_extensions import override

from house.actions.base import AbstractAction


class FreeField(AbstractAction):
    """A free field."""

    @override
    def force(self, x):
        return x
''',
    "stats/__init__.py": '"""Statistics."""\n',
    "stats/estimates.py": '"""Estimates."""\n\nimport numpy as np\n\nfrom house.errors import DataError\n',
    "theories/__init__.py": '"""Theories."""\n',
    "theories/free/__init__.py": '"""The free field."""\n',
    "theories/free/table.py": '"""Its words and numbers."""\n\nfrom jaxtyping import Float\n',
    "theories/free/physics.py": '"""Its action."""\n\nfrom house.actions.free import FreeField\n',
    "cli.py": '"""The command line."""\n\n\ndef main():\n    """Print one line."""\n    print("house")\n',
}
LAYERS = ["cli", "theories", "actions", "stats | (results)", "errors"]


def no_floor(root: pathlib.Path) -> list[str]:
    return import_rules.on_no_floor(root, LAYERS)


GUARDS: list[Callable[[pathlib.Path], list[str]]] = [
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
    no_floor,
]

DOCUMENTED = '"""A module."""\n\n\n'


def function(n_lines: int) -> str:
    """A documented public function with so many lines below its docstring."""
    return DOCUMENTED + 'def f():\n    """Count."""\n' + "    x = 1\n" * n_lines


# guard, file, contents, words of the complaint
PLANTED = {
    "no module docstring": ("modules_without_docstring", "actions/odd.py", "x = 1\n", "actions/odd.py"),
    "401 lines": ("long_modules", "actions/odd.py", '"""A module."""\n' + "x = 1\n" * 400, "actions/odd.py"),
    "super": ("forbidden_names", "actions/odd.py", f"{DOCUMENTED}x = super\n", "odd.py:4: super"),
    "hasattr": ("forbidden_names", "actions/odd.py", f"{DOCUMENTED}x = hasattr(1, 'y')\n", "odd.py:4: hasattr"),
    "future": ("forbidden_imports", "actions/odd.py", "from __future__ import annotations\n", "__future__"),
    "pickle": ("forbidden_imports", "actions/odd.py", f"{DOCUMENTED}def f():\n    import pickle\n", "pickle"),
    "print": ("prints_outside_the_faces", "stats/odd.py", f"{DOCUMENTED}print(1)\n", "stats/odd.py:4"),
    "41 lines": ("long_functions", "stats/odd.py", function(41), "odd.py:4: f"),
    "7 arguments": (
        "crowded_functions",
        "stats/odd.py",
        f"{DOCUMENTED}def f(a, b, c, d, e, f, g): ...\n",
        "odd.py:4: f",
    ),
    "silent function": ("silent_functions", "stats/odd.py", f"{DOCUMENTED}def f():\n    return 1\n", "odd.py:4: f"),
    "echo": ("silent_functions", "stats/odd.py", f'{DOCUMENTED}def two_words():\n    """Two words."""\n', "two_words"),
    "silent method": (
        "silent_functions",
        "actions/odd.py",
        f'{DOCUMENTED}class A:\n    """A."""\n\n    def f(self):\n        return 1\n',
        "odd.py:7: f",
    ),
    "concrete parent": (
        "concrete_parents",
        "actions/odd.py",
        f"{DOCUMENTED}class Massive(free.FreeField):\n    mass = 1\n",
        "odd.py:4: Massive(FreeField)",
    ),
    "no override": (
        "missing_overrides",
        "actions/odd.py",
        f"{DOCUMENTED}class Massive(AbstractAction):\n    def force(self, x):\n        return x\n",
        "Massive.force",
    ),
    "no override of a default": (
        "missing_overrides",
        "actions/odd.py",
        f"{DOCUMENTED}class Massive(AbstractAction):\n    def energy(self, x):\n        return x\n",
        "Massive.energy",
    ),
    "no override two classes below": (
        "missing_overrides",
        "actions/odd.py",
        f"{DOCUMENTED}class AbstractA(AbstractAction): ...\nclass B(AbstractA):\n    def force(self): ...\n",
        "B.force",
    ),
    "jax in stats": ("reaching_jax", "stats/odd.py", "import jax.numpy as jnp\n", "house.stats.odd → jax"),
    "jax in a function of stats": ("reaching_jax", "stats/odd.py", "def f():\n    from jax import jit\n", "→ jax"),
    "an array of jaxtyping": ("reaching_jax", "stats/odd.py", "from jaxtyping import Array, Float\n", "odd → jax"),
    "by its name": (
        "reaching_jax",
        "stats/odd.py",
        "import importlib\nimportlib.import_module('optax')\n",
        "odd → optax",
    ),
    "through another module": (
        "reaching_jax",
        "stats/odd.py",
        "from house.actions import base\n",
        "house.stats.odd → house.actions.base → jax",
    ),
    "through a relative import": (
        "reaching_jax",
        "stats/odd.py",
        "from ..actions.base import AbstractAction\n",
        "house.stats.odd → house.actions.base → jax",
    ),
    "through two modules": (
        "reaching_jax",
        "stats/odd.py",
        "from house.theories.free.physics import FreeField\n",
        "house.stats.odd → house.theories.free.physics → house.actions.free → house.actions.base → jax",
    ),
    "through the package above": (
        "reaching_jax",
        "stats/__init__.py",
        "from house.actions.base import AbstractAction\n",
        "house.stats.estimates → house.stats → house.actions.base → jax",
    ),
    "in a table": (
        "reaching_jax",
        "theories/free/table.py",
        "import equinox as eqx\n",
        "house.theories.free.table → equinox",
    ),
    "through the room of a table": (
        "reaching_jax",
        "theories/free/__init__.py",
        "from house.theories.free.physics import FreeField\n",
        "house.theories.free.table → house.theories.free → house.theories.free.physics",
    ),
    "in a module at the top": ("reaching_jax", "results.py", "import jax\n", "house.results → jax"),
    "in the facade": ("reaching_jax", "__init__.py", "import jax\n", "house.errors → house → jax"),
    "a module on no floor": ("no_floor", "attic.py", DOCUMENTED, "attic"),
    "a package on no floor": ("no_floor", "attic/__init__.py", DOCUMENTED, "attic"),
}


@pytest.fixture
def house(tmp_path: pathlib.Path) -> pathlib.Path:
    root = tmp_path / "house"
    for name, text in HEALTHY.items():
        write(root / name, text)
    return root


def write(file: pathlib.Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
def test_a_healthy_package_passes(house: pathlib.Path, guard: Callable[[pathlib.Path], list[str]]) -> None:
    assert guard(house) == []


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_violation_is_found(house: pathlib.Path, case: str) -> None:
    name, file, text, words = PLANTED[case]
    write(house / file, text)
    complaints = next(guard for guard in GUARDS if guard.__name__ == name)(house)
    assert any(words in complaint for complaint in complaints), complaints


def test_every_guard_was_seen_failing() -> None:
    assert {guard.__name__ for guard in GUARDS} == {name for name, *_ in PLANTED.values()}


def test_limits_are_inclusive(house: pathlib.Path) -> None:
    write(house / "stats" / "odd.py", function(source_rules.LONGEST_FUNCTION))
    write(house / "stats" / "long.py", '"""A module."""\n' + "x = 1\n" * (source_rules.LONGEST_MODULE - 1))
    assert source_rules.long_functions(house) == []
    assert source_rules.long_modules(house) == []


def test_what_only_a_type_checker_reads_is_no_import(house: pathlib.Path) -> None:
    write(house / "stats" / "odd.py", "import typing\nif typing.TYPE_CHECKING:\n    import jax\nelse:\n    x = 1\n")
    assert import_rules.reaching_jax(house) == []
    write(house / "stats" / "odd.py", "import typing\nif typing.TYPE_CHECKING:\n    x = 1\nelse:\n    import jax\n")
    assert import_rules.reaching_jax(house) == ["house.stats.odd → jax"]


def test_exceptions_may_have_subclasses(house: pathlib.Path) -> None:
    write(house / "stats" / "odd.py", f"{DOCUMENTED}class ShortSeriesError(errors.DataError):\n    length = 1\n")
    assert source_rules.concrete_parents(house) == []
