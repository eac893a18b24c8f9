import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from latflow.errors import DataError, MissingInputError
from latflow.report import data
from latflow.store.records import seal


def test_the_flow_chain_repeats_its_standing_draw(full_run: Path) -> None:
    run = data.load(full_run)
    chain = data.series(run, "flow", "phi_squared")
    drawn = run.measurements["flow"].column("phi_squared")
    accepted = run.ensembles["flow"].column("accepted")
    assert chain is not None
    assert chain.shape == (1, len(drawn))
    standing = drawn[0]
    for i, taken in enumerate(accepted):
        standing = drawn[i] if taken else standing
        assert chain[0, i] == standing


def test_chains_come_first(full_run: Path) -> None:
    run = data.load(full_run)
    column = run.measurements["hmc"].column("phi_squared")
    history, flags = data.series(run, "hmc", "phi_squared"), data.accepted(run, "hmc")
    assert history is not None
    assert flags is not None
    assert np.array_equal(history, column.T)
    assert flags.shape == (column.shape[1], 2 * column.shape[0])


def test_shown_configurations_are_those_of_the_ensemble(full_run: Path) -> None:
    run = data.load(full_run)
    shown = data.configurations(run, "flow", 4)
    assert shown is not None
    numbers = [int(word) for word in shown.label.removeprefix("draws ").split(", ")]
    fields, accepted = run.ensembles["flow"].column("fields"), run.ensembles["flow"].column("accepted")
    assert len(set(numbers)) == 4
    assert all(accepted[i] and np.array_equal(fields[i], p) for i, p in zip(numbers, shown.planes, strict=True))
    hmc = data.configurations(run, "hmc", 4)
    assert hmc is not None
    assert hmc.label == "record 399 of chains 0, 5, 10, 15"
    assert np.array_equal(hmc.planes[1], run.ensembles["hmc"].column("fields")[399, 5])


@pytest.mark.parametrize(
    ("shape", "plane"), [((5,), (5, 1)), ((3, 4), (3, 4)), ((3, 4, 2), (3, 4)), ((3, 4, 2, 2), (3, 4))]
)
def test_any_dimension_gives_a_plane(shape: tuple[int, ...], plane: tuple[int, ...]) -> None:
    assert data._plane(np.zeros(shape)).shape == plane


def test_a_directory_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        data.load(tmp_path / "absent")
    with pytest.raises(MissingInputError, match="is it a run"):
        data.load(tmp_path)


def test_opening_changes_nothing_on_disk(full_run: Path) -> None:
    stray = full_run / "ensembles" / "hmc" / ".block-000009.h5.0123456789ab.tmp"
    stray.write_bytes(b"unfinished")
    data.load(full_run)
    assert stray.exists()
    stray.unlink()


def sealed(**content: object) -> str:
    return seal(content, indent=1).decode() + "\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("results.json", "{"),
        ("results.json", "[1]"),
        ("results.json", sealed(schema=2, study="s", estimates=[{"sampler": "flow"}])),
        ("results.json", sealed(schema=2, study="s", estimates=3)),
        ("results.json", sealed(schema=2, study="s", flow="x")),
        ("results.json", sealed(schema=1, study="s")),
        ("study.toml", "name ="),
        ("study.toml", "lattice = 3"),
        ("model/train.jsonl", '{"step": 1\n{"step": 2}\n'),
        ("model/train.jsonl", '{"seconds": 1}\n'),
    ],
)
def test_damaged_files_are_refused_by_name(make_run: Callable[..., Path], tmp_path: Path, name: str, text: str) -> None:
    run = make_run(tmp_path / "run", samplers=(), analysed=False)
    (run / "model").mkdir()
    (run / name).write_text(text)
    with pytest.raises(DataError) as refusal:
        data.load(run)
    assert str(run / name) in str(refusal.value)


def test_a_torn_last_line_and_repeated_steps_of_the_training_log(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text('name = "x"\n')
    (tmp_path / "model").mkdir()
    records = [{"step": 100, "loss": 3.0}, {"step": 200, "loss": 2.0}, {"step": 200, "loss": 1.0}]
    lines = [json.dumps(record) for record in records]
    (tmp_path / "model" / "train.jsonl").write_text("\n".join(lines) + '\n{"step": 30')
    assert [r["loss"] for r in data.load(tmp_path).training] == [3.0, 1.0]


def test_a_flipped_byte_in_an_ensemble_is_not_plotted(make_run: Callable[..., Path], tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", samplers=("hmc",), records=40, analysed=False)
    block = run / "ensembles" / "hmc" / "block-000001.h5"
    content = bytearray(block.read_bytes())
    content[len(content) // 2] ^= 1
    block.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"block-000001\.h5"):
        data.configurations(data.load(run), "hmc", 4)
