"""What the size of XLA's thread pool costs: seconds of small and large programs at 1, 2, 4, 8 and 16 threads.

The program fixes the size, because bits depend on it (docs/decisions/0013-threads.md). Every size is a process of its
own, since JAX reads it once; sizes take turns, and the best of all rounds counts.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

Work = Callable[[], object]

SIZES = (1, 2, 4, 8, 16)


def works(*, quick: bool) -> dict[str, Work]:
    """Programs by name; each call waits for its result."""
    import jax

    jax.config.update("jax_enable_x64", val=True)
    import latflow as lf
    from latflow.flows.architectures import cast
    from latflow.flows.continuous import continuous_flow
    from latflow.samplers.chains import advance, starts
    from latflow.samplers.draws import draw_block
    from latflow.training.losses import PathGradient
    from latflow.training.schedules import adam
    from latflow.training.steps import TrainingState

    key = jax.random.key(1)
    optimiser = adam(lambda _: jax.numpy.asarray(2e-3), gradient_clip=10.0)

    def phi4(extent: int, mass_squared: float = -4.0) -> lf.PhiFour:
        return lf.PhiFour(lf.Lattice((extent, extent)), mass_squared=mass_squared, coupling=5.0)

    def chains(action: lf.AbstractAction, n_chains: int, n_records: int, n_steps: int = 10) -> Work:
        kernel, x = lf.HMC(action, lf.OMF2, step_size=0.05, n_steps=n_steps), starts(key, action.space, chains=n_chains)
        return lambda: jax.block_until_ready(advance(kernel, key, x, first=0, n_records=n_records, thin=1)[0])

    def steps(flow: lf.Flow, loss: lf.ReverseKL | PathGradient, n: int) -> Work:
        state, action = TrainingState.start(flow, optimiser), phi4(flow.shape[0])
        return lambda: jax.block_until_ready(loss.descend(state, key, n, action=action, optimiser=optimiser)[1])

    def draws(flow: lf.Flow, n: int) -> Work:
        sampler = lf.FlowSampler(cast(flow, "float64"), phi4(flow.shape[0]))
        return lambda: jax.block_until_ready(draw_block(sampler, key, first=0, n=n).x)

    first = {"HMC of φ⁴ 16², 8 chains, 60 trajectories": chains(phi4(16, -1.0), 8, 60)}
    if quick:
        return first
    gauge = lf.WilsonAction(lf.Lattice((4, 4, 4, 4)), lf.SU(3), beta=6.0)
    small, middle = lf.Lattice((6, 6)), lf.Lattice((8, 8))
    dense = lf.real_nvp(key, small, network="dense", hidden=(64, 64))
    return first | {
        "HMC of φ⁴ 32², 64 chains, 4 trajectories": chains(phi4(32, -1.0), 64, 4),
        "HMC of SU(3) 4⁴, 4 chains, 1 trajectory": chains(gauge, 4, 1, n_steps=3),
        "real NVP, convolutional, 8², batch 256, 2 steps": steps(lf.real_nvp(key, middle), lf.ReverseKL(256), 2),
        "real NVP, dense, 6², batch 256, 10 steps": steps(dense, lf.ReverseKL(256), 10),
        "continuous flow 8², path gradient 256, 1 step": steps(continuous_flow(key, middle), PathGradient(256), 1),
        "1024 draws of the convolutional flow": draws(lf.real_nvp(key, middle), 1024),
    }


def measured(*, quick: bool) -> dict[str, float]:
    """Best seconds of a call by name, compilation left out."""
    found = {}
    for name, work in works(quick=quick).items():
        work()
        seconds = []
        for _ in range(1 if quick else 12):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
        found[name] = min(seconds)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one program, two sizes, once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measured(quick=given.quick)))
        return
    sizes, rounds = ((2, 4), 1) if given.quick else (SIZES, given.rounds)
    best: dict[int, dict[str, float]] = {size: {} for size in sizes}
    command = [sys.executable, __file__, "--measure", *(["--quick"] if given.quick else [])]
    for size in [size for _ in range(rounds) for size in sizes]:
        out = subprocess.run(command, env=os.environ | {"NPROC": str(size)}, capture_output=True, text=True, check=True)
        for name, seconds in json.loads(out.stdout.splitlines()[-1]).items():
            best[size][name] = min(seconds, best[size].get(name, seconds))
    print(f"{'milliseconds':50s}" + "".join(f"{size:8d}" for size in sizes) + "   4 against 2")
    for name in best[2]:
        row = "".join(f"{1e3 * best[size][name]:8.1f}" for size in sizes)
        print(f"{name:50s}{row}{best[4][name] / best[2][name]:12.2f}")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
