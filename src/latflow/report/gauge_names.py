"""How the observables of gauge theories are written."""

from latflow.words import FLOW_TIME, PLANE, AxisWords, ObservableWords

LARGEST_LOOP = 3
"""Largest extent of a Wilson loop with words of its own."""


def _loop(r: int, t: int) -> ObservableWords:
    other = f", averaged with W({t},{r}) where all extents are equal" if r != t else ""
    definition = f"(1/N) Re tr of loops of {r} in space by {t} in time{other}"
    return ObservableWords(f"{r}×{t} Wilson loop", f"W({r},{t})", rf"$W({r},{t})$", definition)


def _scale(name: str, symbol: str, math: str, condition: str, *, clover: bool) -> ObservableWords:
    kind, mark = ("clover", "") if clover else ("plaquettes", " (P)")
    definition = f"{condition}, E by {'the clover' if clover else 'plaquettes'}, lattice units"
    return ObservableWords(f"flow scale {name}, {kind}", f"{symbol}{mark}", f"{math}{mark}", definition)


def _ratio(r: int) -> ObservableWords:
    definition = f"−ln [W({r},{r}) W({r - 1},{r - 1}) / W({r},{r - 1})²]"
    return ObservableWords(f"{r}×{r} Creutz ratio", f"χ({r},{r})", rf"$\chi({r},{r})$", definition)


_SIDES = range(1, LARGEST_LOOP + 1)

GAUGE_OBSERVABLES: dict[str, ObservableWords] = {
    "plaquette": ObservableWords("plaquette", "P", r"$P$", "(1/N) Re tr of 1×1 loops, all planes and sites"),
    "plaquette_planes": ObservableWords(
        "plaquette by planes",
        "P_{μν}",
        r"$P_{\mu\nu}$",
        "plane by plane; directions are numbered from 0, time is the last",
        axis=PLANE,
    ),
    "rectangle": ObservableWords("rectangle", "R", r"$R$", "(1/N) Re tr of 1×2 loops in both orientations"),
    **{f"wilson_loop_{r}x{t}": _loop(r, t) for r in _SIDES for t in _SIDES if t >= r and t > 1},
    **{f"creutz_ratio_{r}x{r}": _ratio(r) for r in _SIDES if r > 1},
    "static_potential": ObservableWords(
        "static potential",
        "V(R)",
        r"$V(R)$",
        "ln [W(R,T) / W(R,T+1)] at the largest T measured",
        axis=AxisWords("R", first=1),
    ),
    "smeared_static_potential": ObservableWords(
        "static potential of smeared loops",
        "V_{s}(R)",
        r"$V_s(R)$",
        "the same after APE smearing of the links in space: less of excited states",
        axis=AxisWords("R", first=1),
    ),
    "polyakov_loop": ObservableWords(
        "Polyakov loop", "⟨Re L⟩", r"$\langle\mathrm{Re}\,L\rangle$", "(1/N) tr of lines around the time direction"
    ),
    "polyakov_loop_squared": ObservableWords(
        "Polyakov loop squared", "⟨|L|²⟩", r"$\langle|L|^2\rangle$", "L averaged over space first"
    ),
    "polyakov_susceptibility": ObservableWords(
        "Polyakov loop susceptibility", "χ_{L}", r"$\chi_L$", "V_{s} (⟨|L|²⟩ − |⟨L⟩|²), V_{s} the spatial volume"
    ),
    "topological_charge": ObservableWords(
        "topological charge", "⟨Q⟩", r"$\langle Q\rangle$", "(1/2π) Σ_{x} θ_{P}, angles in (−π, π]; zero by parity"
    ),
    "topological_charge_squared": ObservableWords(
        "topological charge squared", "⟨Q²⟩", r"$\langle Q^2\rangle$", "an integer on every configuration of a torus"
    ),
    "clover_charge": ObservableWords(
        "topological charge by the clover",
        "⟨Q⟩",
        r"$\langle Q\rangle$",
        "(1/64π²) Σ_{x} ε F^{a} F^{a} by the clover at the end of the gradient flow; zero by parity",
    ),
    "clover_charge_squared": ObservableWords(
        "square of the topological charge by the clover",
        "⟨Q²⟩",
        r"$\langle Q^2\rangle$",
        "at the end of the gradient flow; Q is not rounded to an integer",
    ),
    "topological_susceptibility": ObservableWords("topological susceptibility", "χ_{t}", r"$\chi_t$", "⟨Q²⟩ / V"),
    "flow_charge_squared": ObservableWords(
        "topological charge squared along the flow",
        "⟨Q²⟩(t)",
        r"$\langle Q^2\rangle(t)$",
        "by the clover; flat where the charge is defined",
        axis=FLOW_TIME,
    ),
    "t0": _scale("t₀", "t_{0}", r"$t_0$", "t²⟨E(t)⟩ = 0.3 at t_{0}", clover=True),
    "t0_plaquette": _scale("t₀", "t_{0}", r"$t_0$", "t²⟨E(t)⟩ = 0.3 at t_{0}", clover=False),
    "w0": _scale("w₀", "w_{0}", r"$w_0$", "t d/dt t²⟨E(t)⟩ = 0.3 at t = w_{0}²", clover=True),
    "w0_plaquette": _scale("w₀", "w_{0}", r"$w_0$", "t d/dt t²⟨E(t)⟩ = 0.3 at t = w_{0}²", clover=False),
    "flow_energy": ObservableWords(
        "energy along the gradient flow, clover",
        "t²⟨E⟩",
        r"$t^2\langle E\rangle$",
        "E per site, a pure number",
        axis=FLOW_TIME,
    ),
    "flow_energy_plaquette": ObservableWords(
        "energy along the gradient flow, plaquettes",
        "t²⟨E⟩ (P)",
        r"$t^2\langle E\rangle$ (P)",
        "the same by plaquettes; the difference is of the cut-off",
        axis=FLOW_TIME,
    ),
    "topological_charge_distribution": ObservableWords(
        "distribution of the topological charge",
        "P(Q)",
        r"$P(Q)$",
        "share of configurations of charge Q",
        axis=AxisWords("Q", first=-10),
    ),
}
"""Words by observable, in the order in which tables list them."""
