"""Null tests, biases and errors of averages corrected by Stein fields, over many ensembles with known values.

φ⁴ on 2 × 2 sites, m² = −1, λ = 2, where averages are integrals. Chains of 400 records are grouped into ensembles of 8
and of 16, each is cross-fitted by itself with velocities trained on other chains, and the tests of
`latflow.stats.null_tests` are made of it. Chains are those of HMC, whose records are nearly independent, and of local
sweeps with narrow proposals, whose records are correlated. For each are printed:

- refused: ensembles that a null test refuses, which should be at most one in 300 or so;
- seen: ensembles that are refused when the mean of the variates is shifted by as much as `bias_seen` says, 0.95;
- bias: mean of the corrected averages less the exact value, in the scatter of one ensemble;
- rms and within: rms of the differences in Γ-method errors, and the part within one and three of them.
"""

import argparse

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import latflow as lf  # noqa: E402
from latflow.actions.exact import phi_four_2x2  # noqa: E402
from latflow.observables.scalar import scalar_observables  # noqa: E402
from latflow.stats.cross_fitting import cross_fit  # noqa: E402
from latflow.stats.gamma import gamma_estimate  # noqa: E402
from latflow.stats.null_tests import LEAST_PROBABILITY, null_tests  # noqa: E402
from latflow.variates.training import evaluate  # noqa: E402

MASS_SQUARED, COUPLING, RECORDS = -1.0, 2.0, 400
SHOWN = ("magnetization_squared", "phi_squared")


def series(action, kernel, fields, *, chains, acceptance, seed):
    """What is averaged and the variates, with axes (chain, record, number)."""
    settings = {"n": RECORDS, "chains": chains, "warmup": 200, "target_acceptance": acceptance}
    x = np.asarray(lf.run_chain(jax.random.key(seed), kernel, **settings))
    flat = x.reshape(-1, *action.space.shape)
    columns = lf.measure([o for o in scalar_observables(action) if o.name in SHOWN], flat)
    y = np.stack([columns[name].reshape(x.shape[:2]) for name in SHOWN], axis=2)
    f = evaluate(fields, action, flat).reshape(*x.shape[:2], -1)
    return y.swapaxes(0, 1), f.swapaxes(0, 1)


def shifted(fit, tests, f, i):
    """The variates with means that move the correction of observable i by the bias that is seen."""
    c = fit.coefficients.mean(axis=0)[:, i]
    scale = f.std(axis=(0, 1)) + 1e-300
    return f + tests.seen[i] * scale**2 * c / np.sum((scale * c) ** 2)


def of_ensemble(y, f):
    """Whether a test refuses, whether the biases are seen, and corrected averages with their errors and τ."""
    fit = cross_fit(y, f)
    tests = null_tests(fit, f)
    seen = []
    for i in range(len(SHOWN)):
        # of the variates one alone: their own means are not looked at here
        there = null_tests(cross_fit(y, shifted(fit, tests, f, i)), f[:, :, :1])
        seen.append(bool(there.corrections[i] <= LEAST_PROBABILITY))
    found = [gamma_estimate(fit.corrected[:, :, i]) for i in range(len(SHOWN))]
    tau = gamma_estimate(y[:, :, 0]).tau_int
    return bool(not tests.passed.all()), seen, [(e.value, e.error) for e in found], tau


def report(title, chains, y, f, exact):
    """One line for every observable."""
    made = [of_ensemble(y[k : k + chains], f[k : k + chains]) for k in range(0, len(y) - chains + 1, chains)]
    refused, n, tau = np.mean([each[0] for each in made]), len(made), np.mean([each[3] for each in made])
    for i, name in enumerate(SHOWN):
        seen = np.mean([each[1][i] for each in made])
        value, error = np.array([each[2][i] for each in made]).T
        bias, pulls = (value.mean() - exact[i]) / value.std(ddof=1), np.abs(value - exact[i]) / error
        within = f"{np.mean(pulls < 1):.3f}, {np.mean(pulls < 3):.3f}"
        cells = [title, chains, n, f"{tau:.1f}", name, f"{refused:.3f}", f"{seen:.3f}"]
        cells += [f"{bias:+.2f} ± {n**-0.5:.2f}", f"{np.sqrt(np.mean(pulls**2)):.2f}", within]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chains", type=int, default=800, help="of each kernel, %(default)s")
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    total = 32 if asked.quick else asked.chains
    action = lf.PhiFour(lf.Lattice((2, 2)), mass_squared=MASS_SQUARED, coupling=COUPLING)
    hmc = lf.HMC(action, lf.LEAPFROG, step_size=jnp.asarray(0.2), n_steps=4)
    local = lf.LocalMetropolis(action, width=0.5)
    other = lf.run_chain(jax.random.key(1), hmc, n=RECORDS, chains=16, warmup=200)
    fields = lf.reduce(action, other, training=lf.SteinTraining(steps=5 if asked.quick else 100)).fields
    known = phi_four_2x2(mass_squared=MASS_SQUARED, coupling=COUPLING)
    exact = [known.susceptibility / 4, known.phi_squared]
    print(f"{fields.n_fields} variates, chains of {RECORDS} records\n")
    print("| chains of | in one | ensembles | τ of M² | | refused | seen | bias | rms | within 1, 3 |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for title, kernel, acceptance in (("HMC", hmc, 0.8), ("local sweeps", local, 0.8)):
        y, f = series(action, kernel, fields, chains=total, acceptance=acceptance, seed=2)
        for chains in (8, 16):
            report(title, chains, y, f, exact)


if __name__ == "__main__":
    main()
