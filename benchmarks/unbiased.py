"""Whether corrected and quasi-random averages are unbiased: a hundred small independent ensembles against another run.

φ⁴ on 6 × 6 sites at the point of the model E1: ensembles of 8 chains of HMC, 100 records each, corrected by learned
Stein fields, which other chains trained, and by latent ones of the model, integrated accurately and as `n=` allows; and
quasi-random draws with variates. Each is cross-fitted by itself. What they are compared with are plain averages of a
long run of cluster updates, which shares no configuration and no control variate with them; and, known much better,
weighted averages of very many quasi-random points, with the flow integrated accurately. Links: ensembles of heat bath
corrected by forces of loops, against the exact plaquette in two dimensions; in four dimensions (`--four`, alone)
ensembles of 8 chains of 25 records against plain averages of four times as many other configurations. Printed is the
mean of all ensembles less the other value, in units of the scatter of one ensemble, with the error of both, and CPU
seconds.
"""

import argparse
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import latflow as lf  # noqa: E402
from common.clusters import long_run  # noqa: E402
from common.zoo import flow_and_action  # noqa: E402
from gauge_reduce import exact, values  # noqa: E402
from latflow.observables.gauge import Plaquette  # noqa: E402
from latflow.observables.plaquette_moments import rough_plaquette  # noqa: E402
from latflow.observables.scalar import scalar_observables  # noqa: E402
from latflow.stats.cross_fitting import cross_fit  # noqa: E402
from latflow.stats.scramblings import Scrambled  # noqa: E402
from latflow.stats.variates import Varied  # noqa: E402
from latflow.variates.gauge_loops import LoopFields  # noqa: E402
from latflow.variates.training import evaluate  # noqa: E402
from quasi import Draws  # noqa: E402

MODEL = "phi4-e1"
WANTED = ("magnetization_squared", "neighbour_product", "phi_squared")
CHAINS, RECORDS, SCRAMBLINGS = 8, 100, 16
LINKS = {"U(1) 4×4, β = 2": (lf.U1(), (4, 4), 2.0), "SU(2) 4×4, β = 2.5": (lf.SU(2), (4, 4), 2.5)}


def columns(action, x):
    """What is averaged, along the last axis."""
    measured = lf.measure([o for o in scalar_observables(action) if o.name in WANTED], x)
    return np.stack([measured[name] for name in WANTED], axis=-1)


def show(title, found, others, names, begin):
    """Lines for averages of ensembles, (ensemble, average), against values and errors of other runs, by name."""
    scatter = found.std(axis=0, ddof=1)
    for against, (value, error) in others.items():
        for i, name in enumerate(names):
            offset = (found[:, i].mean() - value[i]) / scatter[i]
            own = np.hypot(1 / np.sqrt(len(found)), error[i] / scatter[i])
            told = f"{offset:+.3f} ± {own:.3f} | {offset / own:+.1f} | {scatter[i] / value[i]:.2g}"
            print(f"| {title} | {against} | {name} | {told} |")
    print(f"{title}: {time.process_time() - begin:.0f} CPU-s", flush=True)


def of_points(*, points):
    """Weighted averages of quasi-random draws of the accurate flow with variates, and their errors."""
    flow, action = flow_and_action(MODEL)
    samples = lf.quasi_sample(jax.random.key(4000), flow, action, points=points, scramblings=SCRAMBLINGS)
    measured = columns(action, np.asarray(samples.proposals))
    series = {name: measured[:, i] for i, name in enumerate(WANTED)}
    made = Varied(samples.draws, samples.variates).estimates(series, lambda means: means)
    value, error = np.array([(made[name][0].value, made[name][0].error) for name in WANTED]).T
    return value, error


def of_chains(action, fields, x):
    """Corrected averages of every ensemble, cross-fitted by itself."""
    flat = x.reshape(-1, *action.space.shape)
    y = columns(action, flat).reshape(*x.shape[:3], -1)
    f = evaluate(fields, action, flat).reshape(*x.shape[:3], -1)
    return np.stack([cross_fit(*each).corrected.mean(axis=(0, 1)) for each in zip(y, f, strict=True)])


def of_draws(draws, *, ensembles, points):
    """Averages of quasi-random draws with variates."""
    found = []
    for seed in range(ensembles):
        log_weights, measured, variates = draws.quasi(jax.random.key(2000 + seed), points, SCRAMBLINGS)
        series = {name: measured[name] for name in WANTED}
        made = Varied(Scrambled(log_weights, SCRAMBLINGS), variates).estimates(series, lambda means: means)
        found.append([made[name][0].value for name in WANTED])
    return np.array(found)


def of_links(group, shape, beta, *, ensembles):
    """Corrected plaquettes of every ensemble."""
    action = lf.WilsonAction(lf.Lattice(shape), group, beta=beta)
    kernel, number = lf.HeatBath(action, n_overrelaxation=2), CHAINS * ensembles
    x = np.swapaxes(lf.run_chain(jax.random.key(3), kernel, n=RECORDS, chains=number, warmup=100), 0, 1)
    f, _ = values(LoopFields(action.space, centre=rough_plaquette(action)), action, x)
    p = lf.measure([Plaquette(action.space)], x.reshape(-1, *x.shape[2:]))["plaquette"]
    y, f = (each.reshape(ensembles, CHAINS, RECORDS, -1) for each in (p, f))
    return np.stack([cross_fit(*each).corrected.mean(axis=(0, 1)) for each in zip(y, f, strict=True)])


