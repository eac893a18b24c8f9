"""How the free field is written, and what a report on it cites."""

from latflow.theories.scalar.words import OBSERVABLES as OBSERVABLES
from latflow.words import Work

WORKS: tuple[Work, ...] = ()
