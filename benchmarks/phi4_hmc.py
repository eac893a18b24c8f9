"""φ⁴ HMC against a plain C loop: site updates per second, 64 chains, both on the same number of threads.

    python benchmarks/phi4_hmc.py            # L = 8, 16, 32, 64, seven interleaved repetitions each
    python benchmarks/phi4_hmc.py --quick    # one repetition at L = 8

A site update is one leapfrog step at one site; Gaussian momenta, both energies and accept/reject are part of the time
on both sides. The C program is benchmarks/reference/phi4_hmc.c, compiled with ``gcc -O3 -march=native -fopenmp``.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", val=True)

from latflow.actions.scalar import PhiFour  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.samplers.chains import advance  # noqa: E402
from latflow.samplers.hmc import HMC  # noqa: E402
from latflow.samplers.integrators import LEAPFROG  # noqa: E402

SOURCE = Path(__file__).parent / "reference" / "phi4_hmc.c"
CHAINS, N_STEPS, STEP_SIZE, MASS_SQUARED, COUPLING = 64, 10, 0.1, -4.0, 6.975


def compile_reference(directory: Path) -> Path | None:
    """The C program, or nothing where there is no gcc."""
    if shutil.which("gcc") is None:
        return None
    program = directory / "phi4_hmc"
    command = ["gcc", "-O3", "-march=native", "-fopenmp", "-o", str(program), str(SOURCE), "-lm"]
    subprocess.run(command, check=True)
    return program


def reference_seconds(program: Path, extent: int, trajectories: int, threads: int) -> float:
    """Wall-clock seconds of the C loop."""
    arguments = [extent, CHAINS, N_STEPS, trajectories, MASS_SQUARED, COUPLING, STEP_SIZE, threads]
    done = subprocess.run([str(program), *map(str, arguments)], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[0])


class Ours:
    """The compiled driver at one lattice size."""

    def __init__(self, extent: int, trajectories: int) -> None:
        action = PhiFour(Lattice((extent, extent)), mass_squared=MASS_SQUARED, coupling=COUPLING)
        self.kernel = HMC(action, LEAPFROG, step_size=jnp.asarray(STEP_SIZE), n_steps=N_STEPS)
        self.x = 0.3 * jax.random.normal(jax.random.key(0), (CHAINS, extent, extent))
        self.trajectories = trajectories
        self.seconds()

    def seconds(self) -> float:
        """Wall-clock seconds of one call, one record at its end."""
        begin = time.perf_counter()
        x, _ = advance(self.kernel, jax.random.key(1), self.x, first=0, n_records=1, thin=self.trajectories)
        jax.block_until_ready(x)
        return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        program = compile_reference(Path(name))
        if program is None:
            print("no gcc: nothing to compare with")
            sys.exit(0)
        print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}, C on {options.threads} threads, {CHAINS} chains")
        print("   L   latflow Msites/s       C Msites/s   ratio (median of pairs)   range")
        for extent in (8,) if options.quick else (8, 16, 32, 64):
            trajectories = max(4, (2_000 if options.quick else 100_000) // extent**2)
            ours = Ours(extent, trajectories)
            pairs = [
                (ours.seconds(), reference_seconds(program, extent, trajectories, options.threads))
                for _ in range(1 if options.quick else 7)
            ]
            updates = extent**2 * CHAINS * N_STEPS * trajectories / 1e6
            ratios = sorted(c / mine for mine, c in pairs)
            mine, c = (statistics.median(side) for side in zip(*pairs, strict=True))
            print(
                f"{extent:4d} {updates / mine:18.1f} {updates / c:16.1f} {statistics.median(ratios):16.2f}"
                f"            {ratios[0]:.2f} – {ratios[-1]:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
