"""The report: one HTML file that needs nothing else, and the same figures as PDF and SVG beside it.

Everything is decided before the template is filled: the template places, escapes and colours. The page may load no
script and no remote asset, and says so to the browser.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from latflow.report import chains, data, diagnostics, figures, flowed, gauge, tables
from latflow.report.canvas import Omitted, Picture, style
from latflow.report.cost import cost_rows
from latflow.report.data import Run
from latflow.store.atomic import write_bytes

DRAWINGS: dict[str, tuple[Callable[[Run], Picture | Omitted], ...]] = {
    "configurations": (figures.configurations,),
    "observables": (figures.agreement, diagnostics.error_scaling, figures.two_point, figures.effective_mass),
    "weights": (diagnostics.rejection_runs, diagnostics.log_weights),
    "training": (
        diagnostics.training_loss,
        diagnostics.training_kl,
        diagnostics.training_quality,
        diagnostics.training_gradient,
    ),
}
"""Figures by section of the report; one more figure is one more name here."""

GAUGE_DRAWINGS: dict[str, tuple[Callable[[Run], Picture | Omitted], ...]] = {
    "configurations": (gauge.configurations,),
    "observables": (figures.agreement, gauge.error_scaling, gauge.wilson_loops, gauge.static_potential),
    "histories": (gauge.plaquette_history, gauge.charge_history, gauge.charge_histogram),
    "weights": (diagnostics.rejection_runs,),
}
"""The same of gauge theories."""

LINKS_IN_FOUR: dict[str, tuple[Callable[[Run], Picture | Omitted], ...]] = {
    **GAUGE_DRAWINGS,
    "observables": (*GAUGE_DRAWINGS["observables"], flowed.flow_energy),
    "histories": (gauge.plaquette_history, gauge.charge_history, flowed.charge_histogram),
}
"""The same in four dimensions, where there is a gradient flow."""


@dataclass(frozen=True)
class Work:
    """One entry of the bibliography.

    Attributes:
        text: What it is.
        arxiv: Its number on arXiv, if it has one.
        used_for: What it is cited for.
        key: Dotted key of the study that decides whether it was used; empty for what every report rests on.
        values: Values of that key, or entries of its list, at which it was.
        of_flows: Whether it speaks of flows, and of nothing that a study without one does.
    """

    text: str
    arxiv: str
    used_for: str
    key: str = ""
    values: tuple[str, ...] = ()
    of_flows: bool = False

    def is_used(self, study: Mapping[str, Any]) -> bool:
        """Whether a study used it, as far as its file says."""
        found: Any = study
        for part in self.key.split(".") if self.key else ():
            found = found.get(part) if isinstance(found, Mapping) else None
        return not self.key or any(word in self.values for word in (found if isinstance(found, list) else [found]))


_FLOWS = ("wilson", "symanzik")

BIBLIOGRAPHY = (
    Work(
        "M. S. Albergo, G. Kanwar and P. E. Shanahan, Flow-based generative models for Markov chain Monte Carlo in "
        "lattice field theory",
        "1904.12072",
        "flow proposals with independence Metropolis for φ⁴, and the normalisation of its action",
        of_flows=True,
    ),
    Work(
        "L. Dinh, J. Sohl-Dickstein and S. Bengio, Density estimation using Real NVP",
        "1605.08803",
        "affine couplings",
        of_flows=True,
        key="flow.kind",
        values=("real_nvp", "spline", "multiscale"),
    ),
    Work(
        "C. Durkan, A. Bekasov, I. Murray and G. Papamakarios, Neural Spline Flows",
        "1906.04032",
        "rational-quadratic spline couplings",
        of_flows=True,
        key="flow.kind",
        values=("spline",),
    ),
    Work(
        "M. Gerdes, P. de Haan, C. Rainone, R. Bondesan and M. C. N. Cheng, Learning lattice quantum field theories "
        "with equivariant continuous flows",
        "2207.00283",
        "continuous flows with the symmetries of the lattice",
        of_flows=True,
        key="flow.kind",
        values=("continuous",),
    ),
    Work(
        "L. Vaitl, K. A. Nicoli, S. Nakajima and P. Kessel, Path-gradient estimators for continuous normalizing flows",
        "2206.09016",
        "gradients along the path, without the score",
        of_flows=True,
        key="training.loss",
        values=("path_gradient",),
    ),
    Work(
        "U. Wolff, Monte Carlo errors with less errors", "hep-lat/0306017", "errors and autocorrelation times, Γ method"
    ),
    Work(
        "M. S. Albergo et al., Introduction to Normalizing Flows for Lattice Field Theory",
        "2101.08176",
        "training by the reverse Kullback–Leibler divergence, effective sample size",
        of_flows=True,
    ),
    Work(
        "S. Duane, A. D. Kennedy, B. J. Pendleton and D. Roweth, Hybrid Monte Carlo, Phys. Lett. B 195 (1987) 216",
        "",
        "HMC",
    ),
    Work(
        "K. G. Wilson, Confinement of quarks, Phys. Rev. D 10 (1974) 2445",
        "",
        "the action of plaquettes",
        key="action.kind",
        values=("wilson", "improved"),
    ),
    Work(
        "P. Weisz, Continuum limit improved lattice action for pure Yang–Mills theory, Nucl. Phys. B 212 (1983) 1",
        "",
        "the tree-level coefficient of rectangles",
        key="action.improvement",
        values=("luscher-weisz",),
    ),
    Work(
        "A. A. Migdal, Recursion equations in gauge theories, Sov. Phys. JETP 42 (1975) 413",
        "",
        "exact values on two-dimensional tori",
        key="action.kind",
        values=("wilson",),
    ),
    Work(
        "M. Lüscher, Properties and uses of the Wilson flow in lattice QCD, JHEP 08 (2010) 071",
        "1006.4518",
        "the gradient flow, its integrator and t₀",
        key="gradient_flow.kind",
        values=_FLOWS,
    ),
    Work(
        "S. Borsányi et al., High-precision scale setting in lattice QCD, JHEP 09 (2012) 010",
        "1203.4469",
        "w₀",
        key="gradient_flow.kind",
        values=_FLOWS,
    ),
    Work(
        "P. Fritzsch and A. Ramos, The gradient flow coupling in the Schrödinger Functional, JHEP 10 (2013) 008",
        "1301.4388",
        "adaptive steps of the flow",
        key="gradient_flow.kind",
        values=_FLOWS,
    ),
    Work(
        "M. Albanese et al. (APE), Glueball masses and string tension in lattice QCD, Phys. Lett. B 192 (1987) 163",
        "",
        "smearing of links in space",
        key="smearing.kind",
        values=("ape",),
    ),
    Work(
        "N. Metropolis, A. W. Rosenbluth, M. N. Rosenbluth, A. H. Teller and E. Teller, Equation of state calculations "
        "by fast computing machines, J. Chem. Phys. 21 (1953) 1087",
        "",
        "updates of links one by one",
        key="sampling.samplers",
        values=("metropolis",),
    ),
    Work(
        "N. Cabibbo and E. Marinari, A new method for updating SU(N) matrices in computer simulations of gauge "
        "theories, Phys. Lett. B 119 (1982) 387",
        "",
        "the heat bath of SU(N) by its SU(2) subgroups",
        key="sampling.samplers",
        values=("heatbath",),
    ),
    Work(
        "A. D. Kennedy and B. J. Pendleton, Improved heatbath method for Monte Carlo calculations in lattice gauge "
        "theories, Phys. Lett. B 156 (1985) 393",
        "",
        "draws of SU(2) matrices at large β",
        key="sampling.samplers",
        values=("heatbath",),
    ),
)

_TEMPLATE = "template.html.j2"


def write_report(run_dir: Path) -> Path:
    """Write `report.html` and `figures/*.{pdf,svg}` of a run from what its directory holds.

    Unfinished runs give a shorter report: what is missing is named in its place.

    Args:
        run_dir: The run directory.

    Returns:
        Path of the report.

    Raises:
        MissingInputError: If the directory is not a run.
        DataError: If a file in it is damaged.
        StorageError: If something cannot be written.
    """
    run = data.load(run_dir)
    drawn = draw_all(run)
    folder = run_dir / "figures"
    folder.mkdir(exist_ok=True)
    for found in drawn.values():
        for picture in found:
            if isinstance(picture, Picture):
                write_bytes(folder / f"{picture.name}.pdf", picture.pdf)
                write_bytes(folder / f"{picture.name}.svg", picture.svg)
    report = run_dir / "report.html"
    write_bytes(report, render(run, drawn).encode("utf-8"))
    return report


def draw_all(run: Run) -> dict[str, list[Picture | Omitted]]:
    """Every figure of the report, by section; without a flow in the study there is nothing to show of one."""
    links = LINKS_IN_FOUR if run.shape and len(run.shape) == 4 else GAUGE_DRAWINGS
    wanted = links if data.is_gauge(run) else DRAWINGS
    left_out = () if data.has_flow(run) else ("training",)
    with style():
        return {
            section: [draw(run) for draw in drawings] for section, drawings in wanted.items() if section not in left_out
        }


def render(run: Run, drawn: dict[str, list[Picture | Omitted]]) -> str:
    """The page as text."""
    return environment().get_template(_TEMPLATE).render(_context(run, drawn))


def environment() -> jinja2.Environment:
    """Where the templates of all pages are found and how they are filled: everything is escaped."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("latflow.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters["raised"] = raised
    return made


