"""Ensembles of ours into folders of files and back: nothing is lost, and an interrupted conversion is continued."""

import numpy as np
import pytest

from latflow.errors import CannotCreateError, DataError, MissingInputError
from latflow.store.ensemble import Ensemble
from latflow.store.gauge_files import folders
from latflow.store.gauge_files.files import FORMATS, read_configuration, write_configuration
from latflow.store.gauge_files.folders import (
    Reading,
    configuration_files,
    convert_folder,
    export_ensemble,
    import_folder,
)
from latflow.store.gauge_files.refusals import UnitarityError, UnsupportedError
from latflow.store.records import ChecksumError, FormatError
from store.gauge_files.fields import as_configuration, configuration, random_links

SHAPE = (2, 2, 4, 2)
FIELDS = np.stack([random_links(SHAPE, seed=seed) for seed in range(5)])


@pytest.fixture
def ensemble(tmp_path):
    """Two blocks of three and two configurations."""
    made = Ensemble.create(tmp_path / "ensemble", {"kind": "ensemble", "sampler": "hmc", "identity": {}})
    made.append({"fields": FIELDS[:3]}, n=3, attributes={})
    made.append({"fields": FIELDS[3:]}, n=2, attributes={})
    return tmp_path / "ensemble"


@pytest.mark.parametrize("format", FORMATS)
def test_there_and_back(format, ensemble, tmp_path):
    single = format == "milc"
    names = export_ensemble(ensemble, tmp_path / "files", format, precision="float32" if single else None).names
    assert names == [f"{i:06d}.{format}" for i in range(5)]
    assert len(import_folder(tmp_path / "files", tmp_path / "again").names) == 5
    again = Ensemble.open(tmp_path / "again")
    rows = 2 if format == "nersc-two-row" else 3
    expected = FIELDS.astype(np.complex64) if single else FIELDS
    np.testing.assert_array_equal(again.column("fields")[:, :, :rows], expected[:, :, :rows])
    assert again.verify() == []
    assert again.manifest["identity"]["group"] == "SU(3)"


def test_several_chains(tmp_path):
    made = Ensemble.create(tmp_path / "chains", {"kind": "ensemble", "sampler": "hmc", "identity": {}})
    for start in (0, 2):
        made.append(
            {"fields": np.stack([FIELDS[start : start + 2], FIELDS[start : start + 2][::-1]])}, n=4, attributes={}
        )
    names = export_ensemble(tmp_path / "chains", tmp_path / "files", "ildg").names
    assert names[:4] == [f"chain-{c:04d}-{i:06d}.ildg" for c in (0, 1) for i in (0, 1)]
    assert sorted(names)[2] == "chain-0000-000002.ildg"
    second = read_configuration(tmp_path / "files" / "chain-0001-000002.ildg")
    np.testing.assert_array_equal(second.links, FIELDS[3])


def test_of_draws_of_a_flow_the_chain_is_written(tmp_path):
    """Plain averages over the files are right: a draw stands as often as the chain stays, rejected ones not at all."""
    made = Ensemble.create(tmp_path / "flow", {"kind": "ensemble", "sampler": "flow", "identity": {}})
    chain = np.asarray([0, 0, 2, 2, 4])
    rows = {"log_weight": np.zeros(5), "index": chain, "accepted": chain == np.arange(5)}
    for part in (slice(0, 3), slice(3, 5)):
        made.append(
            {"fields": FIELDS[part], **{k: v[part] for k, v in rows.items()}}, n=len(chain[part]), attributes={}
        )
    names = export_ensemble(tmp_path / "flow", tmp_path / "files", "nersc").names
    for name, number in zip(names, chain, strict=True):
        np.testing.assert_array_equal(read_configuration(tmp_path / "files" / name).links, FIELDS[number])


def test_weighted_draws_without_a_chain_are_refused(tmp_path):
    made = Ensemble.create(tmp_path / "quasi", {"kind": "ensemble", "sampler": "quasi", "identity": {}})
    made.append({"fields": FIELDS[:2], "log_weight": np.zeros(2)}, n=2, attributes={})
    with pytest.raises(UnsupportedError, match="a chain: files hold no weights"):
        export_ensemble(tmp_path / "quasi", tmp_path / "files", "ildg")


def test_an_interrupted_export_is_continued(ensemble, tmp_path):
    target = tmp_path / "files"
    export_ensemble(ensemble, target, "nersc")
    kept = (target / "000001.nersc").read_bytes()
    (target / "000004.nersc").unlink()
    export_ensemble(ensemble, target, "nersc")
    assert (target / "000001.nersc").read_bytes() == kept
    np.testing.assert_array_equal(read_configuration(target / "000004.nersc").links, FIELDS[4])
    (target / "000002.nersc").write_bytes(kept)
    with pytest.raises(CannotCreateError, match=r"000002\.nersc: exists already and holds something else"):
        export_ensemble(ensemble, target, "nersc")


