"""Quasi-random draws in a study of the free field: exact values, blocks that go on, draws made again, refusals."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from typing_extensions import override

from latflow.archive.arrays import StoredEnsemble
from latflow.errors import ConfigError, DataError, Interrupted, UsageError
from latflow.report import summary_lines
from latflow.results import Results
from latflow.stats.reliability import Reliability
from latflow.store.ensemble import Ensemble
from latflow.store.interrupts import Interrupts
from latflow.study.config import StudyConfig, load_study
from latflow.study.config.study import with_overrides
from latflow.study.context import Progress, RunContext, Silent
from latflow.study.plan import plan
from latflow.study.regenerate import regenerated
from latflow.study.run import run_stages
from latflow.study.stages import scramblings
from latflow.study.stages.figures_of_merit import weights_of
from latflow.study.stages.scramblings import Layout
from latflow.study.stages.smaller_errors import WeightedColumns, smaller_errors
from latflow.study.verify import verify

STUDY = """
name = "quasi"
seed = 5
[lattice]
shape = [2, 2]
[action]
kind = "free"
mass_squared = 0.5
[flow]
kind = "real_nvp"
layers = 4
hidden = [8]
z2 = true
[training]
batch_size = 256
learning_rate = 0.02
evaluate_every = 200
evaluation_draws = 64
stop = { steps = 400 }
[sampling]
configurations = 4096
samplers = ["flow", "quasi"]
block_size = 512
[quasi]
points_per_scrambling = 512
"""
SILENT = Silent()
STAGES = ("train", "sample", "measure", "analyse")
EXACT = ("susceptibility", "phi_squared", "log_z")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> StudyConfig:
    path = tmp_path_factory.mktemp("study") / "quasi.toml"
    path.write_text(STUDY)
    return load_study(path)


@pytest.fixture(scope="module")
def run(config: StudyConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    path = tmp_path_factory.mktemp("runs") / "whole"
    results = run_stages(config, path, stages=STAGES, progress=Silent())
    assert results is not None
    return path, results


def beside(path: Path, name: str, config: StudyConfig, **changes: str) -> tuple[Path, StudyConfig]:
    """Another run with the same model."""
    place = path.parent / name
    if not place.exists():
        shutil.copytree(path / "model", place / "model")
    return place, with_overrides(config, {key.replace("__", "."): value for key, value in changes.items()})


def sample(path: Path, config: StudyConfig, progress: Progress = SILENT) -> Ensemble:
    run_stages(config, path, stages=("sample",), progress=progress, samplers=("quasi",))
    return Ensemble.open(path / "ensembles" / "quasi", writable=False)


def number(results: Results, observable: str, sampler: str, field: str) -> float:
    row = results.estimate(observable, sampler)
    assert row is not None
    found = getattr(row, field)
    assert isinstance(found, float)
    return found


def test_averages_agree_with_exact_values_and_have_small_errors(run: tuple[Path, Results]) -> None:
    """Both samplers within 5σ of closed forms; variances below those of as many plain draws."""
    for sampler, gain in (("quasi", 5), ("reweighted", 1.5)):
        for name in EXACT:
            row = run[1].estimate(name, sampler)
            assert row is not None
            assert row.number is not None
            assert row.known is not None
            # a pull is not taken of an average that is called a lower bound, as some of 4096 draws are
            assert abs(row.number.value - row.known.value) < 5 * row.number.error
        assert number(run[1], "susceptibility", sampler, "variance_ratio") > gain


def test_plain_values_stand_beside_and_chains_have_no_variates(run: tuple[Path, Results]) -> None:
    value, error, plain, plain_error, ratio = (
        number(run[1], "susceptibility", "reweighted", field)
        for field in ("value", "error", "plain_value", "plain_error", "variance_ratio")
    )
    assert plain_error > error
    assert abs(plain - value) < 5 * plain_error
    assert ratio == pytest.approx((plain_error / error) ** 2)
    of_chains = [row for row in run[1].estimates if row.sampler == "flow"]
    assert of_chains
    assert all((row.variance_ratio, row.plain_value) == (None, None) for row in of_chains)
    assert run[1].reliability["quasi"].state == "reliable"
    assert run[1].reliability["quasi"].tail is None
    lines = summary_lines(run[1])
    assert any(line.startswith("smaller errors") and "quasi: σ² ÷" in line for line in lines)


class Told(Silent):
    """Keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @override
    def line(self, text: str) -> None:
        self.lines.append(text)


