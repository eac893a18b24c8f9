"""How the estimates are written, and what a report cites."""

from latflow.theories.scalar.words import OBSERVABLES as OBSERVABLES
from latflow.words import Work

WORKS = (
    Work("A. Author, Pinned fields, J. Ex. 1 (2026) 1", "", "the example", "action.kind", ("example_sine_gordon",)),
)
