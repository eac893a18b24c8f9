"""What an error costs: CPU seconds for a relative error of 0.1 %, of chains and of the flow of the zoo, by observable.

HMC whose steps and acceptance, and with them the length of its trajectories, were tuned on pilot chains; local sweeps
and Wolff clusters with tuned widths, 64 chains each; HMC and clusters corrected by learned Stein fields; random draws
of the flow by Metropolis; random ones and those at scrambled Sobol points by weights, both with variates of the latent
modes, integrated as their error allows. All ways run by turns in one process, seed after seed; a round before the first
seed compiles and is not counted. Sampling and measuring count, of corrected averages making and fitting their variates
as well; of chains the share of the warm-up is taken off.

Stein fields are trained once per model, on chains of their own, and each model goes on from the fields of the one
before; their coefficients are fitted and cross-fitted on the chains of every seed. What comes once, with all that came
before it, is given beside the seconds. `--rows FILE` keeps every row as it is found, so that a run that was cut prints
what it has: `python benchmarks/figures/errors_per_second.py FILE`.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import latflow as lf  # noqa: E402
from common.error_rows import NAMES, Row, once_table, pulls, table  # noqa: E402
from common.zoo import flow_and_action, models_of, parser_of_models, training_seconds  # noqa: E402
from latflow.flows.weighted import matched_draws  # noqa: E402
from latflow.observables.scalar import scalar_observables  # noqa: E402

CHAINS, WARMUP = 64, 500
SCRAMBLINGS, BLOCK = 16, 512


class Sizes(NamedTuple):
    """Of all ways: records of a chain, corrected ones, points; steps of training at the first and at later models."""

    records: int
    corrected: int
    points: int
    steps: tuple[int, int]


class Trajectory(NamedTuple):
    """Of HMC: steps, and the acceptance that their length is tuned to."""

    steps: int
    acceptance: float

    def kernel(self, action):
        """HMC of the second order of Omelyan, Mryglod and Folk."""
        return lf.HMC(action, lf.OMF2, step_size=jnp.asarray(1.0 / self.steps), n_steps=self.steps)

    def thin(self, steps):
        """Trajectories that have about so many steps in all."""
        return max(1, round(steps / self.steps))


class Known(NamedTuple):
    """What a round of one model needs."""

    action: lf.PhiFour
    hmc: Trajectory
    flow: Any
    drawn: Any
    fields: Any
    sizes: Sizes


def timed(function, *arguments, **settings):
    """What a call gives, and its CPU seconds."""
    start = time.process_time()
    found = function(*arguments, **settings)
    return found, time.process_time() - start


def measured(action, fields):
    """CPU seconds of measuring configurations with any leading axes."""
    flat = np.asarray(fields).reshape(-1, *action.space.shape)
    return timed(lf.measure, scalar_observables(action), flat)[1]


def clusters(action):
    """Three sweeps and one Wolff cluster."""
    return lf.WolffMetropolis(action, width=jnp.asarray(1.0), n_sweeps=3, n_clusters=1)


def of_chain(key, action, kernel, *, records, thin, acceptance=0.8):
    """Configurations of a kernel, and CPU seconds without the warm-up."""
    settings = {"n": records, "chains": CHAINS, "warmup": WARMUP, "thin": thin, "target_acceptance": acceptance}
    fields, seconds = timed(lf.run_chain, key, kernel, **settings)
    return fields, seconds * records * thin / (records * thin + WARMUP)


def chains(key, known: Known) -> Iterator[tuple[str, dict, float]]:
    """Label, averages and seconds of plain chains."""
    action = known.action
    kernels = {
        "HMC": (known.hmc.kernel(action), known.hmc.thin(8), known.hmc.acceptance),
        "local": (lf.LocalMetropolis(action, width=1.0), 4, 0.5),
        "clusters": (clusters(action), 1, 0.5),
    }
    for i, (label, (kernel, thin, acceptance)) in enumerate(kernels.items()):
        settings = {"records": known.sizes.records, "thin": thin, "acceptance": acceptance}
        fields, seconds = of_chain(jax.random.fold_in(key, i), action, kernel, **settings)
        yield label, lf.estimates(action, fields), seconds + measured(action, fields)


def corrected(key, known: Known) -> Iterator[tuple[str, dict, float]]:
    """Chains with more updates between records, as each costs little beside its velocities, corrected."""
    action, tuned = known.action, known.hmc
    kernels = {
        "HMC": (tuned.kernel(action), tuned.thin(STEPS_BETWEEN), tuned.acceptance),
        "clusters": (clusters(action), UPDATES_BETWEEN, 0.5),
    }
    for i, (label, (kernel, thin, acceptance)) in enumerate(kernels.items()):
        settings = {"records": known.sizes.corrected, "thin": thin, "acceptance": acceptance}
        fields, seconds = of_chain(jax.random.fold_in(key, i), action, kernel, **settings)
        found, more = timed(lf.reduce, action, fields, velocities=known.fields)
        yield f"{label}, learned Stein fields", found.estimates, seconds + more


STEPS_BETWEEN, UPDATES_BETWEEN = 24, 3
"""Steps of HMC, and updates of clusters with their sweeps, between configurations that are corrected."""

SCAN = [Trajectory(steps, acceptance) for steps in (2, 4, 6, 8, 12) for acceptance in (0.65, 0.8, 0.92)]


def tuned(action, scan, *, records):
    """The trajectories with the cheapest error of χ₂ on pilot chains, each known to some per cent; all are printed."""
    cost = {}
    for i, each in enumerate(scan):
        settings = {"records": records, "thin": each.thin(8), "acceptance": each.acceptance}
        for _ in range(2):  # the first one compiles
            fields, seconds = of_chain(jax.random.key(50 + i), action, each.kernel(action), **settings)
            found = lf.estimates(action, fields)["susceptibility"][0]
        cost[each] = (seconds + measured(action, fields)) * (found.error / found.value / 1e-3) ** 2
    told = ", ".join(f"{each.steps} steps at {each.acceptance}: {seconds:.3g}" for each, seconds in cost.items())
    print(f"{action}: CPU seconds for 0.1 % of χ₂ by pilot chains of HMC: {told}", flush=True)
    return min(cost, key=cost.__getitem__)


def of_flow(key, known: Known) -> Iterator[tuple[str, dict, float]]:
    """Label, averages and seconds of random draws by Metropolis, and of random and quasi-random ones with variates.

    The latter two have equally many draws, integrated for what variates gain, and choose their integration themselves.
    """
    action, points = known.action, known.sizes.points
    sampler = lf.FlowSampler(known.drawn, action)
    drawn, seconds = timed(lf.sample, jax.random.fold_in(key, 10), sampler, n=SCRAMBLINGS * points // 4)
    seconds += measured(action, drawn.proposals)
    yield "flow, Metropolis", lf.estimates(action, drawn), seconds
    settings = {"integration": "matched", "block_size": BLOCK}
    ways = {
        "flow, weights with variates": (lf.sample, settings | {"n": SCRAMBLINGS * points}),
        "flow, quasi-random with variates": (
            lf.quasi_sample,
            settings | {"scramblings": SCRAMBLINGS, "points": points},
        ),
    }
    for i, (label, (draw, settings)) in enumerate(ways.items(), start=11):
        drawn, seconds = timed(draw, jax.random.fold_in(key, i), known.flow, action, **settings)
        found, more = timed(lf.reweighted_estimates, action, drawn)
        yield label, found, seconds + more


def trained(action, hmc: Trajectory, before, sizes: Sizes):
    """Stein fields that go on from those of another model, and CPU seconds of all with their chains and compilation."""
    fields, spent = before
    settings = {"records": sizes.corrected, "thin": hmc.thin(STEPS_BETWEEN), "acceptance": hmc.acceptance}
    other, chain = timed(of_chain, jax.random.key(7), action, hmc.kernel(action), **settings)
    training = lf.SteinTraining(steps=sizes.steps[fields is not None])
    found, seconds = timed(lf.reduce, action, other[0], velocities=fields, training=training)
    return found.fields, spent + chain + seconds


def rows(name, known: Known, *, seeds, once) -> Iterator[Row]:
    """Rows of one model, seed after seed."""
    for seed in range(seeds + 1):
        key = jax.random.fold_in(jax.random.key(100), seed)
        ways = [(*found, 0.0) for found in chains(key, known)]
        if known.fields is not None:
            ways += [(*found, once) for found in corrected(jax.random.fold_in(key, 9), known)]
        ways += [(*found, training_seconds(name)) for found in of_flow(key, known)]
        for label, estimates, seconds, once_of_way in ways if seed else ():
            first = {each: estimates[each][0] for each in NAMES if estimates.get(each)}
            found = {each: (float(e.value), float(e.error)) for each, e in first.items()}
            yield Row(name, known.action.space.shape[0], label, seed, seconds, once_of_way, found)


def main():
    parser = parser_of_models(__doc__)
    parser.add_argument("--points", default="2048", help="of each of 16 scramblings, one number or one for each model")
    parser.add_argument("--records", type=int, default=1000, help="of each of 64 chains, %(default)s")
    parser.add_argument("--corrected", type=int, default=200, help="records that are corrected, %(default)s")
    parser.add_argument("--steps", type=int, default=400, help="of training of the first Stein fields, %(default)s")
    parser.add_argument("--further", type=int, default=100, help="of training at every later model, %(default)s")
    parser.add_argument("--seeds", type=int, default=5, help="%(default)s")
    parser.add_argument("--without-stein", action="store_true", help="no learned fields")
    parser.add_argument("--rows", type=Path, default=None, help="file that rows are appended to")
    options = parser.parse_args()
    points = [int(each) for each in options.points.split(",")]
    seeds, made, before = 1 if options.quick else options.seeds, [], (None, 0.0)
    for i, name in enumerate(models_of(options)):
        sizes = Sizes(
            options.records, options.corrected, points[min(i, len(points) - 1)], (options.steps, options.further)
        )
        sizes = Sizes(64, 64, BLOCK, (5, 5)) if options.quick else sizes
        flow, action = flow_and_action(name)
        hmc = tuned(action, SCAN[4:6] if options.quick else SCAN, records=sizes.records // 2)
        if not options.without_stein:
            before = trained(action, hmc, before, sizes)
        drawn = matched_draws(jax.random.key(3), flow, action, n=SCRAMBLINGS * sizes.points // 4)[0]
        for row in rows(name, Known(action, hmc, flow, drawn, before[0], sizes), seeds=seeds, once=before[1]):
            made.append(row)
            if options.rows is not None:
                with options.rows.open("a", encoding="utf-8") as file:
                    file.write(row.line() + "\n")
    print("\n".join((*table(made), "", *once_table(made), "", *pulls(made))))


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
