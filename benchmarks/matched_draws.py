"""Draws of continuous flows integrated as their statistical error allows, against the accurate ones.

Both sides are drawn in interleaved rounds with the same keys; times are CPU milliseconds per draw, medians, compiled.
The choice of steps is timed as well: it is paid once per ensemble.
"""

import statistics
import time

import jax

jax.config.update("jax_enable_x64", val=True)

import latflow as lf  # noqa: E402
from common.zoo import flow_and_action, models_of, parser_of_models  # noqa: E402
from latflow.flows.weighted import for_draws, matched_draws  # noqa: E402
from latflow.samplers.draws import draw_block  # noqa: E402

KEY = jax.random.key(3)


def cpu_ms(sampler, i, n):
    """CPU milliseconds per draw of one block."""
    start = time.process_time()
    jax.block_until_ready(draw_block(sampler, KEY, first=i * n, n=n))
    return 1e3 * (time.process_time() - start) / n


def row(name, *, n, draws, rounds):
    """One line of the table."""
    flow, action = flow_and_action(name)
    start = time.process_time()
    found, told = matched_draws(KEY, flow, action, n=n)
    chosen = time.process_time() - start
    sides = [lf.FlowSampler(each, action) for each in (found, for_draws(KEY, flow))]
    pairs = [[cpu_ms(sampler, i, draws) for sampler in sides] for i in range(rounds + 1)][1:]
    matched, fine = (statistics.median(side) for side in zip(*pairs, strict=True))
    if told is None:
        return (
            f"| {name} | {n:.0e} | accurate | | | | {matched:.3f} | {fine:.3f} | {fine / matched:.1f} | {chosen:.0f} |"
        )
    errors = f"{told.spread:.1e} ≤ {told.allowed[0]:.1e} | {told.shift:.1e} ≤ {told.allowed[1]:.1e}"
    how = f"{told.steps} steps, {told.precision}"
    return f"| {name} | {n:.0e} | {how} | {errors} | {matched:.3f} | {fine:.3f} | {fine / matched:.1f} | {chosen:.0f} |"


def main():
    parser = parser_of_models(__doc__)
    options = parser.parse_args()
    numbers = (10**5,) if options.quick else (10**5, 10**6)
    draws, rounds = (256, 1) if options.quick else (1024, 5)
    print("| model | draws | integration | spread of log q | shift of log q | ms | accurate | ratio | choice, CPU s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in models_of(options):
        for n in numbers:
            print(row(name, n=n, draws=draws, rounds=rounds), flush=True)


if __name__ == "__main__":
    main()
