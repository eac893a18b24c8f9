r"""Which links a layer moves: those of one direction on every p-th diagonal stripe, in any dimension.

Link μ at x is active where $\sum_{\rho\neq\mu}x_\rho\equiv o$ modulo the period p ≥ 2. Its active plaquette lies in the
plane of μ and ν and begins with it. Neighbours of an active link in every direction but its own are frozen, so are all
links of its staples: the layer's Jacobian is block diagonal, one block per active link, and every active plaquette
holds exactly one active link. Frozen loops hold none. All tables are arrays of flat numbers $\mu V+x$ of links.
"""

import abc
import dataclasses
import functools
import itertools

import numpy as np
from jaxtyping import Bool, Int
from typing_extensions import override

from latflow.arguments import count
from latflow.errors import ConfigError
from latflow.lattice import Lattice

Word = tuple[int, ...]
"""Steps of a path: μ + 1 forwards along μ, −(μ + 1) backwards."""


class AbstractActiveLinks(abc.ABC):
    """The active links of one layer: of one direction, none of them beside another.

    Attributes:
        lattice: Of all links.
        mu: Direction of the active links.
        nu: The other direction of their active plaquettes.
    """

    lattice: Lattice
    mu: int
    nu: int

    @abc.abstractmethod
    def active(self) -> Bool[np.ndarray, "*sites"]:
        """Where a link of direction μ is active."""

    @functools.cached_property
    def mask(self) -> Bool[np.ndarray, "mu *sites"]:
        """True on active links."""
        out = np.zeros((self.lattice.ndim, *self.lattice.shape), bool)
        out[self.mu] = self.active()
        return out

    @functools.cached_property
    def sites(self) -> Int[np.ndarray, "d n_active"]:
        """Coordinates of the sites where active links begin."""
        return np.stack(np.nonzero(self.mask[self.mu]))

    @functools.cached_property
    def links(self) -> Int[np.ndarray, " n_active"]:
        """Flat numbers of the active links."""
        return np.flatnonzero(self.mask)

    @property
    def others(self) -> tuple[int, ...]:
        """Directions other than μ, beginning with ν."""
        return (self.nu, *(rho for rho in range(self.lattice.ndim) if rho not in (self.mu, self.nu)))

    @functools.cached_property
    def staples(self) -> Int[np.ndarray, "n_staples 3 n_active"]:
        """Links of all staples of the active links, the one of the active plaquette first; see `STAPLES`."""
        parts = []
        for rho in self.others:
            for word in ((rho + 1, -self.mu - 1, -rho - 1), (-rho - 1, -self.mu - 1, rho + 1)):
                end = _moved(self.sites, self.mu + 1, self.lattice)
                parts.append(_links(self.lattice, end, word))
        return np.stack(parts)

    def frozen(self, word: Word) -> Bool[np.ndarray, "*sites"]:
        """Where a path that begins at a site holds no active link."""
        start = np.indices(self.lattice.shape).reshape(self.lattice.ndim, -1)
        held = self.mask.reshape(-1)[_links(self.lattice, start, word)]
        return np.logical_not(np.any(held, axis=0)).reshape(self.lattice.shape)

    def read(self, reach: int) -> Int[np.ndarray, "n_loops n_active"]:
        """Frozen loops that a network reads: numbers wV + x of word w of `loops` at x, for every active link.

        Args:
            reach: Largest displacement, in any direction, from an active link to where a loop begins.
        """
        words, volume = loops(self.lattice.ndim), self.lattice.volume
        frozen = [self.frozen(word).reshape(-1) for word in words]
        found = []
        for step in itertools.product(range(-reach, reach + 1), repeat=self.lattice.ndim):
            flat = np.ravel_multi_index(self.sites + np.asarray(step)[:, None], self.lattice.shape, mode="wrap")
            found += [w * volume + flat for w in range(len(words)) if frozen[w][flat].all()]
        return np.asarray(found, int).reshape(len(found), self.sites.shape[1])


