"""Inventory of this machine: versions, devices, precision, memory, disk and optional tools.

Nothing is required here. What is missing is listed as absent, and the reader decides whether it matters.
"""

import dataclasses
import importlib.metadata
import os
import platform
import shutil
from pathlib import Path
from typing import Any

from latflow import __version__
from latflow.ambient import chosen, fix_settings, fix_threads, threads
from latflow.flows.tables import plugin_flows
from latflow.plugins import Plugin
from latflow.study.config.methods import plugin_methods
from latflow.theories.catalogue import plugin_theories
from latflow.theories.further import plugin_observables

PACKAGES = ("jax", "jaxlib", "equinox", "optax", "numpy", "scipy", "h5py", "safetensors", "pyerrors", "pydantic")
"""Packages whose versions can change a number."""

TOOLS = {
    "gcc": "the C reference of the benchmarks",
    "chromium": "the check of report.html in a browser",
    "nvidia-smi": "the state of NVIDIA devices",
}
"""Optional programs and what needs them."""


def examine(directory: Path) -> dict[str, Any]:
    """Findings by name, as strings, numbers and lists for printing or JSON.

    Args:
        directory: Where runs would be written.
    """
    return {
        "latflow": __version__,
        "python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        **_devices(),
        "cores": _cores(),
        "memory_gib": _memory_gib(),
        "disk_free_gib": round(shutil.disk_usage(directory).free / 2**30, 1),
        **{f"tool {tool}": shutil.which(tool) or f"absent; serves {use}" for tool, use in TOOLS.items()},
        **_plugins(),
    }


_SINGULAR = {
    "latflow.theories": "theory",
    "latflow.observables": "observable",
    "latflow.flows": "flow",
    "latflow.methods": "sampler",
}
"""What one entry point of a group brings."""


def _plugins() -> dict[str, str]:
    """What other packages add, with their versions; of what cannot be used, where it points and why."""
    offered = (*plugin_theories(), *plugin_observables(), *plugin_flows(), *plugin_methods())
    return dict(_line(_loaded(plugin)) for plugin in offered)


_NAMED = {"latflow.methods": ("build", "cost"), "latflow.flows": ("builder",)}
"""By group the attributes of what an entry point points to that name further functions, imported when they work."""

_ROOM = ("known:known_values", "physics:action", "physics:physics")
"""What is imported of a theory when it works."""


def _loaded(plugin: Plugin) -> Plugin:
    """The plug-in, with the reason if it, or a function that it names, cannot be imported."""
    try:
        for name in () if plugin.problem else _functions(plugin):
            if name and not callable(dataclasses.replace(plugin, value=name).load()):
                return dataclasses.replace(plugin, problem=f"{name} is no function")
    except (Exception, SystemExit) as error:  # whatever a foreign module does when it is imported
        return dataclasses.replace(plugin, problem=" ".join(f"{type(error).__name__}: {error}".split()))
    return plugin


def _functions(plugin: Plugin) -> list[str]:
    """What it names as ``module:function``; the plug-in is imported for that."""
    found = plugin.load()
    if plugin.group == "latflow.theories":
        return [f"{plugin.value}.{name}" for name in _ROOM]
    if plugin.group == "latflow.observables":
        return [plugin.value]
    return [getattr(found, attribute) for attribute in _NAMED[plugin.group]]


def _line(plugin: Plugin) -> tuple[str, str]:
    what, whose = f"{_SINGULAR[plugin.group]} {plugin.name}", f"{plugin.package} {plugin.version}"
    return (f"{what} = {plugin.value}", f"{whose}, not usable: {plugin.problem}") if plugin.problem else (what, whose)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _devices() -> dict[str, Any]:
    try:
        import jax

        fix_threads()
        fix_settings()
        found = jax.devices()
    except (ImportError, RuntimeError, ValueError) as error:
        return {"devices": [], "precision": "unknown", "problem": " ".join(str(error).split())[:300]}
    import jax.numpy as jnp

    return {
        "devices": [f"{device.platform}:{device.id} {device.device_kind}" for device in found],
        "precision": str(jnp.zeros((), dtype=float).dtype),
        "threads of the compiler": threads(),
        **chosen(),
    }


def _cores() -> int | None:
    """Cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return os.cpu_count() if affinity is None else len(affinity(0))


def _memory_gib() -> float | None:
    """Memory this process may use: that of the machine or the limit of its control group, whichever is smaller."""
    limits = [_machine_memory(), _group_memory()]
    known = [limit for limit in limits if limit is not None]
    return round(min(known) / 2**30, 1) if known else None


def _machine_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _group_memory() -> int | None:
    try:
        text = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
