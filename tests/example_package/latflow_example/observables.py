"""The mean cosine of a scalar field."""

from typing import ClassVar

import jax.numpy as jnp

import latflow as lf
from latflow.words import ObservableWords


class MeanCosine(lf.AbstractObservable):
    """V⁻¹ Σ cos φ."""

    name: ClassVar[str] = "example_cos_phi"
    words: ClassVar[ObservableWords | None] = ObservableWords(
        "mean cosine of the example", "⟨cos φ⟩", r"$\langle\cos\phi\rangle$", "average over sites"
    )
    sector_blind: ClassVar[bool] = True

    def __call__(self, x):
        return jnp.mean(jnp.cos(x))


def mean_cosine(action):
    """The observable for the fields of an action."""
    return MeanCosine()
