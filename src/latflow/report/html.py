"""The report: one HTML file that needs nothing else, and the same figures as PDF and SVG beside it.

All content is computed before the template is filled; the template places, escapes and colours. The page may load no
script and no remote asset, and says so to the browser.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from latflow.report import chains, compact, data, diagnostics, figures, flowed, gauge, tables
from latflow.report.belief import belief
from latflow.report.bibliography import works_of
from latflow.report.canvas import Omitted, Picture, style
from latflow.report.cost import cost_rows
from latflow.report.data import Run
from latflow.report.error_costs import error_cost_table
from latflow.report.footnotes import legend, not_reliable, reduced, slow_tails, without_logarithm
from latflow.report.gains import gain_table
from latflow.report.settings import settings_table
from latflow.report.verdict_box import verdict_box
from latflow.store.atomic import write_bytes
from latflow.study.unfinished import notice


@dataclass(frozen=True)
class Drawing:
    """One figure of the report.

    Attributes:
        draw: Makes it, or says what is missing.
        wanted: Whether a run has anything of what it shows; a figure that is not wanted is not mentioned.
    """

    draw: Callable[[Run], Picture | Omitted]
    wanted: Callable[[Run], bool] = lambda run: True


def _of(*names: str) -> Callable[[Run], bool]:
    """Whether a run holds any of these observables or columns."""
    return lambda run: run.holds(*names)


def _links(run: Run) -> bool:
    return run.holds("plaquette")


def _flows(run: Run) -> bool:
    """Whether the fields are links in a dimension where a gradient flow can be measured."""
    return _links(run) and run.shape is not None and len(run.shape) == 4


DRAWINGS: dict[str, tuple[Drawing, ...]] = {
    "configurations": (
        Drawing(gauge.configurations, lambda run: not run.holds("tip", "direction", "cosines")),
        Drawing(compact.arms, _of("tip")),
        Drawing(compact.tips, _of("tip")),
        Drawing(compact.sphere, _of("direction")),
    ),
    "observables": (
        Drawing(figures.agreement),
        Drawing(compact.goal_shares, _of("elbow")),
        Drawing(diagnostics.error_scaling),
        Drawing(figures.two_point, _of("two_point")),
        Drawing(figures.effective_mass, _of("effective_mass", "correlator")),
        Drawing(gauge.wilson_loops, _of("wilson_loops", "wilson_loop_1x2")),
        Drawing(gauge.static_potential, _of("wilson_loops", "static_potential")),
        Drawing(flowed.flow_energy, _flows),
    ),
    "histories": (
        Drawing(gauge.plaquette_history, _links),
        Drawing(gauge.charge_history, _links),
        Drawing(gauge.charge_histogram, lambda run: _links(run) and not _flows(run)),
        Drawing(flowed.charge_histogram, _flows),
    ),
    "weights": (Drawing(diagnostics.rejection_runs), Drawing(diagnostics.log_weights, data.has_flow)),
    "training": tuple(
        Drawing(draw, data.has_flow)
        for draw in (
            diagnostics.training_loss,
            diagnostics.training_kl,
            diagnostics.training_quality,
            diagnostics.training_gradient,
        )
    ),
}
"""Figures by section of the report; one more figure is one more line here."""


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
    """Every figure of the report, by section; sections of which a run has nothing are left out."""
    wanted = {section: [each for each in drawings if each.wanted(run)] for section, drawings in DRAWINGS.items()}
    with style():
        return {section: [each.draw(run) for each in found] for section, found in wanted.items() if found}


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
    return {
        "name": run.study.get("name") or run.results.study or run.path.name,
        "study": tables.study_lines(run),
        "has_flow": data.has_flow(run),
        "chains": chains.chain_tables(run.results),
        "verdict": verdict_box(run.results.verdict),
        "headline": tables.headline(run),
        "pictures": pictures,
        "omitted": omitted,
        "observables": tables.observable_tables(run),
        "vectors": tables.vector_tables(run),
        "pairs": [tables.pair_name(*pair) for pair in tables.sampler_pairs(run.results)],
        "unreliable": not_reliable(run.results),
        "notice": notice(run.path),
        "belief": belief(run.results),
        "legend": legend(run.results),
        "slow": " ".join(filter(None, (slow_tails(run.results), reduced(run.results)))),
        "footnote": without_logarithm(run.results),
        "settings": settings_table(run.results),
        "gains": gain_table(run.results),
        "cost": cost_rows(run.results),
        "errors": error_cost_table(run.results),
        "provenance": tables.provenance_rows(run.results),
        "bibliography": works_of(run.study, has_flow=data.has_flow(run)),
        "suspicious": tables.SUSPICIOUS,
        "has_lattice": tables.has_lattice(run),
    }
