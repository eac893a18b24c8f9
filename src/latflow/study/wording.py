"""The words of the theories as results hold them, and ``results.json`` read with them. Nothing here imports JAX."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latflow.results import Normalisation, Results, Theory, Vocabulary, read, rescaled
from latflow.study.config.methods import BASELINE
from latflow.theories.base import AbstractActionTable
from latflow.theories.catalogue import all_words, stored_table, words_of


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


def normalisation_of(table: AbstractActionTable, shape: tuple[int, ...]) -> Normalisation:
    """The field that the results of a study are of, and the measure of its log Z.

    Args:
        table: Its table ``[action]``.
        shape: Sites along each direction.
    """
    return Normalisation(
        name=table.normalised(), rescaling=table.rescaling(), measure=table.measure(), sites=math.prod(shape)
    )


def stored_normalisation(study: Mapping[str, Any]) -> Normalisation | None:
    """The same of a study file as plain data; None where its theory is not installed or not named."""
    shape, action = study.get("lattice", {}).get("shape"), study.get("action")
    table = None if action is None else stored_table(action)
    return None if table is None or shape is None else normalisation_of(table, tuple(shape))


def powers_of(kind: str) -> dict[str, int]:
    """Power of the field by name of estimate or column; of those of no installed theory nothing is said."""
    return {name: words.power for name, words in words_of(kind).items()}


def read_results(path: Path) -> Results:
    """The content of a ``results.json`` that is as it was written; version 1 is converted.

    Values of files that do not name their normalisation are those of the house field; they are converted, too.

    Raises:
        DataError: If it is damaged, was written before results had a checksum, or by a newer latflow.
    """
    found = read(path, vocabulary())
    if found.normalisation is not None or found.theory is None:
        return found
    action = found.theory.action
    normalisation = stored_normalisation({"lattice": {"shape": found.theory.lattice}, "action": action})
    powers = powers_of(str(action.get("kind")))
    return found if normalisation is None else rescaled(found, normalisation, powers, baseline=BASELINE)


def stored_theory(study: Mapping[str, Any]) -> Theory | None:
    """The theory of a study file as plain data; None where it does not name a lattice and an action."""
    shape, action = study.get("lattice", {}).get("shape"), study.get("action")
    return None if shape is None or action is None else theory_of(tuple(shape), action)
