"""Continuous flows of spins from uniform ones: ESS and log Z, beside what Wolff clusters, heat bath and HMC cost.

Weights are found by least squares along the flow. A flow costs CPU seconds of training, and of a draw over its ESS: a
draw that counts. A chain costs CPU seconds of an update times 2τ of the susceptibility. Compilation is apart. log Z has
the normalised uniform measure; on strips of two sites and on 2×2 it is known. `--quick` trains little.
"""

import argparse
import dataclasses
import math
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import latflow as lf  # noqa: E402
from latflow.bijections.ode.runge_kutta import RK4  # noqa: E402
from latflow.flows.continuous import log_prob_error, with_integrator  # noqa: E402
from latflow.randomness import fold_in, root_key, split  # noqa: E402
from latflow.samplers.chains import advance, starts, warm_up  # noqa: E402
from latflow.stats.gamma import gamma_estimate  # noqa: E402
from latflow.stats.weights import reweighting_ess  # noqa: E402
from latflow.theories.spins.known import known_values  # noqa: E402
from latflow.theories.spins.table import ONTable  # noqa: E402
from latflow.training.steps import TrainingState  # noqa: E402

BLOCK = 256
CHAINS = 16


@dataclasses.dataclass(frozen=True)
class Case:
    """What is trained, and how.

    Attributes:
        components: N.
        shape: Of the lattice.
        beta: Coupling.
        radius: Of the sums of spins.
        batch: Draws in a step of training.
        steps: Steps.
        intervals: Of time in a step of training.
    """

    components: int
    shape: tuple[int, ...]
    beta: float
    radius: int
    batch: int = 1024
    steps: int = 4
    intervals: int = 12


CASES = {
    "XY 2x8, .6": Case(2, (2, 8), 0.6, 3),
    "XY 8x8, .6": Case(2, (8, 8), 0.6, 4),
    "XY 8x8, .8": Case(2, (8, 8), 0.8, 4),
    "O(3) 8x8, 1": Case(3, (8, 8), 1.0, 4),
    "XY 16x16, .8": Case(2, (16, 16), 0.8, 5),
    "XY 16x16, 1.1": Case(2, (16, 16), 1.1, 8),
    "O(3) 16x16, 1.3": Case(3, (16, 16), 1.3, 6),
}


def trained(case, action, arguments, seed):
    """The flow, CPU seconds of the steps of training and of the first one, which compiles."""
    flow = lf.continuous_spin_flow(
        root_key(seed),
        action.lattice,
        case.components,
        radius=case.radius,
        degree=arguments.degree,
        n_times=arguments.times,
        n_steps=arguments.steps,
    )
    batch, intervals = (64, 2) if arguments.quick else (case.batch, case.intervals)
    loss, optimiser = lf.LeastSquares(batch_size=batch, n_intervals=intervals), lf.adam(lambda _: jnp.asarray(1e-3))
    state, seconds = TrainingState.start(flow, optimiser), []
    for step in range(2 if arguments.quick else case.steps):
        begun = time.process_time()
        state, _ = loss.descend(state, fold_in(root_key(seed), 1), step + 1, action=action, optimiser=optimiser)
        jax.block_until_ready(state.flow)
        seconds.append(time.process_time() - begun)
    return state.flow, sum(seconds[1:]) * len(seconds) / max(len(seconds) - 1, 1), seconds[0]


