"""Ensembles: what is appended is read, what a killed writer leaves is put right, what was changed is found."""

import hashlib
import json
import os
import shutil

import numpy as np
import pytest

import faults
from latflow.errors import CannotCreateError, DataError, LatflowError, MissingInputError
from latflow.store.atomic import temporary_beside
from latflow.store.blocks import encode_block
from latflow.store.ensemble import LEDGER, MANIFEST, Ensemble, read_manifest
from latflow.store.records import ChecksumError, FormatError, SchemaError, seal


@pytest.fixture
def whole(memory_path):
    """The directory of a finished ensemble of three blocks."""
    faults.ensemble_job(memory_path / "ensemble", lambda step: None)
    return memory_path / "ensemble"


def test_what_is_appended_is_read(whole):
    ensemble = Ensemble.open(whole)
    assert (ensemble.n_blocks, ensemble.n_records) == (3, 12)
    assert ensemble.recovered == ()
    assert ensemble.verify() == []
    assert ensemble.manifest == {**faults.MANIFEST, "schema": 1}
    for index, block in enumerate(ensemble.blocks()):
        assert block.attributes == {"first": 4 * index}
        np.testing.assert_array_equal(block.arrays["x"], faults.block(index)["x"])
    np.testing.assert_array_equal(ensemble.column("x"), np.concatenate([faults.block(i)["x"] for i in range(3)]))
    assert [list(block.arrays) for block in ensemble.blocks(["accepted"])] == [["accepted"]] * 3
    assert sorted(os.listdir(whole)) == ["block-000000.h5", "block-000001.h5", "block-000002.h5", LEDGER, MANIFEST]


def test_ensembles_that_are_not_labelled_go_on_with_the_same_bytes(memory_path):
    """Attributes of datasets came later than the first ensembles, whose blocks stay as they would have been."""
    labels, plain = {"x": {"axes": "record"}}, encode_block(faults.block(0), {"first": 0})
    for name, manifest in (("old", faults.MANIFEST), ("new", {**faults.MANIFEST, "labelled": True})):
        ensemble = Ensemble.create(memory_path / name, manifest)
        ensemble.append(faults.block(0), n=4, attributes={"first": 0}, labels=labels)
        written = (memory_path / name / "block-000000.h5").read_bytes()
        assert (written == plain) == (name == "old")
        assert Ensemble.open_or_create(memory_path / name, faults.MANIFEST).n_blocks == 1


def test_the_ledger_says_what_the_files_are(whole):
    ensemble = Ensemble.open(whole)
    lines = (whole / LEDGER).read_bytes().splitlines()
    for index, (line, entry) in enumerate(zip(lines, ensemble.entries, strict=True)):
        data = (whole / f"block-{index:06d}.h5").read_bytes()
        record = json.loads(line)
        assert record.pop("check")
        assert record == vars(entry)
        assert (entry.index, entry.bytes, entry.n) == (index, len(data), 4)
        assert entry.sha256 == hashlib.sha256(data).hexdigest()
        assert index == 0 or entry.parent == hashlib.sha256(lines[index - 1]).hexdigest()
    assert ensemble.digest == hashlib.sha256((whole / LEDGER).read_bytes()).hexdigest()


def test_the_first_line_names_the_identity(whole, tmp_path):
    """Blocks and ledger moved under another manifest are foreign."""
    Ensemble.create(tmp_path / "other", {"kind": "ensemble", "identity": {"seed": 2}})
    shutil.copy(whole / LEDGER, tmp_path / "other")
    with pytest.raises(ChecksumError, match="line 1: does not follow"):
        Ensemble.open(tmp_path / "other")


def test_nothing_in_the_files_depends_on_when_or_where(whole, tmp_path):
    faults.ensemble_job(tmp_path / "another/name", lambda step: None)
    assert faults.contents(tmp_path / "another/name") == faults.contents(whole)


def test_another_identity_is_refused_with_the_differing_keys(whole):
    wanted = {"kind": "ensemble", "identity": {"seed": 1, "action": {"coupling": 7.0}, "thin": 2}, "versions": "other"}
    with pytest.raises(CannotCreateError) as caught:
        Ensemble.open_or_create(whole, wanted)
    assert caught.value.exit_code == 73
    assert "identity.action.coupling is 6.975, wanted 7.0; identity.thin is absent, wanted 2" in str(caught.value)
    assert Ensemble.open_or_create(whole, {**faults.MANIFEST, "versions": "other"}).n_blocks == 3
    with pytest.raises(CannotCreateError, match="exists already"):
        Ensemble.create(whole, faults.MANIFEST)


