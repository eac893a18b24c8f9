"""The parts of a theory: its table in a study, its words, its estimates, its known values, its physics.

A room of a theory is a package whose modules are imported when they are needed:

- ``table``: `TABLES`, one `AbstractActionTable` for every word of `action.kind`, and `RULES` over several keys.
- ``words``: `OBSERVABLES`, how its estimates are written, and `WORKS`, what a report on it cites.
- ``known``: ``known_values(table, shape)``, values to compare with; empty where nothing is known.
- ``physics``: ``action(table, lattice)`` and ``physics(table, lattice, settings)``, with JAX.
- ``estimates``: its estimators, where those of its space do not do.

Nothing here imports JAX.
"""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

from latflow.tables import AbstractSection

SCALAR_SAMPLERS = ("flow", "quasi", "hmc", "local", "cluster")
"""Samplers of theories with one real number at every site and nearest-neighbour bonds."""


class AbstractActionTable(AbstractSection):
    """The table ``[action]`` of a study for one value of `action.kind`.

    Attributes:
        kind: The word.
        samplers: Names of the samplers that work on it.
        parameters: Keys whose value is a number of the theory, which studies may vary.
        free_parameters: Those of them that change one field of the action class alone, the one of their name: a flow
            may be conditional on them, and a curriculum may change them.
        terms: Names of the terms of the action where it has several with time scales of their own, the one with inner
            steps last.
        fields: "scalar", "links", "spins", "angles", "vectors", "points" or "particles": which flows, files and
            measurements apply.
        sections: Tables of a study that add measurements of this theory.
        lattice: Whether configurations live on one; `own_shape` stands in its place otherwise.
        stein_fields: The family of control variates of its chains (`latflow.variates.catalogue`); empty without one.
    """

    kind: Any
    samplers: ClassVar[tuple[str, ...]]
    parameters: ClassVar[tuple[str, ...]]
    free_parameters: ClassVar[tuple[str, ...]] = ()
    terms: ClassVar[tuple[str, ...]] = ()
    fields: ClassVar[str] = "scalar"
    sections: ClassVar[tuple[str, ...]] = ()
    lattice: ClassVar[bool] = True
    stein_fields: ClassVar[str] = "lattice"

    @abc.abstractmethod
    def formula(self) -> str:
        """S as text, in the normalisation of the table; ``_{…}`` is set low and ``^{…}`` high."""

    def space_words(self) -> str:
        """What a configuration is, in words."""
        return "one real number at every site"

    def own_shape(self) -> tuple[int, ...] | None:
        """Of one configuration, in the place of a lattice; None where the study names the lattice."""
        return None

    def values(self) -> Mapping[str, float]:
        """The parameters and their values."""
        return {name: float(getattr(self, name)) for name in self.parameters}

    def with_parameters(self, **values: float) -> "AbstractActionTable":
        """The same theory at other values of some parameters."""
        return self.model_copy(update=values)

    def normalised(self) -> str:
        """Name of the normalisation of the field that the table speaks of; empty where fields have none, as links."""
        return "house" if self.fields == "scalar" else ""

    def rescaling(self) -> float:
        """The field of the table over that of the action class, in which configurations and columns are stored.

        Results are those of the field of the table: a quantity of power p is multiplied by its p-th power, and log Z
        grows by V times its logarithm.
        """
        return 1.0

    def measure(self) -> str:
        """The measure that log Z refers to, in words."""
        return "∏_{x} dφ_{x}" if self.fields == "scalar" else "normalised Haar measure of every link"

    def in_house(self, ndim: int) -> Mapping[str, float]:
        """The parameters in the normalisation of the action class, by the names of its fields.

        Args:
            ndim: Directions of the lattice.
        """
        del ndim
        return self.values()


Settings = Mapping[str, Any]
"""Further tables of a study by name: those that the theory lists in `sections`."""
