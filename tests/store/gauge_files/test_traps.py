"""Every way in which real files differ from their own descriptions, and every lie that a file can tell."""

import re
import struct
import tracemalloc

import jax.numpy as jnp
import numpy as np
import pytest

from latflow.errors import CannotCreateError, DataError, MissingInputError
from latflow.fields import transport
from latflow.store.gauge_files import lime, markup, measure, milc, nersc, openqcd
from latflow.store.gauge_files.files import FORMATS, SUFFIXES, read_configuration, spell, write_configuration
from latflow.store.gauge_files.layout import Source
from latflow.store.gauge_files.refusals import (
    LengthError,
    MeasuredError,
    ShapeUnknownError,
    UnitarityError,
    UnreadableError,
    UnsupportedError,
)
from latflow.store.records import ChecksumError, FormatError
from store.gauge_files.fields import (
    as_configuration,
    configuration,
    naive_plaquette,
    nersc_file,
    openqcd_file,
    payload,
    random_links,
)

SHAPE = (2, 4, 6, 2)
FIELD = configuration(SHAPE)
LINKS = FIELD.links
SINGLE = configuration(SHAPE, precision="float32", seed=1)
ILDG = spell(FIELD, "ildg")


@pytest.fixture
def read(tmp_path):
    def reader(data, **options):
        (tmp_path / "file").write_bytes(data)
        return read_configuration(tmp_path / "file", **options)

    return reader


def records(data, tmp_path):
    """Type and payload of every record."""
    (tmp_path / "lime").write_bytes(data)
    with Source(tmp_path / "lime") as source:
        return [(record.type, source.read(record.offset, record.length)) for record in lime.scan(source)]


def changed(tmp_path, **changes):
    """The ILDG file with the payload of some records (underscores for dashes) put through a function; None removes."""
    kept = []
    for kind, data in records(ILDG, tmp_path):
        change = changes.get(kind.replace("-", "_"), lambda data: data)
        if change is not None:
            kept.append((kind, change(data)))
    return lime.spell([kept[:2], kept[2:]])


# Measuring


@pytest.mark.parametrize(("shape", "n"), [((4, 3), 2), ((2, 3, 4), 3), ((2, 3, 2, 3), 4)])
def test_plaquette_against_loops(shape, n):
    links = random_links(shape, n=n)
    planes = measure.plaquettes(links)
    assert measure.mean_plaquette(planes) == pytest.approx(naive_plaquette(links), rel=1e-12)
    split = [measure.spatial_plaquette(planes), measure.temporal_plaquette(planes)]
    d = len(shape)
    weights = [(d - 1) * (d - 2) / 2, d - 1]
    mean = sum(w * p for w, p in zip(weights, split, strict=True) if w) / sum(weights)
    assert mean == pytest.approx(naive_plaquette(links), rel=1e-12)


def test_the_annex_agrees_with_the_house():
    """The plaquettes of files and those of samplers are two codes."""
    planes = measure.plaquettes(LINKS)
    for mu, nu in ((0, 1), (1, 3), (2, 3)):
        traces = np.einsum("aa...->...", np.asarray(transport.plaquette(jnp.asarray(LINKS), mu=mu, nu=nu)))
        assert planes[mu, nu] == pytest.approx(traces.real.mean() / 3, rel=1e-12)


def test_pieces_do_not_change_the_plaquette(monkeypatch):
    links = random_links((5, 2, 2, 2))
    whole = measure.plaquettes(links)
    monkeypatch.setattr(measure, "_PIECE", 8)
    np.testing.assert_allclose(measure.plaquettes(links), whole, rtol=1e-12)


def test_unit_field():
    links = np.zeros((4, 3, 3, 2, 2, 2, 2), complex)
    links[:, range(3), range(3)] = 1
    found = as_configuration(links)
    assert (found.plaquette, found.link_trace, found.defect) == (1.0, 1.0, 0.0)


def test_defect_sees_the_determinant():
    links = random_links((2, 2), n=2) * np.exp(0.1j)
    assert measure.defect(links) == pytest.approx(abs(np.exp(0.2j) - 1), rel=1e-10)


