"""How estimates of angles and unit vectors are written, and what a report on them cites."""

from latflow.words import ObservableWords, Work

OBSERVABLES: dict[str, ObservableWords] = {
    "log_z": ObservableWords("log normalisation", "log Z", r"$\log Z$", "ln of the integral of exp(−S)"),
    "free_energy_density": ObservableWords("−log Z per number", "f", r"$f$", "−log Z over the numbers of a draw"),
    "action_density": ObservableWords("action per number", "S/n", r"$S/n$", "−ln p over n", estimated=False),
    "mode": ObservableWords("mode", "j", r"$j$", "number of the largest part, from zero", estimated=False),
}
"""But for those of `latflow.observables.directional`, which bring their own words."""

WORKS: tuple[Work, ...] = (
    Work(
        "D. J. Rezende et al., Normalizing flows on tori and spheres",
        "2002.02428",
        "the densities",
        key="action.kind",
        values=("torus-modes", "torus-correlated", "sphere-modes"),
    ),
)
