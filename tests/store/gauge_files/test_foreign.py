"""Files written by other codes give exactly the values that those codes give."""

import itertools

import numpy as np
import pytest

from latflow.store.gauge_files import measure
from latflow.store.gauge_files.files import FORMATS, read_configuration, spell, write_configuration
from latflow.store.gauge_files.refusals import ShapeUnknownError
from store.gauge_files.fields import naive_plaquette, needs_real_files, real

pytestmark = needs_real_files

SHAPES = {"testconf.txt": (4, 4, 4, 4)}
NAMES = (
    "nersc.l8t4b3360",
    "ildg.l8t4b3360",
    "t_nersc.cfg",
    "lat.sample.l4444",
    "lat.sample.l4444.ildg",
    "lat.sample.l4444.scidac",
    "testconf.txt",
)


def load(name):
    return read_configuration(real(name), shape=SHAPES.get(name))


def sums(found):
    return found.summary()["checksums"]


def test_nersc_double():
    found = load("nersc.l8t4b3360")
    assert (found.format, found.shape, found.colours, found.precision) == ("nersc", (8, 8, 8, 4), 3, "float64")
    assert f"{found.plaquette:.10f}" == "0.5038664469"
    assert f"{found.link_trace.real:.12f}" == "0.005406083858"
    assert sums(found) == {"checksum": "b379560a"}
    assert found.details["byte order"] == "big"
    assert found.defect < 1e-14


def test_ildg_double_holds_the_same_field():
    found = load("ildg.l8t4b3360")
    assert (found.format, found.shape, found.precision) == ("ildg", (8, 8, 8, 4), "float64")
    assert sums(found) == {"suma": "10d0ea1a", "sumb": "a6a1b3b8"}
    assert np.abs(found.links - load("nersc.l8t4b3360").links).max() < 6.1e-16


def test_nersc_single_two_rows():
    found = load("t_nersc.cfg")
    assert (found.shape, found.precision, found.details["rows"]) == ((4, 4, 4, 4), "float32", "2")
    assert f"{found.plaquette:.10f}" == "0.0382422893"
    # The header's last digits are those of sums in single precision.
    assert found.link_trace.real == pytest.approx(0.4630322094, abs=5e-10)
    assert sums(found) == {"checksum": "717938df"}
    assert 1e-7 < found.defect < 1e-6


def test_milc_single():
    found = load("lat.sample.l4444")
    assert (found.format, found.shape, found.details["byte order"]) == ("milc", (4, 4, 4, 4), "little")
    # MILC's plaquettes are Re tr P, from 0 to 3.
    assert 3 * found.plaquette_space == pytest.approx(1.7946751560761729, rel=1e-14)
    assert 3 * found.plaquette_time == pytest.approx(1.7744257976067317, rel=1e-14)
    assert found.link_trace.real == pytest.approx(0.64675873741896, rel=1e-13)
    assert sums(found) == {"sum29": "02352c05", "sum31": "d137321d"}
    assert found.provenance.created == "Thu Feb 12 13:40:21 1998"


@pytest.mark.parametrize("ending", ["ildg", "scidac"])
def test_scidac_holds_the_same_field(ending):
    found = load(f"lat.sample.l4444.{ending}")
    assert (found.format, found.precision) == (ending, "float32")
    assert sums(found) == {"suma": "37affb9c", "sumb": "2fc07bbf"}
    np.testing.assert_array_equal(found.links, load("lat.sample.l4444").links)


def test_bridge_text():
    found = load("testconf.txt")
    assert found.plaquette == pytest.approx(0.587818337847024, rel=1e-14)
    line = np.eye(3).reshape(3, 3, 1, 1, 1)
    for t in range(4):
        line = np.einsum("abxyz,bcxyz->acxyz", line, found.links[3, ..., t])
    polyakov = np.einsum("aaxyz->xyz", line).mean()
    assert polyakov == pytest.approx(0.5255246068616176 - 0.15140850971249734j, rel=1e-12)
    with pytest.raises(ShapeUnknownError, match="--shape X Y Z T"):
        read_configuration(real("testconf.txt"))


