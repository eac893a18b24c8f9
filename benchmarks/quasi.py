"""Variance of plain weighted averages over that with quasi-random points, with Hermite variates, and with both.

Draws of models of the zoo, integrated as their error allows. Of the same number of draws: plain random ones are 1;
`hermite` random draws with variates, `quasi` scrambled Sobol points with errors from the scatter of scramblings, `both`
these with variates. A ratio of quasi-random averages is known to √(2/(R − 1)) of R scramblings, one of random ones to a
few per cent; several seeds give median and range. The variance of plain random draws is the mean of all seeds.
`pull` is the scatter of the values of the seeds in units of their errors, 1 if these are right. `noise of weights` is
the gain that would be left if points and variates took away all of an average but the noise of its weights, w − ⟨w⟩
times x − μ: no function of few modes knows that. `clusters` are plain averages of chains, with how many
errors of the difference the mean of `both` is off.
"""

import math
import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple

import jax

jax.config.update("jax_enable_x64", val=True)

import numpy as np  # noqa: E402

from common.clusters import long_run  # noqa: E402
from common.zoo import flow_and_action, models_of, parser_of_models  # noqa: E402
from latflow.distributions import AbstractDistribution  # noqa: E402
from latflow.flows.hermite import variates_of_keys, variates_of_points  # noqa: E402
from latflow.flows.matched import GAIN, INTEGRATIONS  # noqa: E402
from latflow.flows.weighted import FlowSampler, matched_draws  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.observables.base import measure  # noqa: E402
from latflow.samplers.draws import draw_block  # noqa: E402
from latflow.samplers.quasi import SobolPoints, quasi_block  # noqa: E402
from latflow.stats.scramblings import Scrambled  # noqa: E402
from latflow.stats.variates import Varied  # noqa: E402
from latflow.stats.weights import linearised, named_estimates, relative_weights, reweighting_ess  # noqa: E402
from latflow.theories.any_action import physics_of  # noqa: E402

BLOCK, RECORDS = 1024, 1000
SHOWN = ("chi2", "C(L/2)", "E", "phi2")
WAYS = ("hermite", "quasi", "both")


def quantities(volume):
    """The observables of the table from means of columns."""

    def derive(means):
        return {
            "chi2": volume * (means["magnetization_squared"] - means["magnetization"] ** 2),
            "C(L/2)": means["correlator"][-1],
            "E": means["neighbour_product"],
            "phi2": means["phi_squared"],
        }

    return derive


class Draws:
    """Log-weights, columns and variates of the draws of one model.

    Args:
        name: In the zoo.
        n: How many draws the integration of the flow is matched to.
        integration: How that is chosen, `"matched"` or `"fitted"`.
    """

    def __init__(self, name, *, n, integration):
        flow, self.action = flow_and_action(name)
        key = jax.random.key(16)
        self.flow: AbstractDistribution
        self.flow, self.told = matched_draws(key, flow, self.action, n=n, gain=GAIN, integration=integration)
        self.lattice = Lattice(tuple(flow.space.shape))
        self.observables = physics_of(self.action).observables

    def random(self, key, n):
        """Of random draws."""
        sampler, size = FlowSampler(self.flow, self.action), min(BLOCK, n)
        return self._joined(
            (
                draw_block(sampler, key, first=first, n=size),
                variates_of_keys(self.flow, self.lattice, key, first=first, n=size),
            )
            for first in range(0, n, size)
        )

    def quasi(self, key, points, scramblings):
        """Of quasi-random draws."""
        source, size = SobolPoints(key, self.flow.n_uniforms), min(BLOCK, points)
        at_once = FlowSampler(self.flow, self.action).draws_at_once
        places = ((r, first) for r in range(scramblings) for first in range(0, points, size))
        blocks = (source.block(r, first=first, n=size) for r, first in places)
        return self._joined(
            (
                quasi_block(self.flow, self.action, u, at_once=at_once),
                variates_of_points(self.flow, self.lattice, u),
            )
            for u in blocks
        )

    def _joined(self, blocks):
        parts = [(drawn.log_weight, measure(self.observables, np.asarray(drawn.x)), v) for drawn, v in blocks]
        columns = {name: np.concatenate([part[1][name] for part in parts]) for name in parts[0][1]}
        return np.concatenate([part[0] for part in parts]), columns, np.concatenate([part[2] for part in parts])


