"""Averages of quasi-random draws that are called reliable: how often their errors cover, and what is refused.

Free fields with m² = 0.5 are drawn from free fields of another mass or width, or with shifted modes, and the exact
values are known. Every run is judged as `lf.quasi_sample` and `lf.reweighted_estimates` do. Of R scramblings a perfect
error is that of Student's t with R − 1 degrees of freedom: for 16, an rms pull of 1.07, .667 within one error and .991
within three. Models of the zoo have no exact values: of these the part of reliable averages counts.

Beside χ₂, ⟨φ²⟩, E and log Z of the free fields, the susceptibility of |M| and the Binder cumulant are judged: few of
their terms make up their error even with equal weights.

With `--one-mode` nothing is left but a zero mode z with equal weights and one uniform number in every stratum, as the
first coordinate of scrambled points has it: what the scatter of 16 scramblings knows of averages of z², z⁴ and |z|, of
a normal mode and of such whose tail falls faster. Of all, and of those alone that are called reliable.

With `--variates` averages with Hermite variates are looked at, in flows that are so near the theory that little but the
tail is left: rms pulls, scatter and errors without variates, with those that are used, and with all; and of as many
random draws, without and with them. Of points also the part of averages that are called reliable.

``python benchmarks/quasi_reliability.py --runs 100 --zoo phi4-e1 phi4-e2 --zoo-runs 10``
"""

import argparse
import functools

import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from scipy.special import ndtri  # noqa: E402

import latflow as lf  # noqa: E402
from latflow.flows.hermite import hermite_variates  # noqa: E402
from latflow.observables.scalar import scalar_observables  # noqa: E402
from latflow.samplers.quasi import SobolPoints  # noqa: E402
from latflow.stats.estimates import RELIABLE  # noqa: E402
from latflow.stats.reliability import bounded  # noqa: E402
from latflow.stats.scrambling_reliability import judge_scramblings  # noqa: E402
from latflow.stats.scramblings import Scrambled, scrambled_estimates, scrambled_log_z  # noqa: E402
from latflow.stats.variates import Varied  # noqa: E402
from latflow.stats.weights import linearised, weighted_estimates  # noqa: E402
from quasi import SHOWN, Draws, quantities  # noqa: E402

MASS_SQUARED, SCRAMBLINGS = 0.5, 16
DEGREES = {"M1": 1, "chi2": 2, "phi2": 2, "E": 2, "M4": 4}
"""In the field, of the columns; those of models of the zoo are not among them."""
FLOWS = {
    "the same field": ("mass", 0.5001),
    "m² = 0.4": ("mass", 0.4),
    "m² = 0.55": ("mass", 0.55),
    "m² = 0.6": ("mass", 0.6),
    "m² = 0.7": ("mass", 0.7),
    "m² = 0.85": ("mass", 0.85),
    "m² = 1": ("mass", 1.0),
    "variances × 0.97": ("width", 0.97),
    "variances × 0.93": ("width", 0.93),
    "variances × 0.85": ("width", 0.85),
    "modes shifted by 0.05σ": ("shift", 0.05),
    "modes shifted by 0.1σ": ("shift", 0.1),
    "zero mode shifted by 0.5σ": ("zero", 0.5),
}


def free_field(kind, value, *, side, points, seed):
    """Log-weights, columns and exact values of one run, made mode by mode."""
    axis = 4 * np.sin(np.pi * np.arange(side) / side) ** 2
    k = np.sort((axis[:, None] + axis).ravel())
    wanted = 1 / (2 * (k + MASS_SQUARED))
    variance = {"mass": 1 / (2 * (k + value)), "width": value * wanted}.get(kind, wanted)
    shift = np.sqrt(wanted) * {"shift": value, "zero": value * (k == 0)}.get(kind, 0.0)
    source = SobolPoints(jax.random.key(seed), k.size)
    z = ndtri(np.concatenate([source.block(r, first=0, n=points) for r in range(SCRAMBLINGS)]))
    x = z * np.sqrt(variance) + shift
    log_weights = np.sum(z**2 - x**2 / wanted + np.log(variance / wanted), axis=1) / 2
    weights = {"chi2": k == 0, "phi2": np.full(k.size, 1 / k.size), "E": (1 - k / 4) / k.size}
    columns = {n: x**2 @ w for n, w in weights.items()} | {"M1": np.abs(x[:, 0]), "M4": x[:, 0] ** 4}
    exact = {n: wanted @ w for n, w in weights.items()}
    exact |= {"chi of |M|": (1 - 2 / np.pi) * exact["chi2"], "Binder": 0.0, "log Z": 0.0}
    return log_weights, columns, exact


