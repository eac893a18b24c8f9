"""What the laws of a space leave open: shapes and the defect of a damaged field."""

import jax
import jax.numpy as jnp
import numpy as np

from latflow.actions.gauge import ImprovedAction, WilsonAction
from latflow.fields.spaces import GaugeSpace, ScalarSpace
from latflow.groups import SU
from latflow.lattice import Lattice
from latflow.observables.gauge import Plaquette, PolyakovLoop


def test_shapes():
    space = ScalarSpace((2, 3))
    assert space.shape == space.tangent_shape == (2, 3)
    assert space.random(jax.random.key(0)).shape == space.momentum(jax.random.key(0)).shape == (2, 3)


def test_defect_of_a_damaged_field():
    space = ScalarSpace((2,))
    assert space.defect(jnp.array([1.0, -2.0])) == 0
    assert np.isinf(space.defect(jnp.array([1.0, jnp.nan])))
    assert np.isinf(space.defect(jnp.array([jnp.inf, 0.0])))


def test_momentum_and_random_use_their_key():
    space = ScalarSpace((4,))
    a, b = space.momentum(jax.random.key(1)), space.momentum(jax.random.key(2))
    assert not np.array_equal(a, b)
    assert np.array_equal(a, space.momentum(jax.random.key(1)))


def test_links_in_single_precision_are_computed_in_double():
    """As they come from files: S differed by 1e-4 from that of the same numbers in double precision."""
    single = np.asarray(GaugeSpace(Lattice((4, 4)), SU(3)).random(jax.random.key(0))).astype(np.complex64)
    for action in (
        WilsonAction(Lattice((4, 4)), SU(3), beta=6.0),
        ImprovedAction(Lattice((4, 4)), SU(3), beta=6.0, c1=-1 / 12),
    ):
        short, long = jnp.asarray(single), jnp.asarray(single.astype(np.complex128))
        assert action(short) == action(long)
        np.testing.assert_array_equal(action.force(short), action.force(long))
        assert action.space.reunitarised(short).dtype == np.complex128
        np.testing.assert_array_equal(action.space.reunitarised(short), action.space.reunitarised(long))
        for observable in (Plaquette(action.space), PolyakovLoop(action.space)):
            np.testing.assert_array_equal(observable(short), observable(long))
