"""Gauge fields for the tests, a plaquette by loops, the file of a field by loops, and the folder of real files."""

import itertools
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from latflow.store.gauge_files import measure
from latflow.store.gauge_files.configuration import Configuration, examine

ROOT = Path(__file__).parents[3]
REAL = next(
    (
        folder
        for folder in (Path(os.environ.get("LATFLOW_FOREIGN_DATA", "/nowhere")), ROOT.parent / "shared" / "data")
        if (folder / "nersc.l8t4b3360").exists()
    ),
    None,
)
needs_real_files = pytest.mark.skipif(
    REAL is None, reason="the files of other codes are not here: neither ../shared/data nor LATFLOW_FOREIGN_DATA"
)


def real(name):
    return (REAL or ROOT) / name


def random_links(shape, *, n=3, seed=0):
    """Random links of SU(n) in double precision."""
    rng = np.random.default_rng(seed)
    size = (len(shape), n, n, *shape)
    return measure.reunitarised(rng.normal(size=size) + 1j * rng.normal(size=size))


def configuration(shape=(2, 4, 6, 2), *, n=3, precision="float64", seed=0):
    dtype = {"float32": np.complex64, "float64": np.complex128}[precision]
    return as_configuration(random_links(shape, n=n, seed=seed).astype(dtype))


def as_configuration(links) -> Configuration:
    precision = "float32" if links.dtype == np.complex64 else "float64"
    return examine(links, format="test", precision=precision, details={})


def naive_plaquette(links):
    """Average of Re tr P / N, site by site and plane by plane."""
    d, n = links.shape[:2]
    shape = links.shape[3:]
    total, count = 0.0, 0
    for x in itertools.product(*map(range, shape)):
        for mu, nu in itertools.combinations(range(d), 2):
            steps = [tuple((c + (k == e)) % s for k, (c, s) in enumerate(zip(x, shape, strict=True))) for e in (mu, nu)]
            corner = [
                links[(mu, ..., *x)],
                links[(nu, ..., *steps[0])],
                links[(mu, ..., *steps[1])],
                links[(nu, ..., *x)],
            ]
            loop = corner[0] @ corner[1] @ corner[2].conj().T @ corner[3].conj().T
            total, count = total + loop.trace().real / n, count + 1
    return total / count


def payload(links, number, *, rows=3):
    """The common order by loops: t, z, y, x, direction, row, column, re, im."""
    nx, ny, nz, nt = links.shape[3:]
    numbers = [
        part
        for t, z, y, x in itertools.product(range(nt), range(nz), range(ny), range(nx))
        for mu, a, b in itertools.product(range(4), range(rows), range(3))
        for part in (links[mu, a, b, x, y, z, t].real, links[mu, a, b, x, y, z, t].imag)
    ]
    return struct.pack(f"{number[0]}{len(numbers)}{number[1]}", *numbers)


def openqcd_file(links):
    """The layout that the sources of openQCD describe, by loops: point (t, x, y, z) with z running fastest."""
    nx, ny, nz, nt = links.shape[3:]
    data = struct.pack("<4id", nt, nx, ny, nz, 3 * naive_plaquette(links))
    for t, x, y, z in itertools.product(range(nt), range(nx), range(ny), range(nz)):
        if (t + x + y + z) % 2:
            around = [
                links[3, :, :, x, y, z, t], links[3, :, :, x, y, z, t - 1],
                links[0, :, :, x, y, z, t], links[0, :, :, x - 1, y, z, t],
                links[1, :, :, x, y, z, t], links[1, :, :, x, y - 1, z, t],
                links[2, :, :, x, y, z, t], links[2, :, :, x, y, z - 1, t],
            ]  # fmt: skip
            data += b"".join(matrix.astype("<c16").tobytes() for matrix in around)
    return data


def nersc_file(links, *, floating="IEEE64BIG", number=">d", kind="4D_SU3_GAUGE_3x3", rows=3, blanks=False, **changes):
    """An archive written by loops; `changes` replace keys, None leaves one out."""
    data = payload(links, number, rows=rows)
    word = f"{number[0]}{len(data) // 4}I"
    keys = {
        "DATATYPE": kind,
        **{f"DIMENSION_{i + 1}": extent for i, extent in enumerate(links.shape[3:])},
        "CHECKSUM": f"{sum(struct.unpack(word, data)) % 2**32:x}",
        "LINK_TRACE": f"{np.einsum('maa...->m...', links).real.mean() / 3:.10f}",
        "PLAQUETTE": f"{naive_plaquette(links):.10f}",
        "FLOATING_POINT": floating,
        **changes,
    }
    equals = "   =  " if blanks else " = "
    end = "  \n" if blanks else "\n"
    lines = [f"{key}{equals}{value}{end}" for key, value in keys.items() if value is not None]
    return ("BEGIN_HEADER\n" + "".join(lines) + "END_HEADER\n").encode() + data
