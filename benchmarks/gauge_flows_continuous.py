"""Continuous flows of links from Haar draws: ESS and log Z before and after training, with what both cost.

A case is trained by the reverse KL from the map that trivialises the action to first order, on the lattices of its list
one after the other, each from the weights of the one before; what follows are lattices it is carried to without
training. Seconds are CPU time of this process, compilation apart. log Z has the normalised Haar measure and
S = β Σ (1 − Re tr P / N); in two dimensions its deviation from the exact value stands beside it in standard deviations.
`--cases` chooses, `--seed` sets the seed of training and draws, `--quick` trains little.
"""

import argparse
import dataclasses
import math
import time

import equinox as eqx
import jax

jax.config.update("jax_enable_x64", val=True)

import numpy as np  # noqa: E402
import optax  # noqa: E402

import latflow as lf  # noqa: E402
from latflow.actions.exact_gauge import sun_log_z, u1_log_z  # noqa: E402
from latflow.bijections.ode.runge_kutta import RK8  # noqa: E402
from latflow.flows.continuous import log_prob_error, of_draws, with_integrator  # noqa: E402
from latflow.flows.transfer import transferred  # noqa: E402
from latflow.training.losses import ReverseKL  # noqa: E402
from latflow.training.schedules import adam  # noqa: E402
from latflow.training.steps import TrainingState, run_steps  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Case:
    """What is trained where, and on how many draws it is judged.

    Attributes:
        group: Of the links.
        beta: Coupling.
        stages: Lattice, training steps, draws of a step, learning rate.
        carried: Lattices it is judged on besides, without training.
        draws: On which it is judged.
        order: Which loops.
        times: Functions of time per weight.
        steps: Integration steps in training.
    """

    group: str
    beta: float
    stages: tuple[tuple[tuple[int, ...], int, int, float], ...]
    carried: tuple[tuple[int, ...], ...] = ()
    draws: int = 4096
    order: int = 3
    times: int = 3
    steps: int = 4


CASES = {
    "u1": Case("U(1)", 1.0, (((4, 4), 120, 64, 0.1), ((8, 8), 40, 32, 0.03))),
    "su2": Case("SU(2)", 2.2, (((4, 4), 128, 64, 0.2), ((8, 8), 60, 32, 0.05))),
    "su2-4d": Case("SU(2)", 1.0, (((4,) * 4, 24, 8, 0.05),), draws=512, order=2, times=2, steps=2),
    "su3-4d": Case("SU(3)", 1.0, (((4,) * 4, 24, 8, 0.05),), draws=512, order=2, times=2, steps=2),
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


def trained(flow: lf.Flow, beta: float, stage: tuple, seed: int) -> tuple[lf.Flow, float, float]:
    """The flow after a stage, CPU seconds of its steps and of its compilation with the first."""
    _, steps, batch, rate = stage
    action = lf.WilsonAction(flow.space.lattice, flow.space.group, beta=beta)
    optimiser = adam(optax.cosine_decay_schedule(rate, steps, alpha=0.01), gradient_clip=20.0)
    state, key, begin = TrainingState.start(flow, optimiser), jax.random.key(seed), time.process_time()
    marks = []
    for target in (1, steps):
        state, _ = run_steps(state, key, target, action=action, loss=ReverseKL(batch), optimiser=optimiser)
        jax.block_until_ready(state)
        marks.append(time.process_time() - begin)
    return state.flow, marks[1] - marks[0], marks[0]


def run(name: str, case: Case, seed: int, *, quick: bool) -> None:
    """Train and judge one case, a line for every lattice."""
    group = lf.U1() if case.group == "U(1)" else lf.SU(int(case.group[3]))
    draws = 128 if quick else case.draws
    flow, spent = None, 0.0
    for stage in case.stages[: 1 if quick else None]:
        shape, steps = stage[0], 2 if quick else stage[1]
        lattice, label = lf.Lattice(shape), f"{name} {case.group} {'×'.join(map(str, stage[0]))} β={case.beta:g}"
        if flow is None:
            kinds = {"order": case.order, "n_times": case.times, "n_steps": case.steps}
            flow = lf.continuous_link_flow(jax.random.key(seed), lattice, group, beta=case.beta, **kinds)
            print(f"{label} untrained: {judged(flow, case.beta, draws, seed)}", flush=True)
        else:
            flow = transferred(flow, lattice)
            print(f"{label} carried: {judged(flow, case.beta, draws, seed)}", flush=True)
        flow, seconds, compiled = trained(flow, case.beta, (shape, steps, *stage[2:]), seed)
        spent += seconds
        told = f"{label} trained {steps}×{stage[2]}, {spent:.0f} CPU-s in all (compiled in {compiled:.0f})"
        print(f"{told}: {judged(flow, case.beta, draws, seed)}", flush=True)
    for shape in case.carried[: 0 if quick else None]:
        carried = transferred(flow, lf.Lattice(shape))
        print(f"{name} carried to {'×'.join(map(str, shape))}: {judged(carried, case.beta, draws, seed)}", flush=True)
    if not quick:
        fine, finer = (of_draws(with_integrator(flow, RK8, n)) for n in (4, 8))
        errors = [log_prob_error(jax.random.key(3), a, b) for a, b in ((of_draws(flow), fine), (fine, finer))]
        print(f"{name} error of log q: {errors[0]:.0e} as trained, {errors[1]:.0e} with 4 steps of order 8", flush=True)


def main() -> None:
    """Print a line for every lattice of the cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="*", choices=list(CASES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    for name in args.cases or (["u1"] if args.quick else list(CASES)):
        run(name, CASES[name], args.seed, quick=args.quick)


if __name__ == "__main__":
    main()
