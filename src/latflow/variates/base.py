r"""Stein fields: velocities on configurations whose divergence is known in closed form.

For every velocity v that moves configurations within their space and does not blow up, integration by parts gives
$\langle\partial\cdot v-v\cdot\partial S\rangle=0$ under $e^{-S}$. The value $f_v=\partial\cdot v-v\cdot\partial S$ of
one configuration is a control variate of every average: `latflow.stats.cross_fitting` finds the combination that
removes most of its variance.
"""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from latflow._typing import Configuration, Momentum, PRNGKey
from latflow.actions.base import AbstractAction
from latflow.errors import ConfigError
from latflow.fields.spaces import AbstractFieldSpace
from latflow.randomness import root_key


class AbstractSteinFields(eqx.Module):
    r"""A family of velocities $v_1,\dots,v_n$ with closed divergences.

    Divergences are with respect to the reference measure of the space: Lebesgue on scalar fields, Haar on links, where
    $\partial$ is the derivative along the generators. Inexact arrays of the module are trained; a family without any
    has nothing to train. Their shapes do not depend on the lattice, so that weights are carried to other ones.

    Attributes:
        kind: The word for the family, in `latflow.variates.catalogue`.
        keeps_precision: Whether arrays are as values are to be computed; others are taken to double precision.
    """

    kind: ClassVar[str]
    keeps_precision: ClassVar[bool] = False

    @classmethod
    @abc.abstractmethod
    def create(cls, key: PRNGKey, space: AbstractFieldSpace, settings: Mapping[str, Any]) -> "AbstractSteinFields":
        """The untrained family on a space.

        Args:
            key: Randomness of the weights.
            space: Of the configurations.
            settings: Of the family, by name; those that are absent have their default.
        """

    @property
    @abc.abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """What `create` needs to make it again, as JSON; nothing in it depends on the lattice."""

    @property
    @abc.abstractmethod
    def names(self) -> tuple[str, ...]:
        """One for every velocity, in the order of `value`."""

    @property
    def n_fields(self) -> int:
        """Number of velocities."""
        return len(self.names)

    def on(self, space: AbstractFieldSpace) -> "AbstractSteinFields":
        """The same velocities, with the same weights, on another space.

        Raises:
            ConfigError: If the weights do not fit there, as between lattices of two and three directions.
        """
        there = eqx.filter_eval_shape(lambda: type(self).create(root_key(0), space, self.settings))
        weights, wanted = jax.tree.leaves(self), jax.tree.leaves(there)
        if [leaf.shape for leaf in weights] != [leaf.shape for leaf in wanted]:
            raise ConfigError([f"velocities: of other fields than {space.summary}; allowed: as many directions"])
        return jax.tree.unflatten(jax.tree.structure(there), weights)

    @abc.abstractmethod
    def value(self, action: AbstractAction, x: Configuration) -> Float[Array, " n_fields"]:
        r"""$\partial\cdot v_k-v_k\cdot\partial S$ of one configuration, for every k.

        Args:
            action: S, on the space of the fields.
            x: One configuration.
        """

    @abc.abstractmethod
    def velocities(self, x: Configuration) -> Momentum:
        """The velocities at one configuration, momenta along a first axis: what the laws differentiate."""

    def values(self, action: AbstractAction, configurations: Configuration) -> Float[Array, "batch n_fields"]:
        """`value` of every configuration along axis 0, in double precision.

        Args:
            action: S.
            configurations: Along axis 0.
        """
        return jax.vmap(lambda x: self.value(action, x))(configurations).astype(jnp.float64)
