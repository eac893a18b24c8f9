"""One model at many values of a parameter; on 2 × 2 sites log Z is known at every one of them."""

import jax
import pytest

import latflow as lf
from latflow.errors import ConfigError
from latflow.flows.conditional import conditioned
from latflow.lattice import Lattice
from latflow.theories.sine_gordon.known import known_values
from latflow.theories.sine_gordon.physics import SineGordon
from latflow.theories.sine_gordon.table import SineGordonTable

ACTION = SineGordon(Lattice((2, 2)), mass_squared=1.5, alpha=9.0)  # alpha has no part in a survey of it
FLOW = lf.real_nvp(jax.random.key(1), Lattice((2, 2)), n_layers=2, network="dense", hidden=(4,))
CONDITIONAL = conditioned(FLOW, lower=0.5, upper=2.0, order=1, parameter="alpha")
ALPHAS = (0.5, 2.0)


def exact(alpha: float) -> float:
    return known_values(SineGordonTable(kind="sine_gordon", mass_squared=1.5, alpha=alpha), (2, 2))["log_z"].value


def test_log_z_and_its_slope() -> None:
    """Exact values, and their difference quotient, within 5σ; σ below 0.2."""
    points = lf.survey(jax.random.key(2), CONDITIONAL, ACTION, values=ALPHAS, n=5000)
    assert [(point.value, point.n) for point in points] == [(0.5, 8192), (2.0, 8192)]
    for point in points:
        assert 0 < point.reweighting_ess < point.acceptance < 1
        assert abs(point.log_z.value - exact(point.value)) < 5 * point.log_z.error < 1
        slope = (exact(point.value + 1e-4) - exact(point.value - 1e-4)) / 2e-4
        assert abs(point.slope.value - slope) < 5 * point.slope.error < 1


@pytest.mark.filterwarnings("ignore::latflow.errors.UnreliableWarning")
def test_an_ordinary_flow_needs_the_name() -> None:
    (point,) = lf.survey(jax.random.key(2), FLOW, ACTION, values=[0.5], parameter="alpha", n=1)
    (same,) = lf.survey(jax.random.key(2), CONDITIONAL, ACTION, values=[0.5], n=1)
    assert point.log_z.value == pytest.approx(same.log_z.value, rel=1e-12)
    with pytest.raises(ConfigError, match="parameter: missing"):
        lf.survey(jax.random.key(2), FLOW, ACTION, values=[0.5])


@pytest.mark.filterwarnings("ignore::latflow.errors.UnreliableWarning")
def test_another_parameter_leaves_the_flow_where_its_own_stands() -> None:
    (point,) = lf.survey(jax.random.key(2), CONDITIONAL, ACTION, values=[1.5], parameter="mass_squared", n=1)
    (same,) = lf.survey(jax.random.key(2), CONDITIONAL, ACTION, values=[9.0], n=1)
    assert point.log_z == same.log_z
    with pytest.raises(ConfigError, match="SineGordon: no parameter coupling"):
        lf.survey(jax.random.key(2), CONDITIONAL, ACTION, values=[1.0], parameter="coupling")


def test_what_is_not_to_be_believed_is_told() -> None:
    poor = lf.real_nvp(jax.random.key(3), Lattice((4, 4)), n_layers=2, network="dense", hidden=(4,))
    free = lf.FreeField(Lattice((4, 4)), mass_squared=4.0)
    with pytest.warns(lf.UnreliableWarning, match="mass_squared = 30: not resolved"):
        lf.survey(jax.random.key(4), poor, free, parameter="mass_squared", values=[30.0], n=4096)


@pytest.mark.parametrize("values", [1.0, "12"])
def test_one_number_is_no_list(values: object) -> None:
    with pytest.raises(TypeError, match="values"):
        lf.survey(jax.random.key(2), CONDITIONAL, ACTION, values=values)  # pyright: ignore[reportArgumentType]
