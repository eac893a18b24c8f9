"""Observables that a study may name beside those of its theory.

A package adds one by an entry point of the group ``latflow.observables``: the name is that of the observable, the value
``module:function`` a function of the action that returns it. No JAX here.
"""

import dataclasses
import functools
from importlib import metadata
from typing import Any

from latflow.errors import ConfigError, LatflowError
from latflow.plugins import Plugin, brought_by, plugins
from latflow.theories.catalogue import all_words

GROUP = "latflow.observables"

BUILT_IN = {
    "cos_phi": "latflow.observables.cosine:mean_cosine",
    "plaquette_susceptibility": "latflow.observables.plaquette_moments:plaquette_susceptibility",
    "plaquette_correlator": "latflow.observables.plaquette_moments:plaquette_correlator",
}
"""Function that makes the observable of an action, by name."""


@functools.cache
def further() -> dict[str, str]:
    """Built-in and installed ones: ``module:function`` by name."""
    return {plugin.name: plugin.value for plugin in plugin_observables() if not plugin.problem} | BUILT_IN


@functools.cache
def packages() -> dict[str, str]:
    """The package that brings an observable, by the names of those that are not built in."""
    return {plugin.name: plugin.package for plugin in plugin_observables() if not plugin.problem}


@functools.cache
def plugin_observables() -> tuple[Plugin, ...]:
    """What installed packages offer, each with the reason why it cannot be used, if there is one."""
    taken = {*BUILT_IN, *all_words()}
    return tuple(
        dataclasses.replace(plugin, problem=plugin.problem or f"the observable {plugin.name} is taken")
        if plugin.name in taken
        else plugin
        for plugin in plugins(GROUP)
    )


def build(name: str, action: Any) -> Any:
    """The observable of this name for the fields of an action; imports JAX.

    Raises:
        ConfigError: If it is not defined for such fields, its package cannot be imported, or its function fails.
    """
    what = f"measure.observables: {name!r}"
    try:
        make = metadata.EntryPoint(name, further()[name], GROUP).load()
    except (Exception, SystemExit) as error:  # whatever a foreign module does when it is imported
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError([f"{what}; its package cannot be imported: {reason}"]) from error
    try:
        return make(action)
    except LatflowError:
        raise
    except Exception as error:  # whatever a foreign function does
        reason = f"{further()[name]} fails, {type(error).__name__}: {error}"
        raise ConfigError([f"{what}; {brought_by(GROUP, name)}{reason}"]) from error
