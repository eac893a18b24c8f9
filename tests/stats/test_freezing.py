"""γ of a process that is known: a charge that jumps between −1 and 1 with probability p in every step."""

import math

import numpy as np
import pytest

from latflow.errors import DataError
from latflow.stats.freezing import freezing

P = 0.02


@pytest.fixture(scope="module")
def charge() -> np.ndarray:
    flips = np.random.default_rng(5).random((8, 20_000)) < P
    return 1.0 - 2 * (np.cumsum(flips, axis=1) % 2)


def expected(stretch: int) -> float:
    """⟨QQ'⟩ = (1 − 2p)^t, so ⟨ΔQ²⟩ = 2 − 2(1 − 2p)^t."""
    return 1 / (1 - (1 - 2 * P) ** stretch)


@pytest.mark.parametrize("stretch", [1, 2, 5])
def test_whole_stretches(charge: np.ndarray, stretch: int) -> None:
    # 5σ; about 3200 flips, so 10 % would be seen.
    found = freezing(charge, stretch=stretch, squared=1.0)
    assert found.error < 0.025 * found.value
    assert abs(found.value - expected(stretch)) < 5 * found.error


def test_parts_of_records_are_interpolated(charge: np.ndarray) -> None:
    changes = [1 / freezing(charge, stretch=stretch, squared=1.0).value for stretch in (1, 1.5, 2)]
    assert changes[1] == pytest.approx((changes[0] + changes[2]) / 2, rel=1e-3)
    half = 1 / freezing(charge, stretch=0.5, squared=1.0).value
    assert half == pytest.approx(changes[0] / 2, rel=1e-3)


def test_rounding_of_charges_is_no_change() -> None:
    frozen = np.full((2, 50), 3.0) + 1e-12 * np.random.default_rng(1).normal(size=(2, 50))
    found = freezing(frozen, stretch=2, squared=1.0)
    assert found.value == math.inf
    assert math.isnan(found.error)


@pytest.mark.parametrize("stretch", [0.0, -1.0, 30.0, math.nan])
def test_a_stretch_must_fit(stretch: float) -> None:
    with pytest.raises(DataError, match="stretch"):
        freezing(np.zeros((2, 50)), stretch=stretch, squared=1.0)
