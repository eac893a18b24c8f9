"""Sampling and estimates in memory, without files.

For notebooks and tests; a study that should be kept, resumed and reported belongs in a run directory.
"""

import dataclasses
import functools
import math
import warnings
from collections.abc import Callable
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Inexact, Int, PyTree

from latflow._typing import PRNGKey
from latflow.actions.base import AbstractAction
from latflow.arguments import choice, count, fraction, require_numbers, require_shape, require_type
from latflow.display import extents
from latflow.errors import ConfigError, UnreliableWarning
from latflow.fields.inside import require_inside
from latflow.flows.conditional import FlowModel
from latflow.flows.hermite import variates_of_sampler
from latflow.flows.matched import INTEGRATIONS, MatchedIntegration
from latflow.flows.mixture import TrainableFlow
from latflow.flows.quasi import QuasiSamples
from latflow.flows.weighted import FlowSampler, weighted_sampler
from latflow.observables.base import measure
from latflow.randomness import require_float64, require_key, split
from latflow.samplers.base import AbstractKernel, AbstractTunableKernel, AbstractWeightedSampler
from latflow.samplers.chains import LEAST_WARMUP, advance, starts, thermalise, warm_up
from latflow.samplers.draws import weighted_block
from latflow.stats.estimates import UNDERESTIMATED, Estimate, TooShortError
from latflow.stats.propagation import MINIMUM_RECORDS
from latflow.stats.quantities import all_estimates
from latflow.stats.reliability import (
    MORE_POINTS,
    REMEDY,
    Reliability,
    all_bounded,
    bounded,
    judge_chain,
    judge_draws,
    with_images,
)
from latflow.stats.variates import Varied, unless_worse
from latflow.stats.weights import log_z, reweighting_ess
from latflow.study.card import model_path
from latflow.study.free_memory import require_room
from latflow.study.models import load_production
from latflow.theories.any_action import physics_of, sectors_of
from latflow.theories.images import unseen_images


@dataclasses.dataclass(frozen=True)
class FlowSamples:
    """Independent weighted draws, of a flow or another sampler, and the accept/reject chain through them.

    Attributes:
        proposals: Every draw, shape (n, *shape of one field).
        log_weight: ln w of every draw, −S − log q for a flow.
        index: For every step, the draw the exact chain stands at.
        acceptance: Fraction of accepted proposals.
        reliability: Whether averages of these draws and of the chain can be believed with their errors, and why not.
            What no draw has reached it sees only where a symmetry of the action leads there, as φ → −φ does to a
            second vacuum; elsewhere only draws of the target can tell.
        action: The target of the weights; None if the sampler does not name one.
        integration: How a flow was integrated and the error of its log q, where that was matched to the number of
            draws; None where log q is accurate to 1e-6.
        modes: Makes `variates` from the random numbers of the draws; None where there are none.
    """

    proposals: Inexact[np.ndarray, "n *shape"]
    log_weight: Float[np.ndarray, " n"]
    index: Int[np.ndarray, " n"]
    acceptance: float
    reliability: Reliability
    action: AbstractAction | None = dataclasses.field(default=None, compare=False)
    integration: MatchedIntegration | None = None
    modes: Callable[[], Float[np.ndarray, "n variates"]] | None = dataclasses.field(default=None, compare=False)

    def __repr__(self) -> str:
        n, *shape = self.proposals.shape
        what = f"{n} draws of {extents(shape)}, acceptance {self.acceptance:.3f}"
        return f"FlowSamples({what}, averages {self.reliability.state})"

    @property
    def fields(self) -> Inexact[np.ndarray, "n *shape"]:
        """The exact Markov chain: draws repeat while proposals are rejected."""
        return self.proposals[self.index]

    @functools.cached_property
    def variates(self) -> Float[np.ndarray, "n variates"] | None:
        """Polynomials of every draw's modes, of mean zero (`latflow.flows.hermite`), made when they are asked for."""
        return None if self.modes is None else self.modes()

    @property
    def reweighting_ess(self) -> float:
        """(Σw)²/(nΣw²) of all draws."""
        return float(reweighting_ess(self.log_weight))

    @property
    def log_z(self) -> Estimate:
        """Logarithm of the partition function, from the mean weight; with the measure of the field of the action."""
        return bounded(log_z(self.log_weight), self.reliability)


