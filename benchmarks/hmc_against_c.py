"""HMC of φ⁴ and of U(1) links in two dimensions, 64 chains, against a plain C loop on the same cores.

Both integrate the same number of leapfrog steps and include momenta, both energies and the accept/reject. The C program
(reference/hmc.c, gcc -O3 -march=native, double precision; for U(1) also -ffast-math, with which sines are taken several
at a time from the vector library) shares its chains among OpenMP threads.
Rounds alternate, so that whatever else the machine does hits both; the ratio is the median over rounds. A site update
is one integrator step at one site. Goal: at least half the rate of C. With ``--split`` trajectories of 5 to 40 steps
tell what a step costs and what a trajectory costs beside its steps: momenta, energies, accept/reject, starting loops.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

CHAINS = 64
N_STEPS = 10
PARAMETERS = {"phi4": (-4.0, 5.5), "u1": (2.0, 0.0)}
"""What the C program is given: m² and λ, or β."""
EXTENTS = {"phi4": (8, 16, 32, 64), "u1": (8, 16, 32)}
NAMES = {"phi4": "φ⁴", "u1": "U(1)"}
SOURCE = pathlib.Path(__file__).parent / "reference" / "hmc.c"


def compile_reference(directory, theory):
    """The C program, or None where there is no gcc."""
    if shutil.which("gcc") is None:
        return None
    program = pathlib.Path(directory) / theory
    options = ["-O3", "-march=native", "-fopenmp", f'-DTHEORY="{theory}.h"']
    options += ["-ffast-math"] if theory == "u1" else []
    subprocess.run(["gcc", *options, SOURCE, "-o", program, "-lm"], check=True)
    return program


def step_size(extent):
    """Keeps the acceptance about equal: ΔH grows like V ε⁴."""
    return 0.1 * (8 / extent) ** 0.5


def c_round(program, theory, extent, trajectories, cores, n_steps=N_STEPS):
    """(wall seconds, processor seconds, acceptance, share of the momenta) of one run."""
    epsilon = step_size(extent) * N_STEPS / n_steps
    arguments = [extent, CHAINS, n_steps, trajectories, *PARAMETERS[theory], epsilon, cores]
    out = subprocess.run([program, *map(str, arguments)], check=True, capture_output=True, text=True).stdout
    wall, cpu, acceptance, _, _, momenta, _ = map(float, out.split())
    return wall, cpu, acceptance, momenta / wall


def package_rounds(theory, extent, trajectories, n_steps=N_STEPS):
    """A function that runs one round of the package; compiled and warm."""
    import jax

    jax.config.update("jax_enable_x64", val=True)
    from latflow.actions.gauge import WilsonAction
    from latflow.actions.scalar import PhiFour
    from latflow.groups import named
    from latflow.lattice import Lattice
    from latflow.samplers.chains import advance
    from latflow.samplers.hmc import HMC
    from latflow.samplers.integrators import LEAPFROG

    lattice, (first, second) = Lattice((extent, extent)), PARAMETERS[theory]
    if theory == "phi4":
        action = PhiFour(lattice, mass_squared=first, coupling=second)
    else:
        action = WilsonAction(lattice, named("U(1)"), beta=first)
    kernel = HMC(action, LEAPFROG, step_size=step_size(extent) * N_STEPS / n_steps, n_steps=n_steps)
    starts = jax.vmap(action.space.start)(jax.random.split(jax.random.key(1), CHAINS), jax.numpy.arange(CHAINS))
    state = {"x": starts, "round": 0}

    def round_():
        wall, cpu = time.perf_counter(), time.process_time()
        state["x"], records = advance(
            kernel, jax.random.key(2), state["x"], first=state["round"], n_records=1, thin=trajectories
        )
        acceptance = float(records.transition.acceptance.mean())
        state["round"] += 1
        return time.perf_counter() - wall, time.process_time() - cpu, acceptance

    round_()
    return round_


def compare(program, theory, extent, *, cores, rounds, updates):
    """One row of the table: nanoseconds per site update by the wall clock, and the medians of ratios."""
    trajectories = max(2, int(updates) // (CHAINS * extent**2 * N_STEPS))
    package = package_rounds(theory, extent, trajectories)
    pairs = [
        (c_round(program, theory, extent, trajectories, cores) if program else None, package()) for _ in range(rounds)
    ]
    nanoseconds = 1e9 / (CHAINS * extent**2 * N_STEPS * trajectories)
    ours = statistics.median(p[0] for _, p in pairs) * nanoseconds
    row = [f"{extent}", f"{ours:.2f}", f"{pairs[-1][1][2]:.2f}"]
    if program:
        row += [
            f"{statistics.median(c[0] for c, _ in pairs) * nanoseconds:.2f}",
            f"{pairs[-1][0][2]:.2f}",
            f"{statistics.median(c[0] / p[0] for c, p in pairs):.2f}",
            f"{statistics.median(c[1] / p[1] for c, p in pairs):.2f}",
            f"{100 * statistics.median(c[3] for c, _ in pairs):.0f} %",
        ]
    return row


def split(program, theory, extent, *, cores, rounds, updates):
    """One row: processor nanoseconds per site and core of a step and of a trajectory beside its steps."""
    lengths = (5, 10, 20, 40)
    counts = {n: max(2, int(updates) // (CHAINS * extent**2 * n)) for n in lengths}
    packages = {n: package_rounds(theory, extent, counts[n], n) for n in lengths}
    seconds = {"latflow": {n: [] for n in lengths}, "C": {n: [] for n in lengths}}
    for _ in range(rounds):
        for n in lengths:
            seconds["latflow"][n].append(packages[n]()[1] / counts[n])
            if program:
                seconds["C"][n].append(c_round(program, theory, extent, counts[n], cores, n)[1] / counts[n])
    row = [f"{extent}"]
    for found in seconds.values():
        if found[lengths[0]]:
            least = [min(found[n]) for n in lengths]  # processor time: other work can only add to it
            slope, rest = statistics.linear_regression(lengths, least)
            row += [f"{1e9 * cost / (CHAINS * extent**2 * cores):.2f}" for cost in (slope, rest)]
    return row


def columns_of(program):
    columns = ["L", "latflow ns/update", "acceptance"]
    if program:
        columns += ["C ns/update", "acceptance", "rate of latflow / rate of C", "the same, processor time"]
        columns += ["momenta in C"]
    return columns


def split_columns(program):
    parts = ("step, ns/site", "trajectory beside its steps, ns/site")
    return ["L", *(f"{name}: {part}" for name in ("latflow", "C")[: 2 if program else 1] for part in parts)]


def table(theory, *, cores, quick, apart):
    """One theory on all its lattices."""
    extents, rounds, updates = (EXTENTS[theory][:1], 1, 2e6) if quick else (EXTENTS[theory], 15, 2e8)
    if apart:
        rounds, updates = min(rounds, 7), min(updates, 6e7)
    what = "processor time, least" if apart else f"{N_STEPS} leapfrog steps, medians"
    print(f"\n{NAMES[theory]} HMC, {CHAINS} chains, {cores} core(s), {what} of {rounds} round(s)")
    with tempfile.TemporaryDirectory() as directory:
        program = compile_reference(directory, theory)
        if not program:
            print("no gcc here: nothing to compare with")
        columns = split_columns(program) if apart else columns_of(program)
        print("| " + " | ".join(columns) + " |")
        print("|" + "---|" * len(columns))
        for extent in extents:
            measure = split if apart else compare
            row = measure(program, theory, extent, cores=cores, rounds=rounds, updates=updates)
            print("| " + " | ".join(row) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round")
    parser.add_argument("--cores", type=int, default=None, help="how many cores both may use; by default all")
    parser.add_argument("--theories", nargs="+", choices=PARAMETERS, default=list(PARAMETERS))
    parser.add_argument("--split", action="store_true", help="cost of a step and of a trajectory beside its steps")
    arguments = parser.parse_args()
    available = sorted(os.sched_getaffinity(0))
    cores = arguments.cores or len(available)
    # Before jax is imported: XLA makes as many threads as it may use cores; the C program inherits the same mask.
    os.sched_setaffinity(0, available[:cores])
    for theory in arguments.theories:
        table(theory, cores=cores, quick=arguments.quick, apart=arguments.split)


if __name__ == "__main__":
    main()
