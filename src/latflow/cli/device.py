"""Configures JAX, once: float64, full precision of products, and a check that the device is there."""

import os

from latflow.errors import UnavailableError

_YES = {"", "1", "true", "t", "yes", "y", "on"}


def prepare_jax() -> None:
    """Enable float64 and full float32 products, and initialise the device; called once, before the first computation.

    Raises:
        UnavailableError: If the environment forbids float64 or asks for a device that is not there.
    """
    flag = os.environ.get("JAX_ENABLE_X64", "")
    if flag.lower() not in _YES:
        hint = "energies and accept/reject decisions are float64"
        raise UnavailableError("environment variable JAX_ENABLE_X64", value=flag, allowed="unset or 1", hint=hint)
    import jax

    jax.config.update("jax_enable_x64", True)  # noqa: FBT003
    # By default accelerators round the factors of float32 products to ten bits, also in the networks of flows.
    jax.config.update("jax_default_matmul_precision", "highest")
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