def test_blocks_without_a_manifest_are_not_taken_for_rubbish(whole):
    (whole / MANIFEST).unlink()
    before = faults.contents(whole)
    with pytest.raises(MissingInputError, match="no ensemble there"):
        Ensemble.open(whole)
    with pytest.raises(CannotCreateError, match="holds blocks but no manifest"):
        Ensemble.open_or_create(whole, faults.MANIFEST)
    assert faults.contents(whole) == before


@pytest.mark.parametrize(
    "manifest", [{}, {"kind": 3, "identity": {}}, {"kind": "ensemble"}, {"kind": "e", "identity": {"x": float("nan")}}]
)
def test_a_poor_manifest_is_refused_before_anything_is_made(manifest, tmp_path):
    with pytest.raises(FormatError):
        Ensemble.create(tmp_path / "ensemble", manifest)
    assert os.listdir(tmp_path) == []


def test_strays_are_removed_on_opening(whole):
    before = faults.contents(whole)
    stray = temporary_beside(whole / LEDGER)
    stray.write_bytes(b"half a led")
    (whole / "block-000003.h5").write_bytes(encode_block(faults.block(3), {}))
    reader = Ensemble.open(whole, writable=False)
    assert reader.n_blocks == 3
    assert reader.recovered == ("block-000003.h5: unfinished, ignored",)
    assert reader.verify() == [f"{whole / 'block-000003.h5'}: not in the ledger"]
    assert (whole / "block-000003.h5").exists()
    assert stray.exists()
    writer = Ensemble.open(whole)
    assert writer.recovered == (f"{stray.name}: unfinished, removed", "block-000003.h5: unfinished, removed")
    assert faults.contents(whole) == before


def test_a_torn_last_line_is_dropped_with_its_block_and_computed_again(whole):
    before = faults.contents(whole)
    with open(whole / LEDGER, "r+b") as file:
        file.truncate(len(before[LEDGER]) - 30)
    ensemble = Ensemble.open(whole)
    assert ensemble.n_blocks == 2
    assert "torn last line" in ensemble.recovered[0]
    assert not (whole / "block-000002.h5").exists()
    assert Ensemble.open(whole).recovered == ()
    faults.ensemble_job(whole, lambda step: None)
    assert faults.contents(whole) == before


def look(path) -> tuple[int, tuple[str, ...]]:
    """What a reader beside the writer sees."""
    ensemble = Ensemble.open(path, writable=False)
    return ensemble.n_blocks, ensemble.recovered


@pytest.mark.parametrize("name", [LEDGER, MANIFEST])
def test_every_truncation_is_found(whole, name):
    """Of the ledger's last line too: then the block is missed and said so, as after a kill."""
    data = (whole / name).read_bytes()
    last = data[:-1].rfind(b"\n") + 1
    for length in range(len(data)):
        (whole / name).write_bytes(data[:length])
        if name == LEDGER and length >= last:
            n_blocks, recovered = look(whole)
            assert n_blocks == 2
            assert any("block-000002.h5" in note for note in recovered)
        else:
            with pytest.raises(DataError):
                look(whole)
    assert data == (whole / name).read_bytes() + data[-1:]


@pytest.mark.parametrize("name", [LEDGER, MANIFEST])
@pytest.mark.parametrize("bits", [1, pytest.param(8, marks=pytest.mark.nightly)])
def test_flipped_bits_are_found(whole, name, bits):
    """One random bit of every byte; all of them nightly."""
    data = (whole / name).read_bytes()
    rng = np.random.default_rng(3)
    for position in range(len(data)):
        for bit in rng.permutation(8)[:bits]:
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            (whole / name).write_bytes(changed)
            if name == LEDGER and position == len(data) - 1:
                assert look(whole)[0] == 2
                continue
            with pytest.raises(DataError) as caught:
                look(whole)
            assert name in str(caught.value)


def test_lost_and_moved_ledger_lines_are_found(whole):
    lines = (whole / LEDGER).read_bytes().splitlines(keepends=True)
    for order in ([1, 2], [0, 2], [1, 0, 2], [0, 0, 1, 2], [0, 1, 1], []):
        (whole / LEDGER).write_bytes(b"".join(lines[i] for i in order))
        before = faults.contents(whole)
        with pytest.raises(DataError, match="ledger"):
            Ensemble.open(whole)
        assert faults.contents(whole) == before
    (whole / LEDGER).unlink()
    with pytest.raises(FormatError, match="has 0 lines but there is block-000002"):
        Ensemble.open(whole)


