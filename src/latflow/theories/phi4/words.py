"""How φ⁴ is written, and what a report on it cites."""

from latflow.theories.scalar.words import OBSERVABLES as OBSERVABLES
from latflow.words import Work

WORKS: tuple[Work, ...] = ()
"""The normalisation of the action is that of the first work every report on a flow cites."""
