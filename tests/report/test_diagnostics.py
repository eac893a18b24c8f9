import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from latflow.report import canvas, data, diagnostics
from latflow.report.names import SAMPLERS
from latflow.stats.weights import log_z


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures as they were when they were encoded."""
    found: list[Figure] = []

    def keep(figure: Figure) -> tuple[bytes, bytes]:
        found.append(figure)
        return b"<svg/>", b""

    monkeypatch.setattr(diagnostics, "encode", keep)
    return found


diagnostics_of_a_run = [
    diagnostics.rejection_runs,
    diagnostics.error_scaling,
    diagnostics.log_weights,
    diagnostics.training_kl,
]


def lines(figure: Figure, sampler: str, style: str) -> np.ndarray:
    colour = SAMPLERS[sampler].colour
    found = [x for x in figure.axes[0].lines if x.get_color() == colour and x.get_linestyle() == style]
    return np.concatenate([x.get_xydata() for x in found if x.get_marker() not in ("_", "|")])


def draw(function: Callable[..., object], run: data.Run) -> canvas.Picture:
    with canvas.style():
        picture = function(run)
    assert isinstance(picture, canvas.Picture), picture
    return picture


def test_rejection_runs_are_fractions_beside_the_geometric_law(full_run: Path, caught: list[Figure]) -> None:
    run = data.load(full_run)
    picture = draw(diagnostics.rejection_runs, run)
    flags = data.accepted(run, "hmc")
    assert flags is not None
    lengths = []
    for chain in flags:
        text = "".join("a" if taken else "r" for taken in chain)
        lengths += [len(piece) for piece in text.split("a") if piece]
    measured = lines(caught[0], "hmc", "None")
    for k, fraction in measured:
        assert fraction == pytest.approx(lengths.count(round(k)) / len(lengths))
    law = lines(caught[0], "hmc", "--")
    a = flags.mean()
    assert law[1, 1] == pytest.approx(a * (1 - a))
    assert f"{len(lengths):,}".replace(",", "\u202f") in picture.caption
    assert f"longest {max(lengths)}" in picture.caption


def test_the_geometric_law_fits_the_memoryless_chain(full_run: Path, caught: list[Figure]) -> None:
    """The synthetic HMC accepts independently: fractions agree with the law within 5 σ of the counts."""
    draw(diagnostics.rejection_runs, data.load(full_run))
    measured, law = lines(caught[0], "hmc", "None"), lines(caught[0], "hmc", "--")
    total = 2717
    for (_, fraction), (_, expected) in zip(measured[:5], law[:5], strict=True):
        assert abs(fraction - expected) < 5 * math.sqrt(expected / total)


def test_unequal_acceptances_are_said(full_run: Path) -> None:
    flags = {"flow": np.array([[True, False]]), "hmc": np.array([[True, True, True, False]])}
    assert "differ by 0.25" in diagnostics._acceptance_warning(flags)
    assert diagnostics._acceptance_warning({"flow": flags["flow"], "hmc": flags["flow"]}) == ""
    assert "Only flow" in diagnostics._acceptance_warning({"flow": flags["flow"]})


@pytest.mark.parametrize("longest", [1, 7, 30, 31, 200, 12345])
def test_bins_of_rejection_runs_cover_every_length_once(longest: int) -> None:
    edges = diagnostics._run_edges(longest)
    assert edges[0] == 0.5
    assert edges[-1] == longest + 0.5
    assert np.all(np.diff(edges) >= 1)
    assert np.all(edges % 1 == 0.5)


def test_long_runs_are_drawn_in_logarithmic_bins(caught: list[Figure], tmp_path: Path, full_run: Path) -> None:
    run = data.load(full_run)
    histogram = np.zeros(501, dtype=int)
    histogram[[0, 1, 2, 11, 500]] = [900, 60, 30, 9, 1]
    figure, axes = canvas.single_axes()
    axes.set_xscale("log")
    axes.set_yscale("log")
    diagnostics._draw_runs(axes, "flow", histogram, acceptance=0.7, edges=diagnostics._run_edges(500))
    measured = lines(figure, "flow", "None")
    assert measured[0, 1] == pytest.approx(0.6)
    assert np.all(np.isfinite(measured))
    assert run.samplers == ["flow", "hmc", "local"]


def test_log_weights_are_normalised_and_the_law_is_quoted(full_run: Path, caught: list[Figure]) -> None:
    run = data.load(full_run)
    picture = draw(diagnostics.log_weights, run)
    weights = run.ensembles["flow"].column("log_weight")
    (histogram, _) = [p for p in caught[0].axes[0].patches if isinstance(p, StepPatch)]
    density, edges, _ = histogram.get_data()
    assert np.sum(density * np.diff(edges)) == pytest.approx(1)
    assert edges[0] == pytest.approx(weights.min() - log_z(weights).value)
    sigma = weights.std(ddof=1)
    assert (
        f"σ = {sigma:.3g}; the log-normal law predicts acceptance erfc(σ/2) = {math.erfc(sigma / 2):.3g}"
        in picture.caption
    )
    same = next(line for line in caught[0].axes[0].lines if "same moments" in str(line.get_label()))
    x, y = same.get_xydata().T
    assert x[y.argmax()] == pytest.approx((weights - log_z(weights).value).mean(), abs=0.05)


def test_errors_against_n_end_at_the_errors_of_the_results(full_run: Path, caught: list[Figure]) -> None:
    run = data.load(full_run)
    draw(diagnostics.error_scaling, run)
    for sampler in ("flow", "reweighted", "hmc", "local"):
        n, relative = lines(caught[0], sampler, "None")[-1]
        entry = run.results.estimate("susceptibility", sampler)
        assert entry is not None
        assert n == entry.n
        # the susceptibility also subtracts the square of a mean that is zero within errors
        assert relative == pytest.approx(entry.error / entry.value, rel=0.1)
        line = lines(caught[0], sampler, "--")
        assert line[0, 1] / line[-1, 1] == pytest.approx(math.sqrt(line[-1, 0] / line[0, 0]))


def test_training_curves_show_the_log_with_seconds_above(full_run: Path, caught: list[Figure]) -> None:
    run = data.load(full_run)
    for function, key in (
        (diagnostics.training_loss, "loss"),
        (diagnostics.training_kl, "kl"),
        (diagnostics.training_quality, "acceptance"),
        (diagnostics.training_gradient, "gradient_norm"),
    ):
        draw(function, run)
        below, above = caught[-1].axes
        x, y = below.lines[0].get_xydata().T
        assert x.tolist() == [r["step"] for r in run.training]
        assert y.tolist() == [r[key] for r in run.training]
        assert len(above.get_xticks()) >= 4
        labels = [label.get_text() for label in above.get_xticklabels()]
        assert len(set(labels)) == len(labels)
        for tick, label in zip(above.get_xticks(), labels, strict=True):
            assert max(2.0 + 0.021 * tick, 4.1) == pytest.approx(float(label), abs=0.5)
        assert above.get_xlim() == below.get_xlim()


def test_a_steep_start_does_not_flatten_the_loss(tmp_path: Path, caught: list[Figure]) -> None:
    (tmp_path / "study.toml").write_text('name = "x"\n')
    (tmp_path / "model").mkdir()
    records = [{"step": s, "seconds": 25.0 + s, "loss": 400.0 if s < 10 else -1.0 - s / 100} for s in range(0, 110, 5)]
    (tmp_path / "model" / "train.jsonl").write_text("\n".join(json.dumps(r) for r in records))
    draw(diagnostics.training_loss, data.load(tmp_path))
    low, high = caught[0].axes[0].get_ylim()
    assert -2.2 < low < -2.05
    assert -1.15 < high < -1.0


def test_null_metrics_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text('name = "x"\n')
    (tmp_path / "model").mkdir()
    records = [{"step": s, "seconds": 0.0, "loss": float(s), "kl": None} for s in (1, 2, 3)]
    (tmp_path / "model" / "train.jsonl").write_text("\n".join(json.dumps(r) for r in records))
    run = data.load(tmp_path)
    assert isinstance(diagnostics.training_kl(run), canvas.Omitted)
    draw(diagnostics.training_loss, run)


@pytest.mark.parametrize(
    "function",
    [diagnostics.rejection_runs, diagnostics.error_scaling, diagnostics.log_weights, diagnostics.training_kl],
)
def test_an_empty_run_says_what_is_missing(
    function: Callable[..., object], make_run: Callable[..., Path], tmp_path: Path
) -> None:
    found = function(data.load(make_run(tmp_path / "run", samplers=(), analysed=False)))
    assert isinstance(found, canvas.Omitted)
    assert found.reason
