"""Configures JAX, once: all settings that can change a number, and a check that the device is there."""

import os

from latflow.errors import UnavailableError

_YES = {"", "1", "true", "t", "yes", "y", "on"}


def prepare_jax() -> None:
    """Fix threads and settings, see `latflow.ambient`, and initialise the device; called before the first computation.

    Raises:
        UnavailableError: If the environment forbids float64 or asks for a device that is not there.
    """
    flag = os.environ.get("JAX_ENABLE_X64", "")
    if flag.lower() not in _YES:
        hint = "energies and accept/reject decisions are float64"
        raise UnavailableError("environment variable JAX_ENABLE_X64", value=flag, allowed="unset or 1", hint=hint)
    import jax

    from latflow.ambient import fix_settings, fix_threads

    fix_threads()
    fix_settings()
    platforms = os.environ.get("JAX_PLATFORMS", "")
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # JAX raises AssertionError if the library of a plugin is missing
        reason = " ".join(str(error).split())[:200] or "no such device"
        raise UnavailableError(
            "environment variable JAX_PLATFORMS",
            value=platforms or "unset",
            allowed="a platform of this machine, such as cpu",
            hint=reason,
        ) from None
