"""Variances of gauge chains before and after their correction by forces of loops, with what both cost.

Heat bath with two sweeps of overrelaxation; coefficients are cross-fitted by chains. Ratios are naive: held-out
variance of the plaquette P, of (P − ⟨P⟩)² and, with `--slices`, of the nearest-neighbour product of time slices, before
over after. Errors of P and of its susceptibility χ, d⟨P⟩/dβ of Wilson's action, are the scatter of chains; in two
dimensions the exact values stand beside them. Milliseconds are CPU time of this process for one configuration: of the
sampler for one heat bath and two sweeps of overrelaxation, and of all velocities. `--quick` does small ensembles.
"""

import argparse
import time

import equinox as eqx
import jax

jax.config.update("jax_enable_x64", val=True)

import numpy as np  # noqa: E402

import latflow as lf  # noqa: E402
from latflow.actions.exact_gauge import sun_log_z, u1_log_z  # noqa: E402
from latflow.observables.gauge import Plaquette  # noqa: E402
from latflow.observables.plaquette_moments import plaquette_correlator, rough_plaquette  # noqa: E402
from latflow.stats.cross_fitting import cross_fit  # noqa: E402
from latflow.stats.null_tests import null_tests  # noqa: E402
from latflow.variates.gauge_loops import LoopFields  # noqa: E402

CASES = {
    "U(1) 8x8": ("U(1)", (8, 8), 2.0, 200, 32),
    "SU(2) 6x6": ("SU(2)", (6, 6), 2.5, 400, 32),
    "SU(3) 4x4": ("SU(3)", (4, 4), 6.0, 400, 32),
    "SU(3) 4^4": ("SU(3)", (4, 4, 4, 4), 6.0, 100, 32),
    "SU(3) 8^4": ("SU(3)", (8, 8, 8, 8), 6.0, 40, 8),
}
"""Group, shape, β, records of every chain, chains."""


def chains(group, shape, beta, records, number, seed):
    """Action, configurations by chain, and CPU milliseconds of a configuration."""
    action = lf.WilsonAction(lf.Lattice(shape), lf.U1() if group == "U(1)" else lf.SU(int(group[3])), beta=beta)
    kernel = lf.HeatBath(action, n_overrelaxation=2)
    warmup, begin = 50 if len(shape) > 2 else 100, time.process_time()
    x = np.asarray(lf.run_chain(jax.random.key(seed), kernel, n=records, chains=number, warmup=warmup))
    return action, np.swapaxes(x, 0, 1), 1e3 * (time.process_time() - begin) / ((records + warmup) * number)


def values(fields, action, x):
    """All velocities of every configuration, and CPU milliseconds of one after compilation."""
    flat = x.reshape(-1, *x.shape[2:])
    most = max(1, min(64, 2**23 // flat[0].nbytes))
    size = next(n for n in range(most, 0, -1) if len(flat) % n == 0)
    flat = flat.reshape(-1, size, *flat.shape[1:])
    compiled = eqx.filter_jit(lambda y: fields.values(action, y))
    compiled(flat[0]).block_until_ready()
    begin = time.process_time()
    found = np.concatenate([np.asarray(compiled(part)) for part in flat])
    return found.reshape(*x.shape[:2], -1), 1e3 * (time.process_time() - begin) / len(found)


def mean_and_error(series):
    """Of chains, the error from their scatter."""
    means = series.mean(axis=1)
    return means.mean(), means.std(ddof=1) / np.sqrt(len(means))


def exact(group, shape, beta):
    """⟨P⟩ and d⟨P⟩/dβ in two dimensions, from log Z = −βV + …; None in others."""
    if len(shape) > 2:
        return None
    volume, h = int(np.prod(shape)), 1e-2
    log_z = (
        (lambda b: u1_log_z(b, volume=volume))
        if group == "U(1)"
        else lambda b: sun_log_z(int(group[3]), b, volume=volume)
    )
    below, here, above = (log_z(beta + step) for step in (-h, 0.0, h))
    return 1 + (above - below) / (2 * h) / volume, (above - 2 * here + below) / h**2 / volume


def report(name, *, quick, slices, seed):
    """The lines of one ensemble."""
    group, shape, beta, records, number = CASES[name]
    records = records // 8 if quick else records
    action, x, sampling = chains(group, shape, beta, records, number, seed)
    fields = LoopFields(action.space, products="slices" if slices else "total", centre=rough_plaquette(action))
    f, evaluating = values(fields, action, x)
    columns = lf.measure([Plaquette(action.space), plaquette_correlator(action)], x.reshape(-1, *x.shape[2:]))
    plaquettes = len(shape) * (len(shape) - 1) // 2 * int(np.prod(shape))
    p = columns["plaquette"].reshape(x.shape[:2])
    centre = p.mean()
    products = columns["plaquette_correlator"].reshape(*x.shape[:2], -1)
    y = np.concatenate([np.stack([p, plaquettes * (p - centre) ** 2], axis=2), products], axis=2)
    fit = cross_fit(y, f)
    tests = null_tests(fit, f)
    ratio = fit.variance_ratio
    told = f", C(1) ÷ {ratio[3]:.1f}" if slices else ""
    print(f"## {name}, β = {beta}: {number} chains × {records}, {fields.n_fields} velocities, seed {seed}")
    print(f"variances: P ÷ {ratio[0]:.1f}, (P − ⟨P⟩)² ÷ {ratio[1]:.1f}{told}")
    print(f"ms a configuration: sampling {sampling:.3f}, velocities {evaluating:.3f}")
    wanted = exact(group, shape, beta)
    for i, word in enumerate(("P", "χ")):
        shift = plaquettes * (fit.corrected[..., 0].mean() - centre) ** 2 if i else 0.0
        plain, after = mean_and_error(fit.plain[..., i]), mean_and_error(fit.corrected[..., i] - shift)
        true = f", exact {wanted[i]:.7g}, {(after[0] - wanted[i]) / after[1]:+.1f}σ" if wanted else ""
        print(f"{word}: plain {plain[0]:.7g} ± {plain[1]:.2g}, corrected {after[0]:.7g} ± {after[1]:.2g}{true}")
    worst = float(np.abs(tests.variates).max())
    print(
        f"null tests: means p = {tests.means:.2g}, largest mean {worst:.1f}σ, folds p = {tests.folds.min():.2g}",
        flush=True,
    )


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--slices", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="cases by name, separated by commas")
    asked = parser.parse_args()
    small = [name for name, case in CASES.items() if len(case[1]) == 2]
    for name in asked.only.split(",") if asked.only else small if asked.quick else CASES:
        report(name, quick=asked.quick, slices=asked.slices, seed=asked.seed)


if __name__ == "__main__":
    main()
