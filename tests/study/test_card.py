"""The zoo: what a card says, how a model is held to it, and that nothing else is taken for a model."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from displays import Listening
from latflow.actions.exact_gauge import sun_log_z, u1_log_z
from latflow.errors import CannotCreateError, DataError, MissingInputError
from latflow.groups.names import named
from latflow.store.atomic import sha256_file, write_bytes
from latflow.store.records import seal, unseal
from latflow.study.card import CARD, Card, ancestors, model_name, read_card, summary, zoo, zoo_directory
from latflow.study.card_maker import check_card, copy_model, main, make_card, sampling_study
from latflow.study.config import load_study
from latflow.study.context import Silent
from latflow.study.models import lineage, load_foreign_flow, training_log
from latflow.study.run import run_stages
from latflow.study.verify import verify
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
    for word in ("acceptance", "log_z", "susceptibility against exact", "log q of draws = log_prob", "replayed"):
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


def test_a_damaged_model_is_named_where_it_lies(card: Card, tmp_path: Path) -> None:
    """Not in the copy that its draws would have been made in."""
    copy_model(card.directory, tmp_path / "tiny")
    weights = tmp_path / "tiny" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    broken = Card("tiny", tmp_path / "tiny", card.content)
    (failed,) = [check for check in check_card(broken, draws=DRAWS, progress=Silent()) if not check.passed]
    assert str(failed.value).startswith(f"{weights}: does not match the checksum")


def test_a_model_is_held_to_the_card_beside_it(card: Card, tmp_path: Path) -> None:
    wrong = rewritten(card, tmp_path / "tiny", lambda c: c.update(model="0" * 64))
    (failed,) = [check for check in verify(wrong.directory) if not check.passed]
    assert "not the model of its card" in str(failed.value)


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
        assert flow.shape[-len(config.lattice.shape) :] == tuple(config.lattice.shape)
        assert entry.content["model"] == sha256_file(entry.directory / "model.json")
        assert entry.content["measured"]["n"] > 0
        study = sampling_study(entry.directory, name=entry.name, draws=100)
        assert study.sampling.samplers == ("flow",)


LINKS = [card for card in zoo() if card.content["action"]["kind"] == "wilson"]


@pytest.mark.parametrize("card", LINKS, ids=lambda card: card.name)
def test_cards_of_links_have_the_exact_log_z(card: Card) -> None:
    """With the normalised Haar measure and S = β Σ (1 − Re tr P / N), to 3σ; ESS cannot see a wrong constant."""
    action, measured = card.content["action"], card.content["measured"]
    volume = math.prod(card.content["lattice"]["shape"])
    beta, word = action["beta"], action["group"]
    exact = u1_log_z(beta, volume=volume) if word == "U(1)" else sun_log_z(named(word).n, beta, volume=volume)
    assert abs(measured["log_z"] - exact) < 3 * measured["log_z_error"]
    assert measured["log_z_error"] < 0.01
    assert measured["reweighting_ess"] > 0.97
    (row,) = (row for row in measured["estimates"] if row["observable"] == "log_z")
    assert row["reference"] == pytest.approx(exact)


@pytest.mark.nightly
@pytest.mark.parametrize("card", LINKS, ids=lambda card: card.name)
def test_models_of_links_agree_with_their_cards(card: Card) -> None:
    assert [check for check in check_card(card, draws=DRAWS, progress=Silent()) if not check.passed] == []


def test_a_model_of_the_zoo_is_replaced_when_asked(
    card: Card, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy_model(card.directory, tmp_path / "tiny")
    (tmp_path / "tiny" / "model.json").write_bytes(b"{}\n")
    words = [str(trained), "tiny", "2 × 2", "128", "--zoo", str(tmp_path), "--work", str(tmp_path / "work")]
    with pytest.raises(SystemExit, match="another model"):
        main(words)
    assert not (tmp_path / "tiny" / CARD).exists()
    main([*words, "--replace", "--ancestors", str(trained)])
    (entry,) = zoo(tmp_path)
    assert entry.content["model"] == card.content["model"] == sha256_file(tmp_path / "tiny" / "model.json")
    assert entry.content["measured"]["n"] == 4096  # a whole block
    assert summary(entry)["ancestors_seconds"] == summary(entry)["training_seconds"] > 0
    assert "sample: flow, 4096 draws" in capsys.readouterr().err
    # What was drawn for one card serves the next call.
    main([*words, "--replace"])
    assert "sample   flow: up to date, 4096 draws" in capsys.readouterr().err


def test_ancestors_that_are_only_named_are_found_in_the_zoo(card: Card) -> None:
    def entry(name: str, parent: str, seconds: float) -> Card:
        training = {"seconds": seconds, "steps": 1, "parents": {"start_from": parent} if parent else {}}
        return Card(name, card.directory, {**card.content, "model": name, "training": training})

    cards = (entry("a", "", 1.0), entry("b", "a", 2.0), entry("c", "b", 4.0), entry("d", "elsewhere", 8.0))
    assert [model["sha256"] for model in ancestors(cards[2], cards)] == ["a", "b"]
    assert [summary(one, cards)["ancestors_seconds"] for one in cards] == [0, 1, 3, 0]
    # One that tells its ancestors, the oldest of which has its own in the zoo.
    told = entry("e", "", 16.0)
    told.content["training"]["ancestors"] = [{"sha256": "c", "seconds": 4.0, "steps": 1}]
    assert [model["sha256"] for model in ancestors(told, cards)] == ["a", "b", "c"]
    # A ring of names, which no training makes, ends too.
    ring = (entry("a", "b", 1.0), entry("b", "a", 2.0))
    assert summary(ring[0], ring)["ancestors_seconds"] == 2.0


@pytest.mark.parametrize("name", ["../up", "Tiny", "", ".x", "a/b", "x" * 65])
def test_entries_have_plain_names(trained: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(SystemExit, match="small letters"):
        main([str(trained), name, "t", "--zoo", str(tmp_path)])


def test_studies_of_a_model_are_called_after_it(card: Card, trained: Path) -> None:
    assert {model_name(str(trained)), model_name(str(trained / "model"))} == {"run"}
    assert model_name(str(card.directory)) == "tiny"
    assert model_name("zoo:phi4-e1") == "phi4-e1"


def test_a_training_names_its_parents(tiny_study: Path, trained: Path, tmp_path: Path) -> None:
    for start, name in ((trained, "second"), (tmp_path / "second", "third")):
        config = load_study(tiny_study, {"training.start_from": str(start), "training.stop.steps": "1"})
        lines = Listening()
        run_stages(config, tmp_path / name, stages=("train",), progress=lines)
    header = read_header(tmp_path / "third" / "model")
    hashes = [sha256_file(path / "model" / "model.json") for path in (trained, tmp_path / "second")]
    assert header["parents"] == {"start_from": hashes[1]}
    assert [(ancestor["sha256"], ancestor["steps"]) for ancestor in header["ancestors"]] == [
        (hashes[0], 60),
        (hashes[1], 1),
    ]
    assert [model["sha256"] for model in lineage(tmp_path / "third" / "model")][:2] == hashes
    records = training_log(tmp_path / "third" / "model")
    assert header["start"]["acceptance"] == records[0]["acceptance"]
    assert header["start"] | {"model": str(start), "draws": 64} == header["start"]
    assert header["origin"]["versions"]
    # Before and after: a table with a line for each.
    place = next(i for i, line in enumerate(lines.lines) if "as it came" in line)
    head, before, after = (line.split() for line in lines.lines[place - 1 : place + 2])
    assert head[-3:] == ["acceptance", "reweighting", "ESS"]
    assert float(before[-2]) == pytest.approx(records[0]["acceptance"], abs=5e-4)
    assert float(after[-1]) == pytest.approx(records[-1]["reweighting_ess"], abs=5e-4)


@pytest.mark.parametrize("text", ["", "{}\n", "nonsense\n", '{"step": "1", "seconds": 1.0}\n'])
def test_a_damaged_log_of_a_training_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "train.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="no log of a training"):
        training_log(tmp_path)