def test_projection_restores_the_group():
    for n in (2, 3, 4):
        links = random_links((2, 2), n=n)
        noisy = links + 1e-4 * random_links((2, 2), n=n, seed=5)
        assert measure.defect(noisy) > 1e-5
        assert measure.defect(measure.reunitarised(noisy)) < 1e-14
        assert np.abs(measure.reunitarised(noisy) - links).max() < 1e-3
        np.testing.assert_allclose(measure.reunitarised(links), links, atol=1e-14)


# The order of numbers, against files written by loops


def test_common_order(read):
    np.testing.assert_array_equal(read(nersc_file(LINKS)).links, LINKS)
    assert spell(FIELD, "nersc").endswith(payload(LINKS, ">d"))


def test_openqcd_runs_over_odd_points_with_z_fastest(read):
    data = openqcd_file(LINKS)
    found = read(data)
    np.testing.assert_array_equal(found.links, LINKS)
    assert found.checks[0].passed
    written = openqcd.spell(LINKS)
    assert (written[:16], written[24:]) == (data[:16], data[24:])
    assert struct.unpack("<d", written[16:24]) == pytest.approx(struct.unpack("<d", data[16:24]), rel=1e-13)


def test_bridge_order(read):
    numbers = np.frombuffer(payload(LINKS, "<d"), "<f8")
    text = "\n".join(map(repr, numbers.tolist())).encode() + b"\n"
    np.testing.assert_array_equal(read(text, shape=SHAPE).links, LINKS)
    np.testing.assert_array_equal(read(text[:-1], shape=SHAPE).links, LINKS)
    with pytest.raises(ShapeUnknownError):
        read(text)
    with pytest.raises(LengthError, match="numbers"):
        read(text, shape=(2, 4, 6, 1))
    with pytest.raises(LengthError):
        read(text, shape=(2, 4, 6, 4))
    with pytest.raises(LengthError):
        read(text[: text.index(b"\n", len(text) // 2)], shape=SHAPE)
    with pytest.raises(FormatError, match="allowed: a finite real number"):
        read(text[:5000] + b"x" + text[5000:], shape=SHAPE)
    with pytest.raises(FormatError, match="1e1e1"):
        read(text[:5000] + b"1e1e1" + text[5000:], shape=SHAPE)
    with pytest.raises(FormatError, match="line 1: '1e999'"):
        read(b"1e999" + text[text.index(b"\n") :], shape=SHAPE)


# ILDG and SciDAC


def test_the_eight_records_in_their_order(tmp_path):
    found = records(ILDG, tmp_path)
    assert [kind for kind, _ in found] == [
        "scidac-private-file-xml",
        "scidac-file-xml",
        "scidac-private-record-xml",
        "scidac-record-xml",
        "ildg-format",
        "ildg-data-lfn",
        "ildg-binary-data",
        "scidac-checksum",
    ]
    with Source(tmp_path / "lime") as source:
        flags = [(record.begins, record.ends) for record in lime.scan(source)]
    assert flags == [(True, False), (False, True), (True, False), *[(False, False)] * 4, (False, True)]
    assert len(ILDG) % 8 == 0
    private = markup.texts(dict(found)["scidac-private-record-xml"], what="here")
    wanted = {
        "recordtype": "0",
        "datatype": "QDP_D3_ColorMatrix",
        "precision": "D",
        "colors": "3",
        "spins": "1",
        "typesize": "144",
        "datacount": "4",
    }
    assert {tag: private[tag] for tag in wanted} == {tag: [value] for tag, value in wanted.items()}
    user = markup.texts(dict(found)["scidac-record-xml"], what="here")
    assert float(user["plaq"][0]) == pytest.approx(naive_plaquette(LINKS), abs=1e-11)
    assert b'xmlns="http://www.lqcd.org/ildg"' in dict(found)["ildg-format"]
    single = markup.texts(dict(records(spell(SINGLE, "ildg"), tmp_path))["scidac-private-record-xml"], what="here")
    assert (single["datatype"], single["typesize"]) == (["QDP_F3_ColorMatrix"], ["72"])


@pytest.mark.parametrize(
    "dress",
    [
        lambda data: data + b"\0",
        lambda data: b"\n" + data,
        lambda data: b" \r\n" + data + b"\n\0\0",
        lambda data: re.sub(rb">([^<>]+)<", rb">  \1 \n<", data),
        lambda data: re.sub(rb"(</?)(?=[a-zA-Z])", rb"\1x:", data).replace(b"xmlns=", b"xmlns:x="),
    ],
    ids=["trailing NUL", "leading newline", "blanks around", "padded values", "prefixes"],
)
def test_dressed_up_xml(dress, read, tmp_path):
    dresses = ("scidac_private_file_xml", "scidac_private_record_xml", "scidac_record_xml", "ildg_format")
    found = read(changed(tmp_path, **dict.fromkeys((*dresses, "scidac_checksum"), dress)))
    np.testing.assert_array_equal(found.links, LINKS)
    assert len(found.checks) == 6
    assert not found.failed


@pytest.mark.parametrize(
    "missing",
    [
        ("ildg_data_lfn",),
        ("scidac_checksum",),
        ("scidac_private_record_xml",),
        ("scidac_record_xml",),
        ("scidac_private_record_xml", "scidac_record_xml", "ildg_data_lfn", "scidac_checksum"),
    ],
)
def test_records_that_others_leave_out(missing, read, tmp_path):
    np.testing.assert_array_equal(read(changed(tmp_path, **dict.fromkeys(missing))).links, LINKS)


def test_user_record_may_be_anything(read, tmp_path):
    data = changed(tmp_path, scidac_record_xml=lambda data: b"Dummy user record XML\0")
    np.testing.assert_array_equal(read(data).links, LINKS)


@pytest.mark.parametrize("field", [FIELD, SINGLE, configuration((2, 2, 2, 4), n=2)], ids=["double", "single", "SU(2)"])
def test_one_record_and_nothing_else(field, read, tmp_path):
    """Old Julia files: the caller knows the shape; colours and precision follow from the length."""
    data = dict(records(spell(field, "ildg"), tmp_path))["ildg-binary-data"]
    bare = lime.spell([[("ildg-binary-data", data)]])
    with pytest.raises(ShapeUnknownError, match="--shape"):
        read(bare)
    found = read(bare, shape=field.shape, colours=field.colours, precision=field.precision)
    np.testing.assert_array_equal(found.links, field.links)
    assert found.links.dtype == field.links.dtype
    np.testing.assert_array_equal(read(bare, shape=field.shape).links, field.links)
    with pytest.raises((LengthError, UnitarityError)):  # half of SU(2) has the length of SU(4) in single precision
        read(bare, shape=(2, 2, 2, 2))
    with pytest.raises(LengthError):
        read(bare, shape=field.shape, colours=5)


def test_the_caller_must_agree_with_the_file(read):
    with pytest.raises(FormatError, match="has lattice 2x4x6x2; allowed: 4x2x6x2, as the caller"):
        read(ILDG, shape=(4, 2, 6, 2))
    with pytest.raises(FormatError, match="precision"):
        read(spell(FIELD, "nersc"), precision="float32")
    with pytest.raises(FormatError, match="group"):
        read(spell(SINGLE, "milc"), colours=2)
    for wrong in ({"shape": ()}, {"shape": (0, 2)}, {"shape": (1,) * 7}, {"colours": 1}, {"precision": "float16"}):
        with pytest.raises(UnsupportedError):
            read(ILDG, **wrong)


def test_scidac_holds_any_dimension_and_group(read):
    for shape, n in (((4, 6), 2), ((2, 3, 4), 5), ((3, 2, 2, 2), 4)):
        field = configuration(shape, n=n)
        found = read(spell(field, "scidac"))
        np.testing.assert_array_equal(found.links, field.links)
        assert (found.format, found.shape, found.colours) == ("scidac", shape, n)


@pytest.mark.parametrize(
    ("record", "change", "refusal"),
    [
        ("ildg_format", lambda d: d.replace(b"<lx>2<", b"<lx>3<"), LengthError),
        ("ildg_format", lambda d: d.replace(b"<lx>2<", b"<lx>0<"), FormatError),
        ("ildg_format", lambda d: d.replace(b"<lx>2<", b"<lx>-2<"), FormatError),
        ("ildg_format", lambda d: d.replace(b"<lx>2<", b"<lx>99999999999999999999<"), FormatError),
        ("ildg_format", lambda d: d.replace(b"<lx>2</lx>", b""), FormatError),
        ("ildg_format", lambda d: d.replace(b"<lx>2</lx>", b"<lx>2</lx><lx>4</lx>"), FormatError),
        ("ildg_format", lambda d: d.replace(b">64<", b">32<"), FormatError),
        ("ildg_format", lambda d: d.replace(b">64<", b">16<"), UnsupportedError),
        ("ildg_format", lambda d: d.replace(b"su3gauge", b"u1gauge"), UnsupportedError),
        ("ildg_format", lambda d: d.replace(b"su3gauge", b"su4gauge"), FormatError),
        ("ildg_format", lambda d: d[:-5], UnreadableError),
        ("ildg_format", lambda d: d.replace(b"?>", b'?><!DOCTYPE a [<!ENTITY b "c">]>', 1), FormatError),
        ("ildg_format", lambda d: b"x" * (2 << 20), FormatError),
        ("scidac_private_record_xml", lambda d: d.replace(b"ColorMatrix", b"DiracFermion"), UnsupportedError),
        ("scidac_checksum", lambda d: d.replace(b"<suma>", b"<suma>x"), UnreadableError),
        ("scidac_checksum", lambda d: re.sub(rb"<suma>.", b"<suma>", d), ChecksumError),
        ("scidac_record_xml", lambda d: re.sub(rb"<plaq>[^<]+", b"<plaq>0.6", d), MeasuredError),
        ("scidac_record_xml", lambda d: re.sub(rb"<linktr>[^<]+", b"<linktr>0.6", d), MeasuredError),
        ("ildg_binary_data", None, FormatError),
        ("ildg_binary_data", lambda d: d[:-8], LengthError),
        ("ildg_binary_data", lambda d: d[:7] + bytes([d[7] ^ 1]) + d[8:], ChecksumError),
    ],
)
def test_ildg_files_that_lie(record, change, refusal, read, tmp_path):
    with pytest.raises(refusal) as caught:
        read(changed(tmp_path, **{record: change}))
    assert type(caught.value) is refusal
    assert ";" in str(caught.value)  # a remedy, or what is allowed


def test_entities_are_never_expanded(read, tmp_path):
    bomb = b'?><!DOCTYPE z [<!ENTITY a "2"><!ENTITY b "&a;">]>'
    data = changed(tmp_path, ildg_format=lambda d: d.replace(b"?>", bomb, 1).replace(b"<lx>2<", b"<lx>&b;<"))
    with pytest.raises(FormatError, match="document type"):
        read(data)


@pytest.mark.parametrize("kind", ["ildg-format", "scidac-private-record-xml", "scidac-checksum"])
def test_records_that_stand_twice_are_refused(kind, read, tmp_path):
    """Which of them should count?"""
    found = records(ILDG, tmp_path)
    twice = [record for record in found[2:] for _ in range(1 + (record[0] == kind))]
    with pytest.raises(UnsupportedError, match=f"records {kind}: 2"):
        read(lime.spell([found[:2], twice]))


def test_deep_xml_is_refused(read, tmp_path):
    with pytest.raises(FormatError, match="inside each other"):
        read(changed(tmp_path, ildg_format=lambda data: b"<a>" * 300_000))
    assert read(changed(tmp_path, scidac_record_xml=lambda data: b"<a>" * 300_000)).checks


def test_two_configurations_in_one_file_are_refused(read):
    with pytest.raises(UnsupportedError, match="one configuration per file"):
        read(ILDG + ILDG)


def test_messages_that_do_not_end_are_told(read):
    broken = bytearray(ILDG)
    broken[6] &= 0x7F  # the first record no longer begins a message
    with pytest.raises(FormatError, match="records"):
        read(bytes(broken))
    np.testing.assert_array_equal(read(bytes(broken), force=True).links, LINKS)


# NERSC


@pytest.mark.parametrize("blanks", [False, True])
@pytest.mark.parametrize("rows", [2, 3])
@pytest.mark.parametrize(("precision", "letter"), [("32", "f"), ("64", "d")])
@pytest.mark.parametrize(("declared", "order"), [("BIG", ">"), ("LITTLE", "<"), ("", "<"), ("", ">"), ("BIG", "<")])
def test_nersc_variants(declared, order, precision, letter, rows, blanks, read):
    """Both precisions, two and three rows, both byte orders, declared, not declared and declared wrongly."""
    kind = {2: "4D_SU3_GAUGE", 3: "4D_SU3_GAUGE_3x3"}[rows]
    links = LINKS if precision == "64" else SINGLE.links
    data = nersc_file(
        links, floating=f"IEEE{precision}{declared}", number=order + letter, kind=kind, rows=rows, blanks=blanks
    )
    found = read(data)
    np.testing.assert_array_equal(found.links[:, :rows], links[:, :rows])
    np.testing.assert_allclose(found.links, links, atol=1e-14 if precision == "64" else 1e-6)
    assert found.details["byte order"] == {">": "big", "<": "little"}[order]
    assert (found.details["rows"], found.precision) == (str(rows), f"float{precision}")


@pytest.mark.parametrize("byte_order", ["big", "little"])
@pytest.mark.parametrize("rows", [2, 3])
def test_nersc_as_written(rows, byte_order, read):
    for field in (FIELD, SINGLE):
        data = nersc.spell(field.links, precision=field.precision, rows=rows, byte_order=byte_order)
        found = read(data)
        np.testing.assert_array_equal(found.links[:, :rows], field.links[:, :rows])
        assert found.precision == field.precision


def test_nersc_default_is_the_one_that_everybody_reads():
    header = nersc.spell(LINKS, precision="float64").partition(b"END_HEADER\n")[0].decode()
    keys = re.findall(r"^(\w+) = .+$", header, re.MULTILINE)
    for key in (
        *("HDR_VERSION", "DATATYPE", "STORAGE_FORMAT", "LINK_TRACE", "PLAQUETTE", "CHECKSUM", "ENSEMBLE_ID"),
        *("ENSEMBLE_LABEL", "SEQUENCE_NUMBER", "CREATOR", "CREATOR_HARDWARE", "CREATION_DATE", "ARCHIVE_DATE"),
        *("FLOATING_POINT", *(f"{word}_{i}" for word in ("DIMENSION", "BOUNDARY") for i in (1, 2, 3, 4))),
    ):
        assert keys.count(key) == 1
    assert "FLOATING_POINT = IEEE64BIG" in header
    assert "DATATYPE = 4D_SU3_GAUGE_3x3" in header


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"DIMENSION_2": 5}, LengthError),
        ({"DIMENSION_2": 0}, FormatError),
        ({"DIMENSION_2": None}, FormatError),
        ({"DIMENSION_2": "9" * 30}, FormatError),
        ({"DIMENSION_2": 1 << 20, "DIMENSION_3": 1 << 20}, LengthError),
        ({"DATATYPE": "4D_SU3_SPINOR"}, UnsupportedError),
        ({"DATATYPE": "4D_SU3_GAUGE_3x2"}, UnsupportedError),
        ({"DATATYPE": None}, UnsupportedError),
        ({"FLOATING_POINT": "IEEE16"}, UnsupportedError),
        ({"FLOATING_POINT": "IEEE32BIG"}, LengthError),
        ({"CHECKSUM": "0"}, ChecksumError),
        ({"CHECKSUM": "hello"}, UnreadableError),
        ({"PLAQUETTE": "0.5"}, MeasuredError),
        ({"LINK_TRACE": "0.5"}, MeasuredError),
        ({"PLAQUETTE": "nan"}, UnreadableError),
        ({"PLAQUETTE": "1e400"}, MeasuredError),
        ({"PLAQUETTE": "0.1e999"}, MeasuredError),
        ({"LINK_TRACE": "1e-999"}, MeasuredError),
    ],
)
def test_nersc_files_that_lie(changes, refusal, read):
    with pytest.raises(refusal) as caught:
        read(nersc_file(LINKS, **changes))
    assert type(caught.value) is refusal
    if refusal in (ChecksumError, MeasuredError, UnreadableError):
        assert len(read(nersc_file(LINKS, **changes), force=True).failed) == 1


