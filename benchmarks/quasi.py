"""Variance of plain weighted averages over that with quasi-random points, with Hermite variates, and with both.

Draws of models of the zoo, integrated accurately. Of the same number of draws: plain random ones are 1; `hermite`
random draws with variates, `quasi` scrambled Sobol points with errors from the scatter of scramblings, `both` these
with variates. The ratios of quasi-random averages are known to √(2/(R − 1)) of R scramblings, those of random ones to a
few per cent.
"""

import argparse
import math
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import numpy as np  # noqa: E402

from latflow.distributions import AbstractDistribution  # noqa: E402
from latflow.flows.hermite import variates_of_keys, variates_of_points  # noqa: E402
from latflow.flows.weighted import FlowSampler, for_draws  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.observables.base import measure  # noqa: E402
from latflow.samplers.draws import draw_block  # noqa: E402
from latflow.samplers.quasi import SobolPoints, quasi_block  # noqa: E402
from latflow.stats.scramblings import Scrambled  # noqa: E402
from latflow.stats.variates import Varied  # noqa: E402
from latflow.stats.weights import named_estimates, reweighting_ess, weighted_estimates  # noqa: E402
from latflow.study.build import build_action, study_flow  # noqa: E402
from latflow.study.models import load_whole, model_path  # noqa: E402
from latflow.theories.any_action import physics_of  # noqa: E402

MODELS = ("phi4-e1", "phi4-e2", "phi4-e3", "phi4-e4", "phi4-e5", "phi4-l20")
BLOCK = 1024
SHOWN = ("chi2", "C(L/2)", "E", "phi2")


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
    """Log-weights, columns and variates of the draws of one model."""

    def __init__(self, name, seed):
        model, config, _ = load_whole(model_path(f"zoo:{name}"))
        self.key, self.action = jax.random.key(seed), build_action(config)
        self.flow: AbstractDistribution = for_draws(self.key, study_flow(model, config))
        self.lattice = Lattice(tuple(config.lattice.shape))
        self.observables = physics_of(self.action).observables

    def random(self, n):
        """Of random draws."""
        sampler, size = FlowSampler(self.flow, self.action), min(BLOCK, n)
        return self._joined(
            (
                draw_block(sampler, self.key, first=first, n=size),
                variates_of_keys(self.flow, self.lattice, self.key, first=first, n=size),
            )
            for first in range(0, n, size)
        )

    def quasi(self, points, scramblings):
        """Of quasi-random draws."""
        source, size = SobolPoints(self.key, self.flow.n_uniforms), min(BLOCK, points)
        places = ((r, first) for r in range(scramblings) for first in range(0, points, size))
        blocks = (source.block(r, first=first, n=size) for r, first in places)
        return self._joined(
            (quasi_block(self.flow, self.action, u), variates_of_points(self.flow, self.lattice, u)) for u in blocks
        )

    def _joined(self, blocks):
        parts = [(drawn.log_weight, measure(self.observables, np.asarray(drawn.x)), v) for drawn, v in blocks]
        columns = {name: np.concatenate([part[1][name] for part in parts]) for name in parts[0][1]}
        return np.concatenate([part[0] for part in parts]), columns, np.concatenate([part[2] for part in parts])


def row(name, *, n, points, scramblings):
    draws = Draws(name, seed=17)
    derive = quantities(draws.lattice.volume)

    def of(columns, weights):
        linear, covariance = weights.propagated(columns, derive)
        return named_estimates(linear, covariance, n=weights.n_draws)

    log_weights, columns, variates = draws.random(n)
    begin = time.process_time()
    quasi_weights, quasi_columns, quasi_variates = draws.quasi(points, scramblings)
    seconds = (time.process_time() - begin) / (points * scramblings)
    scrambled = Scrambled(quasi_weights, scramblings)
    plain = weighted_estimates(columns, log_weights, derive)
    ways = {
        "hermite": (of(columns, Varied(log_weights, variates)), n),
        "quasi": (of(quasi_columns, scrambled), points * scramblings),
        "both": (of(quasi_columns, Varied(scrambled, quasi_variates)), points * scramblings),
    }
    for way, (found, size) in ways.items():
        ratios = [plain[q][0].error ** 2 * n / (found[q][0].error ** 2 * size) for q in SHOWN]
        values = [f"{found[q][0].value:.6g} ± {found[q][0].error:.2g}" for q in SHOWN]
        cells = [
            name,
            f"{reweighting_ess(log_weights):.3f}",
            way,
            *(f"{r:.0f}" for r in ratios),
            f"{1e3 * seconds:.2f}",
        ]
        print("| " + " | ".join([*cells, "; ".join(values)]) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one model and few draws")
    parser.add_argument("--models", default=",".join(MODELS), help="names in the zoo, %(default)s")
    parser.add_argument("--random", type=int, default=65536, help="random draws, %(default)s")
    parser.add_argument("--points", type=int, default=4096, help="points of a scrambling, %(default)s")
    parser.add_argument("--scramblings", type=int, default=16, help="scramblings, %(default)s")
    asked = parser.parse_args()
    sizes = {"n": asked.random, "points": asked.points, "scramblings": asked.scramblings}
    models, sizes = (
        (["phi4-e1"], {"n": 512, "points": 64, "scramblings": 8})
        if asked.quick
        else (
            asked.models.split(","),
            sizes,
        )
    )
    known = 100 * math.sqrt(2 / (sizes["scramblings"] - 1))
    print(
        f"{sizes['n']} random draws; {sizes['scramblings']} × {sizes['points']} points: ratios known to {known:.0f} %"
    )
    print("| model | ESS | way | " + " | ".join(SHOWN) + " | CPU ms per draw | values |")
    print("|---|---|---|" + "---|" * len(SHOWN) + "---|---|")
    for name in models:
        row(name, **sizes)


if __name__ == "__main__":
    main()
