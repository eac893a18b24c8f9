"""How sine-Gordon theory is written, and what a report on it cites."""

from latflow.theories.scalar.words import OBSERVABLES as OBSERVABLES
from latflow.words import Work

WORKS: tuple[Work, ...] = (
    Work(
        "S. Coleman, Quantum sine-Gordon equation as the massive Thirring model, Phys. Rev. D 11 (1975) 2088",
        "",
        "the theory",
        key="action.kind",
        values=("sine_gordon",),
    ),
)
