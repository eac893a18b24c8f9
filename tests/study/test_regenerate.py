"""Ensembles without fields: the same numbers as with them, and every configuration made again bit for bit."""

from pathlib import Path

import numpy as np
import pytest

from latflow.errors import DataError, MissingInputError, UsageError
from latflow.store.ensemble import Ensemble
from latflow.study.config import load_study
from latflow.study.context import Silent
from latflow.study.regenerate import regenerated, save
from latflow.study.run import run_stages
from latflow.study.stages import redraw, sources
from latflow.study.verify import verify

FLOW = {"sampling.samplers": "flow", "hmc.target_acceptance": "0.8"}
STAGES = ("train", "sample", "measure", "analyse")


@pytest.fixture(scope="module")
def both(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same study with its fields and without."""
    folder = tmp_path_factory.mktemp("ledger")
    for name, more in (("whole", {}), ("ledger", {"sampling.ledger_only": "true"})):
        config = load_study(tiny_study, {**FLOW, **more})
        run_stages(config, folder / name, stages=STAGES, progress=Silent())
    return folder / "whole", folder / "ledger"


def test_no_field_is_stored_and_every_result_is_the_same(both: tuple[Path, Path]) -> None:
    whole, ledger = (Ensemble.open(path / "ensembles" / "flow", writable=False) for path in both)
    assert "fields" in whole.read(0).arrays
    assert set(ledger.read(0).arrays) == set(whole.read(0).arrays) - {"fields"}
    for name in ("log_weight", "index", "action"):
        assert np.array_equal(whole.column(name), ledger.column(name))
    measured = [Ensemble.open(path / "measurements" / "flow", writable=False) for path in both]
    for name in measured[0].read(0).arrays:
        assert np.array_equal(measured[0].column(name), measured[1].column(name))
    assert [check for check in verify(both[1]) if not check.passed] == []
    assert any(check.value == "exact" for check in verify(both[1]))


def test_configurations_are_made_again_bit_for_bit(both: tuple[Path, Path], tmp_path: Path) -> None:
    whole = Ensemble.open(both[0] / "ensembles" / "flow", writable=False)
    standing, fields = whole.column("index"), whole.column("fields")
    wanted = [300, 5, 5, 0, 383]
    made = regenerated(both[1], wanted)
    assert [one.index for one in made] == wanted
    assert [one.draw for one in made] == [int(standing[i]) for i in wanted]
    assert {one.level for one in made} == {"exact"}
    for one in made:
        assert one.field.tobytes() == fields[one.draw].tobytes()
        assert one.columns["log_weight"] == pytest.approx(-one.columns["action"] - one.columns["log_prob"], abs=1e-12)
    assert {one.level for one in regenerated(both[0] / "ensembles" / "flow", [7])} == {"stored"}
    save(tmp_path / "x.npy", made)
    assert np.load(tmp_path / "x.npy").shape == (5, 2, 2)


def test_other_draws_are_refused(both: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    true = sources.draw_block

    def shifted(by: float):
        def draw(*args, **kwargs):
            drawn = true(*args, **kwargs)
            return drawn._replace(columns={**drawn.columns, "log_prob": drawn.columns["log_prob"] + by})

        return draw

    monkeypatch.setattr(redraw, "fields_digest", lambda fields: "another")
    with pytest.raises(DataError, match="differs from what was drawn"):
        regenerated(both[1], [3])
    # As on another platform: bits differ, S and log q must not.
    monkeypatch.setattr(redraw, "origin", lambda: {"device": "another"})
    assert {one.level for one in regenerated(both[1], [3])} == {"close"}
    monkeypatch.setattr(sources, "draw_block", shifted(1e-5))
    with pytest.raises(DataError, match="S or log q differ"):
        regenerated(both[1], [3])


def test_what_is_not_there_is_said(both: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="384, -1; allowed: 0 to 383"):
        regenerated(both[1], [384, 2, -1])
    with pytest.raises(MissingInputError, match="no ensemble of a flow"):
        regenerated(tmp_path, [0])