def leaf(links, mu, nu):
    """Plaquettes with their lower corner at x."""
    times, ahead = "ab...,bc...->ac...", lambda u, k: np.roll(u, -1, axis=2 + k)
    up = np.einsum(times, links[mu], ahead(links[nu], mu))
    down = np.einsum(times, links[nu], ahead(links[mu], nu))
    return np.einsum("ab...,cb...->ac...", up, down.conj())


def clover(links, mu, nu):
    """Average of the four plaquettes around x, all with the same orientation."""
    times = "ab...,bc...->ac..."
    dagger = lambda u: np.swapaxes(u, 0, 1).conj()  # noqa: E731
    back = lambda u, k: np.roll(u, 1, axis=2 + k)  # noqa: E731
    chain = lambda *us: us[0] if len(us) == 1 else np.einsum(times, us[0], chain(*us[1:]))  # noqa: E731
    plain = leaf(links, mu, nu)
    u, v = links[mu], links[nu]
    left = back(chain(dagger(u), plain, u), mu)  # starts at x, goes to nu first
    below = back(chain(dagger(v), plain, v), nu)
    corner = back(chain(dagger(v), back(chain(dagger(u), plain, u), mu), v), nu)
    return (plain + left + below + corner) / 4


def charge(links, loops, *, traceless):
    """(1/32π²) Σ ε_μνρσ tr F_μν F_ρσ."""
    field = {}
    for mu, nu in itertools.combinations(range(4), 2):
        c = loops(links, mu, nu)
        f = (c - np.swapaxes(c, 0, 1).conj()) / 2j
        if traceless:
            f = f - np.einsum("aa...->...", f) / 3 * np.eye(3).reshape(3, 3, 1, 1, 1, 1)
        field[mu, nu] = f
    dot = lambda a, b: np.einsum("ab...,ba...->...", field[a], field[b]).real.sum()  # noqa: E731
    return 8 / (32 * np.pi**2) * (dot((0, 1), (2, 3)) - dot((0, 2), (1, 3)) + dot((0, 3), (1, 2)))


def test_topological_charge_of_the_text_file_needs_a_traceless_field():
    links = load("testconf.txt").links
    assert charge(links, leaf, traceless=True) == pytest.approx(-0.2730960126400261, rel=1e-9)
    assert charge(links, clover, traceless=True) == pytest.approx(-0.027164585971545994, rel=1e-9)
    assert charge(links, leaf, traceless=False) != pytest.approx(-0.2730960126400261, rel=1e-3)


def test_plaquette_by_loops_over_sites():
    found = load("lat.sample.l4444")
    assert found.plaquette == pytest.approx(naive_plaquette(found.links.astype(np.complex128)), rel=1e-13)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", NAMES)
def test_converted_and_back(name, format, tmp_path):
    """Into every format and back: the same links bit for bit, unless the format has fewer digits or rows."""
    found = load(name)
    if format == "milc" and found.precision == "float64":
        rounded = np.complex64
        write_configuration(tmp_path / "there", found, format, precision="float32")
    else:
        rounded = found.links.dtype
        write_configuration(tmp_path / "there", found, format)
    there = read_configuration(tmp_path / "there")
    rows = slice(0, 2 if format == "nersc-two-row" else 3)
    # A restored third row of a two-row file in single precision is rounded when all three are written.
    expected = found.links[:, rows].astype(rounded if there.precision == "float64" else np.complex64)
    np.testing.assert_array_equal(there.links[:, rows], expected)
    (tmp_path / "back").write_bytes(spell(there, "ildg"))
    np.testing.assert_array_equal(read_configuration(tmp_path / "back").links[:, :2], expected[:, :2])


def test_projection_of_single_precision():
    found = load("lat.sample.l4444")
    projected = found.reunitarised()
    assert projected.defect < 1e-14 < found.defect
    assert np.abs(projected.links - found.links).max() < 1e-6
    assert found.links.dtype == np.complex64
    assert measure.defect(found.links) == found.defect
