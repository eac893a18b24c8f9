"""One list of theories: what it finds, and that no other list stands anywhere."""

import ast
from pathlib import Path

import pytest

import latflow
from latflow.theories import catalogue
from latflow.theories.base import AbstractActionTable
from latflow.words import ObservableWords

ROOT = Path(latflow.__file__).parent

ALLOWED = {
    "theories/catalogue.py": "the list",
    "flows/link_tables.py": "the action that a flow is made for",
    "study/config/stages.py": "Wilson's flow, a kind of gradient flow",
    "study/plan.py": "the same",
    "study/foreign.py": "the same",
    "theories/gauge/fields.py": "the same",
}
"""Modules outside the rooms in which a word for `action.kind` stands, and why."""


def spelt(path: Path, words: set[str]) -> set[str]:
    """Those of the words that stand in a module as text of its own."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in words}


def strays(root: Path, words: set[str], allowed: set[str]) -> dict[str, set[str]]:
    """Modules outside the rooms of theories in which a kind is spelt."""
    found = {str(path.relative_to(root)): spelt(path, words) for path in sorted(root.rglob("*.py"))}
    rooms = tuple(f"theories/{name}/" for name in catalogue.BUILT_IN)
    return {
        name: kinds for name, kinds in found.items() if kinds and not name.startswith(rooms) and name not in allowed
    }


def test_kinds_of_theories_are_spelt_in_their_rooms_only() -> None:
    assert strays(ROOT, set(catalogue.kinds()), set(ALLOWED)) == {}


def test_a_stray_kind_is_found(tmp_path: Path) -> None:
    (tmp_path / "stages.py").write_text('if kind == "phi4":\n    pass\n')
    assert strays(tmp_path, set(catalogue.kinds()), set()) == {"stages.py": {"phi4"}}


@pytest.mark.parametrize("kind", catalogue.kinds())
def test_a_room_is_whole(kind: str) -> None:
    theory, table = catalogue.theory_of(kind), catalogue.table_of(kind)
    assert issubclass(table, AbstractActionTable)
    assert catalogue.table_kind(table) == kind
    assert set(table.free_parameters) <= set(table.parameters) <= set(table.model_fields)
    assert all(isinstance(words, ObservableWords) for words in theory.observables.values())
    assert callable(theory.physics.action)
    assert callable(theory.physics.physics)


def test_an_unknown_kind_has_neither_words_nor_formula() -> None:
    assert catalogue.words_of("another") == {}
    assert catalogue.stored_table({"kind": "another"}) is None
    assert catalogue.stored_table({"kind": "phi4"}) is None
