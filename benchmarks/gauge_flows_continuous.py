"""Continuous flows of links from Haar or Villain draws: ESS and log Z, with what training and draws cost.

The weights of a case are found by least squares along the flow on its first lattice; what follows are lattices they are
carried to without training. Seconds are CPU time of this process, compilation apart. log Z has the normalised Haar
measure and S = β Σ (1 − Re tr P / N); in two dimensions its deviation from the exact value stands beside it in
standard deviations. `--cases` chooses, `--seeds` sets seeds of training and draws; of several the median and the range
of the ESS are printed at the end. `--quick` trains little. `--untrained` judges the start as well: the map that
trivialises the action to first order, or Villain links.
"""

import argparse
import dataclasses
import math
import time

import equinox as eqx
import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import latflow as lf  # noqa: E402
from latflow.actions.exact_gauge import sun_log_z, u1_log_z  # noqa: E402
from latflow.bijections.ode.runge_kutta import RK8  # noqa: E402
from latflow.flows.continuous import log_prob_error, of_draws, with_integrator  # noqa: E402
from latflow.flows.transfer import transferred  # noqa: E402
from latflow.training.steps import TrainingState  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Case:
    """What is trained where, and on how many draws it is judged.

    Attributes:
        group: Of the links.
        beta: Coupling.
        shapes: The lattice of training, and those it is judged on besides.
        batch: Draws of a step.
        draws: On which it is judged.
        order: Which loops.
        times: Functions of time per weight.
        steps: Steps of training; the first finds the weights, further ones improve them.
        intervals: Of time in a step.
        villain: From Villain links of U(1), moved plaquette by plaquette with so many harmonics; 0: along loops from
            Haar links.
    """

    group: str
    beta: float
    shapes: tuple[tuple[int, ...], ...]
    batch: int = 1024
    draws: int = 4096
    order: int = 4
    times: int = 5
    steps: int = 1
    intervals: int = 8
    villain: int = 0


_IN_4D = {"batch": 64, "draws": 512, "order": 2, "times": 3, "intervals": 4}
_VILLAIN = {"times": 4, "villain": 8}
CASES = {
    "villain-8-b2": Case("U(1)", 2.0, ((8, 8),), **_VILLAIN),
    "villain-b3": Case("U(1)", 3.0, ((16, 16),), **_VILLAIN),
    "villain-b5": Case("U(1)", 5.0, ((16, 16),), **_VILLAIN),
    "villain-b7": Case("U(1)", 7.0, ((16, 16),), **_VILLAIN),
    "u1": Case("U(1)", 1.0, ((8, 8),)),
    "u1-b2": Case("U(1)", 2.0, ((8, 8),)),
    "su2": Case("SU(2)", 2.2, ((8, 8), (16, 16))),
    "su2-4d": Case("SU(2)", 1.0, ((4,) * 4,), **{**_IN_4D, "draws": 256, "order": 4}),
    "su2-4d-8": Case("SU(2)", 1.0, ((4,) * 4, (8,) * 4), **{**_IN_4D, "draws": 32, "order": 4}),
    "su3-4d": Case("SU(3)", 1.0, ((4,) * 4,), **_IN_4D),
    "su3-4d-b2": Case("SU(3)", 2.0, ((4,) * 4,), **{**_IN_4D, "draws": 128}),
}


