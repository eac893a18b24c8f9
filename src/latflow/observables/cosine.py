"""The mean cosine of a scalar field: how strongly it is bound to the minima of a periodic potential."""

from typing import Any, ClassVar

import jax.numpy as jnp
from typing_extensions import override

from latflow._typing import Field, Scalar
from latflow.errors import ConfigError
from latflow.fields.spaces import ScalarSpace
from latflow.observables.base import AbstractObservable
from latflow.words import ObservableWords


class MeanCosine(AbstractObservable):
    r"""$V^{-1}\sum_x\cos\phi_x$."""

    name: ClassVar[str] = "cos_phi"
    words: ClassVar[ObservableWords | None] = ObservableWords(
        "mean cosine",
        "⟨cos φ⟩",
        r"$\langle\cos\phi\rangle$",
        "average over sites, φ the house field of docs/conventions.md",
    )
    sector_blind: ClassVar[bool] = True

    @override
    def __call__(self, x: Field) -> Scalar:
        return jnp.mean(jnp.cos(x))


def mean_cosine(action: Any) -> MeanCosine:
    """The observable for an action of a scalar field.

    Raises:
        ConfigError: If its fields are no real numbers.
    """
    if not isinstance(action.space, ScalarSpace):
        raise ConfigError(["measure.observables: cos_phi; allowed: with a scalar field"])
    return MeanCosine()
