"""Models that were trained in Python, kept in a directory from which `load_model` rebuilds them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from latflow.arguments import require_type
from latflow.bijections.ode.runge_kutta import RK8
from latflow.distributions import AbstractDistribution
from latflow.errors import CannotCreateError, ConfigError
from latflow.flows.architectures import cast
from latflow.flows.conditional import ConditionalFlow, FlowModel
from latflow.flows.continuous import is_continuous, production_steps
from latflow.flows.mixture import TrainableFlow
from latflow.flows.model import (
    Integration,
    ParameterRange,
    Specification,
    build,
    describe_space,
    flow_table,
    production,
)
from latflow.given import path_of
from latflow.randomness import require_float64, root_key
from latflow.study.models import RANGE
from latflow.training import model_file
from latflow.training.model_file import ModelMismatchError
from latflow.training.ranges import probes


def save_model(directory: str | Path, flow: FlowModel, table: Mapping[str, Any]) -> None:
    """Keep a trained flow, so that ``load_model(directory)`` gives it back.

    Args:
        directory: A new directory, or one without a model; ``model.json`` and ``weights.safetensors`` go there.
        flow: What `fit` returned as ``flow``.
        table: Kind and sizes that it was built with, in the words of the table ``[flow]`` of a study (docs/cli.md):
            ``{"kind": "real_nvp", "layers": 6, "network": "convolutional", "hidden": [32], "z2": True}``.

    Raises:
        TypeError: If an argument is of another type.
        ConfigError: If models of such fields cannot be kept.
        ModelMismatchError: If the table is that of another flow.
        DataError: If the table is none.
        CannotCreateError: If there is a model already.
        PhysicsStop: If a weight is not finite.
        UnavailableError: If float64 is switched off.
    """
    require_float64()
    require_type("flow", flow, AbstractDistribution | ConditionalFlow, "a trained flow")
    require_type("table", table, Mapping, 'kind and sizes, such as {"kind": "real_nvp", "layers": 6}')
    directory = path_of("directory", directory, "a directory")
    if (directory / model_file.HEADER).exists():
        raise CannotCreateError(f"{directory}: holds a model already", hint="choose another directory")
    found = _specified(flow, dict(table))
    _require_same(flow, found)
    header = {"kind": found.flow["kind"], "specification": found.plain()}
    model_file.save_model(directory, flow, header=header)


def _specified(flow: FlowModel, table: dict[str, Any]) -> Specification:
    space = describe_space(flow.space)
    if space is None:
        raise ConfigError([f"flow: draws fields of {type(flow.space).__name__}; allowed: scalar fields or links"])
    single = any(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(eqx.filter(flow, eqx.is_inexact_array)))
    over = None
    if isinstance(flow, ConditionalFlow):
        over = ParameterRange(parameter=flow.parameter, lower=flow.lower, upper=flow.upper, order=flow.order)
    precision = "float32" if single else "float64"
    told = flow_table(table, what="table").plain()
    plain = {key: value for key, value in told.items() if key not in RANGE}
    return Specification(flow=plain, space=space, precision=precision, over=over, integration=_integration(flow))


def _integration(flow: FlowModel) -> Integration | None:
    """How finely a continuous flow has to be integrated; a conditional one at the ends of its range and between."""
    if not is_continuous(flow):
        return None
    found = [production_steps(root_key(i), each) for i, each in enumerate(_members(cast(flow, "float64")))]
    steps, error = map(max, zip(*found, strict=True))
    return Integration(scheme=RK8.name, steps=steps, log_prob_error=error)


def _members(flow: FlowModel) -> list[TrainableFlow]:
    return [flow.at(value) for value in probes(flow)] if isinstance(flow, ConditionalFlow) else [flow]


def _require_same(flow: FlowModel, found: Specification) -> None:
    """Refuse a table from which another flow would be built: other weights, or another function of the same ones."""
    empty = build(found, what="table")
    weights, others = (eqx.filter(each, eqx.is_array) for each in (flow, empty))
    pairs = jax.tree.leaves(weights), jax.tree.leaves(others)
    shapes = [[(leaf.shape, leaf.dtype) for leaf in leaves] for leaves in pairs]
    if shapes[0] != shapes[1]:
        count = [sum(leaf.size for leaf in leaves) for leaves in pairs]
        value = f"{count[1]} weights in {len(pairs[1])} arrays"
        raise ModelMismatchError("table", value=value, allowed=f"{count[0]} in {len(pairs[0])}, as the flow has")
    arrays = jax.tree.unflatten(jax.tree.structure(others), pairs[0])
    again = eqx.combine(arrays, eqx.filter(empty, eqx.is_array, inverse=True))
    key = root_key(0)
    draws = [_members(production(each, found.integration))[-1].sample_and_log_prob(key) for each in (flow, again)]
    if not all(np.array_equal(a, b) for a, b in zip(*draws, strict=True)):
        allowed = "kind and sizes that the flow was built with"
        raise ModelMismatchError("table", value="makes another function of these weights", allowed=allowed)
