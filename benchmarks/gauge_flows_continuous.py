"""Continuous flows of links from Haar draws: ESS and log Z, with what training and draws cost.

The weights of a case are found by least squares along the flow on its first lattice; what follows are lattices they are
carried to without training. Seconds are CPU time of this process, compilation apart. log Z has the normalised Haar
measure and S = β Σ (1 − Re tr P / N); in two dimensions its deviation from the exact value stands beside it in
standard deviations. `--cases` chooses, `--seed` sets the seed of training and draws, `--quick` trains little,
`--untrained` judges the map that trivialises the action to first order as well.
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


_IN_4D = {"batch": 64, "draws": 512, "order": 2, "times": 3, "intervals": 4}
CASES = {
    "u1": Case("U(1)", 1.0, ((8, 8),)),
    "u1-b2": Case("U(1)", 2.0, ((8, 8),)),
    "su2": Case("SU(2)", 2.2, ((8, 8), (16, 16))),
    "su2-4d": Case("SU(2)", 1.0, ((4,) * 4,), **{**_IN_4D, "draws": 256, "order": 4}),
    "su3-4d": Case("SU(3)", 1.0, ((4,) * 4,), **_IN_4D),
    "su3-4d-b2": Case("SU(3)", 2.0, ((4,) * 4,), **{**_IN_4D, "draws": 128}),
}


def judged(flow: lf.Flow, beta: float, n: int, seed: int) -> str:
    """ESS, largest share of one draw and log Z of n draws."""
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

    keys = jax.random.split(jax.random.key(1000 + seed), n).reshape(-1, min(128, n))
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
    text = f"ESS {ess:.4f}({error:.4f}), largest {np.max(w) / np.sum(w):.1e}, P {mean:.5f}({of_p:.5f})"
    text += f", log Z {log_z:.4f}({of_log_z:.4f})"
    if space.ndim == 2:
        volume = space.lattice.volume
        name, n_colours = space.group.name, space.group.n
        exact = u1_log_z(beta, volume=volume) if name == "U(1)" else sun_log_z(n_colours, beta, volume=volume)
        text += f", pull {(log_z - exact) / of_log_z:+.1f}, KL {exact - np.mean(log_w):.4f}"
    return f"{text}, {n} draws, {seconds:.2f} CPU-s per 1000"


def jackknife(w: np.ndarray, blocks: int = 32) -> float:
    """Error of the ESS per draw."""
    parts = w[: len(w) // blocks * blocks].reshape(blocks, -1)
    one, two = (np.sum(parts**k, axis=1) for k in (1, 2))
    kept = (len(w) - parts.shape[1]) * np.ones(blocks)
    left = (np.sum(one) - one) ** 2 / (np.sum(two) - two) / kept
    return float(np.sqrt((blocks - 1) * np.var(left)))


def trained(flow: lf.Flow, case: Case, seed: int) -> tuple[lf.Flow, float, float]:
    """The flow after its steps, CPU seconds of these and of their compilation."""
    action = lf.WilsonAction(flow.space.lattice, flow.space.group, beta=case.beta)
    loss, optimiser = lf.LeastSquares(case.batch, case.intervals), lf.adam(lambda step: jnp.asarray(0.1))
    start, key, marks = TrainingState.start(flow, optimiser), jax.random.key(seed), [time.process_time()]
    for _ in range(2):  # the first time with compilation
        state, _ = loss.descend(start, key, case.steps, action=action, optimiser=optimiser)
        jax.block_until_ready(state)
        marks.append(time.process_time())
    first, again = np.diff(marks)
    return state.flow, again, first - again


def run(name: str, case: Case, seed: int, *, quick: bool, untrained: bool) -> None:
    """Train and judge one case, a line for every lattice."""
    group = lf.U1() if case.group == "U(1)" else lf.SU(int(case.group[3]))
    case = dataclasses.replace(case, batch=64, draws=128, shapes=case.shapes[:1]) if quick else case
    kinds = {"order": case.order, "n_times": case.times, "n_steps": 4}
    lattice = lf.Lattice(case.shapes[0])
    flow = lf.continuous_link_flow(jax.random.key(seed), lattice, group, beta=case.beta, **kinds)
    label = f"{name} {case.group} β={case.beta:g} order {case.order}"
    if untrained:
        print(f"{label} {lattice} untrained: {judged(flow, case.beta, case.draws, seed)}", flush=True)
    flow, seconds, compiled = trained(flow, case, seed)
    kinds = len(flow.bijection.velocity.names)
    print(f"{label}: {kinds} kinds, {case.steps}×{case.batch} draws, {seconds:.1f} CPU-s, compiled in {compiled:.0f}")
    for shape in case.shapes:
        flow = transferred(flow, lf.Lattice(shape))
        print(f"{label} {list(shape)}: {judged(flow, case.beta, case.draws, seed)}", flush=True)
    if not quick and len(case.shapes[0]) == 2:
        fine, finer = (of_draws(with_integrator(flow, RK8, n)) for n in (4, 8))
        errors = [log_prob_error(jax.random.key(3), a, b) for a, b in ((of_draws(flow), fine), (fine, finer))]
        print(
            f"{label} error of log q: {errors[0]:.0e} as trained, {errors[1]:.0e} with 4 steps of order 8", flush=True
        )


def main() -> None:
    """Print a line for every lattice of the cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="*", choices=list(CASES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--untrained", action="store_true")
    parser.add_argument("--order", type=int, help="which loops, in the place of those of the case")
    parser.add_argument("--draws", type=int, help="draws it is judged on, in the place of those of the case")
    args = parser.parse_args()
    for name in args.cases or (["u1"] if args.quick else list(CASES)):
        given = {key: value for key in ("order", "draws") if (value := getattr(args, key)) is not None}
        case = dataclasses.replace(CASES[name], **given)
        run(name, case, args.seed, quick=args.quick, untrained=args.untrained)


if __name__ == "__main__":
    main()
