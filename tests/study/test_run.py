"""The whole path on a 2×2 lattice: it agrees with exact values, resumes bit for bit, and refuses to mix studies."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from latflow.errors import ConfigError, DataError, Interrupted
from latflow.report import summary_lines, write_report
from latflow.results import SCHEMA_FILE, Axis
from latflow.stats.estimates import TooShortError
from latflow.stats.gamma import gamma_estimate
from latflow.stats.reliability import judge_draws
from latflow.store.ensemble import Ensemble
from latflow.store.interrupts import Interrupts
from latflow.study.config import StudyConfig, load_study
from latflow.study.config.study import with_overrides
from latflow.study.context import RunContext, Silent
from latflow.study.plan import plan
from latflow.study.run import run_stages
from latflow.study.stages import analysis, chains, provenance
from latflow.study.stages.claims import differing_keys
from latflow.study.stages.provenance import origin
from latflow.study.verify import verify
from latflow.study.wording import read_results
from latflow.training.model_file import ModelMismatchError

STAGES = ("train", "sample", "measure", "analyse")

TIMED = {"metrics.jsonl", "train.jsonl", "results.json"}


class StopAfter:
    """A display that stops the run, as a signal would, at its n-th unit of work."""

    def __init__(self, n: int) -> None:
        self.left = n

    def stage(self, name: str, detail: str) -> None:
        """Only finished work counts, or a run that is stopped often would never get anywhere."""

    def line(self, text: str) -> None:
        """Does not count either."""

    def update(self, name: str, done: float, total: float, fields: dict[str, Any]) -> None:
        self.left -= 1
        if self.left == 0:
            raise Interrupted("planned stop")


class Recording:
    """A display that keeps the last figures of every work."""

    def __init__(self) -> None:
        self.last: dict[str, dict[str, Any]] = {}

    def stage(self, name: str, detail: str) -> None:
        """Nothing is kept of it."""

    def line(self, text: str) -> None:
        """Nor of this."""

    def update(self, name: str, done: float, total: float, fields: dict[str, Any]) -> None:
        self.last[name] = fields


@pytest.fixture(scope="module")
def config(tiny_study: Path) -> StudyConfig:
    return load_study(tiny_study)


@pytest.fixture(scope="module")
def finished(config: StudyConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("run") / "tiny"
    run_stages(config, directory, stages=STAGES, progress=Silent())
    return directory


def test_datasets_say_what_they_are(finished: Path) -> None:
    """For readers with h5py alone: names, axes, units and normalisation."""
    for place, axes in {
        "ensembles/hmc": "record, chain",
        "ensembles/flow": "draw",
        "measurements/flow": "draw",
    }.items():
        with h5py.File(finished / place / "block-000000.h5", "r") as file:
            told = {n: {k: text.decode() for k, text in dataset.attrs.items()} for n, dataset in file.items()}
        assert all({*attributes} >= {"long_name", "axes", "units", "normalisation"} for attributes in told.values())
        name = "fields" if place.startswith("ensembles") else "phi_squared"
        assert told[name]["axes"] == (f"{axes}, x0, x1" if name == "fields" else axes)


def test_states_of_averages_stand_in_the_results(finished: Path) -> None:
    """One judgement of the flow's draws, and every row of its averages; chains are not judged."""
    results = read_results(finished / "results.json")
    assert results.flow is not None
    judged = results.flow.reliability
    assert judged is not None
    ensemble = Ensemble.open(finished / "ensembles" / "flow")
    alone = judge_draws(ensemble.column("log_weight"), ensemble.column("accepted"))
    assert (judged.n, judged.longest_run, judged.effective) == (alone.n, alone.longest_run, alone.effective)
    assert judged.beyond is None  # four chains are too few to say what the flow has not seen
    # 384 draws of a flow that was trained for a second
    assert judged.state == "error underestimated"
    assert set(alone.reasons) <= set(judged.reasons)
    states = {row.sampler: row.state for row in results.estimates}
    assert states["flow"] == states["reweighted"] == judged.state
    assert states["hmc"] is states["local"] is states["cluster"] is None
    assert results.verdict.status != "exact"


