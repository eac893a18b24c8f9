"""What quasi-random points and Hermite variates make of the weighted averages of a run: smaller errors.

The modes that draws are made of are functions of the key of the draws and of their numbers alone. They are made again
here, in a moment and in the same bits, without a pass through the flow: so nothing of them is stored, and draws of
earlier versions have variates, too. Averages of chains have none: over draws of the target their means are not zero.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

from latflow.errors import DataError
from latflow.flows.hermite import variates_of_keys, variates_of_points
from latflow.lattice import Lattice
from latflow.samplers.quasi import SobolPoints, sequence_probe
from latflow.stats.quantities import Estimates
from latflow.stats.scramblings import Scrambled
from latflow.stats.variates import Varied, unless_worse
from latflow.store.blocks import Block
from latflow.store.ensemble import Ensemble
from latflow.study.config.methods import SCRAMBLINGS, method_of
from latflow.study.context import RunContext
from latflow.study.stages.averages import varied_averages, weighted_averages
from latflow.study.stages.provenance import require_generator
from latflow.study.stages.scramblings import SEQUENCE, Layout
from latflow.study.stages.sources import draw_key, source


@dataclasses.dataclass(frozen=True)
class Smaller:
    """Averages of the same draws three ways.

    Attributes:
        shown: With variates where other draws say that they help.
        plain: Without; of quasi-random draws, errors from the scatter of scramblings.
        independent: As of independent draws: what as many random ones would give.
        seconds: Of making variates and of fitting them, without compilation where there are several blocks; None
            without variates.
    """

    shown: Estimates
    plain: Estimates
    independent: Estimates
    seconds: float | None = None


@dataclasses.dataclass(frozen=True)
class WeightedColumns:
    """Measured columns of weighted draws with their log-weights.

    Args:
        sampler: Whose draws they are.
        columns: In the order of the weights.
        weights: Of the field of the study.
    """

    sampler: str
    columns: Mapping[str, np.ndarray]
    weights: Float[np.ndarray, " n"] | Scrambled


def smaller_errors(context: RunContext, draws: WeightedColumns, plain: Estimates) -> Smaller | None:
    """Averages of draws of a flow with variates; None for draws of another sampler.

    Args:
        context: The run.
        draws: Random or quasi-random ones, with reliable weights.
        plain: What they give without variates.
    """
    if not method_of(draws.sampler).trained:
        return None
    variates, making = _variates(context, draws)
    begin = time.perf_counter()
    varied = {} if variates is None else varied_averages(context, draws.columns, variates)
    shown = {**plain, **unless_worse(plain, varied)}
    seconds = None if variates is None else making + time.perf_counter() - begin
    if not isinstance(draws.weights, Scrambled):
        return Smaller(shown, plain, plain, seconds)
    return Smaller(shown, plain, weighted_averages(context, draws.columns, draws.weights.log_weights), seconds)


def _variates(context: RunContext, draws: WeightedColumns) -> tuple[Varied | None, float]:
    """The draws with their variates, and the seconds of making these.

    None in place of the draws where variates cannot be made again here, or are too many for the draws.
    """
    ensemble = Ensemble.open(context.path("ensembles", draws.sampler))
    if not _made_alike(ensemble):
        return None, 0.0
    of_block = _of_block(context, draws.sampler, ensemble)
    if of_block is None:
        return None, 0.0
    parts, times = [], []
    for i in range(ensemble.n_blocks):
        begin = time.perf_counter()
        parts.append(of_block(ensemble.read(i, ())))
        times.append(time.perf_counter() - begin)
    rows = np.concatenate(parts)
    rows = Layout.of(ensemble).ordered(rows) if draws.sampler in SCRAMBLINGS else rows
    found = Varied(draws.weights, rows)
    return found if found.enough else None, ensemble.n_blocks * float(np.median(times[1:] or times))


def _of_block(
    context: RunContext, sampler: str, ensemble: Ensemble
) -> Callable[[Block], Float[np.ndarray, "n variates"]] | None:
    """From a block to the variates of its draws; None where the flow is not made of modes."""
    flow = getattr(source(context, sampler).sampler, "flow", None)
    if flow is None or not flow.has_modes:
        return None
    lattice, key = Lattice(tuple(context.config.lattice.shape)), draw_key(context.config, sampler)
    n = ensemble.manifest["identity"]["block_size"]
    if sampler not in SCRAMBLINGS:
        return lambda block: np.asarray(variates_of_keys(flow, lattice, key, first=block.attributes["first"], n=n))
    points = SobolPoints(key, flow.n_uniforms)

    def quasi(block: Block) -> Float[np.ndarray, "n variates"]:
        told = block.attributes
        return np.asarray(variates_of_points(flow, lattice, points.block(told["scrambling"], first=told["first"], n=n)))

    return quasi


def _made_alike(ensemble: Ensemble) -> bool:
    """Whether the random numbers of an ensemble are the same here."""
    try:
        require_generator(ensemble.manifest["origin"], what=str(ensemble.path))
    except DataError:
        return False
    return ensemble.manifest.get(SEQUENCE, found := sequence_probe()) == found
