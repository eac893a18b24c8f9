"""Variances of chains before and after their reduction by learned Stein fields, with what both cost.

HMC at L = 16, λ = 5, m² = −4 (ξ about 4); fields trained on a fourth of the chains, the others corrected. The same
fields are then carried to L = 32, as they are and after more steps there. Ratios are naive (held-out variance of the
columns) and of the Γ method (errors of the estimates, of all chains before, of the corrected ones after). At the end
small ensembles, resampled from chains that trained nothing, are reduced one by one: their mean against the value of
all chains tells a bias. Seconds are those of the process (CPU). `--quick` does it on 8 × 8 and 16 × 16 in little time.
With `--seeds` saved fields are used on several sets of chains: median and range of the gains, and the test for a bias
with the chains of all.
"""

import argparse
import statistics
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import latflow as lf  # noqa: E402
from latflow.observables.scalar import scalar_observables  # noqa: E402
from latflow.stats.cross_fitting import cross_fit  # noqa: E402
from latflow.study.card import model_path  # noqa: E402
from latflow.study.models import trained_config  # noqa: E402
from latflow.variates.training import evaluate  # noqa: E402

COUPLING, MASS_SQUARED = 5.0, -4.0
COLUMNS = ("magnetization_squared", "neighbour_product", "phi_squared", "abs_magnetization")
ESTIMATES = ("susceptibility", "ising_energy", "phi_squared", "abs_magnetization", "pole_mass")


def hmc(extent, *, chains, records, seed):
    """Action, chains every sixth trajectory, and CPU milliseconds of a trajectory."""
    action = lf.PhiFour(lf.Lattice((extent, extent)), mass_squared=MASS_SQUARED, coupling=COUPLING)
    kernel = lf.HMC(action, lf.OMF2, step_size=jnp.asarray(0.12), n_steps=8)
    begin = time.process_time()
    x = np.asarray(lf.run_chain(jax.random.key(seed), kernel, n=records, chains=chains, warmup=400, thin=6))
    return action, x, 1e3 * (time.process_time() - begin) / (chains * (6 * records + 400))


def gains(found):
    """Naive ratios of the columns, half way along the correlator as well, and those of the Γ method."""
    half = len(found.columns["correlator"]) - 1
    naive = {name: found.columns[name][0] for name in COLUMNS} | {"C(L/2)": found.columns["correlator"][half]}
    return naive, {name: found.variance_ratio[name][0] for name in ESTIMATES if name in found.variance_ratio}


def show(title, found, seconds, trajectory):
    """The lines of one reduction."""
    naive, _ = gains(found)
    print(f"## {title}: {seconds:.0f} CPU-s, of which training {found.training_seconds:.0f} s of wall clock")
    print("naive    " + ", ".join(f"{name} {ratio:.1f}" for name, ratio in naive.items()))
    for name in ESTIMATES:
        after = found.estimates.get(name)
        told = f"{after[0]}, variance ÷ {found.variance_ratio[name][0]:.1f}" if after else found.withheld[name]
        print(f"{name:18} {found.plain[name][0]} → {told}")
    each = 1e3 * found.evaluation_seconds / found.configurations
    tests = found.facts()["null_tests"]
    print(f"evaluation {each:.3f} ms a configuration (wall), HMC {trajectory:.3f} CPU-ms a trajectory")
    print("null tests " + ", ".join(f"{name} p = {value:.2g}" for name, value in tests.items()), flush=True)


def reduced(action, x, **settings):
    """A reduction and its CPU seconds."""
    begin = time.process_time()
    found = lf.reduce(action, x, **settings)
    return found, time.process_time() - begin


def unbiased(action, x, fields, *, ensembles, chains, records):
    """Small ensembles, resampled from chains that trained nothing, cross-fitted one by one, against all of them."""
    flat = x.reshape(-1, *action.space.shape)
    wanted = ("magnetization_squared", "neighbour_product", "phi_squared")
    measured = lf.measure([o for o in scalar_observables(action) if o.name in wanted], flat)
    lead = x.shape[:2]
    y = np.stack([measured[name].reshape(lead) for name in wanted], axis=2).swapaxes(0, 1)
    f = evaluate(fields, action, flat).reshape(*lead, -1).swapaxes(0, 1)
    whole = cross_fit(y, f).corrected
    value, error = whole.mean(axis=(0, 1)), whole.mean(axis=1).std(axis=0, ddof=1) / len(whole) ** 0.5
    rng, means = np.random.default_rng(1), []
    for _ in range(ensembles):
        start, chosen = rng.integers(0, lead[0] - records + 1), rng.choice(lead[1], chains, replace=False)
        few = np.s_[chosen, start : start + records]
        means.append(cross_fit(y[few], f[few]).corrected.mean(axis=(0, 1)))
    scatter, offset = np.std(means, axis=0, ddof=1), np.mean(means, axis=0) - value
    print(f"## {ensembles} ensembles of {chains} chains × {records} records: mean − long run, in their scatter")
    for i, name in enumerate(wanted):
        print(
            f"{name:22} {offset[i] / scatter[i]:+.3f} ± {error[i] / scatter[i]:.3f} (scatter {scatter[i]:.2g})",
            flush=True,
        )


