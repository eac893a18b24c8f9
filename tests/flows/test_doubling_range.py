"""Doubling flows for a range of β: the start at every β of it, and exact log Z."""

import equinox as eqx
import jax
import numpy as np
import pytest

from latflow.actions.exact_gauge import u1_log_z
from latflow.flows.architectures import cast
from latflow.flows.conditional import ConditionalFlow, flow_for
from latflow.flows.reduced import reduced
from latflow.flows.weighted import FlowSampler
from latflow.stats.weights import reweighting_ess
from latflow.study.build import build_action, build_flow
from latflow.study.config import StudyConfig

LOWER, UPPER = 1.0, 7.0


def study(group: str = "U(1)", **flow: object) -> StudyConfig:
    table = {"kind": "doubling", "coupling_range": [LOWER, UPPER], **flow}
    data = {"name": "a", "lattice": {"shape": [4, 4]}, "flow": table, "sampling": {"samplers": ["flow"]}}
    theory = {"kind": "wilson", "group": group, "beta": 3.0}
    return StudyConfig.model_validate({**data, "action": theory, "training": {"loss": "path_gradient"}})


def ranged(group: str = "U(1)", **flow: object) -> ConditionalFlow:
    found = build_flow(study(group, **flow), precision="float64")
    assert isinstance(found, ConditionalFlow)
    return found


@pytest.mark.parametrize("group", ["U(1)", "SU(2)"])
def test_the_start_is_that_of_every_coupling(group):
    """Energies between the nodes are those of a flow that starts there, to 1 % of their largest."""
    flow = ranged(group, terms=5)
    for beta in (LOWER, 1.7, 4.4, UPPER):
        one = study(group, terms=5, coupling_range=None)
        one = one.model_copy(update={"action": one.action.model_copy(update={"beta": beta})})
        wanted = build_flow(one, precision="float64").bijection.splits.energy
        found = flow.at(beta).bijection.splits.energy
        assert np.max(np.abs(found - wanted)) < 0.01 * np.max(np.abs(wanted))


def test_one_model_has_the_log_z_of_every_coupling():
    """4×4 at both ends and between: ESS of 1024 draws near one, log Z exact to 5σ; an error of 0.01 would be seen."""
    model, action = cast(ranged(), "float64"), build_action(study())

    @eqx.filter_jit
    def weights(beta, keys):
        theory = action.with_parameters(beta=beta)
        return jax.vmap(FlowSampler(*reduced(flow_for(model, theory), theory)).draw)(keys).log_weight

    for beta in (LOWER, 1.5, 4.4, UPPER):
        found = np.asarray(weights(jax.numpy.asarray(beta), jax.random.split(jax.random.key(1), 1024)))
        ess = float(reweighting_ess(found))
        error = np.sqrt((1 / ess - 1) / found.size)
        assert ess > 0.998
        log_z = np.log(np.exp(found - found.max()).mean()) + found.max()
        assert abs(log_z - u1_log_z(beta, volume=16)) < 5 * error
        assert error < 2e-3


def test_shapes_of_a_range_are_asked_for_without_a_start():
    shapes = eqx.filter_eval_shape(lambda: build_flow(study(coupling_order=2, terms=3)))
    assert shapes.coefficients.bijection.splits.energy.shape == (3, 4, 3)


def test_a_range_that_is_not_used_changes_no_identity():
    """Keys of the range came later: a flow without one is what it was."""
    assert set(study(coupling_range=None).flow.plain()) == {"kind", "levels", "bins", "terms"}
