"""The two ways to sample: Markov kernels and weighted samplers.

Everything is one of them or a composition. State goes in and comes out; a key is used once.
"""

import abc
from typing import Any, NamedTuple

import equinox as eqx

from latflow._typing import Field, Flag, PRNGKey, Scalar


class Transition(NamedTuple):
    """What a diagnostician wants to know of one kernel step.

    Attributes:
        acceptance: Mean acceptance probability of the step, min(1, e^{log_ratio}) for one proposal, the mean over
            sites for a sweep.
        accepted: Whether the proposal was taken (for a sweep: always true).
        log_ratio: Logarithm of the Metropolis ratio, −ΔH for HMC; for a sweep zero, unless a site's ratio was not
            finite: then +inf if any was +inf, else −inf or NaN.
    """

    acceptance: Scalar
    accepted: Flag
    log_ratio: Scalar


class AbstractKernel(eqx.Module):
    """A Markov kernel that leaves exp(−S) invariant."""

    @abc.abstractmethod
    def init(self, x: Field) -> Any:
        """The state of a chain that stands at `x`: a pytree with the configuration as `state.x` and what is cached."""

    @abc.abstractmethod
    def step(self, key: PRNGKey, state: Any) -> tuple[Any, Transition]:
        """One update."""


class AbstractTunableKernel(AbstractKernel):
    """A kernel with one positive scale that trades acceptance against distance; larger means fewer acceptances."""

    @property
    @abc.abstractmethod
    def scale(self) -> Scalar:
        """The present scale."""

    @abc.abstractmethod
    def with_scale(self, scale: Scalar) -> "AbstractTunableKernel":
        """The same kernel with another scale; the scale is an array leaf, so nothing is compiled again."""


class Weighted(NamedTuple):
    """One independent draw with the logarithm of its importance weight; E[exp(log_weight)] = Z."""

    x: Field
    log_weight: Scalar


class AbstractWeightedSampler(eqx.Module):
    """Independent weighted draws whose mean weight is the partition function."""

    @abc.abstractmethod
    def draw(self, key: PRNGKey) -> Weighted:
        """One draw."""