def over_seeds(place, *, extent, seeds, chains, records):
    """Saved fields on several sets of chains that trained nothing."""
    action = lf.PhiFour(lf.Lattice((extent, extent)), mass_squared=MASS_SQUARED, coupling=COUPLING)
    fields = lf.load_fields(place, action.space)
    every, ratios, cost = [], [], []
    for seed in range(11, 11 + seeds):
        _, x, _ = hmc(extent, chains=chains, records=records, seed=seed)
        found, seconds = reduced(action, x, velocities=fields)
        every.append(x)
        ratios.append(gains(found))
        cost.append(1e3 * seconds / found.configurations)
    print(f"## {place} on {extent} × {extent} sites: {seeds} × {chains} chains of {records} records")
    print(f"median (range), {statistics.median(cost):.2f} CPU-ms a configuration")
    for title, of_kind in zip(("naive", "Γ method"), zip(*ratios, strict=True), strict=True):
        for name in of_kind[0]:
            found_of = sorted(each[name] for each in of_kind if name in each)
            told = f"{statistics.median(found_of):.0f} ({found_of[0]:.0f}–{found_of[-1]:.0f}), {len(found_of)} seeds"
            print(f"{title:9} {name:22} variance ÷ {told}", flush=True)
    unbiased(action, np.concatenate(every, axis=1), fields, ensembles=100, chains=8, records=min(records, 100))


def latent(name, *, chains, records):
    """Latent Stein fields of a model of the zoo, for chains at its coupling."""
    config = trained_config(model_path(f"zoo:{name}"))
    coupling = config.action.values()["coupling"]
    action = lf.PhiFour(lf.Lattice(config.lattice.shape), mass_squared=MASS_SQUARED, coupling=coupling)
    kernel = lf.HMC(action, lf.OMF2, step_size=jnp.asarray(0.12), n_steps=8)
    x = np.asarray(lf.run_chain(jax.random.key(3), kernel, n=records, chains=chains, warmup=400, thin=10))
    values = {}
    for title, n in (("accurate", None), ("as their number allows", chains * records)):
        velocities = lf.latent_fields(f"zoo:{name}", action, n=n)
        reduced(action, x[: records // 2], velocities=velocities)  # compiles
        found, seconds = reduced(action, x, velocities=velocities)
        each = 1e3 * seconds / found.configurations
        show(f"latent fields of zoo:{name}, integrated {title}, {each:.2f} CPU-ms a configuration", found, seconds, 0.0)
        values[title] = found.estimates
    fine, cheap = values.values()
    moved = {name: (cheap[name][0].value - fine[name][0].value) / fine[name][0].error for name in ESTIMATES}
    print("difference of both, in errors: " + ", ".join(f"{name} {each:+.3f}" for name, each in moved.items()))


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--save", default="", help="where the trained fields go")
    parser.add_argument("--fields", default="", help="fields that were saved before, in place of the training")
    parser.add_argument("--latent", default="", help="a model of the zoo: its latent fields alone")
    parser.add_argument("--seeds", type=int, default=0, help="sets of chains on which the saved fields are used")
    parser.add_argument("--extent", type=int, default=16, help="of the lattice with --seeds")
    parser.add_argument("--records", type=int, default=0, help="of a chain with --seeds (250) or --latent (50)")
    asked = parser.parse_args()
    quick, saved = asked.quick, asked.save
    if asked.latent:
        latent(asked.latent, chains=16 if quick else 64, records=20 if quick else asked.records or 50)
        return
    if asked.seeds:
        over_seeds(asked.fields, extent=asked.extent, seeds=asked.seeds, chains=64, records=asked.records or 250)
        return
    sizes, chains, records, steps = ((8, 16), 16, 100, 30) if quick else ((16, 32), 64, 500, 450)
    training = lf.SteinTraining(steps=steps)
    action, x, trajectory = hmc(sizes[0], chains=chains, records=records, seed=1)
    found, seconds = reduced(action, x, **({"velocities": asked.fields} if asked.fields else {"training": training}))
    show(f"L = {sizes[0]}", found, seconds, trajectory)
    if saved:
        lf.save_fields(saved, found.fields, space=action.space, made=found.facts())
    held = np.delete(x, np.s_[3::4], axis=1)
    unbiased(action, held, found.fields, ensembles=10 if quick else 100, chains=8, records=min(records, 100))
    larger, y, slower = hmc(sizes[1], chains=chains, records=records // 2, seed=2)
    carried, seconds = reduced(larger, y, velocities=found.fields)
    show(f"L = {sizes[1]}, fields of L = {sizes[0]}", carried, seconds, slower)
    more = lf.SteinTraining(steps=steps // 4, learning_rate=3e-3, batch_size=384)
    on, seconds = reduced(larger, y, velocities=found.fields, training=more)
    show(f"L = {sizes[1]}, {more.steps} more steps there", on, seconds, slower)


if __name__ == "__main__":
    main()
