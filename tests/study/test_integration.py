"""A study whose draws are integrated as their statistical error allows: recorded, made again, not stretched."""

import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from latflow.bijections.ode.runge_kutta import SCHEMES
from latflow.errors import ConfigError
from latflow.store.ensemble import Ensemble
from latflow.store.interrupts import Interrupts
from latflow.study.config import StudyConfig
from latflow.study.context import RunContext, Silent
from latflow.study.regenerate import regenerated
from latflow.study.run import run_stages
from latflow.study.stages.integration import in_words, log_prob_limit, require_accuracy
from latflow.study.verify import verify

FLOW = {"kind": "continuous", "hidden": 3, "contexts": 2, "features": 2, "times": 2, "radius": 1, "steps": 2}


def study(path: Path, **sampling: Any) -> StudyConfig:
    data: dict[str, Any] = tomllib.loads(path.read_text())
    data["lattice"]["shape"] = [4, 4]
    data["flow"] = dict(FLOW)
    data["training"] |= {"evaluate_every": 4, "stop": {"steps": 8}}
    data["training"].pop("curriculum", None)
    data["sampling"] |= {"samplers": ["flow"], "configurations": 128, "integration": "matched", **sampling}
    data["hmc"]["target_acceptance"] = 0.8
    return StudyConfig.model_validate(data)


@pytest.fixture(scope="module")
def finished(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("matched") / "run"
    lines = Lines()
    run_stages(study(tiny_study, ledger_only=True), directory, stages=("train", "sample"), progress=lines)
    found = Ensemble.open(directory / "ensembles/flow", writable=False).manifest
    assert [line for line in lines.told if "networks in" in line] == [
        f"sample   flow: {in_words(found)['integration']}"
    ]
    return directory


class Lines(Silent):
    """Keeps what stays on the screen."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @override
    def line(self, text: str) -> None:
        self.told.append(text)


def test_the_manifest_says_how_draws_were_integrated(finished: Path) -> None:
    manifest = Ensemble.open(finished / "ensembles/flow", writable=False).manifest
    found = manifest["integration"]
    assert found["spread"] <= found["allowed"][0]
    assert manifest["identity"]["integration"] == {key: found[key] for key in ("scheme", "steps", "precision")}


def test_they_are_verified_and_made_again(finished: Path) -> None:
    failed = [check for check in verify(finished) if not check.passed]
    assert not failed
    assert [made.level for made in regenerated(finished, [0, 127])] == ["exact", "exact"]


def test_a_fitted_log_det_is_kept_verified_and_made_again(finished: Path, tiny_study: Path, tmp_path: Path) -> None:
    """The model is there already; log q is that of the steps as they are, to better than the model's own."""
    directory = tmp_path / "run"
    shutil.copytree(finished, directory)
    shutil.rmtree(directory / "ensembles")
    config = study(tiny_study, integration="fitted", ledger_only=True)
    (directory / "study.toml").write_text(config.to_toml())
    run_stages(config, directory, stages=("sample",), progress=Silent())
    manifest = Ensemble.open(directory / "ensembles/flow", writable=False).manifest
    found = manifest["integration"]
    assert len(found["quadrature"]) == found["steps"] * len(SCHEMES[found["scheme"]].weights) + 1
    assert manifest["identity"]["integration"]["quadrature"] == found["quadrature"]
    assert "log-det fitted" in in_words(manifest)["integration"]
    checks = verify(directory)
    assert not [check for check in checks if not check.passed]
    told = next(check for check in checks if "log q = log_prob(x)" in check.name)
    assert told.value <= told.limit == max(1e-6, 10 * found["of_inverse"])
    assert [made.level for made in regenerated(directory, [0])] == ["exact"]


def test_more_draws_than_it_was_matched_to_are_refused(tiny_study: Path, tmp_path: Path) -> None:
    facts = {"integration": {"spread": 1e-5, "shift": -1e-7, "allowed": [3e-5, 1e-5]}}
    for configurations in (60_000, 781_000):
        require_accuracy(context(study(tiny_study, configurations=configurations), tmp_path), "flow", facts)
    with pytest.raises(ConfigError, match=r"matched to fewer; allowed: 78[12]... with"):
        require_accuracy(context(study(tiny_study, configurations=782_000), tmp_path), "flow", facts)


def test_more_draws_than_the_bound_on_log_z_allows_are_refused(tiny_study: Path, tmp_path: Path) -> None:
    """Chosen for 86 805 draws, with a shift 1.5 times smaller than allowed: that lasts for 2.25 times as many."""
    facts = {"integration": {"spread": 1e-7, "shift": -2e-6, "allowed": [3e-5, 3e-6]}}
    require_accuracy(context(study(tiny_study, configurations=195_000), tmp_path), "flow", facts)
    with pytest.raises(ConfigError, match=r"matched to fewer; allowed: 1953.. with"):
        require_accuracy(context(study(tiny_study, configurations=196_000), tmp_path), "flow", facts)


def test_a_fitted_map_may_be_wrong_by_the_error_of_its_inverse_alone() -> None:
    found = {"largest": 1e-3, "of_inverse": 3e-6}
    assert log_prob_limit({"integration": found}, 1e-6) == pytest.approx(3e-5)
    assert log_prob_limit({"integration": {**found, "of_inverse": 1e-12}}, 1e-6) == 1e-6
    assert log_prob_limit({"integration": {"largest": 1e-3}}, 1e-6) == pytest.approx(2e-2)


def context(config: StudyConfig, directory: Path) -> RunContext:
    return RunContext(config=config, directory=directory, progress=Silent(), interrupts=Interrupts())
