r"""Second moments of the plaquette: its susceptibility, d⟨P⟩/dβ of Wilson's action, and its correlator in time.

Columns are products about a constant near the mean; averages of products less products of averages are made from them,
so that the error of the mean enters as it must.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field, Matrices
from latflow.errors import ConfigError
from latflow.fields.link_loops import planes
from latflow.fields.spaces import GaugeSpace
from latflow.fields.transport import plaquette
from latflow.groups.matrices import trace
from latflow.observables.base import AbstractObservable
from latflow.stats.quantities import AbstractEstimator, Derived, Quantity
from latflow.words import TIME, ObservableWords

WORDS = {
    "plaquette_susceptibility": ObservableWords(
        "susceptibility of the plaquette",
        "χ_{P}",
        r"$\chi_P$",
        "N_P (⟨P²⟩ − ⟨P⟩²), N_P plaquettes; d⟨P⟩/dβ of Wilson's action",
    ),
    "plaquette_correlator": ObservableWords(
        "correlator of the plaquette",
        "C_{P}(t)",
        r"$C_P(t)$",
        "connected, of averages over time slices; plaquettes between two slices belong to both by half",
        axis=TIME,
    ),
}


class PlaquetteProducts(AbstractObservable):
    r"""$\frac1T\sum_{t'}[p(t')-c][p(t'+t)-c]$, t = 0 … T/2, of the averages p(t) of plaquettes over time slices.

    Args:
        space: Space of the links.
        centre: The constant c, near the mean plaquette.
    """

    name: ClassVar[str] = "plaquette_products"
    space: GaugeSpace
    centre: float = eqx.field(static=True, default=0.5)

    @override
    def __call__(self, x: Field) -> Float[Array, " distances"]:
        p = _slices(self.space, x) - self.centre
        return jnp.stack([jnp.mean(p * jnp.roll(p, -t)) for t in range(len(p) // 2 + 1)])

    @override
    def estimator(self) -> AbstractEstimator:
        columns, shape, centre = ("plaquette", self.name), self.space.lattice.shape, self.centre
        time, number = shape[-1], len(planes(shape)) * self.space.lattice.volume
        # distances t and T − t are the same; 0 and T/2 stand alone
        times = np.array([1 if 2 * t in (0, time) else 2 for t in range(time // 2 + 1)])

        def correlator(means: Any, covariance: np.ndarray) -> np.ndarray:
            del covariance
            return means[self.name] - (means["plaquette"] - centre) ** 2

        def susceptibility(means: Any, covariance: np.ndarray) -> np.floating:
            return number / time * np.sum(times * correlator(means, covariance))

        formulas = {"plaquette_susceptibility": susceptibility, "plaquette_correlator": correlator}
        return Derived(tuple(Quantity(name, columns, formulas[name], words) for name, words in WORDS.items()))


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


def plaquette_products(action: Any) -> PlaquetteProducts:
    """The observable for an action of links.

    Raises:
        ConfigError: If its fields are no links.
    """
    if not isinstance(action.space, GaugeSpace):
        raise ConfigError(["measure.observables: plaquette_products; allowed: with a gauge field"])
    return PlaquetteProducts(action.space, centre=rough_plaquette(action))
