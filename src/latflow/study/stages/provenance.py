"""Where an artefact comes from: versions, device and the hashes of its parents."""

import platform
from importlib.metadata import version
from typing import Any

import jax

from latflow import __version__


def versions() -> dict[str, str]:
    """Versions that can change a bit of a result."""
    names = ("jax", "jaxlib", "equinox", "optax", "numpy", "h5py", "safetensors")
    return {"latflow": __version__, "python": platform.python_version(), **{name: version(name) for name in names}}


def device() -> str:
    """Kind of the device that computes, such as ``cpu`` or the name of an accelerator."""
    return jax.devices()[0].device_kind


def origin() -> dict[str, Any]:
    """Versions, device and precision, for a manifest."""
    return {"versions": versions(), "device": device(), "precision": "float64"}
