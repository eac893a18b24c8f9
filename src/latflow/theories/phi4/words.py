"""How φ⁴ is written, and what a report on it cites."""

from latflow.theories.scalar.words import OBSERVABLES as OBSERVABLES
from latflow.words import Work

WORKS: tuple[Work, ...] = ()
"""Empty: the source of the action's normalisation is the first work that every report on a flow cites."""
