"""Flows of spins from coarse sites to fine ones: ESS, log Z and averages, beside what clusters cost.

Targets are configurations of Wolff clusters, moved by random symmetries of the lattice, and training is maximum
likelihood. All is judged on draws of the flow, and averages beside those of other chains. CPU seconds: of the chains of
the training, of the training, and of compiling it, apart; of a draw over its ESS, and of a record of clusters times 2τ
of the susceptibility. Draws at quasi-random points have the variance of as many random ones over theirs.
`--quick` trains little on 4 × 4 sites.
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
from latflow.stats.gamma import gamma_estimate  # noqa: E402
from latflow.stats.weights import reweighting_ess  # noqa: E402
from latflow.theories.spins.known import known_values  # noqa: E402
from latflow.theories.spins.table import ONTable  # noqa: E402

CHAINS = 64
SHOWN = ("spin_susceptibility", "spin_product", "spin_correlation_length", "helicity_modulus")


@dataclasses.dataclass(frozen=True)
class Case:
    """A model, and how long its flow is trained.

    Attributes:
        components: N.
        shape: Of the lattice.
        beta: Coupling.
        steps: Of training, with 256 draws each.
        targets: Configurations that it is trained on.
        thin: Updates between them.
    """

    components: int
    shape: tuple[int, ...]
    beta: float
    steps: int = 1500
    targets: int = 16384
    thin: int = 4

    @property
    def action(self):
        """Of the model."""
        return lf.SpinModel(lf.Lattice(self.shape), components=self.components, beta=self.beta)


CASES = {
    "XY 2x8, .6": Case(2, (2, 8), 0.6, steps=600),
    "XY 8x8, .8": Case(2, (8, 8), 0.8, steps=1000),
    "XY 16x16, .8": Case(2, (16, 16), 0.8),
    "XY 16x16, 1.1": Case(2, (16, 16), 1.1, steps=2500),
    "O(3) 8x8, 1": Case(3, (8, 8), 1.0, steps=1000),
    "O(3) 16x16, 1.3": Case(3, (16, 16), 1.3),
    "O(4) 8x8, 2": Case(4, (8, 8), 2.0, steps=1000),
}
QUICK = Case(2, (4, 4), 0.8, steps=30, targets=512)


def chains(case, seed, n):
    """Configurations of chains of clusters, shape (record, chain, ...), and CPU seconds without the compilation."""
    kernel = lf.SpinClusters(case.action, n_clusters=4)
    settings = {"chains": CHAINS, "warmup": 200, "thin": case.thin}
    lf.run_chain(jax.random.key(seed), kernel, n=n // CHAINS, **settings)  # compiles
    begin = time.process_time()
    x = lf.run_chain(jax.random.key(seed), kernel, n=n // CHAINS, **settings)
    return np.asarray(x), time.process_time() - begin


def trained(case, seed):
    """A flow, and CPU seconds of chains, of training and of compiling it."""
    x, of_chains = chains(case, 1000 + seed, case.targets)
    targets = jnp.asarray(x).reshape(-1, *x.shape[2:])
    flow = lf.spin_levels_flow(jax.random.key(seed), case.action.lattice, case.components, beta=case.beta)
    settings = {
        "loss": lf.ForwardKL(targets, 256, directions=2),
        "optimiser": lf.adam(lf.schedule("cosine", learning_rate=5e-3, n_steps=case.steps)),
        "evaluation": lf.Evaluation(every=case.steps, draws=256),
    }

    def timed(steps):
        begin = time.process_time()
        stop = lf.StopCriterion(steps=steps)
        found = lf.fit(jax.random.key(seed), flow, case.action, stop=stop, **settings).flow
        return found, time.process_time() - begin

    (_, compiling), (found, training) = timed(1), timed(case.steps)
    assert isinstance(found, lf.Flow)
    return found, of_chains, training, compiling


def shown(estimates):
    """Averages of the table."""
    return {name: estimates[name][0] for name in SHOWN if name in estimates}


def pulls(found, other):
    """Differences in units of their errors."""
    return ", ".join(
        f"{(each.value - other[n].value) / math.hypot(each.error, other[n].error):+.1f}" for n, each in found.items()
    )


def of_seed(name, case, seed, arguments):
    """One line of the table of flows; averages of the draws."""
    flow, of_chains, training, compiling = trained(case, seed)
    action, n = case.action, 512 if arguments.quick else arguments.draws
    samples = lf.sample(jax.random.key(300 + seed), flow, action, n=n)  # compiles
    begin = time.process_time()
    samples = lf.sample(jax.random.key(100 + seed), flow, action, n=n)
    each = 1e3 * (time.process_time() - begin) / n
    log_w = np.asarray(samples.log_weight)
    ess, w = float(reweighting_ess(log_w)), np.exp(log_w - log_w.max())
    log_z, error = float(np.log(w.mean()) + log_w.max()), float(w.std() / w.mean() / math.sqrt(n))
    known = known_values(ONTable(kind="o_n", components=case.components, beta=case.beta), case.shape).get("log_z")
    pull = "" if known is None else f"{(log_z - known.value) / error:+.1f}"
    random = shown(lf.reweighted_estimates(action, samples))
    points = lf.quasi_sample(
        jax.random.key(200 + seed), flow, action, points=64 if arguments.quick else arguments.points
    )
    quasi = shown(lf.reweighted_estimates(action, points))
    share = n / len(points.log_weight)
    gains = ", ".join(f"{share * (random[q].error / quasi[q].error) ** 2:.1f}" for q in random)
    cells = [name, f"{ess:.3f}", f"{n}", f"{n * w.max() / w.sum():.0f}/N", f"{log_z:.4f}({error:.4f})", pull]
    cells += [f"{of_chains:.0f} + {training:.0f} + {compiling:.0f}", f"{each:.3f}", f"{each / ess:.3f}", gains]
    print("| " + " | ".join(cells) + " |", flush=True)
    return random, quasi


def of_clusters(case, arguments):
    """Averages of other chains; their τ and CPU milliseconds of a record."""
    x, seconds = chains(case, 9, CHAINS * (16 if arguments.quick else arguments.records))
    found = lf.estimates(case.action, x)
    squares = np.sum(np.sum(x, axis=(3, 4)) ** 2, axis=2) / math.prod(case.shape)
    return shown(found), gamma_estimate(squares.T).tau_int or 0.5, 1e3 * seconds / len(x) / CHAINS


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--draws", type=int, default=16384, help="on which a flow is judged, %(default)s")
    parser.add_argument("--points", type=int, default=1024, help="quasi-random, of each of 16 scramblings, %(default)s")
    parser.add_argument("--records", type=int, default=1000, help="of each of 64 chains of clusters, %(default)s")
    parser.add_argument("--seeds", type=int, default=1, help="of training and draws, %(default)s")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    cases = {"XY 4x4, .8": QUICK} if arguments.quick else {name: CASES[name] for name in arguments.cases}
    head = "| case | ESS | N | largest weight | log Z | pull | CPU-s: chains, training, compiling | ms a draw |"
    print(head + " ms over ESS | variance ÷ by points |\n" + "|---" * 10 + "|")
    found = {
        name: [of_seed(name, case, 1 + i, arguments) for i in range(arguments.seeds)] for name, case in cases.items()
    }
    print("\n| case | | " + " | ".join(SHOWN) + " | ms an independent one | σ from clusters |\n" + "|---" * 8 + "|")
    for name, case in cases.items():
        clusters, tau, each = of_clusters(case, arguments)
        rows = {f"clusters, τ = {tau:.2f}": (clusters, f"{each * max(2 * tau, 1):.3f}")}
        rows |= {f"flow, seed {i + 1}": (random, "") for i, (random, _) in enumerate(found[name])}
        rows |= {f"flow at points, seed {i + 1}": (quasi, "") for i, (_, quasi) in enumerate(found[name])}
        for label, (values, cost) in rows.items():
            cells = [f"{values[q].value:.5g} ± {values[q].error:.1g}" if q in values else "" for q in SHOWN]
            off = "" if values is clusters else pulls(values, clusters)
            print("| " + " | ".join([name, label, *cells, cost, off]) + " |", flush=True)


if __name__ == "__main__":
    main()
