"""From configuration to objects: lattices, flows, losses; for samplers see `latflow.study.methods`.

Random streams are named here too: every stage draws from its own child of the study's root key, so adding a stage
never changes another one's numbers.
"""

import functools
from collections.abc import Callable

import equinox as eqx
import jax
from jaxtyping import Array, Float

from latflow._typing import PRNGKey
from latflow.errors import ConfigError
from latflow.flows.conditional import ConditionalFlow, FlowModel, conditioned, flow_for, interpolated
from latflow.flows.mixture import TrainableFlow
from latflow.flows.model import started, untrained
from latflow.lattice import Lattice
from latflow.randomness import root_key
from latflow.study.config import StudyConfig
from latflow.study.config.rules import COUPLINGS_PER_STEP
from latflow.study.config.stages import WITH_TARGETS
from latflow.study.theories import build_action as build_action
from latflow.training.assessment import assessment
from latflow.training.conditional import OverRange
from latflow.training.fit import Record
from latflow.training.least_squares import LeastSquares
from latflow.training.losses import AbstractLoss, ForwardKL, MixtureLoss, PathGradient, ReverseKL
from latflow.training.schedules import Optimiser, adam, schedule
from latflow.training.stop import StopCriterion

STREAMS = {
    "flow": 0,
    "train": 1,
    "check": 6,
    "evidence": 8,
    "target": 9,
    "trajectory": 10,
    "curriculum": 11,
    "accuracy": 12,
}
"""Child index of every named random stream; append only, a changed number is a changed ensemble.

The numbers between belong to the methods of sampling, see `latflow.study.config.methods`.
"""


def stream(config: StudyConfig, name: str) -> PRNGKey:
    """Root key of one named stream of the study."""
    return jax.random.fold_in(root_key(config.seed), STREAMS[name])


def build_lattice(config: StudyConfig) -> Lattice:
    """The lattice of the study."""
    return Lattice(tuple(config.lattice.shape))


def class_value(config: StudyConfig, value: float) -> float:
    """A value of the conditional parameter, given as in the study, in the normalisation of the action class."""
    name = config.conditional_parameter()
    return config.action.with_parameters(**{name: value}).in_house(len(config.lattice.shape))[name]


def class_range(config: StudyConfig) -> tuple[float, float] | None:
    """The range of a conditional flow in the normalisation of the action class."""
    ends = config.coupling_range()
    return None if ends is None else (class_value(config, ends[0]), class_value(config, ends[1]))


def build_flow(config: StudyConfig, *, precision: str | None = None) -> FlowModel:
    """The untrained flow of the study, or the family of flows where it names a range.

    Args:
        config: The study.
        precision: Dtype of the network weights; by default the training precision.
    """
    values, built = config.action.in_house(len(config.lattice.shape)), _built(config, precision)
    ends, name = class_range(config), config.conditional_parameter()
    if ends is None or config.flow.starter is None:
        return over_range(started(built, config.flow, values), config)
    order: int = getattr(config.flow, "coupling_order")  # noqa: B009
    return interpolated(
        lambda value: started(built, config.flow, {**values, name: value}),
        lower=ends[0],
        upper=ends[1],
        order=order,
        parameter=name,
    )


def flow_to_fill(config: StudyConfig, *, precision: str | None = None) -> FlowModel:
    """The flow of the study without a start at its couplings, which can be dear: for weights that come from elsewhere.

    Args:
        config: The study.
        precision: As for `build_flow`.
    """
    return over_range(_built(config, precision), config)


def flow_shapes(config: StudyConfig) -> FlowModel:
    """Shapes and dtypes of the flow of the study, to be filled with stored weights: nothing is drawn or compiled."""
    return eqx.filter_eval_shape(lambda: flow_to_fill(config))


def _built(config: StudyConfig, precision: str | None) -> TrainableFlow:
    precision = precision or config.training.precision
    return untrained(stream(config, "flow"), config.flow, build_action(config).space, precision)


def over_range(flow: FlowModel, config: StudyConfig) -> FlowModel:
    """The flow for the range of values that the study names, or at its parameters alone.

    A model conditional on another parameter is taken at its value in the study.
    """
    ends = class_range(config)
    if ends is None:
        return study_flow(flow, config)
    order: int = getattr(config.flow, "coupling_order")  # noqa: B009
    name = config.conditional_parameter()
    if isinstance(flow, ConditionalFlow) and flow.parameter != name:
        flow = study_flow(flow, config)
    return conditioned(flow, lower=ends[0], upper=ends[1], order=order, parameter=name)


def study_flow(flow: FlowModel, config: StudyConfig) -> TrainableFlow:
    """The ordinary flow that a model is at the parameters of the study.

    Raises:
        ConfigError: If it is conditional on a parameter that the theory of the study does not have.
    """
    return flow_for(flow, build_action(config))


def build_loss(config: StudyConfig, *, targets: Float[Array, "n_targets *shape"] | None = None) -> AbstractLoss:
    """The training loss.

    Args:
        config: The study.
        targets: Draws of the target; needed by a mixture, ignored by other losses.

    Raises:
        ConfigError: If a mixture is asked for without them.
    """
    training = config.training
    if config.coupling_range() is not None:
        share = training.batch_size // COUPLINGS_PER_STEP
        return OverRange(_reverse(training.loss, share), COUPLINGS_PER_STEP)
    reverse = _reverse(training.loss, training.batch_size)
    if training.loss not in WITH_TARGETS:
        return reverse
    if targets is None:
        raise ConfigError([f"training.loss: {training.loss}; allowed: with draws of the target"])
    if training.loss == "forward_kl":
        symmetric = config.action.fields in ("scalar", "spins")
        return ForwardKL(targets, training.batch_size, len(config.lattice.shape) if symmetric else 0)
    share = training.forward_weight
    return MixtureLoss((reverse, ForwardKL(targets, training.batch_size)), (1 - share, share))


def build_assessment(config: StudyConfig) -> Callable[[ConditionalFlow, PRNGKey], Record | None] | None:
    """How a conditional flow is assessed during training; None for other flows."""
    if config.coupling_range() is None:
        return None
    return assessment(build_action(config), n=config.training.evaluation_draws)


def _reverse(name: str, batch_size: int) -> AbstractLoss:
    if name == "least_squares":
        return LeastSquares(batch_size)
    return PathGradient(batch_size) if name == "path_gradient" else ReverseKL(batch_size)


def build_optimiser(config: StudyConfig) -> Optimiser:
    """Adam with the study's schedule and clipping."""
    training = config.training
    return _optimiser(
        training.schedule,
        training.learning_rate,
        # A constant learning rate does not depend on the number of steps.
        0 if training.schedule == "constant" else training.stop.steps,
        training.warmup_steps,
        training.final_learning_rate_fraction,
        training.gradient_clip,
    )


@functools.lru_cache
def _optimiser(
    name: str, learning_rate: float, n_steps: int, warmup_steps: int, final_fraction: float, gradient_clip: float
) -> Optimiser:
    """One object for equal settings, so that a training that goes on in the same process compiles nothing again."""
    curve = schedule(
        name,
        learning_rate=learning_rate,
        n_steps=n_steps,
        warmup_steps=warmup_steps,
        final_fraction=final_fraction,
    )
    return adam(curve, gradient_clip=gradient_clip)


def build_stop(config: StudyConfig) -> StopCriterion:
    """The stopping criterion."""
    stop = config.training.stop
    return StopCriterion(
        acceptance=stop.acceptance,
        ess=stop.ess,
        steps=stop.steps,
        minutes=stop.minutes,
        plateau=stop.plateau,
    )
