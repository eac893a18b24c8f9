"""How estimates of points and particles are written, and what a report on them cites."""

from latflow.words import ObservableWords, Work

STATE = ObservableWords(
    "share of the second state", "P", r"$P$", "right well; minimum at the left; pairs nearer than the barrier"
)
DIFFERENCE = ObservableWords(
    "free-energy difference of the states",
    "ΔF",
    r"$\Delta F$",
    "−ln[P/(1 − P)] in units of k_{B}T, P the share of the second state",
)

OBSERVABLES: dict[str, ObservableWords] = {
    "log_z": ObservableWords("log normalisation", "log Z", r"$\log Z$", "ln of the integral of exp(−S)"),
    "free_energy_density": ObservableWords("−log Z per number", "f", r"$f$", "−log Z over the numbers of a draw"),
    "free_energy_difference": DIFFERENCE,
    "state_share": STATE,
    "action_density": ObservableWords("action per number", "S/n", r"$S/n$", "energy over k_{B}T", estimated=False),
    "mode": ObservableWords("state", "j", r"$j$", "0 or 1", estimated=False),
}
"""But for those of `latflow.observables.particles`, which bring their own words."""

WORKS: tuple[Work, ...] = (
    Work(
        "F. Noé, S. Olsson, J. Köhler and H. Wu, Boltzmann generators",
        "1812.01729",
        "draws of Boltzmann's distribution from a flow, reweighted",
        key="action.kind",
        values=("double-well", "mueller-brown", "dw4", "lj13"),
    ),
    Work(
        "J. Köhler, L. Klein and F. Noé, Equivariant flows",
        "2006.02425",
        "the systems DW4 and LJ13",
        key="action.kind",
        values=("dw4", "lj13"),
    ),
)
