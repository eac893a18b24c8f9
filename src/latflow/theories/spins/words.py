"""How the observables of spin models are written, and what a report on them cites."""

from latflow.theories.gauge.words import OBSERVABLES as OF_LINKS
from latflow.theories.spins.table import KINDS
from latflow.words import TIME, ObservableWords, Work

CHARGE = (
    "topological_charge",
    "topological_charge_squared",
    "topological_susceptibility",
    "topological_charge_distribution",
)
"""Estimates of an integer charge, as of links."""

OBSERVABLES: dict[str, ObservableWords] = {
    "spin_product": ObservableWords(
        "product of neighbouring spins", "E", r"$E$", "⟨n_{x}·n_{x+μ}⟩, average over bonds; minus the energy per bond"
    ),
    "spin_magnetization": ObservableWords(
        "magnetization", "⟨|M|⟩/V", r"$\langle|M|\rangle/V$", "M the sum of all spins of a configuration"
    ),
    "spin_susceptibility": ObservableWords("susceptibility", "χ", r"$\chi$", "⟨M²⟩/V, Σ_{x} ⟨n_{0}·n_{x}⟩"),
    "spin_correlation_length": ObservableWords(
        "second-moment correlation length",
        "ξ",
        r"$\xi$",
        "√(χ/F − 1) / 2 sin(π/L), F as χ at the smallest momentum along the longest direction",
    ),
    "helicity_modulus": ObservableWords(
        "helicity modulus",
        "Υ",
        r"$\Upsilon$",
        "⟨cos(θ_{x+μ} − θ_{x})⟩ − (β/V)⟨(Σ_{x} sin(θ_{x+μ} − θ_{x}))²⟩ along the longest direction",
    ),
    "vortex_density": ObservableWords(
        "density of vortices", "ρ_{v}", r"$\rho_v$", "vortices and antivortices per plaquette"
    ),
    "spin_correlator": ObservableWords(
        "zero-momentum correlator", "C(t)", r"$C(t)$", "Σ_{x} ⟨n_{0}·n_{x,t}⟩ over a time slice", axis=TIME
    ),
    **{name: OF_LINKS[name] for name in CHARGE},
    "topological_charge": ObservableWords(
        "topological charge", "⟨Q⟩", r"$\langle Q\rangle$", "(1/4π) Σ of signed areas of triangles; zero by parity"
    ),
    "log_z": ObservableWords(
        "log partition function", "log Z", r"$\log Z$", "ln ∫ dn exp(−S), uniform normalised measure of every spin"
    ),
    "free_energy_density": ObservableWords("free energy per site", "f", r"$f$", "−log Z / V"),
}
"""In the order in which tables list them."""

WORKS: tuple[Work, ...] = (
    Work(
        "U. Wolff, Collective Monte Carlo updating for spin systems, Phys. Rev. Lett. 62 (1989) 361",
        "",
        "clusters of reflected spins",
        key="action.kind",
        values=KINDS,
        sampler="cluster",
    ),
    Work(
        "B. Berg and M. Lüscher, Definition and statistical distributions of a topological number in the lattice O(3) "
        "σ-model, Nucl. Phys. B 190 (1981) 412",
        "",
        "the geometric topological charge",
        key="action.components",
        values=("3",),
    ),
)
"""In the order in which they are listed."""
