"""Draws of the target that a training reads: made once by HMC before its first step, and stored beside its checkpoints.

The sampler is fixed here and not by the table of `hmc`: a model depends on the sections lattice, action, flow and
training alone. A training that goes on after an interruption reads the very draws it began with.
"""

import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from latflow.samplers.chains import advance, starts, warm_up
from latflow.samplers.hmc import HMC
from latflow.samplers.integrators import SCHEMES
from latflow.store.atomic import make_directory, write_bytes
from latflow.store.blocks import decode_block, encode_block
from latflow.study.build import build_action, stream
from latflow.study.context import RunContext

CHAINS = 64
"""From hot, cold and ordered starts of either sign: what one of them misses another one has."""

_WARM_UP_STEPS = 500
_ACCEPTANCE = 0.8
_THIN = 10
_N_STEPS = 4
_START, _WARM_UP, _PRODUCTION = 0, 1, 2


def target_draws(context: RunContext, directory: Path) -> Float[Array, "n_targets *shape"]:
    """The stored draws, after making them if there are none.

    Args:
        context: The run; `training.target_draws` is rounded up to full records of all chains.
        directory: Where the checkpoints of the training are.

    Raises:
        ChecksumError: If the stored draws are damaged.
    """
    path = directory / "targets.h5"
    if not path.exists():
        n = context.config.training.target_draws
        context.progress.stage("train", f"{n} target draws by HMC")
        fields, scale = _draw(context, math.ceil(n / CHAINS))
        make_directory(directory)
        write_bytes(path, encode_block({"fields": np.asarray(fields)}, {"scale": scale, "chains": CHAINS}))
    return jnp.asarray(decode_block(path).arrays["fields"])


def _draw(context: RunContext, n_records: int) -> tuple[Float[Array, "n_targets *shape"], float]:
    """Draws of all chains, and the tuned step size."""
    root, action = stream(context.config, "target"), build_action(context.config)
    kernel = HMC(action, SCHEMES["omf2"], step_size=jnp.asarray(1.0 / _N_STEPS), n_steps=_N_STEPS)
    x = starts(jax.random.fold_in(root, _START), action.space, chains=CHAINS)
    key = jax.random.fold_in(root, _WARM_UP)
    tuned, x, _ = warm_up(kernel, key, x, n_steps=_WARM_UP_STEPS, target_acceptance=_ACCEPTANCE)
    key = jax.random.fold_in(root, _PRODUCTION)
    _, records = advance(tuned, key, x, first=0, n_records=n_records, thin=_THIN)
    return records.x.reshape(-1, *action.space.shape), float(tuned.scale)