@pytest.mark.parametrize(("acceptance", "target"), [(0.22, 0.6), (0.71, 0.71)])
def test_a_poor_flow_does_not_spoil_hmc(
    acceptance: float, target: float, config: StudyConfig, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chains that judge a flow are good ones: its acceptance is matched down to 0.6 only."""
    monkeypatch.setattr(chains, "independence_acceptance", lambda log_weights: acceptance)
    context = RunContext(config, finished, Silent(), Interrupts())
    assert config.hmc.target_acceptance == "flow"
    assert chains.target_acceptance(context, "hmc") == target


def test_averages_that_are_not_resolved_have_no_numbers(config: StudyConfig, tmp_path: Path) -> None:
    """A flow of one step deep in the broken phase: a handful of effective draws, χ far from that of HMC."""
    settings = {"action.mass_squared": "-10", "action.coupling": "1", "training.stop.steps": "1"}
    study = with_overrides(config, {**settings, "sampling.samplers": "flow hmc", "hmc.chains": "8"})
    run_stages(study, tmp_path / "poor", stages=STAGES, progress=Silent())
    results = read_results(tmp_path / "poor" / "results.json")
    assert results.flow is not None
    assert results.flow.reliability is not None
    assert results.flow.reliability.state == "not resolved"
    assert results.flow.log_z is results.flow.kl is None
    rows = [row for row in results.estimates if row.sampler in ("flow", "reweighted")]
    assert {row.state for row in rows} == {"not resolved"}
    assert all(row.number is None for row in rows)
    assert {v for row in rows for v in (row.value if isinstance(row.value, tuple) else [row.value])} == {None}
    assert any(row.is_array for row in rows)
    assert all(row.value is not None for row in results.estimates if row.sampler == "hmc")
    lines = summary_lines(results)
    assert next(line for line in lines if line.startswith("susceptibility ")).count("not resolved") == 2
    assert results.verdict.status != "exact"
    write_report(tmp_path / "poor")
    assert "not resolved, there is no number" in (tmp_path / "poor" / "report.html").read_text()


def contents(directory: Path) -> dict[str, bytes]:
    """Every file that is promised to be bitwise reproducible; of the timed ones, what is not a time."""
    files = {}
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        name = str(path.relative_to(directory))
        timed = path.name in TIMED or (path.suffix == ".json" and "checkpoints" in path.parts)
        files[name] = b"" if timed else path.read_bytes()
    results = json.loads((directory / "results.json").read_text())
    files["estimates"] = json.dumps(results["estimates"]).encode()
    return files


def test_results_hold_every_sampler_and_agree_with_exact_values(finished: Path) -> None:
    results = json.loads((finished / "results.json").read_text())
    rows = {(row["sampler"], row["observable"]): row for row in results["estimates"]}
    samplers = ("flow", "reweighted", "hmc", "local", "cluster")
    for sampler in samplers:
        for name in ("susceptibility", "phi_squared", "ising_energy"):
            row = rows[sampler, name]
            assert row["reference_source"] == "exact"
            assert abs(row["value"] - row["reference"]) < 5 * row["error"], (sampler, name, row)
            assert row["error"] < 0.4 * row["value"]
    assert abs(rows["reweighted", "log_z"]["value"] - 0.91443398) < 5 * rows["reweighted", "log_z"]["error"]
    assert 0 < results["flow"]["acceptance"] < 1
    # four chains are too few starts for more
    assert results["verdict"]["status"] == "no verdict"
    assert any(row["sampler"] == "reverse" for row in results["estimates"])


def test_results_are_of_their_schema(finished: Path) -> None:
    """Every key of the schema, no other, down to the tables of known fields; and read as the records they came from."""
    content = json.loads((finished / "results.json").read_text())
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    assert set(content) == set(schema["properties"]) == set(schema["required"])
    tables = {
        "Theory": content["theory"],
        "FlowFigures": content["flow"],
        "ReliabilityRecord": content["flow"]["reliability"],
        "Provenance": content["provenance"],
        "Verdict": content["verdict"],
        "Check": content["verdict"]["evidence"][0],
        "EstimateRecord": content["estimates"][0],
        "Observable": content["observables"]["two_point"],
        "Axis": content["observables"]["two_point"]["axis"],
        "ChainAgreement": content["chains"]["hmc"],
        "SamplerCost": content["cost"]["hmc"],
    }
    for name, table in tables.items():
        assert set(table) == set(schema["$defs"][name]["properties"]), name
    found = read_results(finished / "results.json")
    assert {k: v for k, v in content.items() if k != "check"} == found.plain()
    assert found.theory is not None
    assert found.theory.formula.startswith("Σ_{x}")
    assert found.words("two_point").axis == Axis(name="r", values=(0, 1))


def test_second_start_changes_nothing(config: StudyConfig, finished: Path) -> None:
    before = contents(finished)
    run_stages(config, finished, stages=STAGES, progress=Silent())
    assert contents(finished) == before


@pytest.mark.parametrize("every", [3, 8])
def test_interrupted_runs_end_with_the_same_bits(
    config: StudyConfig, finished: Path, tmp_path: Path, every: int
) -> None:
    directory = tmp_path / "tiny"
    for count in range(200):
        try:
            run_stages(config, directory, stages=STAGES, progress=StopAfter(every + count % 3 + 1))
            break
        except Interrupted:
            continue
    else:
        pytest.fail("the run never came to its end")
    assert contents(directory) == contents(finished)


def test_more_configurations_extend_without_touching_what_is_there(
    config: StudyConfig, finished: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "tiny"
    shutil.copytree(finished, directory)
    sampling = config.sampling.model_copy(update={"configurations": 768})
    display = Recording()
    run_stages(config.model_copy(update={"sampling": sampling}), directory, stages=STAGES, progress=display)
    for sampler, column in (("flow", "accepted"), ("hmc", "acceptance"), ("local", "acceptance")):
        # of all blocks, those of the first run included
        seen = Ensemble.open(directory / "ensembles" / sampler).column(column)
        assert display.last[f"sample {sampler}"]["acceptance"] == pytest.approx(seen.mean(), rel=1e-12)
    before, after = Ensemble.open(finished / "ensembles/flow"), Ensemble.open(directory / "ensembles/flow")
    assert after.entries[: before.n_blocks] == before.entries
    assert after.n_records == 768
    index = after.column("index")
    assert np.all(np.diff(index) >= 0)
    assert np.all(index <= np.arange(index.size))


def test_another_study_in_the_same_directory_is_refused_by_key(config: StudyConfig, finished: Path) -> None:
    action = config.action.model_copy(update={"coupling": 6.5})
    changed = config.model_copy(update={"action": action})
    with pytest.raises(ConfigError, match=r"action\.coupling: 8\.0 → 6\.5"):
        run_stages(changed, finished, stages=STAGES, progress=Silent())
    assert differing_keys(config, changed) == ["action.coupling: 8.0 → 6.5"]


def test_fork_keeps_the_model_when_only_sampling_changed(config: StudyConfig, finished: Path, tmp_path: Path) -> None:
    source = tmp_path / "tiny"
    shutil.copytree(finished, source)
    changed = config.model_copy(update={"local": config.local.model_copy(update={"thin": 2})})
    run_stages(changed, source, stages=("train", "sample"), progress=Silent(), fork=True, samplers=("local",))
    (forked,) = [path for path in tmp_path.iterdir() if path != source]
    weights = "model/weights.safetensors"
    assert (forked / weights).read_bytes() == (source / weights).read_bytes()
    assert Ensemble.open(forked / "ensembles/local").manifest["identity"]["local"]["thin"] == 2


def test_verify_passes_and_notices_a_flipped_byte(finished: Path, tmp_path: Path) -> None:
    checks = verify(finished)
    assert len(checks) > 8
    assert all(check.passed for check in checks), [check for check in checks if not check.passed]
    directory = tmp_path / "tiny"
    shutil.copytree(finished, directory)
    block = directory / "ensembles/hmc/block-000001.h5"
    data = bytearray(block.read_bytes())
    data[len(data) // 2] ^= 1
    block.write_bytes(bytes(data))
    log = directory / "model/train.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"seconds": ', b'"seconds": 1', 1))
    failed = {check.name: check.value for check in verify(directory) if not check.passed}
    assert any("ensembles/hmc" in name for name in failed)
    assert failed["results.json: inputs unchanged"] == "training"


def test_results_carry_a_checksum(config: StudyConfig, finished: Path, tmp_path: Path) -> None:
    directory = tmp_path / "tiny"
    shutil.copytree(finished, directory)
    path = directory / "results.json"
    whole = read_results(path)
    path.write_bytes(path.read_bytes().replace(b'"acceptance": 0.', b'"acceptance": 0.9', 1))
    failed = {check.name: check.value for check in verify(directory) if not check.passed}
    assert list(failed) == ["results.json: checksum"]
    assert "damaged" in failed["results.json: checksum"]
    run_stages(config, directory, stages=("analyse",), progress=Silent())
    assert read_results(path).estimates == whole.estimates


def test_verify_notices_a_model_that_is_not_the_parent(finished: Path, tmp_path: Path) -> None:
    """Weights exchanged with a consistent header: hashes agree, physics does not."""
    directory = tmp_path / "tiny"
    shutil.copytree(finished, directory)
    shutil.rmtree(directory / "model")
    config = load_study(directory / "study.toml")
    stop = config.training.stop.model_copy(update={"steps": 10})
    other = config.model_copy(update={"training": config.training.model_copy(update={"stop": stop})})
    run_stages(other, tmp_path / "other", stages=("train",), progress=Silent())
    shutil.copytree(tmp_path / "other/model", directory / "model")
    names = [check.name for check in verify(directory) if not check.passed]
    assert any("parent model" in name for name in names)
    assert any("log q" in name for name in names)


def test_verify_asks_for_equal_bits_only_of_the_same_machine(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "ensembles/hmc: first block made again"
    (same,) = [check for check in verify(finished / "ensembles" / "hmc") if check.name == name]
    assert (same.value, same.limit) == (0.0, 0.0)
    monkeypatch.setattr("latflow.study.verify.origin", lambda: {**origin(), "threads": -1})
    (other,) = [check for check in verify(finished / "ensembles" / "hmc") if check.name == name]
    assert (other.value, other.passed) == (0.0, True)


@pytest.mark.parametrize(
    ("by", "change", "passed", "value", "limit"),
    [
        (1e-13, {}, False, 1e-13, 0.0),
        (1e-13, {"threads": -1}, True, "made elsewhere: differs by rounding, 1.0e-13", "1e-08 at first; threads"),
        (1e-13, {"device": "another"}, True, "made elsewhere: differs by rounding, 1.0e-13", "1e-08 at first; device"),
        (1e-13, {"settings": {"XLA_FLAGS": "--a"}}, True, "made elsewhere:", "; settings none, here XLA_FLAGS=--a"),
        (1e-3, {"threads": -1}, False, 1e-3, "1e-08 at first; threads"),
        (1e-3, {"versions": {"latflow": "0"}}, True, 1e-3, "not asked; latflow 0.1.0, here 0"),
    ],
)  # fmt: skip
def test_what_differs_is_told_by_where_it_was_made(
    finished: Path, monkeypatch: pytest.MonkeyPatch, by: float, change: Any, passed: bool, value: Any, limit: Any
) -> None:
    """A difference at the level of rounding is a failure only where all that can change a bit is equal."""
    true = chains.one_block

    def shifted(*args: Any, **kwargs: Any) -> Any:
        x, columns, attributes = true(*args, **kwargs)
        return x, {**columns, "fields": columns["fields"] + by}, attributes

    monkeypatch.setattr("latflow.study.verify.one_block", shifted)
    monkeypatch.setattr("latflow.study.verify.origin", lambda: {**origin(), **change})
    (found,) = [check for check in verify(finished / "ensembles" / "hmc") if check.name.endswith("made again")]
    assert found.passed == passed
    if isinstance(value, float):
        assert float(found.value) == pytest.approx(value, rel=0.1)
    else:
        assert value in str(found.value)
    assert str(limit) in str(found.limit)


def test_a_run_of_another_generator_is_not_continued(
    config: StudyConfig, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "tiny"
    shutil.copytree(finished, directory)
    monkeypatch.setattr(provenance, "probe", lambda: "0123456789abcdef")
    more = with_overrides(config, {"sampling.configurations": str(2 * config.sampling.configurations)})
    says = r"generator of random numbers: threefry2x32 0123456789abcdef; allowed: threefry2x32 \w{16}"
    for sampler in ("flow", "hmc"):
        with pytest.raises(DataError, match=rf"ensembles/{sampler}: begun with another {says}"):
            run_stages(more, directory, stages=("sample",), samplers=(sampler,), progress=Silent())


def test_a_model_of_another_revision_is_neither_used_nor_trained_over(
    config: StudyConfig, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished, tmp_path / "tiny")
    monkeypatch.setattr("latflow.training.model_file.ARCHITECTURE", 2)
    before = contents(tmp_path / "tiny")
    with pytest.raises(ModelMismatchError, match="architecture 1; allowed: architecture 2"):
        run_stages(config, tmp_path / "tiny", stages=STAGES, progress=Silent())
    assert contents(tmp_path / "tiny") == before
    failed = [check for check in verify(tmp_path / "tiny" / "model") if not check.passed]
    assert "another revision of the flows" in str(failed[0].value)


def test_plan_counts_parameters_and_writes_nothing(config: StudyConfig, tmp_path: Path) -> None:
    figures = plan(config)
    # two couplings: 2 inputs → 8 → 2·2 outputs each
    assert figures["parameters"] >= 2 * (2 * 8 + 8 + 8 * 4 + 4)
    assert math.isfinite(figures["seconds"]["train"])
    assert not list(tmp_path.iterdir())


def test_plan_prices_chains_by_updates_and_sites(config: StudyConfig) -> None:
    """Time beyond that of the warm-up and of compiling grows with the updates and with the sites."""
    base = config.model_dump(mode="json")

    def slopes(shape: list[int], thin: int) -> dict[str, float]:
        """Seconds of 4096 more configurations."""
        sizes = [{**base["sampling"], "configurations": n} for n in (4096, 8192)]
        rest = {"lattice": {"shape": shape}, "hmc": {**base["hmc"], "thin": thin}}
        fewer, more = (
            plan(StudyConfig.model_validate({**base, **rest, "sampling": size}))["seconds"] for size in sizes
        )
        return {name: more[name] - fewer[name] for name in ("sample_hmc", "sample_local", "sample_cluster")}

    once, more = slopes([8, 8], 1), slopes([8, 16], 2)
    assert all(value > 0 for value in once.values())
    ratios = {name: more[name] / once[name] for name in once}
    assert ratios == pytest.approx({"sample_hmc": 4.0, "sample_local": 2.0, "sample_cluster": 2.0})


@pytest.mark.parametrize(("sampler", "hint"), [("hmc", " or lower hmc.chains"), ("flow", "")])
def test_too_few_records_are_told_with_their_sampler(sampler: str, hint: str) -> None:
    """In a directory that another study filled; those of this one are counted before they are made."""
    with pytest.raises(TooShortError) as caught, analysis._naming(sampler):
        gamma_estimate(np.arange(12.0).reshape(3, 4))
    line = f"error[SHORT] {sampler}: records: 4; allowed: at least 8 of a chain; raise sampling.configurations{hint}"
    assert caught.value.lines() == [line]


def test_an_extended_run_is_out_of_date_and_not_damaged(config: StudyConfig, finished: Path, tmp_path: Path) -> None:
    directory = tmp_path / "tiny"
    shutil.copytree(finished, directory)
    more = config.sampling.model_copy(update={"configurations": 512})
    longer = config.model_copy(update={"sampling": more})
    run_stages(longer, directory, stages=("sample",), progress=Silent(), samplers=("hmc",))
    checks = verify(directory)
    assert all(check.passed for check in checks), [check for check in checks if not check.passed]
    stale = {check.name: str(check.value) for check in checks if check.state == "OUT OF DATE"}
    assert list(stale) == ["evidence: of the draws that were there", "results.json: inputs"]
    assert stale["results.json: inputs"] == "out of date, more of ensembles/hmc; analyse again"
    # what was not an extension is damage still
    log = directory / "model/train.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"seconds": ', b'"seconds": 1', 1))
    assert [check.name for check in verify(directory) if not check.passed] == ["results.json: inputs unchanged"]
