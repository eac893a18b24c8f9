"""Weighted samplers of a study with what they draw from: the settings of their table, or the trained flow."""

import dataclasses
from typing import Any

from latflow._typing import PRNGKey
from latflow.samplers.base import AbstractWeightedSampler
from latflow.study.config import StudyConfig
from latflow.study.config.methods import method_of
from latflow.study.context import RunContext, identity
from latflow.study.methods import build_sampler, method_key
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
    if not method.trained:
        return Source(build_sampler(config, name), own, {})
    flow, header = load_flow(context)
    return Source(build_sampler(config, name, flow), {**own, "model": header["sha256"]}, sampling_facts(config))


def draw_keys(config: StudyConfig, name: str) -> tuple[PRNGKey, PRNGKey]:
    """Root keys of the draws of a method and of its accept/reject uniforms."""
    method = method_of(name)
    return method_key(config, method, 0), method_key(config, method, 1)
