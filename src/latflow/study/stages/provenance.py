"""Where an artefact comes from: versions, device, threads, settings and the generator of random numbers.

Equal origins promise equal bits. What differs is named, so that bits that differ with it are told apart from damage.
"""

import functools
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from latflow import __version__
from latflow.ambient import chosen, threads
from latflow.errors import DataError
from latflow.randomness import GENERATOR, probe
from latflow.store.records import JSON

GENERATOR_KEY = "generator"


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


@functools.cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # only Linux has it
        return platform.processor() or platform.machine()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = facts.get("flags", "").split()
    vectors = next((flag for flag in ("avx512f", "avx2", "avx") if flag in flags), platform.machine())
    return f"{facts.get('model name', platform.machine())}, {vectors}"


def generator() -> str:
    """The generator of random numbers, with a probe of its bits."""
    return f"{GENERATOR} {probe()}"


def origin() -> dict[str, Any]:
    """What can change a bit of a result, for a manifest."""
    return {
        "versions": versions(),
        "device": device(),
        "precision": "float64",
        "threads": threads(),
        "settings": chosen(),
        GENERATOR_KEY: generator(),
    }


def differences(kept: JSON, found: Mapping[str, Any]) -> list[str]:
    """What two origins say differently, in words, such as ``threads 2, here 4``.

    Args:
        kept: An origin that was stored. What it does not tell, because it is older, is not compared.
        found: The origin of what is made here.
    """
    have, want = _leaves(kept), _leaves(found)
    return [f"{name} {have[name]}, here {want[name]}" for name in have if name in want and have[name] != want[name]]


def elsewhere(kept: JSON, found: Mapping[str, Any]) -> str:
    """Why bits made here may differ from stored ones, in words; empty if nothing explains a difference.

    Args:
        kept: An origin that was stored. One that does not tell its threads may have had any number of them.
        found: The origin of what is made here.
    """
    told = differences(kept, found)
    return "; ".join(told or ([] if "threads" in _leaves(kept) else ["threads not recorded"]))


def is_other_program(kept: JSON, found: Mapping[str, Any]) -> bool:
    """Whether two origins name different versions of latflow, or the stored one names none."""
    return _leaves(kept).get("latflow") != _leaves(found).get("latflow")


def require_generator(kept: JSON, *, what: str) -> None:
    """Refuse to go on with other random numbers than those something was begun with.

    Args:
        kept: The origin of what would go on.
        what: Its name, for the message.

    Raises:
        DataError: If it tells another generator; one that tells none is taken as it is.
    """
    begun = _leaves(kept).get(GENERATOR_KEY, here := generator())
    if begun != here:
        hint = "go on with the versions it was begun with, or begin a new run"
        raise DataError(f"{what}: begun with another generator of random numbers", value=here, allowed=begun, hint=hint)


def moved(kept: JSON) -> dict[str, Any]:
    """The attribute of a block that was made elsewhere than its ensemble was begun; empty if it was not."""
    here = origin()
    return {"origin": here} if differences(kept, here) else {}


def _leaves(value: JSON) -> dict[str, str]:
    """Facts by name; the settings are one fact, since a setting that is absent is one as well."""
    if not isinstance(value, Mapping):
        return {}
    versions_of = value.get("versions")
    found = dict(versions_of) if isinstance(versions_of, Mapping) else {}
    settings = value.get("settings")
    if isinstance(settings, Mapping):
        found["settings"] = " ".join(f"{name}={settings[name]}" for name in sorted(settings)) or "none"
    single = {name: value[name] for name in ("device", "precision", "threads", GENERATOR_KEY) if name in value}
    return {name: str(fact) for name, fact in {**found, **single}.items()}
