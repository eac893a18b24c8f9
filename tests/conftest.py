"""One environment for every test: float64, strict ranks, and array annotations executed."""

from jaxtyping import install_import_hook

install_import_hook("latflow", "annotations.checked")

import jax  # noqa: E402
from hypothesis import settings  # noqa: E402

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")

# one set of examples, and no time limit for one: a busy machine is not a failure
settings.register_profile("latflow", deadline=None, derandomize=True)
settings.load_profile("latflow")
