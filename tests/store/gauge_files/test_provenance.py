"""What files say about where a configuration comes from goes with it, or is said to be left out."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latflow.store.ensemble import Ensemble
from latflow.store.gauge_files.files import FORMATS, read_configuration, spell, write_configuration
from latflow.store.gauge_files.folders import convert_folder, export_ensemble, import_folder
from latflow.store.gauge_files.provenance import (
    NOTHING_KNOWN,
    Provenance,
    as_text,
    from_facts,
    from_text,
    held,
    known,
    left_out,
    number_in,
)
from latflow.store.records import FormatError
from store.gauge_files.fields import configuration, needs_real_files, random_links, real

SHAPE = (2, 2, 4, 2)
EVERYTHING = Provenance(
    lfn="lfn://USQCD/run/cfg.8",
    ensemble_id="b3360",
    ensemble_label="quenched, beta = 6.0",
    sequence_number="8",
    creator="Böhm & Sohn <b@c>",
    hardware="(Tue Feb  4 2003) two blanks",
    created="Thu Feb 12 13:40:21 1998",
    information="gauge.beta = 7.0\n\nCREATOR = nobody\nlast line",
)
NERSC = ("ensemble_id", "ensemble_label", "sequence_number", "creator", "hardware", "created")
FIELD = configuration(SHAPE)


@pytest.fixture
def carried(tmp_path):
    """What a format gives back of a provenance."""

    def carry(provenance, format):
        path = tmp_path / f"file.{format}"
        path.write_bytes(spell(replace(FIELD, provenance=provenance), format, precision=single(format)))
        return read_configuration(path).provenance

    return carry


def single(format):
    return "float32" if format == "milc" else None


@pytest.mark.parametrize("format", FORMATS)
def test_what_formats_hold(format, carried):
    lost = {
        "ildg": [],
        "scidac": [],
        "nersc": ["lfn", "creator", "information"],  # its ASCII has no umlaut
        "milc": ["lfn", *NERSC[:-1], "information"],
        "openqcd": ["lfn", *NERSC, "information"],
    }[format.removesuffix("-two-row")]
    assert left_out(EVERYTHING, format) == lost
    back = carried(EVERYTHING, format)
    assert back == held(EVERYTHING, format)
    for field in fields(Provenance):
        name = field.name
        assert (getattr(back, name) == getattr(EVERYTHING, name)) == (name not in lost)
    if "nersc" in format:
        assert back.creator == "B?hm & Sohn <b@c>"


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_not_known_is_not_invented(format, carried):
    assert carried(NOTHING_KNOWN, format).facts() == {}
    assert left_out(NOTHING_KNOWN, format) == []


def test_values_that_do_not_fit(carried):
    long = Provenance(ensemble_label="x" * 5000, created="y" * 64, sequence_number="8a", information="z" * (1 << 19))
    assert left_out(long, "nersc") == ["ensemble_label", "sequence_number", "information"]
    assert left_out(long, "milc") == ["ensemble_label", "sequence_number", "created", "information"]
    assert left_out(long, "ildg") == ["information"]
    for format in FORMATS:
        assert carried(held(long, format), format) == held(long, format)


@given(
    st.builds(lambda *texts: known(**dict(zip(NERSC, texts[1:], strict=False)), information=texts[0]), *[st.text()] * 7)
)
def test_any_text_comes_back(provenance):
    kept = held(provenance, "scidac")
    back = from_text(as_text(kept, lfn=True), created="of the record")
    # free text that ends like a line of ours is one
    assert replace(back, information="") == replace(kept, information="") or " = " in kept.information
    assert back.information == kept.information or " = " in kept.information


def test_dates_of_records_yield_to_those_of_configurations():
    assert from_text("", created="2005").created == "2005"
    assert from_text("CREATION_DATE = 1998", created="2005").created == "1998"
    assert from_text("CREATION_DATE = unknown", created="2005").created == ""


def test_facts_of_foreign_ensembles_are_texts_of_known_names():
    assert from_facts({"creator": "x", "created": 3, "other": "y"}) == Provenance(creator="x")
    assert from_facts(["creator"]) == NOTHING_KNOWN


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("cfg.8", "8"),
        ("ckpoint_lat.1200", "1200"),
        ("conf_0100", "0100"),
        ("000012", "000012"),
        ("chain-0001-000002", "000002"),
        ("nersc.l8t4b3360", ""),
        ("lat.sample.l4444", ""),
        ("beta6.25", ""),
        ("b_5.7_100", "100"),
        ("8x8x8x4", ""),
        ("cfg", ""),
    ],
)
def test_numbers_of_trajectories_in_names(name, number):
    assert number_in(name) == number


def test_through_an_ensemble_and_back(tmp_path):
    """Names, numbers and everything else, which an ensemble holds in full."""
    (tmp_path / "files").mkdir()
    for number in (8, 9, 10):
        told = replace(EVERYTHING, sequence_number="", lfn=f"lfn://run/{number}")
        write_configuration(tmp_path / "files" / f"cfg.{number}", replace(FIELD, provenance=told), "ildg")
    import_folder(tmp_path / "files", tmp_path / "ensemble")
    written = export_ensemble(tmp_path / "ensemble", tmp_path / "back", "ildg")
    assert written.names == ["cfg.8.ildg", "cfg.9.ildg", "cfg.10.ildg"]
    assert written.left_out == []
    for number in (8, 9, 10):
        back = read_configuration(tmp_path / "back" / f"cfg.{number}.ildg").provenance
        assert back == replace(EVERYTHING, sequence_number=str(number), lfn=f"lfn://run/{number}")
    assert export_ensemble(tmp_path / "ensemble", tmp_path / "nersc", "nersc").left_out == [
        "lfn",
        "creator",
        "information",
    ]
    assert read_configuration(tmp_path / "nersc" / "cfg.9.nersc").provenance.sequence_number == "9"
    to_openqcd = convert_folder(tmp_path / "files", tmp_path / "openqcd", "openqcd")
    assert "sequence_number" not in to_openqcd.left_out  # the name says it
    assert "creator" in to_openqcd.left_out


def test_names_that_differ_in_the_ending_only(tmp_path):
    (tmp_path / "files").mkdir()
    for name, format, seed in (("a.ildg", "ildg", 1), ("a.nersc", "nersc", 2)):
        write_configuration(tmp_path / "files" / name, configuration(SHAPE, seed=seed), format)
    import_folder(tmp_path / "files", tmp_path / "ensemble")
    for _ in range(2):  # given again, it finds its files
        assert export_ensemble(tmp_path / "ensemble", tmp_path / "back", "ildg").names == ["a.ildg", "a-2.ildg"]
    np.testing.assert_array_equal(read_configuration(tmp_path / "back" / "a-2.ildg").links, random_links(SHAPE, seed=2))


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/b/c", ""])
def test_names_in_a_foreign_ensemble_cannot_leave_the_folder(name, tmp_path):
    made = Ensemble.create(tmp_path / "ensemble", {"kind": "ensemble", "sampler": "files", "identity": {}})
    made.append({"fields": FIELD.links[None]}, n=1, attributes={"files": [name]})
    if name:
        with pytest.raises(FormatError, match="leaves"):
            export_ensemble(tmp_path / "ensemble", tmp_path / "folder", "ildg")
        assert not (tmp_path / "folder").exists()
    else:
        assert export_ensemble(tmp_path / "ensemble", tmp_path / "folder", "ildg").names == [".ildg"]


def test_configurations_of_our_own_say_so(tmp_path):
    made = Ensemble.create(tmp_path / "ensemble", {"kind": "ensemble", "sampler": "hmc", "identity": {"beta": 6.0}})
    fields_ = np.stack([random_links(SHAPE, seed=seed) for seed in range(4)]).reshape(2, 2, 4, 3, 3, *SHAPE)
    made.append({"fields": fields_}, n=4, attributes={"first": 0})
    export_ensemble(tmp_path / "ensemble", tmp_path / "files", "nersc")
    told = read_configuration(tmp_path / "files" / "chain-0001-000001.nersc").provenance
    assert (told.creator, told.sequence_number, told.ensemble_label) == ("latflow", "1", "hmc, chain 1")
    assert len(told.ensemble_id) == 16


@needs_real_files
def test_real_files_keep_what_they_say(tmp_path):
    def through(name, *formats):
        found = read_configuration(real(name))
        for format in formats:
            path = tmp_path / f"{name}-{format}"
            write_configuration(path, found, format)
            found = read_configuration(path)
        return found.provenance

    old = through("t_nersc.cfg", "ildg", "scidac", "nersc")
    assert (old.creator, old.ensemble_id, old.sequence_number) == ("SZIN", "0", "0")
    assert old.created == "Fri Aug 22 22:05:48 2003"
    assert old == read_configuration(real("t_nersc.cfg")).provenance
    milc = through("lat.sample.l4444.ildg", "scidac", "ildg")
    assert milc.lfn == "lfn://USQCD/MILC/test/lat.sample.l4444"
    assert "gauge.beta11 = 7.000000" in milc.information
    assert milc.created == "Sun Dec  4 20:49:06 2005 UTC"
    assert through("lat.sample.l4444", "nersc", "milc").created == "Thu Feb 12 13:40:21 1998"
    assert through("ildg.l8t4b3360").lfn == "mc://ldg///_s008t04_b0336000/ildg_s008t04_b0336000"
    assert through("lat.sample.l4444.scidac").information == "Dummy user record XML for lattice field"