def sample(
    key: PRNGKey,
    flow: TrainableFlow | AbstractWeightedSampler,
    action: AbstractAction | None = None,
    *,
    n: int,
    block_size: int = 4096,
    integration: str = "fine",
) -> FlowSamples:
    """Draw from a flow, or any weighted sampler, and make it asymptotically exact by independence Metropolis.

    The chain converges to the target whatever the flow; how far it has come is judged from weights and rejections, and
    a warning, `latflow.errors.UnreliableWarning`, is given where averages are not to be believed with their errors.

    Args:
        key: Root key; draw i depends on (key, i) only.
        flow: A trained flow; its networks are evaluated in float64, and a continuous one is integrated accurately. Or
            a weighted sampler, which is used as it is.
        action: Target S, p ∝ exp(−S), of a flow; a weighted sampler knows its own.
        n: Number of draws.
        block_size: Draws computed at once.
        integration: How a continuous flow is integrated. `"fine"`: log q is accurate to 1e-6. `"matched"`: with the
            fewest steps, and networks in float32, that keep the bias below a tenth of the statistical error of n draws
            with variates, measured on draws. `"fitted"`: with fewer steps still and a log-det fitted to them, where a
            flow allows it.

    Returns:
        The draws, their weights and the exact chain.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If a flow has no action or one of other fields, such as another lattice, a weighted sampler has
            one, or a number is not positive.
        UnavailableError: If float64 is switched off.
    """
    require_key(key)
    require_float64()
    n, block_size = count("n", n), count("block_size", block_size)
    choice("integration", integration, INTEGRATIONS)
    sampler, matched = weighted_sampler(key, flow, action, n=n, integration=integration)
    draw_key, accept_key = split(key)
    blocks, log_weight, index = [], -math.inf, -1
    for first in range(0, n, block_size):
        size = min(block_size, n - first)
        block = weighted_block(sampler, draw_key, accept_key, first=first, n=size, log_weight=log_weight, index=index)
        require_room("n", n, block["fields"].nbytes // size)
        blocks.append(block)
        index = int(block["index"][-1])
        log_weight = float(block["log_weight"][index - first]) if index >= first else log_weight
    columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    found = judge_draws(columns["log_weight"], columns["accepted"])
    found = with_images(found, _unseen(sampler, columns["fields"], columns["log_weight"]))
    _warn("lf.sample", found)
    return FlowSamples(
        proposals=columns["fields"],
        log_weight=columns["log_weight"],
        index=columns["index"],
        acceptance=float(columns["accepted"].mean()),
        reliability=found,
        action=getattr(sampler, "action", None),
        integration=matched,
        modes=variates_of_sampler(sampler, draw_key, n=n, block_size=block_size),
    )


@functools.singledispatch
def _unseen(
    sampler: AbstractWeightedSampler, fields: Inexact[np.ndarray, "n *shape"], log_weights: Float[np.ndarray, " n"]
) -> float | None:
    """What images of the draws show that no draw has reached; None for samplers without a density."""
    del sampler, fields, log_weights
    return None


@_unseen.register
def _unseen_by_flow(
    sampler: FlowSampler, fields: Inexact[np.ndarray, "n *shape"], log_weights: Float[np.ndarray, " n"]
) -> float | None:
    action = sampler.action
    return unseen_images(sampler.flow, action, sectors_of(action), fields, log_weights)


def _warn(name: str, found: Reliability) -> None:
    """One warning, at the line that called the function of this name, unless averages are reliable."""
    if not found.is_reliable:
        message = f"{name}: averages of these draws: {found.state}. {'; '.join(found.reasons)}. {REMEDY}"
        warnings.warn(message, UnreliableWarning, stacklevel=3)


def load_model(name: str | Path) -> FlowModel:
    """A trained model as a flow, ready to draw from: float64, integrated as finely as its header says.

    Args:
        name: ``zoo:NAME``, a run directory or a model directory.

    Returns:
        The flow. A conditional model gives a `ConditionalFlow`: ``.at(value)`` is the flow at one value of its
        parameter, in the normalisation of the action class.

    Raises:
        MissingInputError: If there is no model.
        DataError: If it is damaged or foreign, or of a kind of flow that is not installed.
        UnavailableError: If JAX's float64 is switched off.
    """
    require_type("name", name, str | Path, '"zoo:NAME", a run directory or a model directory')
    return load_production(model_path(str(name)))


def run_chain(
    key: PRNGKey,
    kernel: AbstractKernel,
    *,
    n: int,
    chains: int = 16,
    warmup: int = 500,
    target_acceptance: float = 0.8,
    thin: int = 1,
    start: PyTree[Inexact[Array | np.ndarray, "chains ..."]] | None = None,
) -> PyTree[Inexact[np.ndarray, "n chains ..."]]:
    """Tune a kernel, where there is something to tune, from over-dispersed starts and run it.

    Args:
        key: Root key.
        kernel: HMC, local Metropolis, clusters, heat bath or Metropolis of links, or any other kernel.
        n: Records per chain.
        chains: Independent chains, run together.
        warmup: Steps of tuning and thermalisation, not recorded.
        target_acceptance: Acceptance that warm-up tunes to; ignored by kernels without a scale.
        thin: Steps per record.
        start: Where the chains begin, one configuration for each; needed by kernels that do not know their space.

    Returns:
        Configurations with axes (record, chain, *shape of one field); several such arrays by name where the action is
        one of several fields.

    Raises:
        TypeError: If `kernel` is no kernel, a number is none, or `start` no array.
        ConfigError: If a number is out of range, or `start` is missing where it is needed, of another shape or outside
            of the space, as links that are not in their group are.
        UnavailableError: If float64 is switched off, or the records need more memory than there is.
    """
    require_key(key)
    require_float64()
    require_type("kernel", kernel, AbstractKernel, "HMC, LocalMetropolis, HeatBath or another kernel")
    n, chains, thin = count("n", n), count("chains", chains), count("thin", thin)
    tunable = isinstance(kernel, AbstractTunableKernel)
    warmup = count("warmup", warmup, least=LEAST_WARMUP if tunable else 1)
    target_acceptance = fraction("target_acceptance", target_acceptance, one=False)
    start_key, warm_key, key = split(key, 3)
    x = _first(start_key, kernel, chains) if start is None else _given(start, kernel, chains)
    require_room("n", n, sum(leaf.nbytes for leaf in jax.tree.leaves(x)))
    final = kernel
    if isinstance(kernel, AbstractTunableKernel):
        final, x, _ = warm_up(kernel, warm_key, x, n_steps=warmup, target_acceptance=target_acceptance)
    else:
        x, _ = thermalise(kernel, warm_key, x, n_steps=warmup)
    _, records = advance(final, key, x, first=0, n_records=n, thin=thin)
    return jax.tree.map(np.asarray, records.x)


def _first(key: PRNGKey, kernel: AbstractKernel, chains: int) -> PyTree[Inexact[Array, "chains ..."]]:
    if kernel.target_space is None:
        raise ConfigError([f"start: missing; allowed: configurations, {type(kernel).__name__} does not know its space"])
    return starts(key, kernel.target_space, chains=chains)


def _given(
    start: PyTree[Inexact[Array | np.ndarray, "given ..."]], kernel: AbstractKernel, chains: int
) -> PyTree[Inexact[Array, "given ..."]]:
    for leaf in jax.tree.leaves(start):
        require_type("start", leaf, np.ndarray | jax.Array, "an array of configurations, one for each chain")
        if leaf.shape[:1] != (chains,):
            found = leaf.shape[0] if leaf.shape else "no axis of"
            raise ConfigError([f"start: {found} configurations; allowed: one for each of {chains} chains"])
    x = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype=jnp.result_type(leaf, float)), start)
    if kernel.target_space is not None:
        kernel.target_space.require(jax.tree.map(lambda a: a[0], x))
        require_inside("start", kernel.target_space, x)
    return x


