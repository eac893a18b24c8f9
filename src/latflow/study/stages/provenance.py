"""Where an artefact comes from: versions, device and the hashes of its parents."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from latflow import __version__


def versions() -> dict[str, str]:
    """Versions that can change a bit of a result."""
    names = ("jax", "jaxlib", "equinox", "optax", "numpy", "h5py", "safetensors")
    return {"latflow": __version__, "python": platform.python_version(), **{name: version(name) for name in names}}


def device() -> str:
    """What computes: the name of an accelerator, or ``cpu`` with the processor's model and widest vectors.

    Two processors that differ in either are compiled for differently, and round differently.
    """
    kind = jax.devices()[0].device_kind
    return f"cpu, {_processor()}" if kind == "cpu" else kind


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # only Linux has it
        return platform.processor() or platform.machine()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = facts.get("flags", "").split()
    vectors = next((flag for flag in ("avx512f", "avx2", "avx") if flag in flags), platform.machine())
    return f"{facts.get('model name', platform.machine())}, {vectors}"


def origin() -> dict[str, Any]:
    """Versions, device and precision, for a manifest."""
    return {"versions": versions(), "device": device(), "precision": "float64"}
