"""What an error costs: CPU seconds for a relative error of 0.1 %, of chains and of the flow of the zoo, by observable.

HMC with a tuned step and Wolff clusters with tuned sweeps, 64 chains each; the flow's draws with weights, integrated as
their error allows, random ones by Metropolis and by weights, and at scrambled Sobol points with variates. Each is run
twice and the second run is timed, so that nothing is compiled in it; of chains the share of the warm-up is taken off.
Squared errors of quasi-random averages are known to 37 %, others to a few per cent. Training is not in these seconds;
the last columns say for how long HMC could have run before flow and training are ahead of it in χ₂.
"""

import time

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import latflow as lf  # noqa: E402
from common.zoo import flow_and_action, models_of, parser_of_models, training_seconds  # noqa: E402
from latflow.flows.weighted import matched_draws  # noqa: E402

NAMES = {"susceptibility": "χ₂", "pole_mass": "m_p", "ising_energy": "E", "phi_squared": "⟨φ²⟩"}
CHAINS, WARMUP, GOAL = 64, 500, 1e-3


def timed(function, *arguments, **settings):
    """What a call gives, and its CPU seconds."""
    start = time.process_time()
    found = function(*arguments, **settings)
    return found, time.process_time() - start


def cost(estimates, seconds):
    """CPU seconds for the goal, by observable."""
    first = {name: estimates[name][0] for name in NAMES if estimates.get(name)}
    return {name: seconds * (each.error / each.value / GOAL) ** 2 for name, each in first.items()}


def of_chain(action, kernel, *, records, thin):
    """Value of χ₂ and costs of a kernel."""
    settings = {"n": records, "chains": CHAINS, "warmup": WARMUP, "thin": thin}
    lf.run_chain(jax.random.key(1), kernel, **settings)
    fields, seconds = timed(lf.run_chain, jax.random.key(2), kernel, **settings)
    share = records * thin / (records * thin + WARMUP)
    return fields, lf.estimates(action, fields), seconds * share


def of_flow(action, flow, *, points):
    """Averages and seconds of random draws, by Metropolis and by weights, and of quasi-random ones."""
    n = 16 * points
    sampler = lf.FlowSampler(matched_draws(jax.random.key(3), flow, action, n=n)[0], action)
    lf.sample(jax.random.key(4), sampler, n=512)
    drawn, seconds = timed(lf.sample, jax.random.key(5), sampler, n=n)
    yield "flow, Metropolis", lf.estimates(action, drawn), seconds
    yield "flow, weights", lf.reweighted_estimates(action, drawn), seconds
    settings = {"integration": "matched", "scramblings": 16}
    lf.quasi_sample(jax.random.key(6), flow, action, points=128, **settings)
    drawn, seconds = timed(lf.quasi_sample, jax.random.key(6), flow, action, points=points, **settings)
    estimates, more = timed(lf.reweighted_estimates, action, drawn)
    yield "flow, quasi-random with variates", estimates, seconds + more


def rows(name, *, records, points, steps):
    """Label, estimates and seconds of every way."""
    flow, action = flow_and_action(name)
    hmc = lf.HMC(action, lf.OMF2, step_size=jnp.asarray(0.25), n_steps=4)
    fields, estimates, seconds = of_chain(action, hmc, records=records, thin=2)
    yield "HMC", estimates, seconds
    if steps:
        found, more = timed(lf.reduce, action, fields, training=lf.SteinTraining(steps=steps))
        yield f"HMC, reduced ({found.training_seconds:.0f} s of training included)", found.estimates, seconds + more
    clusters = lf.WolffMetropolis(action, width=jnp.asarray(1.0), n_sweeps=3, n_clusters=1)
    yield "clusters", *of_chain(action, clusters, records=records, thin=1)[1:]
    yield from of_flow(action, flow, points=points)


def table(name, **sizes):
    """The rows of one flow, printed."""
    training = training_seconds(name)
    reference = None
    for label, estimates, seconds in rows(name, **sizes):
        found = cost(estimates, seconds)
        reference = reference or found
        cells = [f"{found[key]:.3g} ({reference[key] / found[key]:.3g})" if key in found else "–" for key in NAMES]
        gain = reference["susceptibility"] / found["susceptibility"]
        flow = label.startswith("flow")
        even = "–" if not flow else f"{training / (1 - 1 / gain):.0f}" if gain > 1 else "never"
        value = estimates["susceptibility"][0]
        print(f"| {name} | {label} | {value} | {' | '.join(cells)} | {seconds:.1f} | {even} |", flush=True)
    print(f"\n{name}: training of the flow and of those it began from, {training:.0f} s\n", flush=True)


def main():
    parser = parser_of_models(__doc__)
    parser.add_argument("--points", type=int, default=4096, help="of each of 16 scramblings")
    parser.add_argument("--records", type=int, default=2000, help="of each of 64 chains")
    parser.add_argument("--reduce", type=int, default=0, help="steps of training of Stein fields on the chains of HMC")
    options = parser.parse_args()
    sizes = {"records": 64, "points": 128} if options.quick else {"records": options.records, "points": options.points}
    columns = " | ".join(f"{text}, s (HMC ÷)" for text in NAMES.values())
    print(f"| model | way | χ₂ | {columns} | run, CPU s | even with HMC after, s |")
    print("|---|---|---|" + "---|" * (len(NAMES) + 2))
    for name in models_of(options):
        table(name, steps=options.reduce, **sizes)


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
