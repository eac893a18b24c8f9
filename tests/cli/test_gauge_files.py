"""The commands for gauge configurations of other codes, from arguments to what is printed and written."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from latflow.cli import main
from latflow.store.ensemble import Ensemble
from latflow.store.gauge_files.files import FORMATS, read_configuration, write_configuration
from latflow.store.gauge_files.loops import clover, polyakov_loop
from latflow.store.gauge_files.provenance import Provenance
from store.gauge_files.fields import configuration, needs_real_files, real

FIELD = configuration((2, 2, 4, 2))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_configuration(tmp_path / "a.ildg", FIELD, "ildg")
    damaged = bytearray((tmp_path / "a.ildg").read_bytes())
    damaged[-402] ^= 1  # the last bits of a number
    (tmp_path / "damaged").write_bytes(damaged)
    return tmp_path


def run(capsys, *argv):
    exit_code = main(argv)
    out, err = capsys.readouterr()
    return exit_code, out, err


def test_inspect_as_json(capsys):
    exit_code, out, _ = run(capsys, "inspect", "a.ildg", "--json")
    facts = json.loads(out)
    assert exit_code == 0
    expected = {"format": "ildg", "shape": [2, 2, 4, 2], "group": "SU(3)", "precision": "float64", "forced": []}
    assert {name: facts[name] for name in expected} == expected
    assert facts["plaquette"] == pytest.approx(FIELD.plaquette, rel=1e-14)
    assert facts["link_trace"] == pytest.approx(FIELD.link_trace.real, rel=1e-14)
    assert set(facts["checksums"]) == {"suma", "sumb"}
    assert facts["defect"] < 1e-14


def test_inspect_in_words(capsys):
    exit_code, out, _ = run(capsys, "inspect", "a.ildg")
    assert exit_code == 0
    assert "SU(3)" in out
    assert f"{FIELD.plaquette:.12g}" in out


def test_planes_that_do_not_exist_have_no_plaquette(capsys, folder):
    for shape, absent in (((4, 6), 1), ((5,), 3)):
        path = folder / f"{len(shape)}.scidac"
        write_configuration(path, configuration(shape, n=2), "scidac")
        assert b"nan" not in path.read_bytes()[:2000]
        facts = json.loads(run(capsys, "inspect", path.name, "--json")[1])
        values = [facts[name] for name in ("plaquette_space", "plaquette", "plaquette_time")]
        assert [value is None for value in values] == [True] * absent + [False] * (3 - absent)
        words = run(capsys, "inspect", path.name)[1]
        assert "nan" not in words
        assert words.count("  with time") == (len(shape) > 1)
        assert "of space" not in words


def test_damage_is_refused_and_forcing_is_said(capsys, folder):
    assert run(capsys, "inspect", "damaged")[0] == 65
    exit_code, out, _ = run(capsys, "inspect", "damaged", "--force")
    assert exit_code == 0
    assert out.startswith("FORCED: damaged: suma is ")
    assert json.loads(run(capsys, "inspect", "damaged", "--force", "--json")[1])["forced"] == ["suma", "sumb"]
    assert run(capsys, "convert", "damaged", "b.nersc")[0] == 65
    assert not (folder / "b.nersc").exists()
    exit_code, out, _ = run(capsys, "convert", "damaged", "b.nersc", "--force")
    assert exit_code == 0
    assert "FORCED: damaged: suma" in out
    assert b"in spite of failed checks: suma, sumb" in (folder / "b.nersc").read_bytes()


def test_verify_a_file(capsys):
    exit_code, out, err = run(capsys, "verify", "a.ildg")
    assert (exit_code, err) == (0, "")
    assert out.count("PASS") == 6
    # the digits that decide stand on both sides
    value, stored = re.search(r"plaquette +([-0-9.e]+) +([-0-9.e]+) ± 1e-08", out).groups()
    assert abs(float(value) - float(stored)) <= 1e-8
    assert min(len(value), len(stored)) >= 10
    exit_code, out, err = run(capsys, "verify", "damaged", "--json")
    assert exit_code == 65
    assert "2 of 6 checks failed: suma; sumb" in err
    verdicts = {check["name"]: check["passed"] for check in json.loads(out)["checks"]}
    assert verdicts == {
        "message flags": True,
        "suma": False,
        "sumb": False,
        "plaquette": True,
        "link trace": True,
        "defect": True,
    }


@pytest.mark.parametrize("format", FORMATS)
def test_convert_by_ending(format, capsys, folder):
    options = ("--precision", "float32") if format == "milc" else ()
    exit_code, out, err = run(capsys, "convert", "a.ildg", f"b.{format}", *options)
    assert (exit_code, err) == (0, "")
    assert ("rounded to float32, by at most 4e-08, equal" in out) == (format == "milc")
    assert ("the 2 stored rows of every link equal bit for bit; row 3, rebuilt" in out) == (format == "nersc-two-row")
    assert ("read back, all links equal bit for bit\n" in out) == (format not in ("milc", "nersc-two-row"))
    found = read_configuration(folder / f"b.{format}")
    assert found.format == format.removesuffix("-two-row")
    np.testing.assert_allclose(found.links, FIELD.links, atol=1e-7)


def test_what_reading_back_compared(capsys, folder):
    """Rows that are rebuilt are equal only up to rounding, which is said with its size."""
    out = run(capsys, "convert", "a.ildg", "b.nersc-two-row", "--json")[1]
    facts = json.loads(out)["compared"]
    there = read_configuration(folder / "b.nersc-two-row").links
    assert facts == {"equal": True, "rows": 2, "rounding": 0.0, "rebuilt": np.abs(there - FIELD.links).max()}
    assert 0 < facts["rebuilt"] < 1e-14
    np.testing.assert_array_equal(there[:, :2], FIELD.links[:, :2])
    facts = json.loads(run(capsys, "convert", "a.ildg", "c.ildg", "--precision", "float32", "--json")[1])["compared"]
    assert facts["rounding"] == np.abs(read_configuration(folder / "c.ildg").links - FIELD.links).max() > 1e-9


def test_what_the_target_has_no_room_for_is_said(capsys, folder):
    told = replace(FIELD, provenance=Provenance(lfn="lfn://x", creator="me"))
    write_configuration(folder / "cfg.8", told, "ildg")
    out = run(capsys, "convert", "cfg.8", "b.nersc")[1]
    assert out.endswith("left out, nersc has no room for it: lfn\n")
    assert b"SEQUENCE_NUMBER = 8\nCREATOR = me\n" in (folder / "b.nersc").read_bytes()
    assert json.loads(run(capsys, "convert", "cfg.8", "b.openqcd", "--json")[1])["left_out"] == ["lfn", "creator"]
    assert "left out" not in run(capsys, "convert", "cfg.8", "b.scidac")[1]
    words = run(capsys, "inspect", "b.scidac")[1]
    assert "lfn://x" in words
    assert json.loads(run(capsys, "inspect", "b.scidac", "--json")[1])["provenance"] == {
        "lfn": "lfn://x",
        "sequence_number": "8",
        "creator": "me",
    }


def test_convert_projects_when_asked(capsys, folder):
    assert run(capsys, "convert", "a.ildg", "s.milc", "--precision", "float32")[0] == 0
    assert run(capsys, "convert", "s.milc", "plain.openqcd")[0] == 0
    exit_code, out, _ = run(capsys, "convert", "s.milc", "p.openqcd", "--reunitarise", "--json")
    facts = json.loads(out)
    assert (exit_code, facts["reunitarised"]) == (0, True)
    assert facts["target"]["defect"] < 1e-14 < facts["source"]["defect"]
    assert read_configuration(folder / "plain.openqcd").defect == facts["source"]["defect"]


def test_ensemble_to_folder_and_back(capsys, folder):
    fields = np.stack([configuration((2, 2, 4, 2), seed=seed).links for seed in range(3)])
    made = Ensemble.create(folder / "ours", {"kind": "ensemble", "identity": {}})
    made.append({"fields": fields}, n=3, attributes={})
    exit_code, out, _ = run(capsys, "convert", "ours", "files", "--format", "nersc")
    assert (exit_code, out) == (0, "3 configurations: ours -> files\n")
    exit_code, out, _ = run(capsys, "convert", "files", "more", "--format", "openqcd", "--json")
    assert exit_code == 0
    assert json.loads(out) == {
        "configurations": 3,
        "left_out": ["ensemble_id", "creator"],
        "forced": {},
        "passed_over": [],
        "replicas": {},
    }
    assert run(capsys, "convert", "more", "again")[0] == 0
    np.testing.assert_array_equal(Ensemble.open(folder / "again").column("fields"), fields)
    assert run(capsys, "verify", "again")[0] == 0
    for argv, exit_code in (
        (("convert", "ours", "x"), 64),
        (("convert", "files", "a.ildg"), 73),
        (("convert", "a.ildg", "files"), 73),
        (("convert", "files", "x", "--reunitarise"), 64),
        (("convert", "files", "x", "--which", "1"), 65),
        (("convert", "ours", "x", "--format", "ildg", "--which", "0"), 64),
        (("convert", "files", "x.d", "--format", "ildg", "--shape", "2", "2", "2", "2"), 65),
    ):
        assert run(capsys, *argv)[0] == exit_code


def test_forced_folders_say_so(capsys, folder):
    (folder / "files").mkdir()
    (folder / "damaged").rename(folder / "files" / "cfg.8")
    for argv in (("files", "nersc", "--format", "nersc"), ("files", "ours"), ("ours", "ildg", "--format", "ildg")):
        assert run(capsys, "convert", *argv)[0] == 65
        exit_code, out, _ = run(capsys, "convert", *argv, "--force")
        assert exit_code == 0
        assert out.startswith("FORCED: cfg.8")
        assert ": fails suma, sumb\n1 configurations" in out


def test_no_command_on_files_waits_for_jax(folder):
    code = (
        "import sys; from latflow.cli import main;"
        "codes = [main(argv.split()) for argv in ('inspect a.ildg', 'verify a.ildg', 'convert a.ildg b.nersc')];"
        "assert not {'jax', 'h5py', 'scipy'} & set(sys.modules), sorted(sys.modules); sys.exit(max(codes))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)


@needs_real_files
def test_round_trip_of_real_files(capsys, folder):
    for name in ("nersc.l8t4b3360", "t_nersc.cfg", "lat.sample.l4444"):
        assert run(capsys, "convert", str(real(name)), f"{name}.ildg")[0] == 0
        assert run(capsys, "verify", f"{name}.ildg")[0] == 0
        assert run(capsys, "convert", f"{name}.ildg", f"{name}.nersc")[0] == 0
        there = read_configuration(folder / f"{name}.nersc").links
        np.testing.assert_array_equal(there[:, :2], read_configuration(real(name)).links[:, :2])


def test_inspect_shows_loops_energy_and_charge(capsys):
    field = read_configuration("a.ildg")
    energy, charge = clover(field.links)
    line = polyakov_loop(field.links)
    _, out, _ = run(capsys, "inspect", "a.ildg")
    assert f"E, clover, no flow  {energy:.12g}" in out
    assert f"Q, clover, no flow  {charge:.12g}" in out
    assert f"Polyakov loop       {line.real:.12g}" in out
    found = json.loads(run(capsys, "inspect", "a.ildg", "--json")[1])
    assert (found["clover_energy"], found["clover_charge"]) == (energy, charge)
    assert found["polyakov_loop"] == [line.real, line.imag]


def test_what_the_file_does_not_say_is_said_by_options(capsys, folder):
    data = (folder / "a.ildg").read_bytes()
    (folder / "bad").write_bytes(data.replace(b"<field>su3gauge</field>", b"<field>unknown</field> "))
    exit_code, _, err = run(capsys, "inspect", "bad")
    assert exit_code == 65
    assert "ildg-format field: 'unknown'; allowed: su3gauge" in err
    exit_code, out, _ = run(capsys, "inspect", "bad", "--group", "SU(3)")
    assert exit_code == 0
    assert out.startswith("NOTE: bad: ildg-format field is 'unknown', expected as --group says")
    assert run(capsys, "inspect", "bad", "--group", "U(1)")[0] == 64
    exit_code, out, _ = run(capsys, "verify", "bad")
    assert exit_code == 65
    assert re.search(r"UNSUPPORTED +ildg-format field +'unknown'", out)
    assert run(capsys, "convert", "bad", "good.nersc", "--group", "SU(3)")[0] == 0
