"""What objects print: couplings and sizes in one line, no arrays, also while they are traced."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import catalogue
import latflow as lf
from latflow.display import one_line

LATTICE = lf.Lattice((4, 4))
ACTION = lf.PhiFour(LATTICE, mass_squared=-4.0, coupling=8.0)
WILSON = lf.WilsonAction(LATTICE, lf.SU(3), beta=5.7)
FLOW = lf.real_nvp(jax.random.key(0), LATTICE, n_layers=2, hidden=(4,), kernel_size=3)

LINES = {
    "Lattice(4×4)": LATTICE,
    "SU(3)": lf.SU(3),
    "ScalarSpace(4×4)": ACTION.space,
    "GaugeSpace(4×4, SU(3))": WILSON.space,
    "ProductSpace(links: 4×4, SU(3); matter: 4×4)": lf.ProductSpace({"links": WILSON.space, "matter": ACTION.space}),
    "PhiFour(4×4, mass_squared=-4, coupling=8)": ACTION,
    "WilsonAction(4×4, SU(3), beta=5.7)": WILSON,
    "HMC(PhiFour(4×4, mass_squared=-4, coupling=8), omf2, step_size=0.1, n_steps=5, jitter=0)": lf.HMC(
        ACTION, lf.OMF2, step_size=0.1, n_steps=5
    ),
    "HeatBath(WilsonAction(4×4, SU(3), beta=5.7), n_overrelaxation=2)": lf.HeatBath(WILSON, n_overrelaxation=2),
    "Flow(4×4, Normal → 2 AffineCoupling → Scale, 61 weights)": FLOW,
    "Z2Mixture(Flow(4×4, Normal → 2 AffineCoupling → Scale, 61 weights))": lf.Z2Mixture(FLOW),
    "ConditionalFlow(4×4, coupling from 4 to 8, 183 weights)": lf.conditioned(FLOW, lower=4.0, upper=8.0, order=2),
    "AlongTheFlow(GradientFlow(GaugeSpace(4×4, SU(3)), c1=0), spacing=0.1, n_records=5, tolerance=1e-05)": (
        lf.AlongTheFlow(lf.GradientFlow(WILSON.space), spacing=0.1, n_records=5)
    ),
    "0.475(26)": lf.Estimate(0.47512, 0.0262),
    "0.475(≥26)": lf.Estimate(0.47512, 0.0262, state="error underestimated"),
    "not resolved": lf.Estimate(0.47512, 0.0262, state="not resolved"),
    "–": lf.Estimate(float("nan"), float("nan")),
}


@pytest.mark.parametrize("line", LINES)
def test_objects_say_what_they_are(line):
    assert repr(LINES[line]) == line
    assert f"{LINES[line]}" == line


@pytest.mark.parametrize("name", catalogue.ACTIONS)
def test_every_action_fits_in_lines_without_arrays(name):
    action = catalogue.ACTIONS[name]()
    for parameter in action.parameters:
        assert f"{parameter}={one_line(getattr(action, parameter))}" in repr(action)
    assert "[" not in repr(action)


def test_traced_and_empty_objects_have_a_line():
    seen = []

    @eqx.filter_jit
    def energy(action, flow):
        seen.extend([repr(action), repr(flow)])
        return action(jnp.zeros((4, 4)))

    energy(ACTION, FLOW)
    assert seen == ["PhiFour(4×4, mass_squared=float64[], coupling=float64[])", repr(FLOW)]
    stacked = jax.vmap(lambda value: ACTION.with_parameters(coupling=value))(jnp.ones(3))
    assert repr(stacked) == "PhiFour(4×4, mass_squared=float64[3], coupling=float64[3])"
    assert "mass_squared=float64[]" in repr(jax.eval_shape(lambda: ACTION))
    assert repr(eqx.filter(ACTION, lambda _: False)) == "PhiFour(4×4, mass_squared=None, coupling=None)"
    assert repr(object.__new__(lf.PhiFour)) == "PhiFour()"
    assert repr(object.__new__(lf.Flow)) == "Flow(NoneType → NoneType, 0 weights)"


def test_the_full_contents_stay_reachable():
    text = eqx.tree_pformat(FLOW)
    assert "f32[" in text
    assert len(text) > 500