def test_nersc_keys_that_stand_twice_must_agree(read):
    data, line = nersc_file(LINKS), b"DIMENSION_1 = 2\n"
    assert not read(data.replace(line, 2 * line)).failed
    with pytest.raises(FormatError, match="DIMENSION_1: '2' and '4'"):
        read(data.replace(line, line + b"DIMENSION_1 = 4\n"))


def test_a_shape_that_is_said_settles_extents_that_stand_twice(read):
    data, line = nersc_file(LINKS), b"DIMENSION_1 = 2\n"
    two = data.replace(line, b"DIMENSION_1 = 4\n" + line)
    with pytest.raises(DataError):
        read(two, shape=SHAPE)
    found = read(two, shape=SHAPE, force=True)
    np.testing.assert_array_equal(found.links, LINKS)
    assert {check.name for check in found.failed} >= {"DIMENSION_1"}


@pytest.mark.parametrize("word", [b"nan", b"hello", b"1e999", b"0x10"])
def test_text_with_a_word_that_is_no_number_names_its_line(word, read):
    lines = [repr(number).encode() for number in np.frombuffer(payload(LINKS, "<d"), "<f8").tolist()]
    lines[5] = word
    with pytest.raises(FormatError, match=f"line 6: .*{word.decode()}.*; allowed: a finite real number"):
        read(b"\n".join(lines), shape=SHAPE)


