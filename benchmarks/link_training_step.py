"""What a training step of every flow of links costs beside bare JAX of the same arithmetic, and beside PyTorch.

Per flow, in interleaved rounds: CPU milliseconds of a step of the package's compiled loop with the reverse KL, and of a
loop by hand: one jitted function that draws a batch, takes value and gradient of the mean of log q + S and makes a
step of Adam on lists of arrays (goal: ratio at most 1.1). The maps are those of the package in both, so what is
compared is what loop, optimiser, states and checks add, not the maps. The last row has couplings of a network in
PyTorch, eager, of as many layers on the same lattice (`reference/torch_link_coupling.py`), beside those of the package
(goal: at least 3 times as fast). It needs an interpreter with PyTorch, this one or that of `--torch`, and is left out
without. PyTorch has one thread, for CPU time is compared.
"""

import argparse
import importlib.util
import statistics
import subprocess
import sys
import time
from pathlib import Path

import equinox as eqx
import jax

jax.config.update("jax_enable_x64", val=True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from latflow.actions.gauge import WilsonAction  # noqa: E402
from latflow.flows.doubling import doubling_flow  # noqa: E402
from latflow.flows.link_layers import link_coupling_flow, stout_flow  # noqa: E402
from latflow.flows.links import continuous_link_flow  # noqa: E402
from latflow.flows.reduced import reduced  # noqa: E402
from latflow.groups import named  # noqa: E402
from latflow.lattice import Lattice  # noqa: E402
from latflow.training.losses import ReverseKL  # noqa: E402
from latflow.training.schedules import adam, schedule  # noqa: E402
from latflow.training.steps import TrainingState, run_steps  # noqa: E402

RATE, CLIP = 1e-3, 20.0
ROWS = (
    "doubling:U(1):8x8:2:64", "doubling:SU(2):8x8:2.2:64", "doubling:SU(3):8x8:4:32", "loops:U(1):8x8:1:64",
    "loops:SU(3):4x4x4x4:1:2", "spline:U(1):8x8:1:64", "projections:U(1):8x8:1:64", "stout:U(1):8x8:1:64",
)  # fmt: skip
QUICK = ("doubling:U(1):4x4:1:8",)
TUTORIAL = Path(__file__).parent / "reference" / "torch_link_coupling.py"


def built(kind, lattice, group, beta):
    key = jax.random.key(1)
    if kind == "doubling":
        return doubling_flow(key, lattice, group, beta)
    if kind == "loops":
        return continuous_link_flow(key, lattice, group, beta=0.0, order=2)
    if kind == "stout":
        return stout_flow(key, lattice, group, n_layers=16, period=4)
    return link_coupling_flow(key, lattice, group, n_layers=16, period=4, transform=kind, n_terms=2)


def problem(text):
    kind, name, shape, beta, batch = text.split(":")
    lattice, group = Lattice(tuple(int(extent) for extent in shape.split("x"))), named(name)
    flow = built(kind, lattice, group, float(beta))
    return flow, WilsonAction(lattice, group, beta=float(beta)), int(batch)


def package(flow, action, batch):
    optimiser = adam(schedule("constant", learning_rate=RATE, n_steps=1), gradient_clip=CLIP)
    state, loss = TrainingState.start(flow, optimiser), ReverseKL(batch)

    def go_on(n):
        nonlocal state
        target = state.step + jnp.int32(n)
        state, _ = run_steps(state, jax.random.key(2), target, action=action, loss=loss, optimiser=optimiser)
        jax.block_until_ready(jax.tree.leaves(state.optimiser_state))

    return go_on


def bare(flow, action, batch):
    """The same steps on lists of arrays."""
    weights, rest = eqx.partition(flow, eqx.is_inexact_array)
    leaves, tree = jax.tree.flatten(weights)

    def loss(leaves, key):
        drawn, target = reduced(eqx.combine(jax.tree.unflatten(tree, leaves), rest), action)
        x, log_q = jax.vmap(drawn.sample_and_log_prob)(jax.random.split(key, batch))
        return jnp.mean(log_q + jax.vmap(target)(x))

    def step(i, carry):
        p, m, v = carry
        _, g = jax.value_and_grad(loss)(p, jax.random.fold_in(jax.random.key(2), i))
        shrink = jnp.minimum(1.0, CLIP / jnp.sqrt(sum(jnp.sum(a.astype(float) ** 2) for a in g)))
        g = [(a * shrink).astype(a.dtype) for a in g]
        m = [0.9 * a + 0.1 * b for a, b in zip(m, g, strict=True)]
        v = [0.999 * a + 0.001 * b**2 for a, b in zip(v, g, strict=True)]
        one, two = 1 - 0.9 ** (i + 1.0), 1 - 0.999 ** (i + 1.0)
        moved = [a - RATE * (b / one) / (jnp.sqrt(c / two) + 1e-8) for a, b, c in zip(p, m, v, strict=True)]
        return [a.astype(b.dtype) for a, b in zip(moved, p, strict=True)], m, v

    steps = jax.jit(lambda carry, start, n: jax.lax.fori_loop(start, start + n, step, carry))
    zeros = [jnp.zeros_like(a) for a in leaves]
    carry, done = (leaves, zeros, zeros), 0

    def go_on(n):
        nonlocal carry, done
        carry = jax.block_until_ready(steps(carry, done, n))
        done += n

    return go_on


def interleaved(programs, n, rounds):
    """CPU milliseconds per step of each, one number per round, after a round that compiles."""
    times = [[] for _ in programs]
    for _ in range(rounds + 1):
        for program, row in zip(programs, times, strict=True):
            start = time.process_time()
            told = program(n)
            row.append(1e3 / n * (time.process_time() - start if told is None else told))
    return np.array(times)[:, 1:]


def against_bare(text, rounds):
    """A row of the table; as many steps in a round as take about half a second."""
    flow, action, batch = problem(text)
    programs = package(flow, action, batch), bare(flow, action, batch)
    times = interleaved(programs, 1, 1)
    n = int(np.clip(500 / times[0, 0], 1, 50))
    times = interleaved(programs, n, rounds)
    cells = [f"{value:.1f}" for value in np.median(times, axis=1)]
    kind, group, shape, beta, _ = text.split(":")
    ratio = statistics.median(times[0] / times[1])
    spread = f"{min(times[0] / times[1]):.2f}…{max(times[0] / times[1]):.2f}"
    head = f"| {kind} | {group} | {shape.replace('x', '×')} | {beta} | {batch} "
    print(f"{head}| {' | '.join(cells)} | {ratio:.2f} ({spread}) |", flush=True)


def against_torch(python, kinds, rounds, *, extent, batch, layers):
    """Couplings of the package by kind of their maps, and the tutorial's."""
    command = [python, str(TUTORIAL), *map(str, (extent, batch, layers)), "1.0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tutorial:

        def eager(n):
            tutorial.stdin.write(f"{n}\n")
            tutorial.stdin.flush()
            return float(tutorial.stdout.readline().split()[0])

        programs = [package(*problem(f"{kind}:U(1):{extent}x{extent}:1:{batch}")) for kind in kinds]
        times = interleaved([*programs, eager], 5, rounds)
        tutorial.stdin.close()
    print("\n| layers | latflow | PyTorch, eager | PyTorch / latflow |\n|---|---|---|---|")
    for kind, row in zip(kinds, times, strict=False):
        ratio, cells = times[-1] / row, (np.median(row), np.median(times[-1]))
        spread = f"{np.median(ratio):.1f} ({min(ratio):.1f}…{max(ratio):.1f})"
        print(f"| {kind} | {cells[0]:.1f} | {cells[1]:.1f} | {spread} |", flush=True)


def with_torch(given):
    """An interpreter with PyTorch, if there is one."""
    if given is not None:
        return given
    return sys.executable if importlib.util.find_spec("torch") else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of a small flow")
    parser.add_argument("--rows", nargs="*", default=ROWS, help="kind:group:extents:β:batch")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--torch", help="an interpreter that has PyTorch")
    parser.add_argument("--maps", nargs="+", default=["spline", "projections"], help="couplings beside PyTorch's")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rows, arguments.rounds = QUICK, 1
    if arguments.rows:
        print(f"CPU milliseconds per step, medians of {arguments.rounds} rounds; ratio with least and largest\n")
        print("| flow | group | lattice | β | batch | latflow | bare JAX | ratio |\n" + "|---" * 8 + "|", flush=True)
    for text in arguments.rows:
        against_bare(text, arguments.rounds)
    python = with_torch(arguments.torch)
    if python is None:
        print("\nno PyTorch here: that row is left out; --torch names an interpreter that has it")
    elif not arguments.quick:
        against_torch(python, arguments.maps, arguments.rounds, extent=8, batch=64, layers=16)


if __name__ == "__main__":
    main()