def _refuse_quasi(fields: object) -> None:
    if isinstance(fields, QuasiSamples):
        hint = "points of a scrambling are not independent, so no accept/reject (Metropolis) chain goes through them"
        raise ConfigError([f"fields: quasi-random draws; allowed: lf.reweighted_estimates(action, samples); {hint}"])


def estimates(
    action: AbstractAction, fields: Inexact[np.ndarray, "n chains *shape"] | FlowSamples
) -> dict[str, list[Estimate]]:
    """Observables of an ensemble of scalar or gauge fields with Γ-method errors, of the field of the action class.

    Args:
        action: The action the ensemble belongs to.
        fields: Configurations with axes (record, chain, *shape of one field); or what `sample` returned, for averages
            over its exact chain, which then are as reliable as the draws.

    Returns:
        Per observable, one estimate per component; `slow_mode` names the slow quantity, such as a topological charge,
        whose tail is in error and `tau_int` (`latflow.stats.slow_modes`). If a chain stood still for too long a part of
        it, as those of poor flows do, their `state` says so, and a warning is given; else the `state` of averages over
        an array is None: configurations do not tell what their chain has missed.

    Raises:
        TypeError: If `action` is none or `fields` no array.
        ConfigError: If the fields have other axes or another lattice than the action, links are not in their group, or
            they are quasi-random draws, through which no chain goes.
        DataError: If there are too few records, or numbers that are not finite.
    """
    require_type("action", action, AbstractAction, "an action")
    _refuse_quasi(fields)
    known = physics_of(action)
    samples = fields if isinstance(fields, FlowSamples) else None
    fields = fields.fields[:, None] if isinstance(fields, FlowSamples) else fields
    require_shape("fields", fields, action.space.shape, leading=("record", "chain"))
    if not np.size(fields):
        raise ConfigError([f"fields: shape {np.shape(fields)}; allowed: one or more records and chains"])
    if len(fields) < MINIMUM_RECORDS:
        raise TooShortError("fields", value=f"{len(fields)} records", allowed=f"at least {MINIMUM_RECORDS}")
    require_numbers("fields", fields)
    fields, shape = np.asarray(fields), action.space.shape
    lead = fields.shape[:2]
    require_inside("fields", action.space, fields.reshape(-1, *shape))
    columns = measure(known.observables, fields.reshape(-1, *shape))
    series = {name: np.swapaxes(c.reshape(*lead, *c.shape[1:]), 0, 1) for name, c in columns.items()}
    found = judge_chain(_repeats(fields)) if samples is None else samples.reliability
    _warn("lf.estimates", found)
    made = all_estimates(known.all_estimators, series, known.along(series))
    # that a chain moved does not tell what it has missed: no judgement
    return all_bounded(made, found) if samples is not None or not found.is_reliable else made