def test_nersc_without_checksum_says_so(read):
    assert read(nersc_file(LINKS, CHECKSUM=None)).summary()["checksums"] == {}


def test_added_and_missing_bytes_are_found(read):
    for data in (spell(FIELD, "nersc"), spell(SINGLE, "milc"), spell(FIELD, "openqcd"), ILDG):
        for wrong in (data + b"\0", data[:-1], data[: len(data) // 2]):
            with pytest.raises(DataError):
                read(wrong)


# MILC and openQCD


@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_milc_in_both_byte_orders(byte_order, read):
    found = read(milc.spell(SINGLE.links, byte_order=byte_order))
    np.testing.assert_array_equal(found.links, SINGLE.links)
    assert found.details["byte order"] == byte_order


def test_milc_with_sites_in_another_order_is_refused(read):
    data = bytearray(milc.spell(SINGLE.links))
    data[84] = 1
    with pytest.raises(UnsupportedError, match="order of sites"):
        read(bytes(data))


def test_flipped_words_are_found(read):
    for data, refusal in (
        (spell(SINGLE, "milc"), ChecksumError),
        (spell(SINGLE, "ildg"), ChecksumError),
        (spell(FIELD, "nersc"), ChecksumError),
        (spell(FIELD, "openqcd"), UnitarityError),
    ):
        wrong = bytearray(data)
        place = len(data) - 301
        wrong[place - 4 : place] = wrong[place - 8 : place - 4]
        with pytest.raises((refusal, MeasuredError)):
            read(bytes(wrong))


def test_openqcd_plaquette_runs_to_three(read):
    data = bytearray(openqcd.spell(LINKS))
    assert struct.unpack("<d", data[16:24])[0] == pytest.approx(3 * naive_plaquette(LINKS), rel=1e-12)
    data[16:24] = struct.pack("<d", naive_plaquette(LINKS))
    with pytest.raises(MeasuredError):
        read(bytes(data))


# What formats can and cannot hold


def test_formats_refuse_what_they_cannot_hold():
    flat, odd, two = configuration((4, 4)), configuration((2, 2, 2, 3)), configuration((2, 2, 2, 2), n=2)
    for field, format in (
        *((flat, format) for format in ("ildg", "nersc", "nersc-two-row", "openqcd")),
        (odd, "openqcd"),
        *((two, format) for format in ("nersc-two-row", "openqcd")),
        (FIELD, "milc"),
        (FIELD, "bridge"),
    ):
        with pytest.raises(UnsupportedError):
            spell(field, format)
    for options in ({"precision": "float64"}, {"precision": "float16"}):
        with pytest.raises(UnsupportedError):
            spell(SINGLE, "milc", **options)
    with pytest.raises(UnsupportedError):
        spell(FIELD, "openqcd", precision="float32")


def test_two_rows_of_what_is_not_in_the_group_are_refused():
    with pytest.raises(UnitarityError, match="use nersc"):
        spell(as_configuration(1.001 * LINKS), "nersc-two-row")


def test_su2_and_su4_in_ildg_and_nersc(read):
    for n in (2, 4):
        field = configuration((2, 2, 2, 4), n=n)
        for format in ("ildg", "nersc"):
            np.testing.assert_array_equal(read(spell(field, format)).links, field.links)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("field", [FIELD, SINGLE], ids=["double", "single"])
def test_round_trip_is_exact(field, format, read):
    if format == "milc" and field is FIELD:
        found = read(spell(field, format, precision="float32"))
        np.testing.assert_array_equal(found.links, field.links.astype(np.complex64))
        return
    found = read(spell(field, format))
    rows = 2 if format == "nersc-two-row" else 3
    np.testing.assert_array_equal(found.links[:, :rows], field.links[:, :rows])
    assert found.format == format.removesuffix("-two-row")


def test_links_outside_the_group_are_refused_and_forced_ones_are_marked(read, tmp_path):
    bad = as_configuration(1.001 * LINKS)
    data = spell(bad, "ildg")
    with pytest.raises(UnitarityError, match="defect of the links"):
        read(data)
    forced = read(data, force=True)
    assert [check.name for check in forced.failed] == ["defect"]
    assert b"in spite of failed checks: defect" in spell(forced, "ildg")
    assert b"in spite of failed checks: defect" in spell(forced, "nersc")
    with pytest.raises(UnitarityError):
        read(spell(as_configuration(LINKS * np.nan), "scidac"))


def test_files_are_not_overwritten(tmp_path):
    write_configuration(tmp_path / "a.ildg", FIELD, "ildg")
    before = (tmp_path / "a.ildg").read_bytes()
    with pytest.raises(CannotCreateError):
        write_configuration(tmp_path / "a.ildg", FIELD, "ildg")
    assert [path.name for path in tmp_path.iterdir()] == ["a.ildg"]
    assert (tmp_path / "a.ildg").read_bytes() == before
    assert set(SUFFIXES.values()) == set(FORMATS)


def test_what_is_no_configuration(read, tmp_path):
    for data in (
        b"",
        b"\x89HDF\r\n\x1a\n",
        b"hello",
        b"BEGIN_HEADER\n",
        b"\x45\x67\x89\xab",
        b"\x87N\0\0",
        bytes(3000),
    ):
        with pytest.raises(DataError):
            read(data)
    with pytest.raises(MissingInputError):
        read_configuration(tmp_path / "none")
    with pytest.raises(FormatError, match="not a regular file"):
        read_configuration(tmp_path)


def test_declared_sizes_are_checked_before_anything_is_allocated(read):
    """Gigabytes that a small file declares are never asked for."""
    lies = [
        nersc_file(LINKS, DIMENSION_1=1000, DIMENSION_2=1000),
        struct.pack("<5i64si2I", milc.NUMBER, 500, 500, 500, 500, b"", 0, 0, 0),
        struct.pack("<4id", 500, 500, 500, 500, 1.0) + bytes(576),
        lime.spell([[("ildg-binary-data", b"")]])[:8] + b"\xff" * 8 + bytes(128),
        ILDG.replace(b"<lx>2<", b"<lx>9<"),
    ]
    for data in lies:
        tracemalloc.start()
        with pytest.raises(DataError):
            read(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < len(data) + (8 << 20)
