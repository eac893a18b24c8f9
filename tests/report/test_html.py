import base64
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from latflow.errors import DataError, MissingInputError
from latflow.report import data, diagnostics, figures, write_report
from latflow.report.canvas import Picture, style
from latflow.report.html import DRAWINGS, environment, raised
from latflow.results import Axis, EstimateRecord, FlowFigures, Observable, Provenance, Results, write
from latflow.stats.evidence import Check, Verdict, no_verdict
from latflow.study.wording import read_results

FIGURES = [
    "configurations",
    "agreement",
    "error_scaling",
    "two_point",
    "effective_mass",
    "rejection_runs",
    "log_weights",
    "training_loss",
    "training_kl",
    "training_quality",
    "training_gradient",
]


class Page(HTMLParser):
    """Tags with their attributes, and the text in between."""

    def __init__(self) -> None:
        HTMLParser.__init__(self)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    return page


@pytest.fixture(scope="module")
def page(full_report: Path) -> Page:
    return read(full_report)


@pytest.fixture
def unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn but not encoded, which is what takes the time."""
    for module in (figures, diagnostics):
        monkeypatch.setattr(module, "encode", lambda _: (b'<svg viewBox="0 0 252 180"/>', b"%PDF"))


def test_the_report_is_where_it_says_with_every_figure_twice(page: Page, full_run: Path) -> None:
    assert (full_run / "report.html").is_file()
    names = sorted(path.name for path in (full_run / "figures").iterdir())
    assert names == sorted(f"{name}.{suffix}" for name in FIGURES for suffix in ("pdf", "svg"))
    assert all((full_run / "figures" / name).stat().st_size > 1000 for name in names)
    wanted = [drawing for drawings in DRAWINGS.values() for drawing in drawings if drawing.wanted(data.load(full_run))]
    assert len(wanted) == len(FIGURES)


def test_nothing_outside_the_file_is_loaded(page: Page) -> None:
    policy = next(m for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    loading = [a.get("src") or a.get("href") or "" for tag, a in page.tags if tag in ("img", "link", "source", "image")]
    assert loading
    assert all(address.startswith("data:") for address in loading)
    forbidden = {"script", "iframe", "object", "embed", "form", "base", "video", "audio"}
    assert not forbidden & {tag for tag, _ in page.tags}
    assert not re.search(r"url\(|@import", page.text)
    assert all((a["href"] or "").startswith(("#", "https://arxiv.org/abs/")) for a in page.all("a"))
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_every_picture_has_a_size_and_words(page: Page) -> None:
    images = page.all("img")
    assert len(images) == len(FIGURES)
    for image in images:
        assert len(image["alt"] or "") > 30
        kind, _, content = (image["src"] or "").partition(";base64,")
        assert kind == "data:image/svg+xml"
        root = ET.fromstring(base64.b64decode(content))
        assert float((root.get("width") or "0").removesuffix("pt")) > 200
        assert float((root.get("height") or "0").removesuffix("pt")) > 100
        assert int(image["width"] or 0) / int(image["height"] or 1) == pytest.approx(
            float((root.get("width") or "0")[:-2]) / float((root.get("height") or "0")[:-2]), rel=0.01
        )
        references = re.findall(rb'(?:href|src)="([^"]{0,20})', base64.b64decode(content))
        assert all(r.startswith((b"#", b"data:")) for r in references)


def test_numbers_of_the_results_stand_in_the_page(page: Page, full_run: Path) -> None:
    results = read_results(full_run / "results.json")
    for expected in ("synthetic", "6×6, periodic", "phi4 (mass squared −4, coupling 6.975)", "Verdict: exact"):
        assert expected in page.text
    assert f"{results.flow.acceptance:.4g}" in page.text
    assert "N\u00a0=\u00a06\u202f000 draws" in " ".join(page.pieces)
    for number in ("1904.12072", "1605.08803", "hep-lat/0306017", "2101.08176", "Phys. Lett. B 195 (1987) 216"):
        assert number in page.text
    for expected in ("0.6543 expected from the weights", "Pareto k̂ 0.12", "(invented)"):
        assert expected in page.text
    assert results.provenance.inputs["config"] in page.text
    assert page.text.count("FAIL") == 0


def test_what_may_be_believed_stands_first_and_outcomes_stand_before_what_a_small_screen_hides(
    full_report: Path,
) -> None:
    """At 390 pixels the last columns of a table are out of view."""
    text = full_report.read_text(encoding="utf-8")
    assert text.index('id="belief"') < text.index("Verdict: ")
    evidence = text[text.index('aria-label="Evidence"') :]
    heads = re.findall(r'<th scope="col"[^>]*>([^<]+)</th>', evidence[: evidence.index("</thead>")])
    assert heads == ["outcome", "check", "measured", "limit"]
    assert evidence.index("<td>pass</td>") < evidence.index("log Z forward")


def test_figures_are_the_same_bytes_each_time(full_report: Path) -> None:
    run = data.load(full_report.parent)
    with style():
        again = [figures.configurations(run), diagnostics.log_weights(run), diagnostics.training_kl(run)]
    for picture in again:
        assert isinstance(picture, Picture)
        assert (full_report.parent / "figures" / f"{picture.name}.svg").read_bytes() == picture.svg
        assert (full_report.parent / "figures" / f"{picture.name}.pdf").read_bytes() == picture.pdf


@pytest.mark.usefixtures("unpainted")
@pytest.mark.parametrize(
    ("options", "present", "absent"),
    [
        ({"samplers": (), "analysed": False}, [], FIGURES),
        (
            {"samplers": ("hmc",), "references": False},
            ["two_point", "configurations"],
            ["log_weights", "training_loss"],
        ),
        ({"samplers": ("flow",), "analysed": False}, ["log_weights", "training_kl", "configurations"], ["two_point"]),
        ({"samplers": ("flow", "local")}, ["agreement", "rejection_runs", "effective_mass"], []),
    ],
)
def test_unfinished_runs_give_an_honest_report(
    options: dict, present: list[str], absent: list[str], make_run: Callable[..., Path], tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run", draws=600, records=60, chains=4, **options)
    results = run / "results.json"
    if results.exists():
        write(read_results(results).model_copy(update={"verdict": no_verdict()}), results)
    page = read(write_report(run))
    shown = {a["id"] for a in page.all("figure")}
    assert set(present) <= shown
    assert not set(absent) & shown
    omitted = {a["id"] for a in page.all("p") if a.get("class") == "omitted" and a.get("id")}
    # of a run that holds nothing, figures of a theory are not mentioned
    assert shown | omitted == set(FIGURES) - ({"two_point", "effective_mass"} if not options["samplers"] else set())
    assert "Verdict: no verdict" in page.text
    assert "It is not a pass." in page.text
    assert "Do not use the draws" not in page.text
    assert not [a for a in page.all("section") if a.get("class") == "verdict good"]


def test_a_theory_that_is_not_installed_is_reported_by_the_words_of_its_results(tmp_path: Path) -> None:
    """Titles, symbols, axes and their order come from the file; nothing of the theory is known here."""
    axis = Axis(name="level", labels=("ground", "first"))
    words = {
        "gap": Observable(title="energy gap", symbol="Δ_{0}", math=r"$\Delta_0$", definition="E₁ − E₀", place=0),
        "abundance": Observable(title="abundance of levels", symbol="p", math="$p$", axis=axis, place=1),
    }
    none = (None, None)
    rows = (
        EstimateRecord(observable="gap", sampler="hmc", value=0.5, error=0.01, tau_int=1.0, tau_int_error=0.1, n=99),
        EstimateRecord(
            observable="abundance",
            sampler="hmc",
            value=(0.75, 0.25),
            error=(0.02, 0.01),
            tau_int=none,
            tau_int_error=none,
        ),
    )
    results = Results(study="oscillator", observables=words, estimates=rows)
    write(results, tmp_path / "results.json")
    (tmp_path / "study.toml").write_text('name = "oscillator"\n[action]\nkind = "of a plug-in"\nomega = 2.0\n')
    page = read(write_report(tmp_path))
    for expected in ("of a plug-in (omega 2)", "energy gap", "E₁ − E₀", "0.500(10)", "abundance of levels", "level"):
        assert expected in page.text
    assert "ground 0.750(20) first 0.250(10)" in page.text
    for absent in ("two-point", "Wilson", "plaquette", "Histories"):
        assert absent not in page.text


def test_text_from_the_run_is_escaped(make_run: Callable[..., Path], tmp_path: Path) -> None:
    attack = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    run = make_run(tmp_path / "run", samplers=(), analysed=False)
    (run / "study.toml").write_text(f"name = '{attack}'\n[action]\nkind = '{attack}'\n[lattice]\nshape = [4]\n")
    results = Results(
        study=attack,
        observables={attack: Observable(title=attack, symbol=attack, math="x", definition=attack)},
        estimates=(EstimateRecord(observable=attack, sampler=attack, value=1.0, error=0.1, n=3),),
        verdict=Verdict(attack, (attack,), evidence=(Check(attack, None, None, attack, passed=False),)),
        provenance=Provenance(inputs={attack: attack}, seed=1, versions={}, device=attack, precision=""),
        flow=FlowFigures(stopped_by=attack),
    )
    write(results, run / "results.json")
    report = write_report(run)
    assert "<script" not in report.read_text()
    assert not read(report).all("script")
    assert "alert(1)" in read(report).text
    assert "Do not use the draws of this flow." in read(report).text  # a verdict that is neither exact nor open


def test_what_is_no_run_or_damaged_leaves_no_report(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        write_report(tmp_path)
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(DataError):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_only_braces_are_raised() -> None:
    assert raised("a_b x_{1} y^{k−1} <_{&}>") == "a_b x<sub>1</sub> y<sup>k−1</sup> &lt;<sub>&amp;</sub>&gt;"


@pytest.mark.parametrize("name", ["template.html.j2", "scaling.html.j2"])
def test_every_table_scrolls_in_a_box_of_its_own(name: str) -> None:
    """At 390 px a wide table moves, not the page."""
    source, _, _ = environment().loader.get_source(environment(), name)  # pyright: ignore[reportOptionalMemberAccess]
    lines = [line.strip() for line in source.splitlines()]
    before = [lines[i - 1] for i, line in enumerate(lines) if line.startswith("<table")]
    assert before
    assert all(line.startswith('<div class="table" role="region"') for line in before)
    style, _, _ = environment().loader.get_source(environment(), "style.css")  # pyright: ignore[reportOptionalMemberAccess]
    assert ".table { overflow-x: auto; max-width: 100%; }" in style