def judged(flow, action, n, seed):
    """Log-weights of n draws, and CPU milliseconds per draw."""

    @jax.jit
    def block(key):
        x, log_q = jax.vmap(flow.sample_and_log_prob)(split(key, BLOCK))
        return -jax.vmap(action)(x) - log_q

    jax.block_until_ready(block(root_key(seed)))
    begun = time.process_time()
    found = np.concatenate([np.asarray(block(fold_in(root_key(seed), i))) for i in range(-(-n // BLOCK))])
    return found, 1e3 * (time.process_time() - begun) / len(found)


def of_flow(name, case, arguments):
    """One line of the table of flows."""
    action = lf.SpinModel(lf.Lattice(case.shape), components=case.components, beta=case.beta)
    for seed in range(1, arguments.seeds + 1):
        flow, seconds, first = trained(case, action, arguments, seed)
        accurate = with_integrator(flow, RK4, 2 * arguments.steps)
        error = log_prob_error(root_key(seed), flow, accurate)
        log_w, each = judged(flow, action, 512 if arguments.quick else arguments.draws, 100 + seed)
        ess, largest = float(reweighting_ess(log_w)), np.max(log_w)
        w = np.exp(log_w - largest)
        log_z, sigma = float(np.log(np.mean(w)) + largest), float(np.std(w) / np.mean(w) / math.sqrt(len(w)))
        table = ONTable(kind="o_n", components=case.components, beta=case.beta)
        known = known_values(table, case.shape).get("log_z")
        pull = "" if known is None else f"{(log_z - known.value) / sigma:+.1f}"
        cells = [
            name,
            f"{ess:.3f}",
            f"{len(w)}",
            f"{len(w) * np.max(w) / np.sum(w):.0f}/N",
            f"{log_z:.4f}({sigma:.4f})",
        ]
        cells += [pull, f"{error:.0e}", f"{seconds:.0f} + {first:.0f}", f"{each:.2f}", f"{each / ess:.2f}"]
        print("| " + " | ".join(cells) + " |", flush=True)


def of_chains(name, case, arguments):
    """Lines of the table of chains: every kernel with τ of the susceptibility, in updates, and its seconds."""
    action = lf.SpinModel(lf.Lattice(case.shape), components=case.components, beta=case.beta)
    kernels = {
        "clusters": lf.SpinClusters(action, n_clusters=4),
        "heat bath + 3 overrelaxations": lf.SpinHeatBath(action, n_overrelaxation=3),
        "HMC": lf.HMC(action, lf.OMF2, step_size=0.2, n_steps=5),
    }
    n = 50 if arguments.quick else arguments.records

    def susceptibility(x):
        return jnp.sum(jnp.sum(x, axis=tuple(range(1, x.ndim))) ** 2) / x[0].size

    for kernel_name, kernel in kernels.items():
        key = root_key(7)
        x = starts(fold_in(key, 0), action.space, CHAINS)
        if isinstance(kernel, lf.HMC):
            kernel, x = warm_up(kernel, fold_in(key, 1), x, n_steps=100, target_acceptance=0.8)[:2]
        x, _ = advance(kernel, fold_in(key, 2), x, first=0, n_records=n, thin=1)
        begun = time.process_time()
        x, records = advance(kernel, fold_in(key, 3), x, first=n, n_records=n, thin=1)
        jax.block_until_ready(x)
        each = 1e3 * (time.process_time() - begun) / n / CHAINS
        series = np.asarray(jax.vmap(jax.vmap(susceptibility))(records.x)).T
        found = gamma_estimate(series)
        tau = found.tau_int or 0.5
        cells = [name, kernel_name, f"{found.value:.3f}({found.error:.3f})", f"{tau:.2f}"]
        print("| " + " | ".join([*cells, f"{each:.3f}", f"{each * max(2 * tau, 1):.3f}"]) + " |", flush=True)


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--degree", type=int, default=2, help="of the polynomials in products with neighbours")
    parser.add_argument("--times", type=int, default=4, help="functions of time per weight")
    parser.add_argument("--steps", type=int, default=8, help="integration steps, of the classical scheme")
    parser.add_argument("--draws", type=int, default=8192, help="on which a flow is judged")
    parser.add_argument("--records", type=int, default=2000, help="updates of each of 16 chains")
    parser.add_argument("--seeds", type=int, default=1, help="of training and draws")
    parser.add_argument("--chains", action="store_true", help="chains alone, no flows")
    parser.add_argument("--quick", action="store_true", help="train little")
    arguments = parser.parse_args()
    names = arguments.cases[:1] if arguments.quick else arguments.cases
    print("| case | ESS | N | largest weight | log Z | pull | error of log q | CPU-s | ms a draw | ms over ESS |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in () if arguments.chains else names:
        of_flow(name, CASES[name], arguments)
    print("\n| case | chain | susceptibility | τ | ms an update | ms an independent one |\n|---|---|---|---|---|---|")
    for name in names:
        of_chains(name, CASES[name], arguments)


if __name__ == "__main__":
    main()
