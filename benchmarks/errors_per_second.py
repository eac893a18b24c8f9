"""What an error costs: CPU seconds for a relative error of 0.1 %, of chains and of the flow of the zoo, by observable.

HMC with a tuned step and Wolff clusters with tuned sweeps, 64 chains each; the flow's draws with weights, integrated as
their error allows, random ones by Metropolis and by weights, and at scrambled Sobol points with variates. Everything
is run twice and the second run is timed, so that nothing is compiled in it; of chains the share of the warm-up is taken
off. Sampling and measuring count, of corrected averages making and fitting their variates as well. Squared errors of
quasi-random averages are known to 37 %, others to a few per cent. What comes once, training, is not in these seconds;
the last columns give it, and say for how long HMC could have run before both are ahead of it in χ₂.

`--reduce N` adds HMC corrected by learned Stein fields: velocities of N steps are trained on chains of HMC, then used
on all the chains of the row above.
"""

import time

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import latflow as lf  # noqa: E402
from common.zoo import flow_and_action, models_of, parser_of_models, training_seconds  # noqa: E402
from latflow.flows.weighted import matched_draws  # noqa: E402
from latflow.observables.scalar import scalar_observables  # noqa: E402

NAMES = {"susceptibility": "χ₂", "pole_mass": "m_p", "ising_energy": "E", "phi_squared": "⟨φ²⟩"}
CHAINS, WARMUP, THIN, GOAL = 64, 500, 2, 1e-3


def timed(function, *arguments, **settings):
    """What a call gives, and its CPU seconds."""
    start = time.process_time()
    found = function(*arguments, **settings)
    return found, time.process_time() - start


def cost(estimates, seconds):
    """CPU seconds for the goal, by observable."""
    first = {name: estimates[name][0] for name in NAMES if estimates.get(name)}
    return {name: seconds * (each.error / each.value / GOAL) ** 2 for name, each in first.items()}


def second(function, *arguments, **settings):
    """What the second of two equal calls gives, and its CPU seconds: nothing is compiled in it."""
    function(*arguments, **settings)
    return timed(function, *arguments, **settings)


def measuring(action, fields):
    """CPU seconds of measuring configurations with any leading axes."""
    flat = np.asarray(fields).reshape(-1, *action.space.shape)
    return second(lf.measure, scalar_observables(action), flat)[1]


def of_chain(action, kernel, *, records, thin):
    """Configurations, averages and costs of a kernel."""
    settings = {"n": records, "chains": CHAINS, "warmup": WARMUP, "thin": thin}
    lf.run_chain(jax.random.key(1), kernel, **settings)
    fields, seconds = timed(lf.run_chain, jax.random.key(2), kernel, **settings)
    share = records * thin / (records * thin + WARMUP)
    return fields, lf.estimates(action, fields), seconds * share + measuring(action, fields)


def of_flow(action, flow, *, points):
    """Averages and seconds of random draws, by Metropolis and by weights, and of quasi-random ones."""
    n = 16 * points
    sampler = lf.FlowSampler(matched_draws(jax.random.key(3), flow, action, n=n)[0], action)
    lf.sample(jax.random.key(4), sampler, n=512)
    drawn, seconds = timed(lf.sample, jax.random.key(5), sampler, n=n)
    seconds += measuring(action, drawn.proposals)
    yield "flow, Metropolis", lf.estimates(action, drawn), seconds
    yield "flow, weights", lf.reweighted_estimates(action, drawn), seconds
    settings = {"integration": "matched", "scramblings": 16}
    lf.quasi_sample(jax.random.key(6), flow, action, points=128, **settings)
    drawn, seconds = timed(lf.quasi_sample, jax.random.key(6), flow, action, points=points, **settings)
    estimates, more = second(lf.reweighted_estimates, action, drawn)
    yield "flow, quasi-random with variates", estimates, seconds + more


def of_stein_fields(action, fields, *, steps):
    """Averages of all chains corrected by fields that others have trained, their CPU seconds, and those of training."""
    kernel = hmc(action)
    other = lf.run_chain(jax.random.key(7), kernel, n=len(fields), chains=CHAINS, warmup=WARMUP, thin=THIN)
    trained, seconds = timed(lf.reduce, action, other, training=lf.SteinTraining(steps=steps))
    found, each = second(lf.reduce, action, fields, velocities=trained.fields)
    return found.estimates, each, seconds


def hmc(action):
    """HMC as in all rows."""
    return lf.HMC(action, lf.OMF2, step_size=jnp.asarray(0.25), n_steps=4)


def rows(name, *, records, points, steps):
    """Label, estimates, seconds and those that come once, of every way."""
    flow, action = flow_and_action(name)
    fields, estimates, seconds = of_chain(action, hmc(action), records=records, thin=THIN)
    yield "HMC", estimates, seconds, 0.0
    if steps:
        reduced, more, once = of_stein_fields(action, fields, steps=steps)
        yield "HMC, learned Stein fields", reduced, seconds + more, once
    clusters = lf.WolffMetropolis(action, width=jnp.asarray(1.0), n_sweeps=3, n_clusters=1)
    yield "clusters", *of_chain(action, clusters, records=records, thin=1)[1:], 0.0
    for label, found, each in of_flow(action, flow, points=points):
        yield label, found, each, training_seconds(name)


def table(name, **sizes):
    """The rows of one flow, printed."""
    reference = None
    for label, estimates, seconds, once in rows(name, **sizes):
        found = cost(estimates, seconds)
        reference = reference or found
        cells = [f"{found[key]:.3g} ({reference[key] / found[key]:.3g})" if key in found else "–" for key in NAMES]
        gain = reference["susceptibility"] / found["susceptibility"] if "susceptibility" in found else 0.0
        even = "–" if not once else f"{once / (1 - 1 / gain):.0f}" if gain > 1 else "never"
        value = estimates["susceptibility"][0] if "susceptibility" in found else "–"
        told = f"{seconds:.1f} | {once:.0f} | {even}"
        print(f"| {name} | {label} | {value} | {' | '.join(cells)} | {told} |", flush=True)


def main():
    parser = parser_of_models(__doc__)
    parser.add_argument("--points", type=int, default=4096, help="of each of 16 scramblings")
    parser.add_argument("--records", type=int, default=2000, help="of each of 64 chains")
    parser.add_argument("--reduce", type=int, default=0, help="steps of training of Stein fields on the chains of HMC")
    options = parser.parse_args()
    sizes = {"records": 64, "points": 128} if options.quick else {"records": options.records, "points": options.points}
    columns = " | ".join(f"{text}, s (HMC ÷)" for text in NAMES.values())
    print(f"| model | way | χ₂ | {columns} | run, CPU s | once, s | even with HMC after, s |")
    print("|---|---|---|" + "---|" * (len(NAMES) + 3))
    for name in models_of(options):
        table(name, steps=options.reduce, **sizes)


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