def judged(flow: lf.Flow, beta: float, n: int, seed: int) -> tuple[float, str]:
    """ESS of n draws; with the largest weight over their mean and log Z in words."""
    space = flow.space
    action = lf.WilsonAction(space.lattice, space.group, beta=beta)
    made = of_draws(flow)

    @eqx.filter_jit
    def log_weights(flow: lf.Flow, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
        def one(key: jax.Array) -> tuple[jax.Array, jax.Array]:
            x, log_q = flow.sample_and_log_prob(key)
            energy = action(x)
            return -energy - log_q, energy

        return jax.vmap(one)(keys)

    keys = jax.random.split(jax.random.key(1000 + seed), n).reshape(-1, min(n, max(8, 2**15 // space.lattice.volume)))
    jax.block_until_ready(log_weights(made, keys[0]))
    begin = time.process_time()
    found = [log_weights(made, part) for part in keys]
    log_w, energy = (np.concatenate([np.asarray(part[i]) for part in found]) for i in range(2))
    seconds = 1000 * (time.process_time() - begin) / n
    w = np.exp(log_w - np.max(log_w))
    ess, error = np.mean(w) ** 2 / np.mean(w**2), jackknife(w)
    log_z = math.log(np.mean(w)) + np.max(log_w)
    of_log_z = math.sqrt((1 / ess - 1) / n)
    plaquettes = space.ndim * (space.ndim - 1) // 2 * space.lattice.volume
    p = 1 - energy / (beta * plaquettes)
    mean = np.sum(w * p) / np.sum(w)
    of_p = math.sqrt(np.sum((w * (p - mean)) ** 2)) / np.sum(w)
    text = f"ESS {ess:.4f}({error:.4f}), largest {np.max(w) / np.mean(w):.3g}/N, P {mean:.5f}({of_p:.5f})"
    text += f", log Z {log_z:.4f}({of_log_z:.4f})"
    if space.ndim == 2:
        volume = space.lattice.volume
        name, n_colours = space.group.name, space.group.n
        exact = u1_log_z(beta, volume=volume) if name == "U(1)" else sun_log_z(n_colours, beta, volume=volume)
        text += f", pull {(log_z - exact) / of_log_z:+.1f}, KL {exact - np.mean(log_w):.4f}"
    return ess, f"{text}, {n} draws, {seconds:.2f} CPU-s per 1000"


def jackknife(w: np.ndarray, blocks: int = 32) -> float:
    """Error of the ESS per draw."""
    parts = w[: len(w) // blocks * blocks].reshape(blocks, -1)
    one, two = (np.sum(parts**k, axis=1) for k in (1, 2))
    kept = (len(w) - parts.shape[1]) * np.ones(blocks)
    left = (np.sum(one) - one) ** 2 / (np.sum(two) - two) / kept
    return float(np.sqrt((blocks - 1) * np.var(left)))


def trained(flow: lf.Flow, case: Case, seed: int, *, timed: bool) -> tuple[lf.Flow, str]:
    """The flow after its steps; if timed, CPU seconds of these and of their compilation in words."""
    action = lf.WilsonAction(flow.space.lattice, flow.space.group, beta=case.beta)
    loss, optimiser = lf.LeastSquares(case.batch, case.intervals), lf.adam(lambda step: jnp.asarray(0.1))
    start, key, marks = TrainingState.start(flow, optimiser), jax.random.key(seed), [time.process_time()]
    for _ in range(1 + timed):  # the first time with compilation
        state, _ = loss.descend(start, key, case.steps, action=action, optimiser=optimiser)
        jax.block_until_ready(state)
        marks.append(time.process_time())
    first, *again = np.diff(marks)
    return state.flow, f", {again[0]:.1f} CPU-s, compiled in {first - again[0]:.0f}" if timed else ""


def made(case: Case, lattice: lf.Lattice, group: lf.U1 | lf.SU, seed: int) -> lf.Flow:
    """The flow before its training."""
    key, sizes = jax.random.key(seed), {"beta": case.beta, "n_times": case.times, "n_steps": 4}
    if case.villain:
        return lf.villain_flow(key, lattice, n_harmonics=case.villain, **sizes)
    return lf.continuous_link_flow(key, lattice, group, order=case.order, **sizes)


def run(name: str, case: Case, seed: int, *, quick: bool, untrained: bool, timed: bool) -> dict[str, float]:
    """Train and judge one case, a line for every lattice; the ESS by lattice."""
    group = lf.U1() if case.group == "U(1)" else lf.SU(int(case.group[3]))
    case = dataclasses.replace(case, batch=64, draws=128, shapes=case.shapes[:1]) if quick else case
    lattice, found = lf.Lattice(case.shapes[0]), {}
    flow = made(case, lattice, group, seed)
    label = f"{name} {case.group} β={case.beta:g} " + ("Villain" if case.villain else f"order {case.order}")
    if untrained:
        print(f"{label} {lattice} untrained: {judged(flow, case.beta, case.draws, seed)[1]}", flush=True)
    flow, cost = trained(flow, case, seed, timed=timed)
    kinds = flow.bijection.velocity.weights.shape[1]
    print(f"{label}: {kinds} kinds, {case.steps}×{case.batch} draws{cost}")
    for shape in case.shapes:
        flow = transferred(flow, lf.Lattice(shape))
        found[str(list(shape))], text = judged(flow, case.beta, case.draws, seed)
        print(f"{label} {list(shape)}, seed {seed}: {text}", flush=True)
    if not quick and timed and len(case.shapes[0]) == 2:
        fine, finer = (of_draws(with_integrator(flow, RK8, n)) for n in (4, 8))
        errors = [log_prob_error(jax.random.key(3), a, b) for a, b in ((of_draws(flow), fine), (fine, finer))]
        print(
            f"{label} error of log q: {errors[0]:.0e} as trained, {errors[1]:.0e} with 4 steps of order 8", flush=True
        )
    return found


def main() -> None:
    """Print a line for every lattice of the cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="*", choices=list(CASES))
    parser.add_argument("--seeds", type=int, nargs="*", default=[1])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--untrained", action="store_true")
    parser.add_argument("--order", type=int, help="which loops, in the place of those of the case")
    parser.add_argument("--draws", type=int, help="draws it is judged on, in the place of those of the case")
    parser.add_argument("--shape", type=int, nargs="*", help="the lattice, in the place of those of the case")
    args = parser.parse_args()
    for name in args.cases or (["u1", "villain-8-b2"] if args.quick else list(CASES)):
        given = {key: value for key in ("order", "draws") if (value := getattr(args, key)) is not None}
        case = dataclasses.replace(CASES[name], **given, **({"shapes": (tuple(args.shape),)} if args.shape else {}))
        how = {"quick": args.quick, "untrained": args.untrained}
        runs = [run(name, case, seed, timed=seed == args.seeds[0], **how) for seed in args.seeds]
        for shape in runs[0] if len(runs) > 1 else ():
            each = [of[shape] for of in runs]
            print(f"{name} {shape}: ESS {np.median(each):.4f} ({min(each):.4f}…{max(each):.4f}) of {len(each)} seeds")


if __name__ == "__main__":
    main()
