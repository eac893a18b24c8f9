"""The words of the theories as results hold them, and ``results.json`` read with them. Nothing here imports JAX."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latflow.results import Results, Theory, Vocabulary, read
from latflow.theories.catalogue import all_words, stored_table


def vocabulary() -> Vocabulary:
    """Words of every observable of every theory, in the order of tables."""
    return Vocabulary(all_words(), stored_theory)


def theory_of(shape: tuple[int, ...], action: Mapping[str, Any]) -> Theory:
    """The theory of a study in words.

    Args:
        shape: Sites along each direction.
        action: Its table ``[action]``.
    """
    table = stored_table(action)
    formula, space = ("", "") if table is None else (table.formula(), table.space_words())
    return Theory(lattice=shape, action=dict(action), formula=formula, space=space)


def read_results(path: Path) -> Results:
    """The content of a ``results.json`` that is as it was written; version 1 is converted.

    Raises:
        DataError: If it is damaged, was written before results had a checksum, or by a newer latflow.
    """
    return read(path, vocabulary())


def stored_theory(study: Mapping[str, Any]) -> Theory | None:
    """The theory of a study file as plain data; None where it does not name a lattice and an action."""
    shape, action = study.get("lattice", {}).get("shape"), study.get("action")
    return None if shape is None or action is None else theory_of(tuple(shape), action)
