"""A flow on another lattice: the same local physics, the spectrum at the new momenta, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latflow.distributions import FreeFieldPrior
from latflow.flows.architectures import real_nvp
from latflow.flows.continuous import continuous_flow
from latflow.flows.doubling import doubling_flow
from latflow.flows.flow import Flow
from latflow.flows.mixture import Z2Mixture
from latflow.flows.transfer import TransferError, transferred, widened, with_finest_levels
from latflow.fourier import orbit_momentum_squared
from latflow.groups.u1 import U1
from latflow.lattice import Lattice
from latflow.testing import scrambled

SMALL, LARGE = Lattice((4, 4)), Lattice((8, 8))


def flow(lattice=SMALL):
    fresh = continuous_flow(jax.random.key(1), lattice, n_contexts=2, n_hidden=3, n_times=2, radius=2, dtype="float64")
    return scrambled(jax.random.key(2), fresh, scale=0.2)


def test_free_spectrum_keeps_its_physical_mass():
    prior = transferred(FreeFieldPrior.of_mass(SMALL, mass_squared=0.8), LARGE)
    assert prior.shape == (8, 8)
    assert np.allclose(prior.log_widths, FreeFieldPrior.of_mass(LARGE, mass_squared=0.2).log_widths, atol=1e-12)


def test_what_goes_beyond_the_free_spectrum_is_interpolated():
    free = FreeFieldPrior.of_mass(SMALL, mass_squared=0.8)
    bent = FreeFieldPrior(free.log_widths + 0.1 * orbit_momentum_squared(SMALL), SMALL)
    expected = FreeFieldPrior.of_mass(LARGE, mass_squared=0.2).log_widths + 0.1 * orbit_momentum_squared(LARGE)
    assert np.allclose(transferred(bent, LARGE).log_widths, expected, atol=1e-12)


def test_periodic_fields_move_alike():
    """A field that repeats with the period of the small lattice is moved on the large one as on the small one."""
    small = flow().bijection
    large = transferred(small, LARGE)
    phi = jax.random.normal(jax.random.key(3), SMALL.shape)
    y, log_det = small.forward_and_log_det(phi)
    image, total = large.forward_and_log_det(jnp.tile(phi, (2, 2)))
    assert np.allclose(image, np.tile(y, (2, 2)), atol=1e-12)
    assert np.isclose(total, 4 * log_det, atol=1e-12)


def test_there_and_back_is_the_same_flow():
    velocity = flow().bijection
    smooth = FreeFieldPrior.of_mass(SMALL, mass_squared=0.8).log_widths + 0.1 * orbit_momentum_squared(SMALL)
    original = Flow(FreeFieldPrior(smooth, SMALL), velocity)
    back = transferred(transferred(original, LARGE), SMALL)
    x = jax.random.normal(jax.random.key(4), SMALL.shape)
    assert np.isclose(back.log_prob(x), original.log_prob(x), atol=1e-10)
    assert np.isclose(transferred(Z2Mixture(original), SMALL).log_prob(x), Z2Mixture(original).log_prob(x), atol=1e-10)


def test_weights_per_site_are_refused():
    dense = real_nvp(jax.random.key(1), SMALL, n_layers=2, network="dense", hidden=(4,))
    with pytest.raises(TransferError, match="belong to the lattice it was trained on"):
        transferred(dense, LARGE)


def test_another_dimension_is_refused():
    with pytest.raises(TransferError, match="trained in 2 dimensions"):
        transferred(flow(), Lattice((4, 4, 4)))


@pytest.mark.parametrize("lattice", [SMALL, Lattice((4, 4, 2)), Lattice((6,))])
def test_room_for_wider_kernels_changes_nothing(lattice):
    narrow = flow(lattice)
    wide = widened(Z2Mixture(narrow), 4).flow
    x = jax.random.normal(jax.random.key(5), lattice.shape)
    assert np.isclose(wide.log_prob(x), narrow.log_prob(x), atol=1e-10)
    assert wide.bijection.velocity.kernel.shape[-1] > narrow.bijection.velocity.kernel.shape[-1]


def test_kernels_are_not_cut():
    with pytest.raises(TransferError, match=r"flow\.radius: 1; the model's kernels reach 2"):
        widened(flow(), 1)


def test_a_flow_is_itself_on_its_own_lattice():
    """Also one whose weights belong to it, and one of links, whose fields have an axis more than the lattice."""
    dense = real_nvp(jax.random.key(1), SMALL, n_layers=2, network="dense", hidden=(4,))
    for own in (dense, doubling_flow(jax.random.key(1), SMALL, U1(), 2.0)):
        assert transferred(own, SMALL) is own


@pytest.mark.parametrize("shape", [(2, 4), (8, 4)])
def test_levels_of_a_doubling_flow_are_counted_from_the_finest(shape):
    """On 4×4 there are four: 2×4 takes the finest three, 8×4 has one more, at the heat bath of its own coupling."""
    trained, fresh = (doubling_flow(jax.random.key(1), Lattice(s), U1(), b) for s, b in (((4, 4), 2.0), (shape, 3.0)))
    energies, before = trained.bijection.splits.energy, fresh.bijection.splits.energy
    found = with_finest_levels(fresh, trained).bijection.splits.energy
    n = min(len(energies), len(before))
    assert np.array_equal(found[-n:], energies[-n:])
    assert np.array_equal(found[:-n], before[:-n])
    with pytest.raises(TransferError, match=r"training\.start_from of a study"):
        transferred(trained, Lattice(shape))


def test_levels_of_splits_of_other_sizes_are_refused():
    one, other = (doubling_flow(jax.random.key(1), SMALL, U1(), 2.0, n_terms=n) for n in (4, 5))
    with pytest.raises(TransferError, match="allowed: those of equal doubling flows"):
        with_finest_levels(one, other)
    with pytest.raises(TransferError, match="allowed: levels of doubling flows"):
        with_finest_levels(one, Flow(one.prior, flow().bijection))