def _repeats(fields: Inexact[np.ndarray, "n chains *shape"]) -> Bool[np.ndarray, "chains n"]:
    """Whether a record is the one before it again, as after a rejected proposal."""
    same = (fields[1:] == fields[:-1]).reshape(len(fields) - 1, fields.shape[1], -1).all(axis=-1)
    return np.concatenate([np.zeros((1, fields.shape[1]), dtype=bool), same]).T


def reweighted_estimates(action: AbstractAction, samples: FlowSamples | QuasiSamples) -> dict[str, list[Estimate]]:
    """Observables from all draws of a flow, each with its weight, of the field of the action class; errors of ratios.

    Those of quasi-random draws come from the scatter of scramblings. Hermite variates correct averages where they help,
    there are draws enough, and weights of random draws are reliable. Their `state` says whether to believe them; a
    warning is given where not.

    Args:
        action: The target of the draws.
        samples: What `sample` or `quasi_sample` returned.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If the draws have another shape than the fields of the action, or weights of another action.
    """
    require_type("action", action, AbstractAction, "an action")
    require_type("samples", samples, FlowSamples | QuasiSamples, "what sample(...) or quasi_sample(...) returned")
    known = physics_of(action)
    require_shape("samples", samples.proposals, action.space.shape, leading=("draw",))
    if samples.action is not None and not eqx.tree_equal(samples.action, action):
        raise ConfigError([f"samples: weights of {samples.action}; allowed: those of the action given, {action}"])
    columns = measure(known.observables, samples.proposals)
    if isinstance(samples, QuasiSamples):
        found, weights = samples.reliability, samples.draws
    else:
        accepted = np.diff(samples.index, prepend=-1) != 0
        found = with_images(judge_draws(samples.log_weight, accepted, columns=columns), samples.reliability.unseen)
        weights = samples.log_weight
    _warn("lf.reweighted_estimates", found)
    log_q_error = samples.integration.spread if samples.integration is not None else 0.0
    made = all_estimates(known.all_estimators, columns, Varied.of_no_variates(weights, log_q_error))
    if samples.variates is not None and (isinstance(samples, QuasiSamples) or found.is_reliable):
        varied = Varied(weights, samples.variates, log_q_error)
        made = unless_worse(made, all_estimates(known.all_estimators, columns, varied))
    bounds = [name for name, each in made.items() if any(e.state == UNDERESTIMATED for e in each)]
    if found.is_reliable and bounds:
        told = f"errors of {', '.join(bounds)} are lower bounds, a few draws make most of them up"
        warnings.warn(f"lf.reweighted_estimates: {told}. {MORE_POINTS}", UnreliableWarning, stacklevel=2)
    return all_bounded(made, found)
