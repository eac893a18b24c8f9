"""Files as they are met: read, or refused with what was found and passed by force where the layout is known."""

import gzip
import itertools
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from latflow.errors import DataError
from latflow.store.gauge_files import lime, measure, milc, nersc
from latflow.store.gauge_files.configuration import examine
from latflow.store.gauge_files.files import read_configuration, spell, write_configuration
from latflow.store.gauge_files.folders import Reading, import_folder
from latflow.store.gauge_files.layout import Source
from latflow.store.gauge_files.loops import clover, polyakov_loop
from latflow.store.gauge_files.refusals import (
    FlagsError,
    LengthError,
    MeasuredError,
    UnreadableError,
    UnsupportedError,
)
from latflow.store.records import ChecksumError, FormatError
from latflow.study.foreign import open_configurations
from store.gauge_files import test_foreign
from store.gauge_files.fields import configuration, needs_real_files, payload, random_links, real

SHAPE = (4, 4, 4, 4)
SMALL = (2, 2, 2, 4)


@pytest.fixture(scope="module")
def awkward(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("awkward")
    path = os.pathsep.join(sys.path)
    command = [sys.executable, str(real("make_awkward.py")), str(folder)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": path})
    return folder


@needs_real_files
@pytest.mark.parametrize(
    ("name", "colours", "details"),
    [
        ("checksum_0x.ildg", 3, {}),
        ("crlf.nersc", 3, {}),
        ("fortranD.txt", 3, {}),
        ("longcomment.nersc", 3, {}),
        ("lower.nersc", 3, {}),
        ("no_checksum.ildg", 3, {}),
        ("openbc.oqcd", 3, {}),
        ("su2.nersc", 2, {}),
        ("su2.txt", 2, {}),
        ("su2_onerow.nersc", 2, {"rows": "1"}),
        ("tm_right.lime", 3, {}),
        ("tm_wrongplaq.lime", 3, {}),
        ("wrongle.nersc", 3, {"byte order": "big"}),
    ],
)
def test_what_is_read(awkward, name, colours, details):
    found = read_configuration(awkward / name, shape=SHAPE if name.endswith("txt") else None)
    reference = {2: "su2.nersc", 3: "ok.nersc"}[colours]
    assert found.colours == colours
    assert details.items() <= dict(found.details).items()
    if name != "openbc.oqcd":
        np.testing.assert_allclose(found.links, read_configuration(awkward / reference).links, atol=1e-14)


@needs_real_files
@pytest.mark.parametrize(
    ("name", "refusal", "says", "failed"),
    [
        ("csbad.nersc", UnreadableError, "checksum: missing", ["checksum"]),
        ("cslong.nersc", UnreadableError, "'ffffffff{crc}'; allowed: up to 8", ["checksum"]),
        ("cszero.milc", ChecksumError, "zero, as codes write", ["sum29", "sum31"]),
        ("dupdate.nersc", FormatError, "CREATION_DATE: 'unknown' and 'Mon Jan", ["CREATION_DATE"] * 2),
        ("extrabytes.nersc", LengthError, "1 byte after the links", ["length of the file"]),
        ("flags0.ildg", FlagsError, "of 8 records 0 begin and 0 end", ["message flags"]),
        ("missing_quote.ildg", UnreadableError, "line 1, column 194", ["ildg-format"]),
        ("no_field.ildg", UnsupportedError, "field: missing; allowed: su3gauge", ["ildg-format field"]),
        ("no_lastpad.ildg", LengthError, "the links are whole", ["end of the file"]),
        ("nofp.nersc", UnsupportedError, "FLOATING_POINT: missing", ["FLOATING_POINT"]),
        ("plaq3.nersc", MeasuredError, "not divided by 3", ["plaquette"]),
        ("plaq_nan.ildg", UnreadableError, "plaquette: 'nan'; allowed: a number", ["plaquette"]),
        ("plaq_wrong.ildg", MeasuredError, "allowed: 0.5", ["plaquette"]),
        ("plaqnan.nersc", UnreadableError, "PLAQUETTE: 'nan'", ["PLAQUETTE"]),
        ("small.nersc", UnsupportedError, "'IEEE64SMALL'", ["FLOATING_POINT"]),
        ("trailing_zeros.ildg", FormatError, "512 bytes of zero", ["end of the file"]),
        ("xml_garbage_after_nul.ildg", UnreadableError, "16 bytes after its end", ["ildg-format"]),
    ],
)
def test_what_force_passes(awkward, name, refusal, says, failed):
    # the links are random unitary matrices: their last digits, and so their checksum, differ between processors
    crc = re.search(rb"CHECKSUM = (\w+)", (awkward / "ok.nersc").read_bytes())
    assert crc is not None
    with pytest.raises(refusal, match=re.escape(says.replace("{crc}", crc[1].decode()))) as caught:
        read_configuration(awkward / name)
    assert type(caught.value) is refusal
    assert "--force" in str(caught.value)
    found = read_configuration(awkward / name, force=True)
    assert [check.name for check in found.failed] == failed
    reference = read_configuration(awkward / ("ok.milc" if name.endswith("milc") else "ok.nersc"))
    np.testing.assert_array_equal(found.links, reference.links)


@needs_real_files
@pytest.mark.parametrize(
    ("name", "refusal", "says"),
    [
        ("cut.ildg", LengthError, "truncated"),
        ("sp4.nersc", UnsupportedError, "'4D_SP4_GAUGE_4x4'"),
        ("su2_labelled_su3.nersc", LengthError, "its length is that of SU(2): --group SU(2)"),
    ],
)
def test_what_fixes_the_layout_is_fatal(awkward, name, refusal, says):
    for force in (False, True):
        with pytest.raises(refusal, match=re.escape(says)):
            read_configuration(awkward / name, force=force)


@needs_real_files
def test_the_caller_supplies_the_layout(awkward):
    for name, given in (("nofp.nersc", {"precision": "float64"}), ("no_field.ildg", {"colours": 3})):
        found = read_configuration(awkward / name, **given)
        assert not found.failed
        assert len(found.notes) == 1
    labelled = awkward / "su2_labelled_su3.nersc"
    with pytest.raises(FormatError, match=r"has group SU\(3\); allowed: SU\(2\), as the caller says"):
        read_configuration(labelled, colours=2)
    found = read_configuration(labelled, colours=2, force=True)
    np.testing.assert_array_equal(found.links, read_configuration(awkward / "su2.nersc").links)


@needs_real_files
def test_the_record_of_tmlqcd_is_read_and_a_difference_noted(awkward):
    right, wrong = (read_configuration(awkward / f"tm_{word}.lime") for word in ("right", "wrongplaq"))
    assert [check.state for check in right.checks] == ["PASS"] * 5
    (note,) = wrong.notes
    assert (note.state, note.value) == ("NOTE", "0.603483301982")
    assert wrong.provenance.sequence_number == "3798"
    assert "beta = 1.726" in wrong.provenance.information
    told = "plaquette 0.603483301982, trajectory nr 3798, beta 1.726, kappa 0.14, mu 0.001"
    assert wrong.details["xlf-info"] == told


@needs_real_files
def test_open_boundaries_are_called_so(awkward, tmp_path):
    found = read_configuration(awkward / "openbc.oqcd")
    assert found.open_boundary
    assert found.defect < 1e-13
    assert [check.name for check in found.notes] == ["boundary in time"]
    with pytest.raises(UnsupportedError, match="open boundaries"):
        found.reunitarised()
    assert not read_configuration(awkward / "ok.oqcd").open_boundary
    bad = found.links.copy()
    bad[0, ..., 0] = 0
    (tmp_path / "bad").write_bytes(spell(configuration(SMALL), "openqcd"))
    assert measure.defect(bad, open_in_time=True) == 1


@pytest.mark.parametrize("shape", [(2, 2, 2, 4), (2, 3, 4), (2, 4), (2, 2, 2, 2)])
def test_averages_with_open_boundaries_are_over_what_is_there(shape, tmp_path):
    links = random_links(shape, seed=5)
    links[-1, ..., -1] = 0
    found = examine(links, format="made", precision="float64", details={})
    d, time = len(shape), shape[-1]
    there = [(mu, x) for mu in range(d) for x in np.ndindex(*shape) if mu < d - 1 or x[-1] < time - 1]
    traces = [np.trace(links[(mu, slice(None), slice(None), *x)]) / 3 for mu, x in there]
    assert found.link_trace == pytest.approx(np.mean(traces), abs=1e-13)
    loops = {True: [], False: []}
    for (mu, nu), x in itertools.product(itertools.combinations(range(d), 2), np.ndindex(*shape)):
        if nu < d - 1 or x[-1] < time - 1:
            loops[nu == d - 1].append(plaquette(links, mu, nu, x))
    assert found.plaquette_time == pytest.approx(np.mean(loops[True]), abs=1e-13)
    if d > 2:
        assert found.plaquette_space == pytest.approx(np.mean(loops[False]), abs=1e-13)
    # files state averages over all sites
    assert found.stated["plaquette"] == pytest.approx(measure.mean_plaquette(measure.plaquettes(links)), abs=1e-13)
    assert found.stated["link trace"] == pytest.approx(measure.link_trace(links).real, abs=1e-13)
    if d == 4:
        for format in ("nersc", "ildg"):
            write_configuration(tmp_path / format, found, format)
            assert read_configuration(tmp_path / format).plaquette == pytest.approx(found.plaquette, abs=1e-13)


def plaquette(links, mu, nu, x):
    """Re tr P / N by matrices."""
    step = np.eye(len(links), dtype=int)

    def link(direction, place):
        return links[(direction, slice(None), slice(None), *np.mod(place, links.shape[3:]))]

    one = link(mu, x) @ link(nu, x + step[mu])
    return np.trace(one @ (link(nu, x) @ link(mu, x + step[nu])).conj().T).real / links.shape[1]


def test_clovers_with_open_boundaries_are_those_inside():
    links = random_links((2, 2, 2, 5), seed=6)
    cut = links.copy()
    cut[-1, ..., -1] = 0
    energy, charge = clover(cut, open_in_time=True)
    # what is beyond the boundary makes no difference, what is inside does
    other = links.copy()
    other[-1, ..., -1] = random_links((2, 2, 2, 5), seed=7)[-1, ..., -1]
    assert (energy, charge) == pytest.approx(clover(other, open_in_time=True), rel=1e-12)
    assert energy != pytest.approx(clover(links)[0], rel=1e-3)
    unit = np.zeros_like(links) + np.eye(3)[:, :, None, None, None, None]
    unit[-1, ..., -1] = 0
    assert clover(unit, open_in_time=True) == (0, 0)
    assert clover(cut[..., :2], open_in_time=True) == (None, None)


# What the script does not write


def test_records_that_are_not_read_are_named(tmp_path):
    (tmp_path / "plain").write_bytes(spell(configuration(SMALL), "ildg"))
    with Source(tmp_path / "plain") as source:
        kept = [(record.type, source.read(record.offset, record.length)) for record in lime.scan(source)]
    (tmp_path / "more").write_bytes(lime.spell([kept[:2], [*kept[2:], ("gradient-flow-info", b"t0")]]))
    assert read_configuration(tmp_path / "more").details["records not read"] == "gradient-flow-info"
    assert "records not read" not in read_configuration(tmp_path / "plain").details


def test_the_datatype_of_another_code(tmp_path):
    data = spell(configuration(SMALL), "ildg").replace(b"QDP_D3_ColorMatrix", b"LatticeColourMtrx3")
    (tmp_path / "other").write_bytes(data)
    with pytest.raises(UnsupportedError, match="'LatticeColourMtrx3'; allowed: QDP_D3_ColorMatrix"):
        read_configuration(tmp_path / "other")
    (failed,) = read_configuration(tmp_path / "other", force=True).failed
    assert failed.state == "UNSUPPORTED"


def test_one_configuration_of_several(tmp_path):
    fields = [configuration(SMALL, seed=seed) for seed in range(3)]
    (tmp_path / "all").write_bytes(b"".join(spell(field, "ildg") for field in fields))
    with pytest.raises(UnsupportedError, match=r"holds 3 configurations; .*--which 0 to 2"):
        read_configuration(tmp_path / "all")
    for which, field in enumerate(fields):
        found = read_configuration(tmp_path / "all", which=which)
        np.testing.assert_array_equal(found.links, field.links)
        assert len(found.checks) == 6
    with pytest.raises(UnsupportedError, match="0 to 2"):
        read_configuration(tmp_path / "all", which=3)
    (tmp_path / "nersc").write_bytes(spell(fields[0], "nersc"))
    with pytest.raises(UnsupportedError, match="a file of this format holds one"):
        read_configuration(tmp_path / "nersc", which=1)


def test_one_configuration_of_every_file_of_a_folder(tmp_path):
    fields = [configuration(SMALL, seed=seed) for seed in range(4)]
    (tmp_path / "files").mkdir()
    for number in (0, 1):
        both = fields[2 * number : 2 * number + 2]
        (tmp_path / "files" / f"cfg.{number}").write_bytes(b"".join(spell(field, "ildg") for field in both))
    with pytest.raises(UnsupportedError, match="holds 2 configurations"):
        import_folder(tmp_path / "files", tmp_path / "none")
    import_folder(tmp_path / "files", tmp_path / "ensemble", Reading(which=1))
    found = open_configurations(tmp_path / "ensemble")
    assert [len(found), len(open_configurations(tmp_path / "files", which=1))] == [2, 2]
    for made, field in zip(found, fields[1::2], strict=True):
        np.testing.assert_array_equal(made.links, field.links)


@pytest.mark.parametrize("format", ["ildg", "nersc", "openqcd"])
def test_packed_by_gzip(format, tmp_path):
    field = configuration(SMALL)
    packed = gzip.compress(spell(field, format))
    (tmp_path / "cfg.gz").write_bytes(packed)
    found = read_configuration(tmp_path / "cfg.gz")
    np.testing.assert_array_equal(found.links, field.links)
    assert found.details["packed by"] == "gzip"
    for damaged in (packed[:-9], packed[:200] + bytes([packed[200] ^ 1]) + packed[201:], packed[:1500] + b"x" * 50):
        (tmp_path / "bad.gz").write_bytes(damaged)
        with pytest.raises(DataError):
            read_configuration(tmp_path / "bad.gz")


def test_gzip_that_grows_without_end_is_refused(tmp_path):
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(8 << 20)))
    with pytest.raises(UnsupportedError, match="gzip unpacks to more"):
        read_configuration(tmp_path / "bomb.gz")


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_old_binary_of_milc(order, tmp_path):
    field = configuration(SMALL, precision="float32")
    head = struct.pack(f"{order}5i2f", milc.OLD_NUMBER, *SMALL, 5.5, 0.1)
    (tmp_path / "old").write_bytes(head + payload(field.links, f"{order}f"))
    found = read_configuration(tmp_path / "old")
    np.testing.assert_array_equal(found.links, field.links)
    assert (found.details["version"], found.details["numbers of the action"]) == ("1 to 4", "5.5, 0.1")
    (tmp_path / "old").write_bytes(head + payload(field.links, f"{order}f")[:-4])
    with pytest.raises(LengthError):
        read_configuration(tmp_path / "old")