def of_free_field(means):
    """What is estimated: second moments, the susceptibility of |M| and the Binder cumulant."""
    square = means["chi2"]
    more = {"chi of |M|": square - means["M1"] ** 2, "Binder": 1 - means["M4"] / (3 * square**2)}
    return {n: means[n] for n in ("chi2", "phi2", "E")} | more


def judged(columns, log_weights, derive):
    """All averages of a run with their states, log Z among them."""
    draws = Scrambled(log_weights, SCRAMBLINGS)
    found = judge_scramblings(draws)
    made = {**scrambled_estimates(columns, draws, derive, DEGREES), "log Z": [scrambled_log_z(draws)]}
    return {name: bounded(each, found) for name, (each,) in made.items()}


class Mode:
    """One number with density proportional to exp(−a z²/2 − b z⁴), by its quantiles."""

    def __init__(self, a, b):
        self.z = np.linspace(-12, 12, 480_001)
        density = np.exp(-a * self.z**2 / 2 - b * self.z**4 - np.max(-a * self.z**2 / 2 - b * self.z**4))
        self.share = density / density.sum()
        self.below = np.cumsum(self.share) - self.share / 2

    def mean(self, function):
        """Of a function of z, exactly."""
        return float(np.sum(self.share * function(self.z)))

    def draws(self, rng, points):
        """Of all scramblings, one in every stratum."""
        u = (np.arange(points) + rng.random((SCRAMBLINGS, points))) / points
        return np.interp(u, self.below, self.z).ravel()


MODES = {
    "normal": (1.0, 0.0),
    "z²/2 + z⁴/10": (1.0, 0.1),
    "z²/2 + z⁴": (1.0, 1.0),
    "z⁴/4": (0.0, 0.25),
    "−z² + z⁴/4": (-2.0, 0.25),
}
"""What is in the exponent of the densities: a and b. The last one has two vacua."""


def of_one_mode(mode, points, *, runs):
    """Pulls, kurtosis of x − μ and states of averages of one mode with equal weights, printed."""
    rng, rows, density = np.random.default_rng(2), [], Mode(*MODES[mode])
    powers = {"M1": np.abs, "chi2": np.square, "M4": lambda z: z**4}
    exact = of_one({name: density.mean(power) for name, power in powers.items()})
    draws = Scrambled(np.zeros(SCRAMBLINGS * points), SCRAMBLINGS)
    for _ in range(runs):
        z = density.draws(rng, points)
        columns = {name: power(z) for name, power in powers.items()}
        linear, influence = linearised(columns, draws.log_weights, of_one)
        terms = influence @ linear.jacobian.T
        kurtosis = len(terms) * np.sum(terms**4, axis=0) / np.sum(terms**2, axis=0) ** 2
        made = scrambled_estimates(columns, draws, of_one, DEGREES)
        for (name, (e,)), k in zip(made.items(), kurtosis, strict=True):
            rows.append((name, (e.value - exact[name]) / e.error, k, e.state is None))
    for name in exact:
        own = [row[1:] for row in rows if row[0] == name]
        pulls, kurtosis, reliable = (np.array(each) for each in zip(*own, strict=True))
        told = f"{mode:14} {name:10} {points:6} {covered(pulls)} {np.median(kurtosis):9.0f} {reliable.mean():9.3f}"
        print(f"{told}  {covered(pulls[reliable]) if reliable.any() else '–':>24}", flush=True)