@dataclasses.dataclass(frozen=True)
class Stripes(AbstractActiveLinks):
    """All links of one direction on every p-th stripe.

    Args:
        lattice: Two or more directions.
        mu: Direction of the active links.
        nu: The other direction of their active plaquettes.
        period: Distance of stripes, at least 2; divides every extent.
        offset: Which of the stripes, modulo the period.

    Raises:
        ConfigError: If the period does not fit the lattice, or directions are not two different ones.
    """

    lattice: Lattice
    mu: int
    nu: int
    period: int
    offset: int

    def __post_init__(self) -> None:
        require_period(self.lattice, self.period)
        if self.mu == self.nu or not {self.mu, self.nu} <= set(range(self.lattice.ndim)):
            allowed = f"two different ones of 0 to {self.lattice.ndim - 1}"
            raise ConfigError([f"stripes: directions {self.mu} and {self.nu}; allowed: {allowed}"])

    @override
    def active(self) -> Bool[np.ndarray, "*sites"]:
        grid = np.indices(self.lattice.shape)
        phase = grid.sum(axis=0) - grid[self.mu]
        return phase % self.period == self.offset % self.period


def require_period(lattice: Lattice, period: int) -> None:
    """Refuse a period of stripes that does not fit.

    Raises:
        ConfigError: If the period is below 2 or does not divide every extent, or the lattice has one direction.
    """
    count("flow.period", period, least=2)
    shape = list(lattice.shape)
    if lattice.ndim < 2:
        raise ConfigError([f"lattice.shape: {shape}; allowed: two or more directions for couplings of links"])
    if any(extent % period for extent in shape):
        raise ConfigError([f"flow.period: {period}; allowed: a period that divides every extent of {shape}"])


STAPLES = ((1, -1, -1), (-1, -1, 1))
"""Orientation of the three links of a staple over and under a link; negative: the adjoint."""


def loops(ndim: int) -> tuple[Word, ...]:
    """Words of the loops that are read: plaquettes, and rectangles of two plaquettes."""
    pairs = [(mu + 1, nu + 1) for mu in range(ndim) for nu in range(mu + 1, ndim)]
    squares = [(mu, nu, -mu, -nu) for mu, nu in pairs]
    longer = [(mu, mu, nu, -mu, -mu, -nu) for a, b in pairs for mu, nu in ((a, b), (b, a))]
    return (*squares, *longer)


def loop_table(lattice: Lattice) -> list[tuple[Int[np.ndarray, "_ _"], tuple[int, ...]]]:
    """Links and orientations of every loop of `loops` at every site."""
    start = np.indices(lattice.shape).reshape(lattice.ndim, -1)
    return [
        (_links(lattice, start, word), tuple(1 if step > 0 else -1 for step in word)) for word in loops(lattice.ndim)
    ]


def schedule(lattice: Lattice, *, n_layers: int, period: int) -> tuple[Stripes, ...]:
    """Stripes of successive layers: all offsets of one direction after another, then with other planes."""
    require_period(lattice, period)
    d, out = lattice.ndim, []
    for i in range(n_layers):
        turn, mu, offset = i // (d * period), i // period % d, -i % period
        others = [rho for rho in range(d) if rho != mu]
        out.append(Stripes(lattice, mu, others[turn % (d - 1)], period, offset))
    return tuple(out)


def _moved(sites: np.ndarray, step: int, lattice: Lattice) -> np.ndarray:
    mu = abs(step) - 1
    out = sites.copy()
    out[mu] = (out[mu] + (1 if step > 0 else -1)) % lattice.shape[mu]
    return out


def _links(lattice: Lattice, sites: np.ndarray, word: Word) -> Int[np.ndarray, "_ _"]:
    """Flat numbers of the links along a path; backwards a link begins where the step ends."""
    out = []
    for step in word:
        end = _moved(sites, step, lattice)
        out.append((abs(step) - 1) * lattice.volume + np.ravel_multi_index(sites if step > 0 else end, lattice.shape))
        sites = end
    return np.stack(out)