def test_one_row_of_two_colours(tmp_path):
    field = configuration(SMALL, n=2)
    head, data = nersc.spell(field.links, precision="float64").split(b"END_HEADER\n", 1)
    rows = np.frombuffer(data, ">c16").reshape(-1, 2, 2)[:, 0].tobytes()
    total = int(np.frombuffer(rows, ">u4").sum(dtype=np.uint64)) % 2**32
    head = re.sub(rb"CHECKSUM = .*", b"CHECKSUM = %08x" % total, head.replace(b"4D_SU2_GAUGE_2x2", b"4D_SU2_GAUGE"))
    (tmp_path / "row").write_bytes(head + b"END_HEADER\n" + rows)
    found = read_configuration(tmp_path / "row")
    np.testing.assert_allclose(found.links, field.links, atol=1e-15)
    assert len(found.checks) == 4


def test_text_of_four_colours_is_known_by_its_size(tmp_path):
    links = random_links(SMALL, n=4)
    flat = np.ascontiguousarray(links.transpose(6, 5, 4, 3, 0, 1, 2)).ravel().view(float)
    (tmp_path / "text").write_text("\n".join(map(repr, flat.tolist())))
    found = read_configuration(tmp_path / "text", shape=SMALL)
    assert found.summary()["group"] == "SU(4)"
    np.testing.assert_array_equal(found.links, links)
    with pytest.raises(LengthError, match=r"of SU\(3\) for 2x2x2x4"):
        read_configuration(tmp_path / "text", shape=SMALL, colours=3)


