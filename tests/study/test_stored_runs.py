"""Runs that version 0.1 of the format has written: they load, verify and go on as if nothing had changed.

`tests/data/runs-v1` holds two small runs, of φ⁴ and of links, as latflow left them before results had a version 2, and
the digests of the blocks with which that program went on. On the processor they were made on the bits must be equal;
elsewhere roundings differ, and only what does not depend on them is asked.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from latflow.errors import ConfigError
from latflow.store.ensemble import Ensemble
from latflow.study.config import load_study
from latflow.study.config.study import with_overrides
from latflow.study.context import Silent
from latflow.study.preflight import examined
from latflow.study.run import run_stages
from latflow.study.stages.provenance import differences, origin
from latflow.study.verify import verify

STORED = Path(__file__).parents[1] / "data" / "runs-v1"
CONTINUED = json.loads((STORED / "continued.json").read_text())
RUNS = ("phi4", "links")


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return shutil.copytree(STORED / request.param, tmp_path / request.param)


def rows(run: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """The estimates of a run by observable and sampler."""
    found = json.loads((run / "results.json").read_text())["estimates"]
    return {(row["observable"], row["sampler"]): row for row in found}


def numbers(value: Any) -> np.ndarray:
    """Numbers of a row, NaN where they are null."""
    return np.array(value, dtype=float)


def checks(ensemble: Path) -> list[str]:
    return [json.loads(line)["check"] for line in (ensemble / "ledger.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("run", RUNS, indirect=True)
def test_it_verifies(run: Path) -> None:
    found = verify(run)
    assert [check for check in found if not check.passed] == []
    assert any("out of date" in str(check.value) for check in found)
    if not differences(Ensemble.open(run / "ensembles" / "hmc", writable=False).manifest["origin"], origin()):
        assert [check.value for check in found if check.name.endswith("first block made again")].count(0.0) >= 2


@pytest.mark.parametrize("run", RUNS, indirect=True)
def test_it_goes_on_bit_for_bit_and_its_estimates_are_made_anew(run: Path) -> None:
    before = rows(run)
    config = load_study(run / "study.toml")
    more = with_overrides(config, {"sampling.configurations": str(2 * config.sampling.configurations)})
    run_stages(config, run, stages=("measure", "analyse"), progress=Silent())
    assert json.loads((run / "results.json").read_text())["schema"] == 2
    after = rows(run)
    assert after.keys() == before.keys()
    for key, row in after.items():
        # the old files hold averages of a handful of effective draws, which are no longer given
        unresolved = row["state"] == "not resolved"
        assert unresolved == (run.name == "phi4" and key[1] in ("flow", "reweighted"))
        for name in ("reference",) if unresolved else ("value", "error", "tau_int", "reference"):
            # shares of charges far out are rounding errors of another processor
            args = {"rtol": 1e-6, "atol": 1e-14, "err_msg": f"{name} of {key}"}
            assert_allclose(numbers(row[name]), numbers(before[key][name]), **args)
    run_stages(more, run, stages=("sample", "measure", "analyse"), progress=Silent())
    for manifest in sorted((run / "ensembles").glob("*/manifest.json")):
        found, wanted = checks(manifest.parent), CONTINUED[f"{run.name}/{manifest.parent.name}"]
        assert len(found) == len(wanted)
        if not differences(json.loads(manifest.read_text())["origin"], origin()):
            assert found == wanted


@pytest.mark.parametrize("run", ["phi4"], indirect=True)
def test_it_kept_no_optimiser_and_says_how_to_train_on(run: Path) -> None:
    """Its limits cannot be raised in place; lower ones, which are met, change nothing."""
    config = load_study(run / "study.toml")
    done = config.training.stop.steps
    with pytest.raises(ConfigError, match=rf"steps: {done} → {2 * done}; .* kept no state .* --run-dir NEW --from "):
        examined(with_overrides(config, {"training.stop.steps": str(2 * done)}), run, stages=("train",))
    lower = with_overrides(config, {"training.stop.steps": str(done - 1)})
    order = examined(lower, run, stages=("train",))
    assert order.config == config
    assert "is met already" in order.notes[0]
