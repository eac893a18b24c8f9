"""The three studies of a theory with two vacua, trained as they are shipped: what each flow must be called."""

import math
from pathlib import Path

import pytest

from latflow.results import Results
from latflow.study.config import load_study
from latflow.study.context import Silent
from latflow.study.run import run_stages

STUDIES = Path(__file__).parents[2] / "studies"


def log_z(results: Results, sampler: str) -> tuple[float, float]:
    row = results.estimate("log_z", sampler)
    return row.value, row.error


def pull(a: tuple[float, float], b: tuple[float, float]) -> float:
    return (a[0] - b[0]) / math.hypot(a[1], b[1])


def check(one: Results, both: Results, mixture: Results) -> None:
    """Verdicts, and the lost weight against what the flow with both vacua says it is; 5σ throughout.

    Errors of the lost weight near 0.01 tell a half from nothing and from all; the errors of log Z are below 0.02.
    """
    assert [results.verdict.status for results in (one, both, mixture)] == ["collapsed", "exact", "exact"]
    full = log_z(both, "reweighted")
    missing = 1 - math.exp(log_z(one, "reweighted")[0] - full[0])
    lost = one.verdict.lost_weight, one.verdict.lost_weight_error
    assert lost[1] < 0.02
    assert abs(pull(lost, (missing, 0.0))) < 5
    # One vacuum of two is a half; what lies between them is lost too, less than a tenth of the weight here.
    assert 0.5 - 5 * lost[1] < lost[0] < 0.6 + 5 * lost[1]
    for results in (one, both, mixture):
        assert abs(pull(log_z(results, "reverse"), full)) < 5
        assert results.flow.acceptance > 0.5
    assert abs(pull(log_z(mixture, "reweighted"), full)) < 5


@pytest.mark.nightly
def test_verdicts_of_the_shipped_studies(tmp_path: Path) -> None:
    found = [
        run_stages(
            load_study(STUDIES / f"{name}.toml"),
            tmp_path / name,
            stages=("train", "sample", "measure", "analyse"),
            progress=Silent(),
        )
        for name in ("phi4-broken", "phi4-broken-z2", "phi4-broken-mixture")
    ]
    check(*found)