def test_every_damage_of_a_block_is_found(whole):
    path = whole / "block-000001.h5"
    data = path.read_bytes()
    rng = np.random.default_rng(5)
    flips = [
        bytes(data[:p]) + bytes([data[p] ^ (1 << rng.integers(8))]) + data[p + 1 :]
        for p in rng.integers(len(data), size=50)
    ]
    for changed in [b"", data[:-1], data + b"\0", encode_block(faults.block(9), {"first": 4}), *flips]:
        path.write_bytes(changed)
        ensemble = Ensemble.open(whole)
        with pytest.raises(ChecksumError, match=r"block-000001\.h5"):
            ensemble.read(1)
        assert len(ensemble.verify()) == 1
        ensemble.read(0)
    path.unlink()
    with pytest.raises(MissingInputError, match=r"block-000001\.h5"):
        Ensemble.open(whole).column("x")


def test_a_block_that_is_a_link_is_refused(whole, tmp_path):
    path = whole / "block-000001.h5"
    shutil.move(path, tmp_path / "elsewhere.h5")
    path.symlink_to(tmp_path / "elsewhere.h5")
    with pytest.raises(FormatError, match="refuses a name that leaves it"):
        Ensemble.open(whole).read(1)


def forge(whole, **changes) -> None:
    """Rewrite the first ledger line with good checksums and other contents."""
    record = json.loads((whole / LEDGER).read_bytes().splitlines()[0])
    record.pop("check")
    shutil.copy(whole / "block-000000.h5", whole / "copy.h5")
    (whole / LEDGER).write_bytes(seal({**record, **changes}) + b"\n")
    for index in (1, 2):
        (whole / f"block-{index:06d}.h5").unlink()


@pytest.mark.parametrize(
    "changes",
    [
        {"file": "../secret.h5"},
        {"file": "/etc/passwd"},
        {"file": "copy.h5"},
        {"file": 3},
        {"bytes": 1 << 60},
        {"bytes": -1},
        {"bytes": "many"},
        {"n": 0},
        {"n": True},
        {"index": 7},
        {"extra": 1},
        {"parent": "0" * 64},
        {"sha256": "0" * 64},
    ],
)
def test_forged_ledgers_are_refused(whole, changes):
    forge(whole, **changes)
    with pytest.raises(DataError):
        Ensemble.open(whole).read(0)


def test_newer_manifests_are_refused_with_advice(whole):
    manifest = {**faults.MANIFEST, "schema": 2}
    (whole / MANIFEST).write_bytes(seal(manifest, indent=1) + b"\n")
    with pytest.raises(SchemaError, match="newer latflow: schema 2"):
        read_manifest(whole)


def test_a_second_writer_is_noticed(whole):
    first, second = Ensemble.open(whole), Ensemble.open(whole)
    first.append(faults.block(3), n=4, attributes={})
    with pytest.raises(CannotCreateError, match="another process writes"):
        second.append(faults.block(3), n=4, attributes={})
    assert Ensemble.open(whole).verify() == []


def test_misuse_gets_a_named_refusal(whole, tmp_path):
    ensemble = Ensemble.open(whole)
    for misuse in (
        lambda: ensemble.append(faults.block(3), n=0, attributes={}),
        lambda: ensemble.append({"x": np.array(["text"])}, n=1, attributes={}),
        lambda: ensemble.append(faults.block(3), n=1, attributes={"bad": float("inf")}),
        lambda: ensemble.read(3),
        lambda: ensemble.read(-1),
        lambda: ensemble.column("none"),
        lambda: Ensemble.open(tmp_path / "none"),
        lambda: Ensemble.create(tmp_path / "empty", faults.MANIFEST).column("x"),
    ):
        with pytest.raises(LatflowError):
            misuse()
    assert ensemble.n_blocks == 3


def test_columns_that_do_not_join_are_refused(tmp_path):
    ensemble = Ensemble.create(tmp_path / "ensemble", faults.MANIFEST)
    for k in (2, 3):
        ensemble.append({"x": np.zeros((4, k)), "one": np.float64(k)}, n=4, attributes={})
    for name in ("x", "one"):
        with pytest.raises(FormatError, match="does not join"):
            ensemble.column(name)