def test_why_averages_have_no_variates_is_told(run: tuple[Path, Results], monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that are not reliable, and too few draws for the variates."""
    told = Told()
    context = RunContext(load_study(run[0] / "study.toml"), run[0], told, Interrupts())
    weights = weights_of(context, "flow")["log_weight"]
    draws = {"reweighted": WeightedColumns("flow", {"y": np.arange(4096.0)}, weights)}
    poor = Reliability("not resolved", (), 4096)
    assert smaller_errors(context, draws, {"reweighted": {}}, {"flow": poor}) == {}
    monkeypatch.setattr("latflow.stats.variates.DRAWS_PER_VARIATE", 10**6)
    good = dataclasses.replace(poor, state="reliable")
    (found,) = smaller_errors(context, draws, {"reweighted": {}}, {"flow": good}).values()
    assert found is not None
    assert (found.shown, found.seconds) == ({}, None)
    assert told.lines[0] == "analyse  flow: averages without variates: weights: not resolved"
    assert told.lines[1].startswith("analyse  flow: averages without variates: 4096 draws; wanted: at least ")


def test_blocks_name_their_scrambling_and_verify(run: tuple[Path, Results]) -> None:
    ensemble = Ensemble.open(run[0] / "ensembles" / "quasi", writable=False)
    told = [ensemble.read(block, ()).attributes for block in (0, 1, 15)]
    assert [of["scrambling"] for of in told] == [0, 1, 15]
    assert [of["seed"][-1] for of in told] == [0, 1, 15]
    assert "accepted" not in ensemble.read(0).arrays
    assert [check for check in verify(run[0]) if not check.passed] == []


def test_a_run_goes_on_and_is_that_of_all_points_at_once(run: tuple[Path, Results], config: StudyConfig) -> None:
    """Stopped in the midst of a round and extended: the same blocks as in one go; analysed at powers of two."""
    small = {"sampling__block_size": "128", "quasi__points_per_scrambling": "128"}
    path, first = beside(run[0], "extended", config, **small)

    class Stopped(Silent):
        left = 5

        def update(self, name: str, done: float, total: float, fields: dict[str, object]) -> None:
            self.left -= 1
            if self.left == 0:
                raise Interrupted("planned stop")

    with pytest.raises(Interrupted):
        sample(path, first, Stopped())
    assert Ensemble.open(path / "ensembles" / "quasi", writable=False).n_blocks == 5
    assert sample(path, first).n_blocks == 16
    more = with_overrides(first, {"quasi.points_per_scrambling": "512"})
    extended = sample(path, more)
    place, at_once = beside(run[0], "at once", config, **{**small, "quasi__points_per_scrambling": "512"})
    whole = sample(place, at_once)
    assert extended.n_blocks == whole.n_blocks == 64
    for name in ("fields", "log_weight"):
        assert np.array_equal(extended.column(name), whole.column(name))
    ordered = Layout.of(whole).ordered(whole.column("log_weight"))
    blocks = Ensemble.open(run[0] / "ensembles" / "quasi", writable=False).column("log_weight")
    np.testing.assert_allclose(ordered, blocks, rtol=0, atol=1e-11)


def test_rounds_that_count_are_a_power_of_two() -> None:
    layout = Layout(scramblings=2, size=2, n_blocks=7)
    assert layout.rounds == 2
    blocks = np.repeat(np.arange(7), 2)
    assert layout.ordered(blocks).tolist() == [0, 0, 2, 2, 1, 1, 3, 3]
    assert [layout.place(block) for block in (0, 1, 2, 5)] == [(0, 0), (1, 0), (0, 2), (1, 4)]


def test_draws_are_made_again(run: tuple[Path, Results], config: StudyConfig) -> None:
    path, ledger = beside(run[0], "ledger", config, sampling__ledger_only="true")
    ensemble = sample(path, ledger)
    assert "fields" not in ensemble.read(0).arrays
    whole = Ensemble.open(run[0] / "ensembles" / "quasi", writable=False)
    made = regenerated(path / "ensembles" / "quasi", [700, 3])
    assert {one.level for one in made} == {"exact"}
    assert [one.draw for one in made] == [700, 3]
    assert made[0].field.tobytes() == whole.column("fields")[700].tobytes()
    assert [check for check in verify(path) if not check.passed] == []


def test_other_points_are_not_mixed_in(
    run: tuple[Path, Results], config: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, small = beside(run[0], "other points", config, quasi__points_per_scrambling="128")
    sample(path, small)
    monkeypatch.setattr(scramblings, "sequence_probe", lambda: "0" * 8)
    with pytest.raises(DataError, match="begun with other Sobol points"):
        sample(path, with_overrides(small, {"quasi.points_per_scrambling": "256"}))


def test_there_is_no_chain_through_the_points(run: tuple[Path, Results]) -> None:
    ensemble = Ensemble.open(run[0] / "ensembles" / "quasi", writable=False)
    with pytest.raises(UsageError, match=r"no accept/reject \(Metropolis\) chain"):
        _ = StoredEnsemble("quasi", ensemble, None, {}).index


def test_a_stopped_first_round_cannot_be_analysed(run: tuple[Path, Results], config: StudyConfig) -> None:
    ensemble = Ensemble.create(
        run[0].parent / "empty", {"kind": "ensemble", "identity": {"quasi": {"scramblings": 16}, "block_size": 8}}
    )
    context = RunContext(config, run[0], Silent(), Interrupts())
    with pytest.raises(DataError, match="0 of 16 scramblings"):
        scramblings.scrambled_weights(context, ensemble)


def test_the_dry_run_counts_points(config: StudyConfig) -> None:
    both, only = plan(config), plan(with_overrides(config, {"sampling.samplers": '["quasi"]'}))
    assert "sample_quasi" in only["seconds"]
    assert both["disk_bytes"] * 8192 == only["disk_bytes"] * (8192 + 4096)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quasi.points_per_scrambling": "200"}, "a power of two, such as 128 or 256"),
        ({"quasi.scramblings": "8"}, "quasi.scramblings: 8"),
        ({"quasi.points": "halton"}, "quasi.points: 'halton'"),
        ({"sampling.samplers": '["quasi", "hmc"]', "hmc.target_acceptance": "flow"}, "no accept/reject chain"),
    ],
)
def test_bad_settings_are_refused(config: StudyConfig, changes: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_overrides(config, changes)
