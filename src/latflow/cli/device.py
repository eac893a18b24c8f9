"""The program's one word with jax: double precision on, and a device that answers, or a clear refusal."""

import os

from latflow.errors import UnavailableError

_YES = {"", "1", "true", "t", "yes", "y", "on"}


def prepare_jax() -> None:
    """Enable float64, whole products in float32, and wake the device; called once, right before the first computation.

    Raises:
        UnavailableError: If the environment forbids float64 or asks for a device that is not there.
    """
    flag = os.environ.get("JAX_ENABLE_X64", "")
    if flag.lower() not in _YES:
        hint = "energies and accept/reject decisions are float64"
        raise UnavailableError("environment variable JAX_ENABLE_X64", value=flag, allowed="unset or 1", hint=hint)
    import jax

    jax.config.update("jax_enable_x64", True)  # noqa: FBT003
    # Accelerators would round the factors of products in single precision to ten bits, those of flows among them.
    jax.config.update("jax_default_matmul_precision", "highest")
    platforms = os.environ.get("JAX_PLATFORMS", "")
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # an assertion where a plugin's library is not there
        reason = " ".join(str(error).split())[:200] or "no such device"
        raise UnavailableError(
            "environment variable JAX_PLATFORMS",
            value=platforms or "unset",
            allowed="a platform of this machine, such as cpu",
            hint=reason,
        ) from None