def covered(pulls):
    """Their rms with its error, and the parts within one and three errors."""
    rms = np.sqrt(np.mean(pulls**2))
    inside = f"{np.mean(np.abs(pulls) < 1):.3f} {np.mean(np.abs(pulls) < 3):.3f}"
    return f"{rms:6.2f} ± {np.std(pulls**2) / (2 * rms * np.sqrt(len(pulls))):.2f} {inside}"


def of_one(means):
    """What is estimated of one mode."""
    of_field = of_free_field({"phi2": 0.0, "E": 0.0, **means})
    return {"z²": means["chi2"], "chi of |M|": of_field["chi of |M|"], "z⁴": means["M4"], "Binder": of_field["Binder"]}


@functools.partial(jax.jit, static_argnums=1)
def of_modes(modes, lattice):
    """All Hermite variates, also those that points do without."""
    return jax.vmap(lambda z: hermite_variates(z, lattice))(modes)


COLUMNS = {"chi2": "magnetization_squared", "phi2": "phi_squared", "E": "neighbour_product"}
NEAR = {"m² = 0.4": 0.4, "m² = 0.45": 0.45, "m² = 0.55": 0.55, "m² = 0.6": 0.6}


def of_variates(mass_squared, points, *, title, side, runs):
    """Averages of points without variates, with those that are used, and with all, and of random draws, printed."""
    lattice = lf.Lattice((side, side))
    action = lf.FreeField(lattice, mass_squared=MASS_SQUARED)
    flow, measured = lf.FreeFieldPrior.of_mass(lattice, mass_squared=mass_squared), scalar_observables(action)
    axis = 4 * np.sin(np.pi * np.arange(side) / side) ** 2
    k = (axis[:, None] + axis).ravel()
    wanted = 1 / (2 * (k + MASS_SQUARED))
    exact = np.array([wanted[0] / k.size, wanted.mean(), np.mean((1 - k / 4) * wanted)])
    found = {"none": [], "used": [], "all": [], "random": [], "and used": []}
    for seed in range(runs):
        samples = lf.quasi_sample(jax.random.key(seed), flow, action, points=points, scramblings=SCRAMBLINGS)
        every = lf.measure(measured, samples.proposals)
        columns = {name: every[column] for name, column in COLUMNS.items()}
        draws = Scrambled(samples.log_weight, SCRAMBLINGS)
        points_of = SobolPoints(jax.random.key(seed), flow.n_uniforms)
        u = np.concatenate([points_of.block(r, first=0, n=points) for r in range(SCRAMBLINGS)])
        every_variate = of_modes(jax.vmap(flow.modes_of_uniforms)(jnp.asarray(u)), lattice)
        ways = {"none": draws, "used": Varied(draws, samples.variates), "all": Varied(draws, every_variate)}
        drawn = lf.sample(jax.random.key(seed), flow, action, n=SCRAMBLINGS * points)
        every = lf.measure(measured, drawn.proposals)
        of_drawn = {name: every[column] for name, column in COLUMNS.items()}
        log_weight = np.asarray(drawn.log_weight)
        further = {
            "random": weighted_estimates(of_drawn, log_weight, lambda means: means),
            "and used": Varied(log_weight, drawn.variates).estimates(of_drawn, lambda means: means),
        }
        made = {way: each.estimates(columns, lambda means: means) for way, each in ways.items()} | further
        for way, each in made.items():
            found[way].append([(e.value, e.error, e.state is None) for (e,) in (each[name] for name in COLUMNS)])
    for way, rows in found.items():
        value, error, reliable = np.moveaxis(np.array(rows, dtype=float), 2, 0)
        pulls = np.sqrt(np.mean(((value - exact) / error) ** 2, axis=0))
        relative = (value.std(axis=0, ddof=1) / exact, np.sqrt(np.mean(error**2, axis=0)) / exact)
        told = "  ".join(
            f"{pull:5.2f} {scatter:8.1e} {of:8.1e}" for pull, scatter, of in zip(pulls, *relative, strict=True)
        )
        states = f"{reliable.mean():8.2f}" if way in {"none", "used", "all"} else f"{'–':>8}"
        print(f"{title:10} {points:6} {way:8} {states}  {told}", flush=True)


