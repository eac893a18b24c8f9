"""Stein fields made of a trained flow: the model is found, compared with the theory of the chains, and integrated."""

from pathlib import Path

from latflow.actions.base import AbstractAction
from latflow.arguments import count
from latflow.errors import ConfigError
from latflow.flows.architectures import cast
from latflow.flows.conditional import FlowModel
from latflow.flows.flow import Flow
from latflow.flows.weighted import require_same_fields
from latflow.randomness import require_float64, root_key
from latflow.study.card import model_path
from latflow.study.latent_steps import matched_flow
from latflow.study.models import load_production, trained_config
from latflow.study.theories import action_of_plain
from latflow.variates.base import AbstractSteinFields
from latflow.variates.latent_fields import LatentFields


def latent_fields(flow: FlowModel | str | Path, action: AbstractAction, *, n: int | None = None) -> AbstractSteinFields:
    """Stein fields in the latent variables of a trained flow, for chains at its own coupling or near it.

    Args:
        flow: A flow as `load_model` gives it, or the name of a model: ``zoo:NAME``, a run, a model directory.
        action: S of the chains.
        n: How many configurations they are for. A continuous flow is then integrated in as few steps, with networks in
            float32 if these will do, as leave a bias below a tenth of their corrected errors; that of the gradient is
            measured on draws of the flow, see `latflow.study.latent_steps`. By default as for draws.

    Returns:
        The velocities, for ``reduce(action, fields, velocities=…)``; they are used as they are.

    Raises:
        ConfigError: If the flow is of other fields or another theory than the action, conditional, or of a prior
            other than normal or free.
        MissingInputError: If there is no model.
        DataError: If it is damaged or foreign.
    """
    require_float64()
    named = isinstance(flow, str | Path)
    if named:
        _require_theory(model_path(str(flow)), action)
    found = load_production(model_path(str(flow))) if named else flow
    if not isinstance(found, Flow):
        allowed = "one flow; of a conditional model .at(value), of a mixture a part"
        raise ConfigError([f"flow: {type(found).__name__}; allowed: {allowed}"])
    found = cast(found, "float64")
    if n is not None:
        require_same_fields(found.space, action.space)
        found = matched_flow(root_key(1), found, action, n=count("n", n))
    return LatentFields.of_flow(found.prior, found.bijection).on(action.space)


def _require_theory(path: Path, action: AbstractAction) -> None:
    """Refuse a model of another theory: its action is built and its class compared."""
    theory = action_of_plain(trained_config(path).model_dump(mode="json"), what=str(path))
    if type(theory) is not type(action):
        raise ConfigError([f"flow: trained for {theory}; allowed: the theory of the chains, {action}"])