def raised(text: str) -> Markup:
    """Escaped text with ``_{…}`` as a subscript and ``^{…}`` as a superscript; the only markup that text may carry.

    >>> raised("G_{c}(r) < 1")
    Markup('G<sub>c</sub>(r) &lt; 1')
    """
    low = re.sub(r"_\{([^{}]*)\}", r"<sub>\1</sub>", str(escape(text)))
    return Markup(re.sub(r"\^\{([^{}]*)\}", r"<sup>\1</sup>", low))


def _context(run: Run, drawn: dict[str, list[Picture | Omitted]]) -> dict[str, Any]:
    pictures = {section: [f for f in found if isinstance(f, Picture)] for section, found in drawn.items()}
    omitted = {section: [f for f in found if isinstance(f, Omitted)] for section, found in drawn.items()}
    name = run.results.get("study")
    return {
        "name": run.study.get("name") or (name if isinstance(name, str) else run.path.name),
        "study": tables.study_lines(run),
        "has_flow": data.has_flow(run),
        "chains": chains.chain_tables(run.results),
        "verdict": tables.verdict_of(run.results),
        "headline": tables.headline(run),
        "pictures": pictures,
        "omitted": omitted,
        "observables": tables.observable_tables(run),
        "vectors": tables.vector_tables(run),
        "pairs": [tables.pair_name(*pair) for pair in tables.sampler_pairs(run.results)],
        "cost": cost_rows(run.results),
        "provenance": tables.provenance_rows(run.results),
        "bibliography": [
            work for work in BIBLIOGRAPHY if work.is_used(run.study) and (data.has_flow(run) or not work.of_flows)
        ],
        "suspicious": tables.SUSPICIOUS,
    }
