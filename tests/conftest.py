"""One environment for every test: float64, strict ranks, and array annotations executed."""

from collections.abc import Iterator
from pathlib import Path

from jaxtyping import install_import_hook

install_import_hook("latflow", "annotations.checked")

import jax  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")

# one set of examples, and no time limit for one: a busy machine is not a failure
settings.register_profile("latflow", deadline=None, derandomize=True)
settings.load_profile("latflow")


MAPS = Path("/proc/self/maps")
FEW = 20_000
"""Memory maps of a process above which its compiled programs go: Linux allows 65 530, and past them a compiler dies of
a signal. Every program takes about seven, and a worker meets thousands."""


@pytest.fixture(autouse=True, scope="module")
def bounded_programs() -> Iterator[None]:
    """Forget compiled programs between modules when there are many."""
    yield
    if MAPS.exists() and MAPS.read_text().count("\n") > FEW:
        jax.clear_caches()