def line(name, points, pulls, reliable):
    """Parts of all averages, and of those that are called reliable, within one and three errors."""
    told = [f"{name:26} {points:6} {np.mean(reliable):8.3f}"]
    for each in (pulls, pulls[reliable]):
        a = np.abs(each)
        few = f"{'–':>7} {'–':>6} {'–':>6}"
        told.append(f"{np.sqrt(np.mean(a**2)):7.2f} {np.mean(a < 1):6.3f} {np.mean(a < 3):6.3f}" if a.size else few)
    print("  ".join(told), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--points", type=int, nargs="*", default=[256, 1024])
    parser.add_argument("--side", type=int, default=4)
    parser.add_argument("--zoo", nargs="*", default=[])
    parser.add_argument("--zoo-runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two runs of 256 points, and one of the model E1")
    parser.add_argument(
        "--one-mode", type=int, default=0, help="so many runs of every mode with equal weights, and no more"
    )
    parser.add_argument("--variates", type=int, default=0, help="so many runs with variates, and no more")
    given = parser.parse_args()
    if given.variates:
        print(f"{'flow':10} points variates reliable  " + "  ".join(f"{n:5} scatter    error" for n in COLUMNS))
        for title, mass_squared in NEAR.items():
            for points in given.points:
                of_variates(mass_squared, points, title=title, side=given.side, runs=given.variates)
        return
    if given.one_mode:
        head = "rms pull     1σ    3σ"
        print(f"{'exponent':14} {'':10} points   {head}  kurtosis  reliable  of these: {head}")
        for mode in MODES:
            for points in given.points:
                of_one_mode(mode, points, runs=given.one_mode)
        return
    if given.quick:
        given.runs, given.points, given.zoo, given.zoo_runs = 2, [256], ["phi4-e1"], 1
    print(f"{'flow':26} points reliable  all: rms     1σ     3σ  reliable: rms 1σ  3σ")
    every, by_name = [], {}
    for points in given.points:
        for name, (kind, value) in FLOWS.items():
            rows = []
            for seed in range(given.runs):
                log_weights, columns, exact = free_field(kind, value, side=given.side, points=points, seed=seed)
                found = judged(columns, log_weights, of_free_field)
                made = {n: ((e.value - exact[n]) / e.error, e.state == RELIABLE) for n, e in found.items()}
                rows += made.values()
                for each, row in made.items():
                    by_name.setdefault(each, []).append(row)
            pulls, reliable = (np.array(column) for column in zip(*rows, strict=True))
            every.append((pulls, reliable))
            line(name, points, pulls, reliable)
    for name, rows in by_name.items():
        pulls, reliable = (np.array(column) for column in zip(*rows, strict=True))
        line(f"all, {name}", 0, pulls, reliable)
    if every:
        line("all", 0, *(np.concatenate(column) for column in zip(*every, strict=True)))
    for name in given.zoo:
        states, points = [], 256 if given.quick else 1024
        draws = Draws(name, n=SCRAMBLINGS * points, integration="matched")
        for seed in range(given.zoo_runs):
            log_weights, columns, _ = draws.quasi(jax.random.key(seed), points, SCRAMBLINGS)
            found = judged(columns, log_weights, quantities(draws.lattice.volume))
            states += [found[n].state == RELIABLE for n in (*SHOWN, "log Z")]
        print(f"zoo:{name}, {points} points: {np.mean(states):.3f} of {len(states)} averages reliable", flush=True)


if __name__ == "__main__":
    main()