FOUR = (lf.SU(3), (4, 4, 4, 4), 6.0)
AT_ONCE = 10


def of_four_dimensions(*, ensembles, quick):
    """Corrected plaquettes of every ensemble, and the plain one of other chains with its error; a few at a time."""
    group, shape, beta = FOUR
    action = lf.WilsonAction(lf.Lattice(shape), group, beta=beta)
    kernel = lf.HeatBath(action, n_overrelaxation=2)
    settings = {"n": 5 if quick else 25, "chains": CHAINS * AT_ONCE, "warmup": 10 if quick else 50}

    def plaquettes(seed):
        x = np.swapaxes(lf.run_chain(jax.random.key(seed), kernel, **settings), 0, 1)
        p = lf.measure([Plaquette(action.space)], x.reshape(-1, *x.shape[2:]))["plaquette"]
        return x, p.reshape(x.shape[:2])

    found, others = [], []
    fields = LoopFields(action.space, centre=rough_plaquette(action))
    for seed in range(ensembles // AT_ONCE):
        x, p = plaquettes(100 + seed)
        f, _ = values(fields, action, x)
        y, f = (each.reshape(AT_ONCE, CHAINS, settings["n"], -1) for each in (p, f))
        found += [cross_fit(*each).corrected.mean(axis=(0, 1)) for each in zip(y, f, strict=True)]
        others += [plaquettes(10_000 + 4 * seed + i)[1].mean(axis=1) for i in range(1 if quick else 4)]
    every = np.concatenate(others)
    return np.stack(found), (np.array([every.mean()]), np.array([every.std(ddof=1) / np.sqrt(len(every))]))


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--ensembles", type=int, default=100, help="%(default)s")
    parser.add_argument("--runs", type=int, default=40, help="of clusters, %(default)s of 64 chains of 2000 records")
    parser.add_argument("--four", action="store_true", help="links in four dimensions, and nothing else")
    parser.add_argument("--points", type=int, default=1 << 15, help="of each of 16 scramblings, %(default)s")
    asked = parser.parse_args()
    quick, number = asked.quick, 10 if asked.quick else asked.ensembles
    begin = time.process_time()
    if asked.four:
        found, other = of_four_dimensions(ensembles=number, quick=quick)
        show("links, SU(3) 4⁴, β = 6", found, {"heat bath": other}, ("plaquette",), begin)
        return
    draws = Draws(MODEL, n=SCRAMBLINGS * 128 * number, integration="matched")
    action = draws.action
    runs, records = (1, 200) if quick else (asked.runs, 2000)
    others = {"clusters": long_run(action, lambda x: columns(action, x), runs=runs, records=records)}
    print(f"clusters: {time.process_time() - begin:.0f} CPU-s")
    begin = time.process_time()
    others["points"] = of_points(points=512 if quick else asked.points)
    print(f"points: {time.process_time() - begin:.0f} CPU-s\n")
    print("| ensembles | against | average | mean − other, in their scatter | σ | scatter, relative |")
    print("|---|---|---|---|---|---|")
    (c, error_c), (p, error_p) = others.values()
    for name, pull, relative in zip(WANTED, (p - c) / np.hypot(error_p, error_c), error_p / p, strict=True):
        print(f"| points | clusters | {name} | | {pull:+.1f} | {relative:.2g} |")
    if not quick:
        of_stein_fields(action, others, ensembles=number)
    begin = time.process_time()
    show("quasi-random, variates", of_draws(draws, ensembles=number, points=128), others, WANTED, begin)
    for title, (group, shape, beta) in list(LINKS.items())[: 1 if quick else None]:
        begin, name = time.process_time(), "U(1)" if title.startswith("U(1)") else "SU(2)"
        found = of_links(group, shape, beta, ensembles=number)
        other = np.array([exact(name, shape, beta)[0]]), np.zeros(1)
        show(f"links, {title}", found, {"exact": other}, ("plaquette",), begin)


def of_stein_fields(action, others, *, ensembles):
    """Chains of HMC, corrected by learned fields and by latent ones, printed."""
    hmc = lf.HMC(action, lf.OMF2, step_size=jnp.asarray(0.2), n_steps=4)
    training = lf.run_chain(jax.random.key(1), hmc, n=200, chains=16, warmup=200, thin=4)
    begin = time.process_time()
    learned = lf.reduce(action, training, training=lf.SteinTraining(steps=300)).fields
    x = np.asarray(lf.run_chain(jax.random.key(2), hmc, n=RECORDS, chains=CHAINS * ensembles, warmup=200, thin=4))
    x = np.swapaxes(x, 0, 1).reshape(ensembles, CHAINS, RECORDS, *action.space.shape)
    show("HMC, learned fields", of_chains(action, learned, x), others, WANTED, begin)
    few = CHAINS * RECORDS * ensembles
    for title, n in {"HMC, latent fields": None, "HMC, latent fields with n=": few}.items():
        begin = time.process_time()
        fields = lf.latent_fields(f"zoo:{MODEL}", action, n=n)
        show(title, of_chains(action, fields, x), others, WANTED, begin)


if __name__ == "__main__":
    main()
