"""The only list of theories: one line each, and those of installed packages beside them.

A package adds a theory by an entry point of the group ``latflow.theories`` whose name is that of the theory and whose
value is its room, a package with the modules that `latflow.theories.base` describes. Only what is installed is ever
imported; nothing is imported because a data file names it. No JAX here.
"""

import dataclasses
import functools
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, get_args

from latflow.plugins import Plugin, plugins
from latflow.tables import Complaint, Lookup, Rule
from latflow.theories.base import AbstractActionTable
from latflow.theories.known_value import Known
from latflow.words import ObservableWords, Work

BUILT_IN = {
    "phi4": "latflow.theories.phi4",
    "free": "latflow.theories.free",
    "sine_gordon": "latflow.theories.sine_gordon",
    "gauge": "latflow.theories.gauge",
    "directional": "latflow.theories.directional",
    "robot_arm": "latflow.theories.robot_arm",
    "spins": "latflow.theories.spins",
    "particles": "latflow.theories.particles",
}
"""Room by name of the theory."""

GROUP = "latflow.theories"
"""Group of entry points."""


@dataclasses.dataclass(frozen=True)
class Theory:
    """One theory: its room, whose modules are imported when they are first asked for.

    Attributes:
        name: In the catalogue.
        room: Package with its modules.
    """

    name: str
    room: str

    @property
    def tables(self) -> tuple[type[AbstractActionTable], ...]:
        """Its tables, one for every word of `action.kind`."""
        return self._module("table").TABLES

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What the keys of a study of it must fulfil together."""
        return self._module("table").RULES

    @property
    def observables(self) -> Mapping[str, ObservableWords]:
        """How its estimates are written, in the order of tables."""
        return self._module("words").OBSERVABLES

    @property
    def works(self) -> tuple[Work, ...]:
        """What a report on it cites."""
        return self._module("words").WORKS

    @property
    def physics(self) -> ModuleType:
        """Its module with `action` and `physics`; imports JAX."""
        return self._module("physics")

    def known_values(self, table: AbstractActionTable, shape: tuple[int, ...]) -> dict[str, Known]:
        """Values to compare with, by the names of estimates; empty where nothing is known. May import JAX."""
        return self._module("known").known_values(table, shape)

    def _module(self, name: str) -> ModuleType:
        return import_module(f"{self.room}.{name}")


@functools.cache
def theories() -> tuple[Theory, ...]:
    """The built-in theories and those of installed packages, in order."""
    return (*_built_in(), *(Theory(found.name, found.value) for found in _usable()))


@functools.cache
def plugin_theories() -> tuple[Plugin, ...]:
    """What installed packages offer, each with the reason why it cannot be used, if there is one."""
    taken = {table_kind(table) for theory in _built_in() for table in theory.tables}
    found: list[Plugin] = []
    for plugin in plugins(GROUP):
        checked = plugin if plugin.problem else _checked(plugin, taken)
        taken |= set() if checked.problem else _kinds(checked)
        found.append(checked)
    return tuple(found)


def kinds() -> tuple[str, ...]:
    """All words of `action.kind`."""
    return tuple(_by_kind())


def package_of(kind: str) -> str:
    """The package that brings the theory of a word of `action.kind`; empty for a built-in one."""
    name = theory_of(kind).name
    return next((plugin.package for plugin in _usable() if plugin.name == name), "") if name not in BUILT_IN else ""


def theory_of(kind: str) -> Theory:
    """The theory of a word of `action.kind`."""
    return _by_kind()[kind][0]


def is_on_lattice(kind: str | None) -> bool:
    """Whether a theory lives on a lattice, as one that is not in the catalogue is taken to.

    Args:
        kind: The word of `action.kind`; None of an ensemble without one.
    """
    return kind not in kinds() or table_of(kind).lattice


def table_of(kind: str) -> type[AbstractActionTable]:
    """The table of a word of `action.kind`."""
    return _by_kind()[kind][1]


def table_kind(table: type[AbstractActionTable]) -> str:
    """The word of `action.kind` that a table stands for."""
    (kind,) = get_args(table.model_fields["kind"].annotation)
    return kind


def title_of(kind: str) -> str:
    """A theory in words, as its table is documented; the word itself where no installed theory has it."""
    if kind not in _by_kind():
        return kind
    line = (table_of(kind).__doc__ or kind).partition("\n")[0]
    return line.partition(",")[0].removesuffix(".").removesuffix(" theory")


def all_tables() -> tuple[type[AbstractActionTable], ...]:
    """The tables of all theories."""
    return tuple(table for _, table in _by_kind().values())


def all_rules() -> tuple[Rule, ...]:
    """The rules of all theories; each looks at its own kinds only."""
    built_in = [rule for theory in _built_in() for rule in theory.rules]
    return (*built_in, *(_fenced(rule, found) for found in _usable() for rule in _of(found).rules))


def _fenced(rule: Rule, plugin: Plugin) -> Rule:
    """A rule of another package: it sees studies of its own theory only, and a failure of it is a complaint."""
    own = _kinds(plugin)

    def fenced(value: Lookup) -> list[Complaint]:
        if value("action.kind") not in own:
            return []
        try:
            return list(rule(value))
        except Exception as error:  # whatever a foreign rule does
            hint = f"a rule of {plugin.package} fails: {type(error).__name__}: {error}"
            return [Complaint("action.kind", repr(value("action.kind")), hint=hint)]

    return fenced


def _of(plugin: Plugin) -> Theory:
    return Theory(plugin.name, plugin.value)


def words_of(kind: str) -> Mapping[str, ObservableWords]:
    """How the estimates of a theory are written; empty for a kind that no installed theory has."""
    return _by_kind()[kind][0].observables if kind in _by_kind() else {}


def all_words() -> dict[str, ObservableWords]:
    """The words of all theories; of a name that several use, those of the first."""
    found: dict[str, ObservableWords] = {}
    for theory in theories():
        found |= {name: words for name, words in theory.observables.items() if name not in found}
    return found


def all_works() -> tuple[Work, ...]:
    """What reports cite for their theory; the keys of a work decide which reports cite it."""
    return tuple(dict.fromkeys(work for theory in theories() for work in theory.works))


def stored_table(action: Mapping[str, Any]) -> AbstractActionTable | None:
    """The table ``[action]`` of a stored study; None where its theory is not installed or its keys are others."""
    kind = str(action.get("kind"))
    if kind not in _by_kind():
        return None
    try:
        return table_of(kind).model_validate(dict(action))
    except ValueError:
        return None


@functools.cache
def _by_kind() -> dict[str, tuple[Theory, type[AbstractActionTable]]]:
    return {table_kind(table): (theory, table) for theory in theories() for table in theory.tables}


@functools.cache
def _built_in() -> tuple[Theory, ...]:
    return tuple(Theory(name, room) for name, room in BUILT_IN.items())


def _usable() -> tuple[Plugin, ...]:
    return tuple(plugin for plugin in plugin_theories() if not plugin.problem)


def _kinds(plugin: Plugin) -> set[str]:
    return {table_kind(table) for table in Theory(plugin.name, plugin.value).tables}


def _problem(theory: Theory) -> str:
    """What is wrong with the room of a plug-in; empty if nothing is seen."""
    for table in theory.tables:
        if not (isinstance(table, type) and issubclass(table, AbstractActionTable)):
            return f"table {table!r} is no AbstractActionTable"
        missing = [name for name in ("samplers", "parameters") if not _sets(table, name)]
        if missing:
            return f"{table.__name__} has no {' and no '.join(missing)}"
        stray = [name for name in (*table.parameters, *table.free_parameters) if name not in table.model_fields]
        if stray:
            return f"{table.__name__} has no key {', '.join(stray)}"
    absent = [name for name in ("known", "physics") if find_spec(f"{theory.room}.{name}") is None]
    return f"{theory.room} has no module {' and no '.join(absent)}" if absent else ""


def _sets(table: type, name: str) -> bool:
    return any(name in vars(base) for base in table.__mro__)


def _checked(plugin: Plugin, taken: set[str]) -> Plugin:
    """The plug-in, with the reason why it cannot be used."""
    try:
        theory = _of(plugin)
        problem = _problem(theory)
        if problem:
            return dataclasses.replace(plugin, problem=problem)
        found = _kinds(plugin)
        _ = theory.rules, theory.observables, theory.works
    except (Exception, SystemExit) as error:  # a package that fails must not take the others with it
        return dataclasses.replace(plugin, problem=f"{type(error).__name__}: {error}")
    double = sorted(found & taken)
    return dataclasses.replace(plugin, problem=f"action.kind {', '.join(double)} is taken") if double else plugin