class OfSeed(NamedTuple):
    """Value and error of the observables of one seed by every way, variances of one plain random draw, ESS and cost.

    Variances are those of the terms of an average, and of what the noise of the weights makes of them.
    """

    found: dict[str, dict[str, tuple[float, float]]]
    variances: dict[str, float]
    of_noise: dict[str, float]
    ess: float
    milliseconds: float


def of_seed(draws, seed, *, n, points, scramblings):
    """Random and quasi-random draws of one seed."""
    derive, key = quantities(draws.lattice.volume), jax.random.key(seed)

    def of(columns, weights):
        linear, covariance = weights.propagated(columns, derive)
        estimates = named_estimates(linear, covariance, n=weights.n_draws)
        return {name: (estimates[name][0].value, estimates[name][0].error) for name in SHOWN}

    log_weights, columns, variates = draws.random(key, n)
    variances, of_noise = variances_of(columns, log_weights, derive)
    hermite = of(columns, Varied(log_weights, variates))
    begin = time.process_time()
    log_quasi, columns, variates = draws.quasi(key, points, scramblings)
    scrambled = Scrambled(log_quasi, scramblings)
    both = of(columns, Varied(scrambled, variates))
    each = 1e3 * (time.process_time() - begin) / (points * scramblings)
    found = {"hermite": hermite, "quasi": of(columns, scrambled), "both": both}
    return OfSeed(found, variances, of_noise, float(reweighting_ess(log_quasi)), each)


def variances_of(columns, log_weights, derive):
    """Variance of the terms of every average of random draws, and of their noise of weights alone."""
    linear, influence = linearised(columns, log_weights, derive)
    terms = influence @ linear.jacobian.T
    share = relative_weights(log_weights)[:, None]
    found = [len(terms) * np.sum(each**2, axis=0) for each in (terms, terms * (1 - share.mean() / share))]
    places = dict(zip(linear.layout.names, linear.layout.offsets(), strict=True))
    return [{name: float(each[places[name]][0]) for name in SHOWN} for each in found]


def noise_row(name, draws, ess, variances):
    """The gain that would be left with nothing but the noise of the weights, and how the flow was integrated."""
    left = " | ".join(
        f"{sum(each[q] for each, _ in variances) / sum(noise[q] for _, noise in variances):.0f}" for q in SHOWN
    )
    return f"| {name} | {ess:.3f} | noise of weights | {left} | | {how(draws.told)} |"


def noise_of(name, *, n, integration, seeds):
    """The line of random draws alone."""
    draws = Draws(name, n=n, integration=integration)
    found = [draws.random(jax.random.key(seed), n)[:2] for seed in range(1, seeds + 1)]
    ess = statistics.median(float(reweighting_ess(log_weights)) for log_weights, _ in found)
    derive = quantities(draws.lattice.volume)
    return noise_row(name, draws, ess, [variances_of(columns, weights, derive) for weights, columns in found])


def of_clusters(draws, runs):
    """Values and errors of the observables of the table, from chains."""
    derive = quantities(draws.lattice.volume)

    def columns(fields):
        found = measure(draws.observables, fields) | {"magnetization": np.zeros(len(fields))}
        return np.stack([np.asarray(row) for row in _of_rows(derive, found)], axis=-1)

    return long_run(draws.action, columns, runs=runs, records=RECORDS)


def _of_rows(derive, columns):
    """What `derive` makes of every row: all quantities are linear where the magnetisation is zero."""
    return derive({name: np.moveaxis(np.asarray(column), 0, -1) for name, column in columns.items()}).values()


