"""Figures are checked by what they were given to draw: the artists' data, read back before they are encoded."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from latflow.report import canvas, data, figures
from latflow.report.names import SAMPLERS
from latflow.results import Axis, EstimateRecord, Observable, Results, write


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures as they were when they were encoded."""
    found: list[Figure] = []

    def keep(figure: Figure) -> tuple[bytes, bytes]:
        found.append(figure)
        return b"<svg/>", b""

    monkeypatch.setattr(figures, "encode", keep)
    return found


def points(figure: Figure, sampler: str) -> np.ndarray:
    """What is drawn in a sampler's colour, as (x, y) rows."""
    colour = SAMPLERS[sampler].colour
    lines = [
        line for line in figure.axes[0].lines if line.get_color() == colour and line.get_marker() not in ("_", "|")
    ]
    return np.concatenate([line.get_xydata() for line in lines])


def test_two_point_draws_the_estimates(full_run: Path, caught: list[Figure]) -> None:
    run = data.load(full_run)
    with canvas.style():
        picture = figures.two_point(run)
    assert isinstance(picture, canvas.Picture)
    for sampler in ("flow", "reweighted", "hmc", "local"):
        _, value, _ = data.curve(run, "two_point", sampler)
        drawn = points(caught[0], sampler)
        assert np.array_equal(np.round(drawn[:, 0]), np.arange(4))
        assert np.array_equal(drawn[:, 1], value)
    assert "flow: 0.1" in picture.alt


def test_effective_mass_leaves_out_what_does_not_exist(full_run: Path, caught: list[Figure]) -> None:
    run = data.load(full_run)
    with canvas.style():
        picture = figures.effective_mass(run)
    assert np.array_equal(np.round(points(caught[0], "hmc")[:, 0]), [1, 2, 3])
    assert isinstance(picture, canvas.Picture)
    assert "reference pole mass 0.65" in picture.caption


def test_configurations_share_one_scale_centred_at_zero(full_run: Path, caught: list[Figure]) -> None:
    with canvas.style():
        figures.configurations(data.load(full_run))
    images = [axes.images[0] for axes in caught[0].axes if axes.images]
    assert len(images) == 12
    assert len({(image.norm.vmin, image.norm.vmax) for image in images}) == 1
    assert images[0].norm.vmin == -images[0].norm.vmax
    run = data.load(full_run)
    shown = data.configurations(run, "flow", 4)
    assert shown is not None
    assert np.array_equal(images[0].get_array(), shown.planes[0].T)


def test_what_is_never_negative_has_a_scale_from_zero(full_run: Path, caught: list[Figure]) -> None:
    with canvas.style():
        picture = figures.configurations(data.load(full_run), figures.Look(np.abs, "a", "Sizes", positive=True))
    images = [axes.images[0] for axes in caught[0].axes if axes.images]
    assert images[0].norm.vmin == 0 < images[0].norm.vmax
    assert isinstance(picture, canvas.Picture)
    assert "white for zero" in picture.caption


def test_agreement_draws_pulls_in_their_rows(full_run: Path, caught: list[Figure]) -> None:
    run = data.load(full_run)
    with canvas.style():
        picture = figures.agreement(run)
    assert isinstance(picture, canvas.Picture)
    hmc = {round(y): x for x, y in points(caught[0], "hmc")}
    labels = [label.get_text() for label in caught[0].axes[0].get_yticklabels()]
    row = labels.index(r"$\langle\phi^2\rangle$")
    entry, known = run.results.estimate("phi_squared", "hmc"), data.reference(run, "phi_squared")
    assert entry is not None
    assert known is not None
    assert hmc[row] == pytest.approx((entry.value - known.value) / entry.error)
    starred = [row for row, label in enumerate(labels) if label.endswith("*")]
    assert starred
    assert not set(starred) & set(hmc)


@pytest.mark.parametrize("draw", [figures.configurations, figures.two_point, figures.effective_mass, figures.agreement])
def test_an_empty_run_says_what_is_missing(
    draw: Callable[..., object], make_run: Callable[..., Path], tmp_path: Path
) -> None:
    found = draw(data.load(make_run(tmp_path / "run", samplers=(), analysed=False)))
    assert isinstance(found, canvas.Omitted)
    assert found.reason


def test_negative_and_missing_points_do_not_break_a_logarithmic_axis(tmp_path: Path, caught: list[Figure]) -> None:
    row = EstimateRecord(
        observable="two_point",
        sampler="hmc",
        value=(0.2, 0.01, -0.003, None),
        error=(0.01, 0.02, 0.01, None),
        tau_int=(None,) * 4,
        tau_int_error=(None,) * 4,
    )
    axis = Axis(name="r", values=(0, 1, 2, 3))
    words = {"two_point": Observable(title="G", symbol="G", math="G", axis=axis)}
    write(Results(study="s", estimates=(row,), observables=words), tmp_path / "results.json")
    (tmp_path / "study.toml").write_text('name = "s"')
    with canvas.style():
        figures.two_point(data.load(tmp_path))
    assert points(caught[0], "hmc").tolist() == [[0.0, 0.2], [1.0, 0.01]]


def test_pulls_of_late_samplers_stay_in_their_row() -> None:
    _, axes = canvas.single_axes()
    figures._draw_pulls(axes, [{"hmc": 0.0, "heatbath": 1.0, "metropolis": -1.0}] * 2)
    heights = np.array([line.get_ydata() for line in axes.get_lines()])
    assert heights.shape == (3, 2)
    assert np.all(np.abs(heights - [0, 1]) < 0.45)
    assert np.allclose(heights.mean(axis=0), [0, 1])
