"""How estimates of a robot arm are written, and what a report on it cites."""

from latflow.theories.directional.words import OBSERVABLES as OF_DIRECTIONS
from latflow.words import ObservableWords, Work

OBSERVABLES: dict[str, ObservableWords] = {
    **OF_DIRECTIONS,
    "tip": ObservableWords("tip", "x", r"$x$", "where the arm ends", estimated=False),
}

WORKS: tuple[Work, ...] = (
    Work(
        "D. J. Rezende et al., Normalizing flows on tori and spheres",
        "2002.02428",
        "the posterior of an arm; lengths and goals are others",
        key="action.kind",
        values=("robot-arm",),
    ),
)
