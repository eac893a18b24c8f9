"""Reading and writing gauge configurations of other codes, and where the time goes.

A field of SU(3) in double precision is written and read in every format that holds it. Goal: 24³ × 8 in ILDG, checksum,
plaquette, link trace and distance from the group included, is read in at most 3 s, and reading takes no more memory
than the file and 64 MiB beside it, or, where rows are rebuilt or numbers widened, than the links and 64 MiB.
"""

import argparse
import os
import statistics
import tempfile
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np

from latflow.store.gauge_files import measure
from latflow.store.gauge_files.checksums import SciDACChecksum
from latflow.store.gauge_files.configuration import examine
from latflow.store.gauge_files.files import read_configuration, spell

FORMATS = ("ildg", "nersc", "nersc-two-row", "openqcd", "milc")
SITE_BYTES = 576


def made(shape, tile):
    """A random field of a small box, repeated: as good for this as any other."""
    rng = np.random.default_rng(1)
    small = rng.normal(size=(2, 4, 3, 3, *(n // m for n, m in zip(shape, tile, strict=True))))
    links = np.tile(measure.reunitarised(small[0] + 1j * small[1]), (1, 1, 1, *tile))
    return examine(links, format="made", precision="float64", details={})


def seconds(action, rounds):
    """Median over rounds of (wall, processor) seconds."""
    pairs = []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        action()
        pairs.append((time.perf_counter() - wall, time.process_time() - cpu))
    return tuple(statistics.median(column) for column in zip(*pairs, strict=True))


def peak(action):
    """Most memory allocated at once, in bytes."""
    tracemalloc.start()
    action()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def formats(field, folder, rounds):
    print("| format | file, MB | read and checked, s | processor, s | written, s | memory beside the file, MiB |")
    print("|---|---|---|---|---|---|")
    for format in FORMATS:
        precision = "float32" if format == "milc" else "float64"
        path = Path(folder) / format

        def write(format=format, path=path, precision=precision):
            path.write_bytes(spell(field, format, precision=precision))

        def read(path=path):
            read_configuration(path)

        written, _ = seconds(write, 1)
        wall, cpu = seconds(read, rounds)
        size = path.stat().st_size
        beside = (peak(read) - size) / 2**20
        print(f"| {format} | {size / 1e6:.1f} | {wall:.2f} | {cpu:.2f} | {written:.2f} | {beside:.0f} |")


def parts(field, rounds):
    data = np.ascontiguousarray(field.links.transpose(6, 5, 4, 3, 0, 1, 2)).astype(">c16").tobytes()
    view = memoryview(data)
    tasks = {
        "crc32 of every site": lambda: [zlib.crc32(view[i : i + SITE_BYTES]) for i in range(0, len(data), SITE_BYTES)],
        "SciDAC checksum": lambda: SciDACChecksum(SITE_BYTES).add(data),
        "plaquettes": lambda: measure.plaquettes(field.links),
        "distance from the group": lambda: measure.defect(field.links),
        "projection to the group (only when asked for)": lambda: measure.reunitarised(field.links),
    }
    print("\n| part | wall, s | processor, s |")
    print("|---|---|---|")
    for name, task in tasks.items():
        wall, cpu = seconds(task, rounds)
        print(f"| {name} | {wall:.2f} | {cpu:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small lattice, one round")
    quick = parser.parse_args().quick
    shape, tile, rounds = ((8, 8, 8, 4), (2, 2, 2, 1), 1) if quick else ((24, 24, 24, 8), (4, 4, 4, 1), 5)
    print(f"lattice {'x'.join(map(str, shape))}, SU(3), double precision (medians of {rounds} rounds)")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    field = made(shape, tile)
    with tempfile.TemporaryDirectory() as folder:
        formats(field, folder, rounds)
    parts(field, rounds)
    print(f"\nload average {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