def test_loops_of_the_unit_field():
    unit = np.zeros((4, 3, 3, 2, 2, 2, 4), complex)
    unit[:, range(3), range(3)] = 1
    assert polyakov_loop(unit) == 1
    assert clover(unit) == (0, 0)
    assert clover(random_links((4, 4), n=2))[1] is None


@needs_real_files
def test_loops_of_a_real_file():
    links = read_configuration(real("testconf.txt"), shape=SHAPE).links
    assert polyakov_loop(links) * 3 == pytest.approx(0.5255246068616176 - 0.15140850971249734j, rel=1e-12)
    assert clover(links)[1] == pytest.approx(-0.027164585971545994, rel=1e-9)


def test_clover_against_another_code():
    """E from the leaves that test_foreign compares with published charges."""
    links = random_links(SMALL)
    total = 0.0
    for mu, nu in itertools.combinations(range(4), 2):
        leaves = test_foreign.clover(links, mu, nu)
        field = (leaves - np.swapaxes(leaves, 0, 1).conj()) / 2j
        field = field - np.einsum("aa...->...", field) / 3 * np.eye(3).reshape(3, 3, 1, 1, 1, 1)
        total += np.einsum("ab...,ba...->...", field, field).real.mean()
    assert clover(links)[0] == pytest.approx(total, rel=1e-12)
    assert clover(links)[1] == pytest.approx(test_foreign.charge(links, test_foreign.clover, traceless=True), rel=1e-9)
