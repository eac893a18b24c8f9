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
from latflow.stats.reliability import Reliability
from latflow.stats.scramblings import Scrambled
from latflow.stats.variates import DRAWS_PER_VARIATE, Varied, unless_worse
from latflow.store.blocks import Block
from latflow.store.ensemble import Ensemble
from latflow.study.config.methods import SCRAMBLINGS, method_of
from latflow.study.context import RunContext
from latflow.study.stages.averages import varied_averages, weighted_averages
from latflow.study.stages.integration import log_q_error
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


def smaller_errors(
    context: RunContext,
    weighted: Mapping[str, WeightedColumns],
    plain: Mapping[str, Estimates],
    judged: Mapping[str, Reliability],
) -> dict[str, Smaller | None]:
    """Averages with variates of draws whose weights are reliable; of others a line says that they have none.

    Args:
        context: The run.
        weighted: Random or quasi-random draws, by the name of their averages.
        plain: What they give without variates.
        judged: Their weights, by sampler.

    Returns:
        By the name of the averages; None for draws of another sampler than a flow.
    """
    found = {}
    for name, draws in weighted.items():
        if judged[draws.sampler].is_reliable:
            found[name] = _smaller(context, draws, plain[name])
        else:
            context.progress.line(_without(draws, f"weights: {judged[draws.sampler].state}"))
    return found


def _without(draws: WeightedColumns, reason: object) -> str:
    return f"analyse  {draws.sampler}: averages without variates: {reason}"


def _smaller(context: RunContext, draws: WeightedColumns, plain: Estimates) -> Smaller | None:
    if not method_of(draws.sampler).trained:
        return None
    try:
        variates, making = _variates(context, draws)
    except _NoVariates as reason:
        context.progress.line(_without(draws, reason))
        variates, making = None, 0.0
    begin = time.perf_counter()
    varied = {} if variates is None else varied_averages(context, draws.columns, variates)
    shown = {**plain, **unless_worse(plain, varied)}
    seconds = None if variates is None else making + time.perf_counter() - begin
    if not isinstance(draws.weights, Scrambled):
        return Smaller(shown, plain, plain, seconds)
    independent = weighted_averages(context, draws.sampler, draws.columns, draws.weights.log_weights)
    return Smaller(shown, plain, independent, seconds)


class _NoVariates(Exception):
    """Why draws have no variates."""


def _variates(context: RunContext, draws: WeightedColumns) -> tuple[Varied, float]:
    """The draws with their variates, and the seconds of making these.

    Raises:
        _NoVariates: If variates cannot be made again here, or are too many for the draws.
    """
    ensemble = Ensemble.open(context.path("ensembles", draws.sampler))
    if not _made_alike(ensemble):
        raise _NoVariates("the random numbers of the draws are others here")
    of_block = _of_block(context, draws.sampler, ensemble)
    if of_block is None:
        raise _NoVariates("the flow is not made of normal modes")
    parts, times = [], []
    for i in range(ensemble.n_blocks):
        begin = time.perf_counter()
        parts.append(of_block(ensemble.read(i, ())))
        times.append(time.perf_counter() - begin)
    rows = np.concatenate(parts)
    rows = Layout.of(ensemble).ordered(rows) if draws.sampler in SCRAMBLINGS else rows
    found = Varied(draws.weights, rows, log_q_error(ensemble.manifest))
    if not found.used:
        wanted = f"at least {DRAWS_PER_VARIATE} for each variate, in equal shares"
        raise _NoVariates(f"{len(rows)} draws; wanted: {wanted}")
    return found, ensemble.n_blocks * float(np.median(times[1:] or times))


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
