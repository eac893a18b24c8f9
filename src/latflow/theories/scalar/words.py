"""How the observables of one real scalar field are written."""

from latflow.words import TIME, AxisWords, ObservableWords

OBSERVABLES: dict[str, ObservableWords] = {
    "susceptibility": ObservableWords("two-point susceptibility", "χ₂", r"$\chi_2$", "Σ_{x} G_{c}(x)", power=2),
    "abs_susceptibility": ObservableWords(
        "susceptibility of |M|",
        "χ_{|M|}",
        r"$\chi_{|M|}$",
        "V(⟨M²⟩ − ⟨|M|⟩²), M the mean field of a configuration",
        power=2,
    ),
    "ising_energy": ObservableWords("Ising-limit energy", "E", r"$E$", "(1/d) Σ_{μ} G_{c}(μ̂)", power=2),
    "phi_squared": ObservableWords("field squared", "⟨φ²⟩", r"$\langle\phi^2\rangle$", "average over sites", power=2),
    "abs_magnetization": ObservableWords(
        "absolute magnetization", "⟨|M|⟩", r"$\langle|M|\rangle$", "M the mean field of a configuration", power=1
    ),
    "magnetization": ObservableWords(
        "magnetization",
        "⟨M⟩",
        r"$\langle M\rangle$",
        "M the mean field of a configuration; zero by φ → −φ",
        estimated=False,
        power=1,
    ),
    "binder_cumulant": ObservableWords("Binder cumulant", "U₄", r"$U_4$", "1 − ⟨M⁴⟩ / (3⟨M²⟩²)"),
    "action_density": ObservableWords("action density", "⟨S⟩/V", r"$\langle S\rangle/V$", "action per site"),
    "pole_mass": ObservableWords("pole mass", "m_{p}", r"$m_p$", "from the zero-momentum correlator, lattice units"),
    "pole_mass_times_length": ObservableWords(
        "pole mass × extent", "m_{p}L", r"$m_pL$", "from the zero-momentum correlator"
    ),
    "log_z": ObservableWords("log partition function", "log Z", r"$\log Z$", "ln ∫ ∏_{x} dφ_{x} exp(−S)"),
    "free_energy_density": ObservableWords("free energy per site", "f", r"$f$", "−log Z / V"),
    "two_point": ObservableWords(
        "connected two-point function",
        "G_{c}(r)",
        r"$G_c(r)$",
        "along the axes, averaged over translations",
        axis=AxisWords("r"),
        power=2,
    ),
    "correlator": ObservableWords(
        "zero-momentum correlator", "C(t)", r"$C(t)$", "connected, summed over a time slice", axis=TIME, power=2
    ),
    "effective_mass": ObservableWords(
        "effective mass", "m_{eff}(t)", r"$m_\mathrm{eff}(t)$", "arccosh[(C(t+1) + C(t−1)) / 2C(t)]", axis=TIME
    ),
    "magnetization_squared": ObservableWords(
        "magnetization squared",
        "⟨M²⟩",
        r"$\langle M^2\rangle$",
        "M the mean field of a configuration",
        estimated=False,
        power=2,
    ),
    "magnetization_fourth": ObservableWords(
        "fourth power of the magnetization",
        "⟨M⁴⟩",
        r"$\langle M^4\rangle$",
        "M the mean field of a configuration",
        estimated=False,
        power=4,
    ),
    "neighbour_product": ObservableWords(
        "product of neighbours",
        "⟨φ_{x}φ_{x+μ}⟩",
        r"$\langle\phi_x\phi_{x+\mu}\rangle$",
        "average over bonds",
        estimated=False,
        power=2,
    ),
}
"""In the order in which tables list them; last the columns that other estimates are made of."""
