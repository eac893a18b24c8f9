"""The two ways to sample: Markov kernels and weighted samplers.

Every sampler is one of them or a composition. State is an argument and a result; a key is used once.
"""

import abc
from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from latflow._typing import Field, Flag, PRNGKey, Scalar
from latflow.display import call, fields_of
from latflow.fields.spaces import AbstractFieldSpace


class Transition(NamedTuple):
    """Diagnostics of one kernel step.

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

    def __repr__(self) -> str:
        return call(type(self).__name__, **fields_of(self))

    @property
    def target_space(self) -> AbstractFieldSpace | None:
        """The space of its configurations, in which chains can be started; None if the kernel does not know it."""
        return None

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


class AbstractReversibleKernel(AbstractTunableKernel):
    """Molecular dynamics: one reversible, volume-preserving trajectory is proposed, and `log_ratio` is −ΔH.

    Two exact consequences, ⟨e^{−ΔH}⟩ = 1 and the return to the start, are checked while chains run: see
    `latflow.samplers.watch`.
    """

    @abc.abstractmethod
    def reversibility(self, key: PRNGKey, x: Field) -> Scalar:
        """|ΔΔH| of a trajectory from `x` forth and back; zero without rounding."""


class Weighted(NamedTuple):
    """One independent draw with the logarithm of its importance weight; E[exp(log_weight)] = Z.

    Attributes:
        x: The configuration.
        log_weight: Logarithm of the weight.
        columns: Further numbers of the draw that are kept with it, by name.
    """

    x: Field
    log_weight: Scalar
    columns: dict[str, Scalar] = {}  # noqa: RUF012 (a pytree has to be a dict; nothing changes it)


class AbstractWeightedSampler(eqx.Module):
    """Independent weighted draws whose mean weight is the partition function."""

    def __repr__(self) -> str:
        return call(type(self).__name__, **fields_of(self))

    @abc.abstractmethod
    def draw(self, key: PRNGKey) -> Weighted:
        """One draw."""

    @property
    def draws_at_once(self) -> int | None:
        """Draws that one call of the compiled program makes; None for a whole block at once.

        Where draws do not depend in every bit on how many are made at once this is None, or always the same.
        """
        return None

    def combined(
        self, columns: Mapping[str, Float[Array | np.ndarray, "*n"]]
    ) -> Float[Array | np.ndarray, "*n"] | None:
        """Log-weights of draws from the columns kept with them, where these determine them; else None.

        Blocks then hold log-weights that are this function of their columns in every bit.
        """
        return None
