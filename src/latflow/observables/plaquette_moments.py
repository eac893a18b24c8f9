r"""Second moments of the plaquette: its susceptibility, d⟨P⟩/dβ of Wilson's action, and its correlator in time.

Columns are products about a constant near the mean; averages of products less products of averages are made from them,
so that the error of the mean enters as it must.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field, Matrices, Scalar
from latflow.errors import ConfigError
from latflow.fields.link_loops import planes
from latflow.fields.spaces import GaugeSpace
from latflow.fields.transport import plaquette
from latflow.groups.matrices import trace
from latflow.observables.base import AbstractObservable
from latflow.stats.quantities import AbstractEstimator, Derived, Quantity, Value
from latflow.words import TIME, ObservableWords, plain_words


class PlaquetteSusceptibility(AbstractObservable):
    r"""$(P-c)^2$ of the mean plaquette P; estimated is $N_P(\langle P^2\rangle-\langle P\rangle^2)$, $N_P$ plaquettes.

    Args:
        space: Space of the links.
        centre: The constant c, near ⟨P⟩.
    """

    name: ClassVar[str] = "plaquette_susceptibility"
    words: ClassVar[ObservableWords | None] = ObservableWords(
        "susceptibility of the plaquette",
        "χ_{P}",
        r"$\chi_P$",
        "N_P (⟨P²⟩ − ⟨P⟩²), N_P plaquettes; d⟨P⟩/dβ of Wilson's action",
    )
    space: GaugeSpace
    centre: float = eqx.field(static=True, default=0.5)

    @override
    def __call__(self, x: Field) -> Scalar:
        return (jnp.mean(_slices(self.space, x)) - self.centre) ** 2

    @override
    def estimator(self) -> AbstractEstimator:
        shape = self.space.lattice.shape
        return _connected(self, self.centre, float(len(planes(shape)) * self.space.lattice.volume))


class PlaquetteCorrelator(AbstractObservable):
    r"""$\frac1T\sum_{t'}[p(t')-c][p(t'+t)-c]$, t = 0 … T/2, of the averages p(t) of plaquettes over time slices.

    Estimated is the connected correlator. Plaquettes between two slices belong to both by half.

    Args:
        space: Space of the links.
        centre: The constant c, near ⟨P⟩.
    """

    name: ClassVar[str] = "plaquette_correlator"
    words: ClassVar[ObservableWords | None] = ObservableWords(
        "correlator of the plaquette",
        "C_{P}(t)",
        r"$C_P(t)$",
        "connected, of averages over time slices; plaquettes between two slices belong to both by half",
        axis=TIME,
    )
    space: GaugeSpace
    centre: float = eqx.field(static=True, default=0.5)

    @override
    def __call__(self, x: Field) -> Float[Array, " distances"]:
        p = _slices(self.space, x) - self.centre
        return jnp.stack([jnp.mean(p * jnp.roll(p, -t)) for t in range(len(p) // 2 + 1)])

    @override
    def estimator(self) -> AbstractEstimator:
        return _connected(self, self.centre, 1.0)


def _connected(observable: AbstractObservable, centre: float, factor: float) -> AbstractEstimator:
    """The product about a constant less the square of the mean about it."""
    name, words = observable.name, observable.words or plain_words(observable.name)

    def derive(means: Mapping[str, np.ndarray], covariance: np.ndarray) -> Value:
        del covariance
        return factor * (means[name] - (means["plaquette"] - centre) ** 2)

    return Derived((Quantity(name, ("plaquette", name), derive, words),))


def _slices(space: GaugeSpace, x: Field) -> Float[Array, " time"]:
    """Averages of the plaquettes of every time slice; those to the next and the previous slice count half."""
    links, time = space.links(x), space.ndim - 1
    within, between = [], []
    for mu, nu in planes(space.lattice.shape):
        (between if nu == time else within).append(_mean(plaquette(links, mu=mu, nu=nu)))
    ahead = sum(between[1:], between[0])
    both = sum(within, (ahead + jnp.roll(ahead, 1)) / 2)
    return both / (len(within) + len(between))


def _mean(m: Matrices) -> Float[Array, " time"]:
    """Of (1/N) Re tr over space, for every time."""
    return jnp.mean(jnp.real(trace(m)) / len(m), axis=tuple(range(m.ndim - 3)))


def rough_plaquette(action: Any) -> float:
    r"""A number near the mean plaquette: $1-\dim G/(d\beta)$, the leading order of weak coupling, or that of strong."""
    beta = float(action.beta) if "beta" in action.parameters else 0.0
    group, d = action.space.group, action.space.ndim
    strong = min(beta / (2 * group.n**2 if group.n > 1 else 2), 0.5)
    return max(strong, 1 - group.n_generators / (d * beta)) if beta > 0 else 0.5


def plaquette_susceptibility(action: Any) -> PlaquetteSusceptibility:
    """The observable for an action of links.

    Raises:
        ConfigError: If its fields are no links.
    """
    return PlaquetteSusceptibility(_space(PlaquetteSusceptibility.name, action), centre=rough_plaquette(action))


def plaquette_correlator(action: Any) -> PlaquetteCorrelator:
    """The observable for an action of links.

    Raises:
        ConfigError: If its fields are no links.
    """
    return PlaquetteCorrelator(_space(PlaquetteCorrelator.name, action), centre=rough_plaquette(action))


def _space(name: str, action: Any) -> GaugeSpace:
    if not isinstance(action.space, GaugeSpace):
        raise ConfigError([f"measure.observables: {name}; allowed: with a gauge field"])
    return action.space