def test_an_interrupted_import_is_continued(ensemble, tmp_path, monkeypatch):
    export_ensemble(ensemble, tmp_path / "files", "ildg")
    monkeypatch.setattr(folders, "_SMALLEST_BLOCK", 1)
    whole = append_until(tmp_path, monkeypatch, calls=99)
    assert whole.n_blocks == 5
    stopped = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        append_until(tmp_path, monkeypatch, calls=2, target=stopped)
    assert Ensemble.open(stopped).n_records == 2
    monkeypatch.undo()
    monkeypatch.setattr(folders, "_SMALLEST_BLOCK", 1)
    assert len(import_folder(tmp_path / "files", stopped).names) == 5
    assert Ensemble.open(stopped).digest == whole.digest


def append_until(tmp_path, monkeypatch, *, calls, target=None):
    """Import, but be interrupted before the block after `calls` others."""
    target, append, done = target or tmp_path / "whole", Ensemble.append, []

    def stopping(self, *arguments, **options):
        if len(done) == calls:
            raise KeyboardInterrupt
        done.append(1)
        return append(self, *arguments, **options)

    monkeypatch.setattr(Ensemble, "append", stopping)
    import_folder(tmp_path / "files", target)
    return Ensemble.open(target)


def test_another_folder_is_another_ensemble(ensemble, tmp_path):
    export_ensemble(ensemble, tmp_path / "files", "ildg")
    import_folder(tmp_path / "files", tmp_path / "again")
    (tmp_path / "files" / "000004.ildg").unlink()
    with pytest.raises(CannotCreateError, match=r"identity\.files"):
        import_folder(tmp_path / "files", tmp_path / "again")


