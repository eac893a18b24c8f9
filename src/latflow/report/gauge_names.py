"""How the observables of gauge theories are written."""

from latflow.report.words import ObservableWords

LARGEST_LOOP = 3
"""Largest extent of a Wilson loop with words of its own."""


def _loop(r: int, t: int) -> ObservableWords:
    return ObservableWords(
        f"{r}×{t} Wilson loop", f"W({r},{t})", rf"$W({r},{t})$", f"(1/N) Re tr of loops of {r}×{t} plaquettes"
    )


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
        "planes (0,1), (0,2), … in lexicographic order, time last",
        abscissa="plane",
    ),
    "rectangle": ObservableWords("rectangle", "R", r"$R$", "(1/N) Re tr of 1×2 loops in both orientations"),
    **{f"wilson_loop_{r}x{t}": _loop(r, t) for r in _SIDES for t in _SIDES if t >= r and t > 1},
    **{f"creutz_ratio_{r}x{r}": _ratio(r) for r in _SIDES if r > 1},
    "static_potential": ObservableWords(
        "static potential", "V(R)", r"$V(R)$", "ln [W(R,T) / W(R,T+1)] at the largest T measured", abscissa="R", first=1
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
    "topological_susceptibility": ObservableWords("topological susceptibility", "χ_{t}", r"$\chi_t$", "⟨Q²⟩ / V"),
    "topological_charge_distribution": ObservableWords(
        "distribution of the topological charge",
        "P(Q)",
        r"$P(Q)$",
        "share of configurations of charge Q",
        abscissa="Q",
        first=-10,
    ),
}
"""Words by observable, in the order in which tables list them."""
