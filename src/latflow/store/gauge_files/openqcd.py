"""openQCD's exported configurations: little-endian, SU(3) in double precision, the eight links around every odd point.

Header: int32 T, X, Y, Z, then the average of Re tr P, from 0 to 3. Points are those with odd coordinate sum, t
    slowest and z fastest (not x, as in the other formats); links +0, −0, +1, … with time first, −μ being the one that
    ends in the point.
"""

import itertools
import struct
from collections.abc import Iterator

import numpy as np

from latflow.store.gauge_files.checks import declared
from latflow.store.gauge_files.configuration import Configuration, examine
from latflow.store.gauge_files.layout import Source, payload_bytes, require_group
from latflow.store.gauge_files.measure import Links, mean_plaquette, plaquettes
from latflow.store.gauge_files.refusals import UnsupportedError
from latflow.store.records import FormatError

_HEADER = struct.Struct("<4id")
_STORED = np.dtype("<c16")
_DIRECTIONS = (3, 0, 1, 2)  # ours, in their order: time, x, y, z
_LARGEST = 1 << 15
_TOLERANCE = 1e-12  # of the sum over plaquettes in another order


def recognises(head: bytes, size: int) -> bool:
    """Whether the first bytes of a file of this size are such a header: nothing else marks it."""
    if len(head) < _HEADER.size:
        return False
    t, x, y, z, _ = _HEADER.unpack(head[: _HEADER.size])
    plausible = all(1 <= extent <= _LARGEST for extent in (t, x, y, z))
    return plausible and _HEADER.size + payload_bytes((x, y, z, t), 3, "float64") == size


def read(source: Source) -> Configuration:
    """Read an exported configuration.

    Raises:
        DataError: Not one, or with sizes that contradict the file's length.
    """
    t, x, y, z, plaquette = _HEADER.unpack(source.read(0, _HEADER.size))
    shape = (x, y, z, t)
    if not all(1 <= extent <= _LARGEST for extent in shape):
        raise FormatError(f"{source.path}: not an openQCD file", value=f"extents {t}, {x}, {y}, {z}")
    _require_even(shape, what=str(source.path))
    source.require_size(_HEADER.size + payload_bytes(shape, 3, "float64"))
    links = np.empty((4, 3, 3, *shape), np.complex128)
    place = _HEADER.size
    for sites in _odd_points(shape):
        stored = source.read(place, 8 * 9 * 16 * len(sites[1]))
        place += len(stored)
        matrices = np.frombuffer(stored, _STORED).reshape(-1, 8, 3, 3).transpose(1, 2, 3, 0)
        for k, (mu, end) in enumerate(_eight(sites, shape)):
            links[mu][:, :, end[0], end[1], end[2], end[3]] = matrices[k]
    return examine(
        links,
        format="openqcd",
        precision="float64",
        details={"byte order": "little"},
        declarations=[declared("plaquette", stored=plaquette / 3, tolerance=_TOLERANCE)],
    )


def spell(links: Links) -> bytes:
    """The bytes of an exported configuration; single precision is stored exactly, in double.

    Raises:
        UnsupportedError: Not SU(3) in four dimensions of even extent.
    """
    require_group(links, format="openqcd")
    shape = links.shape[3:]
    _require_even(shape, what="format openqcd")
    x, y, z, t = shape
    average = 3 * mean_plaquette(plaquettes(links))
    pieces = [_HEADER.pack(t, x, y, z, average)]
    for sites in _odd_points(shape):
        matrices = [links[mu][:, :, e[0], e[1], e[2], e[3]] for mu, e in _eight(sites, shape)]
        pieces.append(np.stack(matrices).transpose(3, 0, 1, 2).astype(_STORED).tobytes())
    return b"".join(pieces)


def _require_even(shape: tuple[int, ...], *, what: str) -> None:
    if any(extent % 2 for extent in shape):
        hint = "only on even lattices does every link touch one odd point"
        raise UnsupportedError(what, value=f"lattice {'x'.join(map(str, shape))}", allowed="even extents", hint=hint)


def _odd_points(shape: tuple[int, ...]) -> Iterator[tuple[np.ndarray, ...]]:
    """Coordinates x, y, z, t of the odd points in their order, for one t and x at a time."""
    nx, ny, nz, nt = shape
    for t, x in itertools.product(range(nt), range(nx)):
        y, z = np.nonzero((np.arange(ny)[:, None] + np.arange(nz) + t + x) % 2)
        yield np.full_like(y, x), y, z, np.full_like(y, t)


def _eight(sites: tuple[np.ndarray, ...], shape: tuple[int, ...]) -> Iterator[tuple[int, tuple[np.ndarray, ...]]]:
    """Direction and starting point of the links around points, in the order of the file."""
    for mu in _DIRECTIONS:
        yield mu, sites
        behind = (sites[mu] - 1) % shape[mu]
        yield mu, (*sites[:mu], behind, *sites[mu + 1 :])
