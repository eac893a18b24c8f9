"""A flow and chains that both miss vacua of sine-Gordon theory are not called exact; references keep their digits."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from latflow.actions import exact
from latflow.errors import ConfigError
from latflow.lattice import Lattice
from latflow.stats.estimates import Estimate
from latflow.stats.evidence import Evidence, Side, verdict_on
from latflow.theories.scalar.known import free_values
from latflow.theories.sectors import NEGLIGIBLE, VacuumSectors
from latflow.theories.sine_gordon.known import known_values
from latflow.theories.sine_gordon.physics import SineGordon
from latflow.theories.sine_gordon.table import SineGordonTable


def table(mass_squared: float, alpha: float) -> SineGordonTable:
    return SineGordonTable(kind="sine_gordon", mass_squared=mass_squared, alpha=alpha)


@pytest.mark.parametrize("mass_squared", [0.3, 5.0, 50.0, 1000.0])
def test_references_hold_for_narrow_sites(mass_squared: float) -> None:
    """The nodes of the transfer matrix follow the width of a site."""
    ring, free = known_values(table(mass_squared, 1e-12), (2, 2)), free_values((2, 2), mass_squared=mass_squared)
    for name in ("phi_squared", "log_z"):
        assert ring[name].value == pytest.approx(free[name].value, rel=1e-9)


def test_references_of_deep_wells() -> None:
    """α = 40 on two sites against a sum over nodes twelve times as fine."""
    known = known_values(table(0.3, 40.0), (2,))
    x = np.linspace(-15, 15, 3001)
    site = 2.3 * x**2 + 40 * (1 - np.cos(x))
    fine = exact.ring(2, x, site, bond=2.0, observables={"cos_phi": np.cos(x)})
    assert known["log_z"].value == pytest.approx(fine.log_z, rel=1e-9)
    assert known["cos_phi"].value == pytest.approx(fine.means["cos_phi"], rel=1e-9)


def test_chains_start_in_every_vacuum_that_counts() -> None:
    sectors = VacuumSectors(0.01 * (2 * math.pi) ** 2 * 4)
    starts = np.asarray(sectors.dispersed(jnp.zeros((64, 2, 2))))
    assert set(np.rint(starts.mean(axis=(1, 2)) / (2 * math.pi)).astype(int)) == {-2, -1, 0, 1, 2}
    heavy = VacuumSectors(2 * NEGLIGIBLE)
    assert np.all(np.asarray(heavy.dispersed(jnp.ones((8, 2, 2)))) == 1)


def test_a_known_log_z_that_is_missed_is_not_exact() -> None:
    side = Side(7.0, 0.002, 0.8, 0.3, 100_000)
    agreeing = Evidence(side, Side(7.001, 0.01, 0.7, 0.2, 8192), starts=64, records=128, r_hat=1.01)
    assert verdict_on(agreeing).status == "exact"
    for known, status in ((7.005, "exact"), (7.35, "unresolved sectors")):
        judged = Evidence(**{**vars(agreeing), "known": Estimate(known, 0.0)})
        assert verdict_on(judged).status == status


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="positive"):
        SineGordon(Lattice((2, 2)), mass_squared=-1.0, alpha=1.0)