def rows(name, *, seeds, integration, clusters, **sizes) -> Iterator[str]:
    """Lines of the table of one model: median and range of the gains of all seeds, and the mean of the values."""
    n_quasi = sizes["points"] * sizes["scramblings"]
    draws = Draws(name, n=n_quasi, integration=integration)
    of_seeds = [of_seed(draws, seed, **sizes) for seed in range(1, seeds + 1)]
    ess, cost = (statistics.median(getattr(each, what) for each in of_seeds) for what in ("ess", "milliseconds"))
    variance = {q: statistics.fmean(each.variances[q] for each in of_seeds) for q in SHOWN}
    yield noise_row(name, draws, ess, [(each.variances, each.of_noise) for each in of_seeds])
    for way in WAYS:
        size = sizes["n"] if way == "hermite" else n_quasi
        found = [each.found[way] for each in of_seeds]
        gains = [sorted(variance[q] / (each[q][1] ** 2 * size) for each in found) for q in SHOWN]
        cells = [f"{statistics.median(each):.0f} ({each[0]:.0f}–{each[-1]:.0f})" for each in gains]
        values = [_joined_value([each[q] for each in found]) for q in SHOWN]
        yield "| " + " | ".join([name, f"{ess:.3f}", way, *cells, f"{cost:.3f}", "; ".join(values)]) + " |"
    if clusters:
        values = []
        for q, mean, error in zip(SHOWN, *of_clusters(draws, clusters), strict=True):
            own, of_own = _mean([each.found["both"][q] for each in of_seeds])
            values.append(f"{mean:.7g} ± {error:.2g} ({(own - mean) / math.hypot(error, of_own):+.1f})")
        yield "| " + " | ".join([name, "", "clusters", "", "", "", "", "", "; ".join(values)]) + " |"


def how(told):
    """The integration in words."""
    if told is None:
        return "accurate"
    fitted = "" if told.quadrature is None else ", fitted log-det"
    return f"{told.steps} × {told.scheme}, {told.precision}{fitted}"


def _mean(found):
    """Of values with errors of several seeds, with its error."""
    values, errors = np.array(found).T
    return float(values.mean()), math.sqrt(np.sum(errors**2)) / len(errors)


def _joined_value(found):
    """Mean of the values of all seeds with its error and their pull."""
    values, errors = np.array(found).T
    mean, error = _mean(found)
    if len(values) == 1:
        return f"{mean:.7g} ± {error:.2g}"
    return f"{mean:.7g} ± {error:.2g} (pull {values.std(ddof=1) / math.sqrt(np.mean(errors**2)):.1f})"


def main():
    parser = parser_of_models(__doc__)
    parser.add_argument("--random", type=int, default=8192, help="random draws of a seed, %(default)s")
    parser.add_argument("--points", type=int, default=4096, help="points of a scrambling, %(default)s")
    parser.add_argument("--scramblings", type=int, default=16, help="scramblings, %(default)s")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of the draws, %(default)s")
    parser.add_argument("--clusters", type=int, default=4, help="runs of 64 chains of clusters, %(default)s")
    parser.add_argument("--integration", default="matched", choices=INTEGRATIONS[1:], help="%(default)s")
    parser.add_argument("--noise", action="store_true", help="only the noise of the weights, from random draws")
    asked = parser.parse_args()
    sizes = {"n": asked.random, "points": asked.points, "scramblings": asked.scramblings, "seeds": asked.seeds}
    sizes["clusters"] = asked.clusters
    if asked.quick:
        sizes = {"n": 512, "points": 64, "scramblings": 8, "seeds": 2, "clusters": 1}
    if asked.noise:
        for name in models_of(asked):
            of_noise = {"n": sizes["n"], "seeds": sizes["seeds"], "integration": asked.integration}
            print(noise_of(name, **of_noise), flush=True)
        return
    known = 100 * math.sqrt(2 / (sizes["scramblings"] - 1))
    print(f"{sizes['seeds']} × {sizes['n']} random draws; {sizes['scramblings']} × {sizes['points']} points:")
    print(f"median (range) of {sizes['seeds']} seeds, each known to {known:.0f} %\n")
    print("| model | ESS | way | " + " | ".join(SHOWN) + " | CPU ms per draw | values |")
    print("|---|---|---|" + "---|" * len(SHOWN) + "---|---|")
    for name in models_of(asked):
        for row in rows(name, integration=asked.integration, **sizes):
            print(row, flush=True)


if __name__ == "__main__":
    main()