def test_numbers_in_names_are_numbers(tmp_path):
    for name in ("cfg.10", "cfg.9", "cfg.100", ".hidden", "b2", "b10"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder").mkdir()
    assert configuration_files(tmp_path) == ["b2", "b10", "cfg.9", "cfg.10", "cfg.100"]


def test_one_bad_file_stops_the_import_unless_forced(ensemble, tmp_path):
    export_ensemble(ensemble, tmp_path / "files", "ildg")
    bad = bytearray((tmp_path / "files" / "000003.ildg").read_bytes())
    bad[-400] ^= 1
    (tmp_path / "files" / "000003.ildg").write_bytes(bad)
    with pytest.raises(ChecksumError, match=r"000003\.ildg: suma"):
        import_folder(tmp_path / "files", tmp_path / "again")
    gathered = import_folder(tmp_path / "files", tmp_path / "forced", Reading(force=True))
    assert len(gathered.names) == 5
    assert list(gathered.forced) == ["000003.ildg"]
    facts = Ensemble.open(tmp_path / "forced").read(0).attributes
    assert facts["failed_checks"][2] == []
    assert facts["failed_checks"][3][:2] == ["suma", "sumb"]
    # what failed in the file is not forgotten in the ensemble
    with pytest.raises(DataError, match=r"suma of the links: failed when its file was read; .*--force"):
        export_ensemble(tmp_path / "forced", tmp_path / "out", "nersc")
    written = export_ensemble(tmp_path / "forced", tmp_path / "out", "nersc", force=True)
    assert list(written.forced) == ["000003.nersc"]
    assert b"in spite of failed checks: suma, sumb" in (tmp_path / "out" / "000003.nersc").read_bytes()
    converted = convert_folder(tmp_path / "files", tmp_path / "more", "nersc", Reading(force=True))
    assert converted.forced["000003.nersc"][:2] == ["suma", "sumb"]


def test_folder_into_folder(ensemble, tmp_path):
    export_ensemble(ensemble, tmp_path / "files", "ildg")
    written = convert_folder(tmp_path / "files", tmp_path / "more", "openqcd")
    assert written.names == [f"{i:06d}.openqcd" for i in range(5)]
    np.testing.assert_array_equal(read_configuration(tmp_path / "more" / "000003.openqcd").links, FIELDS[3])
    (tmp_path / "files" / "000003.scidac").write_bytes((tmp_path / "files" / "000003.ildg").read_bytes())
    with pytest.raises(CannotCreateError, match=r"000003\.ildg and 000003\.scidac"):
        convert_folder(tmp_path / "files", tmp_path / "third", "openqcd")
    assert not (tmp_path / "third").exists()


def test_numbers_in_names_are_kept(tmp_path):
    (tmp_path / "files").mkdir()
    for name in ("cfg.8", "cfg.9", "cfg.10.nersc", "lat.sample.l4444"):
        write_configuration(tmp_path / "files" / name, configuration(SHAPE), "nersc")
    written = convert_folder(tmp_path / "files", tmp_path / "more", "ildg").names
    assert written == ["cfg.8.ildg", "cfg.9.ildg", "cfg.10.ildg", "lat.sample.l4444.ildg"]


def test_failures_leave_nothing_behind(ensemble, tmp_path):
    """Neither empty folders nor their parents; files written before a failure stay."""
    export_ensemble(ensemble, tmp_path / "files", "ildg")
    first, second = tmp_path / "files" / "000000.ildg", tmp_path / "files" / "000001.ildg"
    second.write_bytes(second.read_bytes()[:-200])
    with pytest.raises(DataError):
        import_folder(tmp_path / "files", tmp_path / "new" / "ensemble")
    with pytest.raises(DataError):
        convert_folder(tmp_path / "files", tmp_path / "some", "nersc")
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["000000.nersc"]
    first.write_bytes(first.read_bytes()[:-200])
    for action in (import_folder, lambda folder, target: convert_folder(folder, target, "nersc")):
        with pytest.raises(DataError):
            action(tmp_path / "files", tmp_path / "new" / "target")
    with pytest.raises(UnsupportedError):
        export_ensemble(ensemble, tmp_path / "new" / "target", "milc")
    assert not (tmp_path / "new").exists()


def test_places_where_nothing_can_be_created(ensemble, tmp_path):
    export_ensemble(ensemble, tmp_path / "files", "ildg")
    in_the_way = tmp_path / "files" / "000000.ildg" / "target"
    for action in (
        lambda: import_folder(tmp_path / "files", in_the_way),
        lambda: convert_folder(tmp_path / "files", in_the_way, "nersc"),
        lambda: export_ensemble(ensemble, in_the_way, "nersc"),
        lambda: write_configuration(in_the_way, configuration(SHAPE), "nersc"),
    ):
        with pytest.raises(CannotCreateError, match="in the way"):
            action()
    with pytest.raises(CannotCreateError, match="no such directory"):
        write_configuration(tmp_path / "none" / "file", configuration(SHAPE), "nersc")


@pytest.mark.parametrize(
    "fields",
    [
        np.zeros((3, 4, 4)),
        np.zeros((3, 2, 4, 4)),
        np.zeros((3, 2, 3, 3, 4, 4)),
        np.zeros((3, 2, 1, 1, 4, 4), complex),
        np.zeros((3, 3, 3, 3, 4, 4), complex),
        np.zeros(3),
    ],
    ids=["scalar", "angles", "real", "U(1)", "directions", "nothing"],
)
def test_ensembles_of_other_fields_are_refused(fields, tmp_path):
    made = Ensemble.create(tmp_path / "other", {"kind": "ensemble", "identity": {}})
    made.append({"fields": fields}, n=3, attributes={})
    with pytest.raises(UnsupportedError, match="complex links"):
        export_ensemble(tmp_path / "other", tmp_path / "files", "scidac")


def test_links_that_left_the_group_are_not_exported(tmp_path):
    made = Ensemble.create(tmp_path / "other", {"kind": "ensemble", "identity": {}})
    made.append({"fields": 1.01 * FIELDS}, n=5, attributes={})
    with pytest.raises(UnitarityError):
        export_ensemble(tmp_path / "other", tmp_path / "files", "scidac")


def test_an_ensemble_without_configurations_is_not_exported(tmp_path):
    Ensemble.create(tmp_path / "ensemble", {"kind": "ensemble", "identity": {}})
    with pytest.raises(MissingInputError, match="no configurations yet"):
        export_ensemble(tmp_path / "ensemble", tmp_path / "files", "ildg")
    assert not (tmp_path / "files").exists()


def test_rebuilt_rows_are_not_rounded_beside_others(tmp_path):
    single = configuration(SHAPE, precision="float32")
    write_configuration(tmp_path / "1", single, "milc")
    write_configuration(tmp_path / "2", single, "nersc-two-row")
    with pytest.raises(FormatError, match=r"float32 as complex128; allowed: .* float32 as complex64"):
        import_folder(tmp_path, tmp_path / "ensemble")


def test_files_of_different_lattices_are_no_ensemble(tmp_path):
    write_configuration(tmp_path / "1.scidac", configuration((2, 2)), "scidac")
    write_configuration(tmp_path / "2.scidac", configuration((2, 4)), "scidac")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match=r"2\.scidac: another lattice"):
        import_folder(tmp_path, tmp_path / "ensemble")
    with pytest.raises(MissingInputError):
        import_folder(tmp_path / "empty", tmp_path / "ensemble")


def test_two_dimensional_ensembles_travel_by_scidac(tmp_path):
    fields = np.stack([random_links((4, 4), n=2, seed=seed) for seed in range(3)])
    assert as_configuration(fields[0]).colours == 2
    made = Ensemble.create(tmp_path / "flat", {"kind": "ensemble", "identity": {}})
    made.append({"fields": fields}, n=3, attributes={})
    export_ensemble(tmp_path / "flat", tmp_path / "files", "scidac")
    import_folder(tmp_path / "files", tmp_path / "again")
    np.testing.assert_array_equal(Ensemble.open(tmp_path / "again").column("fields"), fields)
