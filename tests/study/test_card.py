"""The zoo: what a card says, how a model is held to it, and that nothing else is taken for a model."""

import json
from pathlib import Path
from typing import Any

import pytest

from latflow.errors import CannotCreateError, DataError, MissingInputError
from latflow.store.atomic import sha256_file, write_bytes
from latflow.store.records import seal, unseal
from latflow.study.card import CARD, Card, read_card, summary, zoo, zoo_directory
from latflow.study.card_maker import check_card, copy_model, make_card, sampling_study
from latflow.study.config import load_study
from latflow.study.context import Silent
from latflow.study.models import load_foreign_flow, model_path
from latflow.study.run import run_stages
from latflow.training.model_file import read_header

DRAWS = 1024


@pytest.fixture(scope="module")
def trained(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("zoo") / "run"
    run_stages(load_study(tiny_study), directory, stages=("train",), progress=Silent())
    return directory


@pytest.fixture(scope="module")
def card(trained: Path) -> Card:
    return make_card(trained, trained.parent / "tiny", title="2 × 2", draws=DRAWS, progress=Silent())


def rewritten(card: Card, folder: Path, change: Any) -> Card:
    """A copy of an entry whose card was changed and sealed again."""
    copy_model(card.directory, folder)
    content = json.loads(json.dumps(dict(card.content)))
    change(content)
    write_bytes(folder / CARD, seal(content, indent=1) + b"\n")
    return read_card(folder)


def test_a_card_says_what_the_model_is(card: Card, trained: Path) -> None:
    stored = read_card(card.directory)
    assert dict(stored.content) == json.loads(json.dumps(dict(card.content)))
    assert stored.content["model"] == sha256_file(trained / "model" / "model.json")
    assert stored.content["action"]["coupling"] == 8.0
    assert stored.content["measured"]["n"] >= DRAWS
    known = {row["observable"]: row for row in stored.content["measured"]["estimates"]}
    assert known["phi_squared"]["reference"] == pytest.approx(0.17143442)
    assert known["phi_squared"]["reference_source"] == "exact"
    assert [entry.name for entry in zoo(card.directory.parent)] == ["tiny"]
    assert summary(stored)["model"] == "zoo:tiny"


def test_a_model_agrees_with_its_card(card: Card) -> None:
    checks = check_card(card, draws=DRAWS, progress=Silent())
    assert [check for check in checks if not check.passed] == []
    names = " ".join(check.name for check in checks)
    for word in ("acceptance", "log_z", "susceptibility against exact"):
        assert word in names


@pytest.mark.parametrize(
    ("change", "fails"),
    [
        (lambda c: c["measured"].update(log_z=c["measured"]["log_z"] + 10 * c["measured"]["log_z_error"]), "log_z"),
        (lambda c: c["measured"].update(acceptance=0.999, acceptance_error=0.001), "acceptance"),
        (lambda c: c.update(model="0" * 64), "hash of the model"),
        (
            lambda c: next(r for r in c["measured"]["estimates"] if r["observable"] == "phi_squared").update(
                reference=0.3
            ),
            "phi_squared against exact",
        ),
    ],
)
def test_a_wrong_card_is_noticed(card: Card, tmp_path: Path, change: Any, fails: str) -> None:
    wrong = rewritten(card, tmp_path / "tiny", change)
    failed = [check.name for check in check_card(wrong, draws=DRAWS, progress=Silent()) if not check.passed]
    assert failed
    assert all(fails in name for name in failed)


def test_a_damaged_card_is_refused(card: Card, tmp_path: Path) -> None:
    copy_model(card.directory, tmp_path / "tiny")
    data = (card.directory / CARD).read_bytes()
    (tmp_path / "tiny" / CARD).write_bytes(data.replace(b"2 \\u00d7 2", b"9 \\u00d7 9"))
    with pytest.raises(DataError, match="checksum"):
        read_card(tmp_path / "tiny")
    record = unseal(data.removesuffix(b"\n"), what="card", indent=1)
    (tmp_path / "tiny" / CARD).write_bytes(seal({"schema": record["schema"]}, indent=1) + b"\n")
    with pytest.raises(DataError, match="not a card"):
        read_card(tmp_path / "tiny")


@pytest.mark.parametrize("name", ["zoo:tine", "zoo:", "zoo:../tiny", "zoo:/etc", "zoo:."])
def test_only_names_of_the_zoo_are_models_of_it(card: Card, name: str) -> None:
    assert zoo_directory("zoo:tiny", card.directory.parent) == card.directory
    with pytest.raises(MissingInputError, match="no such model in the zoo"):
        zoo_directory(name, card.directory.parent)


def test_a_model_is_not_copied_over_another(card: Card, tmp_path: Path) -> None:
    copy_model(card.directory, tmp_path)
    copy_model(card.directory, tmp_path)
    (tmp_path / "model.json").write_bytes(b"{}\n")
    with pytest.raises(CannotCreateError, match="another model"):
        copy_model(card.directory, tmp_path)


def test_every_shipped_model_loads_and_is_the_one_of_its_card() -> None:
    assert zoo()
    for entry in zoo():
        flow, config = load_foreign_flow(f"zoo:{entry.name}")
        assert flow.shape == tuple(config.lattice.shape)
        assert entry.content["model"] == sha256_file(entry.directory / "model.json")
        assert entry.content["measured"]["n"] > 0
        study = sampling_study(entry.directory, name=entry.name, draws=100)
        assert study.sampling.samplers == ("flow",)


def test_a_training_names_its_parent(tiny_study: Path, trained: Path, tmp_path: Path) -> None:
    config = load_study(tiny_study, {"training.start_from": str(trained), "training.stop.steps": "1"})
    run_stages(config, tmp_path / "run", stages=("train",), progress=Silent())
    header = read_header(model_path(str(tmp_path / "run")))
    assert header["parents"] == {"start_from": sha256_file(trained / "model" / "model.json")}
