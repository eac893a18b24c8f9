"""How estimates of angles and unit vectors are written, and what a report on them cites."""

from latflow.words import AxisWords, ObservableWords, Work

_ANGLE = AxisWords("angle", first=1)

OBSERVABLES: dict[str, ObservableWords] = {
    "log_z": ObservableWords("log normalisation", "log Z", r"$\log Z$", "ln of the integral of exp(−S)"),
    "free_energy_density": ObservableWords("−log Z per number", "f", r"$f$", "−log Z over the numbers of a draw"),
    "shares": ObservableWords(
        "shares of modes",
        "w_{j}",
        r"$w_j$",
        "weight of every part of the density, of an arm of every goal",
        axis=AxisWords("mode", first=1),
    ),
    "cosines": ObservableWords("cosines", "⟨cos θ⟩", r"$\langle\cos\theta\rangle$", "of every angle", axis=_ANGLE),
    "sines": ObservableWords("sines", "⟨sin θ⟩", r"$\langle\sin\theta\rangle$", "of every angle", axis=_ANGLE),
    "direction": ObservableWords(
        "mean unit vector", "⟨x⟩", r"$\langle x\rangle$", "of every component", axis=AxisWords("component")
    ),
    "action_density": ObservableWords("action per number", "S/n", r"$S/n$", "−ln p over n", estimated=False),
    "mode": ObservableWords("mode", "j", r"$j$", "number of the largest part, from zero", estimated=False),
}
"""In the order in which tables list them."""

WORKS: tuple[Work, ...] = (
    Work(
        "D. J. Rezende et al., Normalizing flows on tori and spheres",
        "2002.02428",
        "the densities",
        key="action.kind",
        values=("torus-modes", "torus-correlated", "sphere-modes"),
    ),
)
