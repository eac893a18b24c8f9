"""What images of a flow's own draws show that no draw has reached, for runs without draws of the target."""

import numpy as np

from latflow.store.ensemble import Ensemble
from latflow.study.config.methods import FLOW
from latflow.study.context import RunContext
from latflow.study.stages.redraw import FieldSource
from latflow.study.stages.training import load_flow
from latflow.study.theories import study_physics
from latflow.theories.images import unseen_images

FIRST = 4096
"""Draws from whose first blocks images are taken, at least."""


def unseen_by_flow(context: RunContext) -> float | None:
    """Part of the theory whose weights are larger than that of any draw of the flow of a run.

    Returns:
        See `latflow.theories.images.unseen_images`; None too where the model is not the one that made the draws.
    """
    ensemble, physics = Ensemble.open(context.path("ensembles", FLOW)), study_physics(context.config)
    flow, header = load_flow(context)
    if ensemble.manifest["identity"].get("model") != header["sha256"]:
        return None
    size = ensemble.manifest["identity"]["block_size"]
    blocks = range(min(ensemble.n_blocks, -(-FIRST // size)))
    source = FieldSource(context, ensemble)
    fields = np.concatenate([source.read(block)[0] for block in blocks])
    return unseen_images(flow, physics.action, physics.sectors, fields, ensemble.column("log_weight"))
