"""How the draws of a run integrate a continuous flow: as its model says, or matched to their statistical error.

A matched integration is chosen once, when an ensemble is begun; its manifest keeps it, so that blocks are made again,
and further ones made, with the same.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

from latflow.errors import ConfigError
from latflow.flows.continuous import is_continuous
from latflow.flows.matched import FRACTION, GAIN, MatchedIntegration, with_integration
from latflow.flows.mixture import TrainableFlow
from latflow.flows.weighted import matched_draws
from latflow.store.ensemble import Ensemble
from latflow.study.build import build_action
from latflow.study.config.methods import method_of
from latflow.study.context import RunContext
from latflow.study.methods import method_key
from latflow.study.plan import configurations_of

INTEGRATION = "integration"
"""Fact of a manifest: the integration of its draws where it was matched to them, null where it could not be."""

_PROBES = 2**32 - 3
_TAIL, _TAIL_OF_INVERSE = 20.0, 10.0
_BOUNDED = ("spread", "shift")
_ROUNDING = 1e-9
_DECIDES = ("scheme", "steps", "precision", "quadrature")


def integrated(
    context: RunContext, name: str, flow: TrainableFlow
) -> tuple[TrainableFlow, dict[str, Any], dict[str, Any]]:
    """The flow as draws of a method integrate it, what of that identifies them, and what their manifest keeps.

    Args:
        context: The run.
        name: The method.
        flow: The flow as its model says.
    """
    how = context.config.sampling.integration
    if how == "fine":
        return flow, {}, {}
    kept = _kept(context, name)
    if kept is not None:
        found = _read(kept) if kept else None
        matched = flow if found is None else with_integration(flow, found)
    else:
        n, gain = configurations_of(context.config, name), GAIN
        key = jax.random.fold_in(method_key(context.config, method_of(name), 0), _PROBES)
        with context.timed(stage="integration", sampler=name):
            matched, found = matched_draws(key, flow, build_action(context.config), n=n, gain=gain, integration=how)
        if is_continuous(flow):
            context.progress.line(f"sample   {name}: {_told_in_words(found)}")
    facts = None if found is None else _told(found)
    identity = None if facts is None else {key: facts[key] for key in _DECIDES if key in facts}
    return matched, {INTEGRATION: identity}, {INTEGRATION: facts}


def require_accuracy(context: RunContext, name: str, facts: dict[str, Any]) -> None:
    """Refuse more draws than the integration was chosen for: their bias would be too large beside their error.

    Args:
        context: The run.
        name: The method.
        facts: What `integrated` gave for the manifest.

    Raises:
        ConfigError: If the study asks for more.
    """
    found = facts.get(INTEGRATION)
    if found is None:
        return
    n, gain = configurations_of(context.config, name), GAIN
    chosen_for = (FRACTION / found["allowed"][0]) ** 2 / gain
    # Both bounds fall like 1/√n.
    room = min(bound / max(abs(found[name]), 1e-300) for name, bound in zip(_BOUNDED, found["allowed"], strict=True))
    most = chosen_for * max(room, 1.0) ** 2
    if n > most * (1 + _ROUNDING):
        least = f"{name}: {n} draws, whose integration was matched to fewer; allowed: {int(most)} with this one"
        raise ConfigError([f'{least}. Begin another run, or one with sampling.integration = "fine"'])


def log_prob_limit(manifest: Mapping[str, Any], otherwise: float) -> float:
    """How far log q of draws may be from what `as_drawn` gives for their fields.

    Matched integration is held against the model: twenty times the largest error found on 256 draws. A fitted map is
    held against itself, and only its inverse errs: ten times the largest error of that on 64 draws.

    Args:
        manifest: Of their ensemble.
        otherwise: The limit of draws whose integration was not matched.
    """
    found = manifest.get(INTEGRATION)
    if not found:
        return otherwise
    inverse = found.get("of_inverse")
    return max(otherwise, _TAIL * found["largest"] if inverse is None else _TAIL_OF_INVERSE * inverse)


def log_q_error(manifest: Mapping[str, Any]) -> float:
    """Standard deviation of errors of log q, under the weights, as it was measured; 0 for draws integrated accurately.

    Args:
        manifest: Of their ensemble.
    """
    found = manifest.get(INTEGRATION)
    return float(found["spread"]) if found else 0.0


def as_drawn(manifest: Mapping[str, Any], flow: TrainableFlow) -> TrainableFlow:
    """The flow whose log q draws must have: that of their steps where its log-det was fitted, else of the model.

    Args:
        manifest: Of the ensemble.
        flow: As its model says.
    """
    found = manifest.get(INTEGRATION)
    return with_integration(flow, _read(found)) if found and "quadrature" in found else flow


def in_words(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The integration as a setting of the draws; nothing where it was not matched."""
    found = manifest.get(INTEGRATION)
    return {INTEGRATION: _words(_read(found))} if found else {}


def _told_in_words(found: MatchedIntegration | None) -> str:
    return (
        "integrated as accurately as the model says: no cheaper way is good enough" if found is None else _words(found)
    )


def _words(found: MatchedIntegration) -> str:
    fitted = "" if found.quadrature is None else ", log-det fitted"
    how = f"{found.steps} steps of {found.scheme}{fitted}, networks in {found.precision}"
    return f"{how}; error of log q {found.spread:.1e}, allowed {found.allowed[0]:.1e}"


def _told(found: MatchedIntegration) -> dict[str, Any]:
    return {key: value for key, value in dataclasses.asdict(found).items() if value is not None}


def _read(kept: Mapping[str, Any]) -> MatchedIntegration:
    lists = {key: tuple(kept[key]) for key in ("allowed", "quadrature") if key in kept}
    return MatchedIntegration(**{**kept, **lists})


def _kept(context: RunContext, name: str) -> dict[str, Any] | None:
    """What the manifest of an ensemble keeps; empty where no integration was found, None before it is begun."""
    path = context.path("ensembles", name)
    if not (path / "manifest.json").exists():
        return None
    return Ensemble.open(path, writable=False).manifest.get(INTEGRATION) or {}
