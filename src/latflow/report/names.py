"""What samplers and observables are called, drawn and defined as: one colour and one marker per sampler everywhere.

The colours are those of Okabe and Ito, told apart by readers with any colour vision; markers differ as well, so nothing
depends on colour alone.
"""

from dataclasses import dataclass

from latflow.report.gauge_names import GAUGE_OBSERVABLES
from latflow.words import AxisWords, ObservableWords


@dataclass(frozen=True)
class SamplerStyle:
    """How one sampler appears.

    Attributes:
        label: Words in legends and tables.
        colour: Hexadecimal RGB.
        marker: Matplotlib marker.
        note: One sentence on how its configurations arise.
    """

    label: str
    colour: str
    marker: str
    note: str


SAMPLERS: dict[str, SamplerStyle] = {
    "flow": SamplerStyle("flow", "#0072B2", "o", "flow draws made exact by independence Metropolis–Hastings"),
    "reweighted": SamplerStyle("reweighted", "#CC79A7", "D", "the same flow draws as weighted averages, none rejected"),
    "reverse": SamplerStyle("reverse", "#999933", "*", "draws of the target with the flow's density, 1/w averaged"),
    "hmc": SamplerStyle("HMC", "#D55E00", "s", "hybrid Monte Carlo"),
    "local": SamplerStyle("local", "#009E73", "^", "local checkerboard Metropolis"),
    "cluster": SamplerStyle("cluster", "#56B4E9", "P", "Wolff clusters of signs between local Metropolis sweeps"),
    "heatbath": SamplerStyle("heat bath", "#E69F00", "v", "local heat bath"),
    "metropolis": SamplerStyle("Metropolis", "#882255", "p", "Metropolis of one link after another"),
}
"""Every sampler in the order in which tables and legends list them."""

DEPENDENT_PAIRS = frozenset({frozenset({"flow", "reweighted"})})
"""Pairs that analyse the same draws: their difference has no independent error, so no pull is printed."""


OBSERVABLES: dict[str, ObservableWords] = {
    **GAUGE_OBSERVABLES,
    "susceptibility": ObservableWords("two-point susceptibility", "χ₂", r"$\chi_2$", "Σ_{x} G_{c}(x)"),
    "abs_susceptibility": ObservableWords(
        "susceptibility of |M|", "χ_{|M|}", r"$\chi_{|M|}$", "V(⟨M²⟩ − ⟨|M|⟩²), M the mean field of a configuration"
    ),
    "ising_energy": ObservableWords("Ising-limit energy", "E", r"$E$", "(1/d) Σ_{μ} G_{c}(μ̂)"),
    "phi_squared": ObservableWords("field squared", "⟨φ²⟩", r"$\langle\phi^2\rangle$", "average over sites"),
    "abs_magnetization": ObservableWords(
        "absolute magnetization", "⟨|M|⟩", r"$\langle|M|\rangle$", "M the mean field of a configuration"
    ),
    "magnetization": ObservableWords(
        "magnetization", "⟨M⟩", r"$\langle M\rangle$", "M the mean field of a configuration; zero by φ → −φ"
    ),
    "binder_cumulant": ObservableWords("Binder cumulant", "U₄", r"$U_4$", "1 − ⟨M⁴⟩ / (3⟨M²⟩²)"),
    "action_density": ObservableWords("action density", "⟨S⟩/V", r"$\langle S\rangle/V$", "action per site"),
    "pole_mass": ObservableWords("pole mass", "m_{p}", r"$m_p$", "from the zero-momentum correlator, lattice units"),
    "pole_mass_times_length": ObservableWords(
        "pole mass × extent", "m_{p}L", r"$m_pL$", "from the zero-momentum correlator"
    ),
    "log_z": ObservableWords("log partition function", "log Z", r"$\log Z$", "ln ∫ dφ exp(−S), Lebesgue measure"),
    "free_energy_density": ObservableWords("free energy per site", "f", r"$f$", "−log Z / V"),
    "two_point": ObservableWords(
        "connected two-point function",
        "G_{c}(r)",
        r"$G_c(r)$",
        "along the axes, averaged over translations",
        axis=AxisWords("r"),
    ),
    "correlator": ObservableWords("zero-momentum correlator", "C(t)", r"$C(t)$", "connected, summed over a time slice"),
    "effective_mass": ObservableWords(
        "effective mass", "m_{eff}(t)", r"$m_\mathrm{eff}(t)$", "arccosh[(C(t+1) + C(t−1)) / 2C(t)]"
    ),
}
"""Every observable with words of its own, in the order in which tables list them."""


def sampler_style(sampler: str) -> SamplerStyle:
    """Style of `sampler`; a neutral one for a name not listed."""
    return SAMPLERS.get(sampler, SamplerStyle(sampler, "#7F7F7F", "X", ""))


def order_of(name: str, table: dict) -> tuple[int, str]:
    """Sort key: the order of `table`, unknown names after it alphabetically."""
    names = list(table)
    return (names.index(name) if name in table else len(names), name)
