"""Weighted samplers of a study with what they draw from: the settings of their table, or the trained flow."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from latflow._typing import PRNGKey
from latflow.errors import ConfigError
from latflow.flows.weighted import FlowSampler
from latflow.samplers.base import AbstractWeightedSampler
from latflow.samplers.draws import Drawn, draw_block
from latflow.samplers.quasi import SobolPoints, quasi_block
from latflow.study.config import StudyConfig
from latflow.study.config.methods import SCRAMBLINGS, method_of
from latflow.study.context import RunContext, identity
from latflow.study.methods import build_sampler, method_key
from latflow.study.stages.integration import integrated
from latflow.study.stages.training import load_flow, sampling_facts


@dataclasses.dataclass(frozen=True)
class Source:
    """A weighted sampler of a study, and what the manifest of its ensemble records.

    Args:
        sampler: Makes the draws.
        identity: What decides the draws beside lattice and action: the model, or the settings of the method.
        facts: What else the manifest holds.
    """

    sampler: AbstractWeightedSampler
    identity: dict[str, Any]
    facts: dict[str, Any]


def source(context: RunContext, name: str) -> Source:
    """The sampler of a method of draws, with the trained flow where it needs one.

    Raises:
        MissingInputError: If there is no model.
        DataError: If it is damaged, or of another study.
    """
    config, method = context.config, method_of(name)
    own = identity(config, name) if method.table is not None else {}
    if name in SCRAMBLINGS:
        own[name] = {key: value for key, value in own[name].items() if key != "points_per_scrambling"}
    if not method.trained:
        return Source(build_sampler(config, name), own, {})
    flow, header = load_flow(context)
    flow, decides, told = integrated(context, name, flow)
    found = {**own, "model": header["sha256"], **decides}
    return Source(build_sampler(config, name, flow), found, {**sampling_facts(config), **told})


Drawing: TypeAlias = Callable[[Mapping[str, Any], int], Drawn]
"""From the attributes of a block and its size to its draws."""


def drawing(config: StudyConfig, name: str, sampler: AbstractWeightedSampler) -> Drawing:
    """How the blocks of a method are drawn, for the first time or again.

    Args:
        config: The study.
        name: The method.
        sampler: What `source` gives.
    """
    key = draw_key(config, name)
    if name not in SCRAMBLINGS:
        return lambda attributes, n: draw_block(sampler, key, first=attributes["first"], n=n)
    flow_sampler = require_uniforms(sampler, name)
    points = SobolPoints(key, flow_sampler.flow.n_uniforms)

    def quasi(attributes: Mapping[str, Any], n: int) -> Drawn:
        u = points.block(attributes["scrambling"], first=attributes["first"], n=n)
        return quasi_block(flow_sampler.flow, flow_sampler.action, u, at_once=flow_sampler.draws_at_once)

    return quasi


def require_uniforms(sampler: AbstractWeightedSampler, name: str) -> FlowSampler:
    """The sampler, if it draws from a flow that is a map of uniform numbers.

    Raises:
        ConfigError: If it is none.
    """
    if isinstance(sampler, FlowSampler) and sampler.flow.n_uniforms:
        return sampler
    found = type(getattr(sampler, "flow", sampler)).__name__
    raise ConfigError(
        [f"{name}: {found} is no map of uniform numbers; allowed: a flow from a normal prior or Haar links"]
    )


def draw_keys(config: StudyConfig, name: str) -> tuple[PRNGKey, PRNGKey]:
    """Root keys of the draws of a method and of its accept/reject uniforms."""
    return draw_key(config, name), method_key(config, method_of(name), 1)


def draw_key(config: StudyConfig, name: str) -> PRNGKey:
    """Root key of the draws of a method."""
    return method_key(config, method_of(name), 0)
