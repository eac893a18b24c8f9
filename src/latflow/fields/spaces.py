r"""What a configuration is: an array, a reference measure, and a way to move.

Samplers, forces and Jacobian laws use a configuration only through its space, so one HMC serves every theory.
Tangent vectors are arrays of real coordinates in an orthonormal frame: the kinetic energy is always $\tfrac12\sum p^2$.
"""

import abc
import math
from collections.abc import Callable
from typing import NoReturn

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Int
from typing_extensions import override

from latflow._typing import Configuration, Field, Links, Momentum, PRNGKey, Scalar, Tangent
from latflow.arguments import counts, require_shape, require_type
from latflow.batching import trailing
from latflow.display import call, extents
from latflow.errors import ConfigError
from latflow.groups.base import AbstractGroup
from latflow.lattice import Lattice
from latflow.randomness import standard_normal

NARROW = 0.1
"""Width of the noise of starts that are not hot, in tangent coordinates."""


class AbstractFieldSpace(eqx.Module):
    """A homogeneous space of configurations with a reference measure."""

    shape: eqx.AbstractVar[tuple[int, ...]]
    tangent_shape: eqx.AbstractVar[tuple[int, ...]]

    @property
    def dof(self) -> int:
        """Degrees of freedom: how many real coordinates a tangent vector has."""
        return math.prod(self.tangent_shape)

    @property
    def is_compact(self) -> bool:
        """Whether the reference measure is normalised, and `random` draws from it."""
        return False

    @property
    def n_uniforms(self) -> int:
        """How many uniform numbers `of_uniforms` makes a configuration of; 0 if the space has no such map."""
        return 0

    def of_uniforms(self, u: Float[Array, " n_uniforms"]) -> Configuration:
        """The configuration made of numbers in (0, 1): a draw of the uniform density where these are uniform.

        Raises:
            ConfigError: If the space has no such map.
        """
        refuse_uniforms(self)

    @property
    def periodic(self) -> tuple[bool, ...]:
        """Which of these numbers are circles, where 0 and 1 are one point; empty if `uniforms_of` is refused."""
        return ()

    def uniforms_of(self, x: Configuration) -> Float[Array, " n_uniforms"]:
        """The numbers that `of_uniforms` makes this configuration of, its inverse but for sets of measure zero.

        Raises:
            ConfigError: If the space has no such coordinates.
        """
        refuse_coordinates(self)

    def require(self, x: Configuration) -> None:
        """Refuse what is not one configuration of this space, by its shape and kind of numbers; numbers are not read.

        Actions ask while they are traced, so that a compiled program pays nothing.

        Raises:
            TypeError: If it is no array.
            ConfigError: If it has another shape, such as that of a batch, or complex numbers in the place of real ones.
        """
        require_array(x, self.shape, is_complex=None)

    @abc.abstractmethod
    def cold(self) -> Configuration:
        """The configuration about which narrow starts scatter: zero, or the unit element everywhere."""

    @property
    def summary(self) -> str:
        """What it is in a few words, as actions, flows and the space itself are printed with."""
        return extents(self.shape)

    def __repr__(self) -> str:
        return call(type(self).__name__, getattr(self, "summary", ""))

    def still(self) -> Momentum:
        """The momentum zero."""
        return jnp.zeros(self.tangent_shape)

    def distance(self, x: Configuration, y: Configuration) -> Scalar:
        """Largest difference of two configurations, entry by entry; angles differ modulo 2π."""
        return jnp.max(jnp.abs(x - y))

    @abc.abstractmethod
    def random(self, key: PRNGKey) -> Configuration:
        """A reference draw: Haar or uniform on compact spaces, standard normal on R^n."""

    @abc.abstractmethod
    def start(self, key: PRNGKey, number: Int[Array, ""]) -> Configuration:
        """Start of chain `number` of an over-dispersed set: hot, cold and further starts of the space, in turn."""

    @abc.abstractmethod
    def move(self, x: Configuration, p: Momentum) -> Configuration:
        """The point reached from `x` along `p`, exp(p) x: stays in the space to rounding."""

    def carry(self, x: Configuration, d: Momentum, p: Momentum) -> tuple[Configuration, Momentum]:
        """The point `move(x, d)`, and the momentum `p` carried there, parallel to itself along the way.

        By default its coordinates stay the same, as on flat spaces and in invariant frames of a group, where they are
        conserved along the geodesic of `p` itself.
        """
        return self.move(x, d), p

    @abc.abstractmethod
    def displace(self, x: Configuration, p: Momentum) -> Configuration:
        """First-order part of `move`: the array tangent d/de move(x, e p) at e = 0."""

    @abc.abstractmethod
    def coordinates(self, x: Configuration, dx: Configuration) -> Momentum:
        """Inverse of `displace`: real coordinates of the array tangent `dx` at `x`."""

    @abc.abstractmethod
    def defect(self, x: Configuration) -> Scalar:
        """Distance of the array `x` from the space; zero inside."""

    @abc.abstractmethod
    def momentum(self, key: PRNGKey) -> Momentum:
        """Standard normal real coordinates."""


class ScalarSpace(AbstractFieldSpace):
    """Real scalar fields: R^V with Lebesgue measure.

    Chains start hot, with standard normal noise; cold, with narrow noise about zero; and ordered, about 1 and −1.

    Args:
        shape: Sites along each direction.

    Raises:
        TypeError: If it is no tuple or list of whole numbers.
        ConfigError: If it is empty or an extent is not positive.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    tangent_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = counts("shape", shape, words="positive extents")
        self.tangent_shape = self.shape

    @override
    def require(self, x: Configuration) -> None:
        require_array(x, self.shape, is_complex=False)

    @override
    def cold(self) -> Float[Array, "*shape"]:
        return jnp.zeros(self.shape)

    @override
    def random(self, key: PRNGKey) -> Float[Array, "*shape"]:
        return standard_normal(key, self.shape)

    @override
    def start(self, key: PRNGKey, number: Int[Array, ""]) -> Float[Array, "*shape"]:
        width = jnp.asarray([1.0, NARROW, NARROW, NARROW])
        centre = jnp.asarray([0.0, 0.0, 1.0, -1.0])
        return centre[number % 4] + width[number % 4] * self.random(key)

    @override
    def move(self, x: Float[Array, "*shape"], p: Float[Array, "*tangent"]) -> Float[Array, "*shape"]:
        return x + p

    @override
    def displace(self, x: Float[Array, "*shape"], p: Float[Array, "*tangent"]) -> Float[Array, "*shape"]:
        return p

    @override
    def coordinates(self, x: Float[Array, "*shape"], dx: Float[Array, "*shape"]) -> Float[Array, "*tangent"]:
        return dx

    @override
    def defect(self, x: Float[Array, "*shape"]) -> Scalar:
        return jnp.where(jnp.all(jnp.isfinite(x)), 0.0, jnp.inf)

    @override
    def momentum(self, key: PRNGKey) -> Float[Array, "*tangent"]:
        return standard_normal(key, self.tangent_shape)


class GaugeSpace(AbstractFieldSpace):
    r"""Elements of a group on the links of a periodic lattice, with the normalised Haar measure.

    One array: direction, indices of the element, sites; `U[mu, row, column, x_0, ...]`, or angles `theta[mu, x_0, ...]`
    for U(1). The link (mu, x) goes from x to $x+\hat\mu$; a momentum is `p[mu, generator, x_0, ...]` and moves it to
    $e^{ip_aT_a}U$.

    Chains start hot, with Haar links, and cold, with links near the unit element, by turns.

    Args:
        lattice: At least two directions.
        group: The group of the links.

    Raises:
        TypeError: If lattice or group is something else.
        ConfigError: On a lattice of one direction, which has no plaquettes.
    """

    lattice: Lattice = eqx.field(static=True)
    group: AbstractGroup
    shape: tuple[int, ...] = eqx.field(static=True)
    tangent_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, lattice: Lattice, group: AbstractGroup) -> None:
        require_type("lattice", lattice, Lattice, "Lattice(shape)")
        require_type("group", group, AbstractGroup, "U1(), SU(n), or groups.named(text)")
        d = lattice.ndim
        if d < 2:
            raise ConfigError(
                [f"lattice.shape: {list(lattice.shape)}; allowed: two or more directions for gauge fields"]
            )
        self.lattice = lattice
        self.group = group
        self.shape = (d, *group.element_shape, *lattice.shape)
        self.tangent_shape = (d, *group.algebra_shape, *lattice.shape)

    @property
    @override
    def summary(self) -> str:
        return f"{extents(self.lattice.shape)}, {self.group}"

    @property
    def ndim(self) -> int:
        """Number of directions d."""
        return self.lattice.ndim

    @property
    @override
    def is_compact(self) -> bool:
        return True

    @override
    def require(self, x: Configuration) -> None:
        require_array(x, self.shape, is_complex=bool(self.group.element_shape))

    @override
    def cold(self) -> Field:
        return _directions_first(self.group.identity((self.ndim, *self.lattice.shape)), group=self.group)

    @override
    def distance(self, x: Field, y: Field) -> Scalar:
        return jnp.max(jnp.abs(self.links(x) - self.links(y)))

    def links(self, x: Field) -> Links:
        """The links as matrices, `[mu, n, n, *sites]`: what `latflow.fields.transport` works on.

        In double precision, so that actions, forces and observables of links from a file in single precision are
        computed in double precision, too.
        """
        return _links(x, group=self.group)

    def reunitarised(self, x: Field) -> Field:
        """The configuration with every link carried back into the group, in double precision: removes rounding."""
        return _reunitarised(x, group=self.group)

    @property
    @override
    def n_uniforms(self) -> int:
        return self.ndim * self.lattice.volume * self.group.n_uniforms

    @override
    def of_uniforms(self, u: Float[Array, " n_uniforms"]) -> Field:
        """Link by link, sites of the first direction first."""
        parts = jnp.moveaxis(u.reshape(self.ndim, *self.lattice.shape, self.group.n_uniforms), -1, 0)
        return _directions_first(self.group.haar_of_uniforms(parts), group=self.group)

    @override
    def random(self, key: PRNGKey) -> Field:
        return _directions_first(self.group.haar(key, (self.ndim, *self.lattice.shape)), group=self.group)

    @override
    def start(self, key: PRNGKey, number: Int[Array, ""]) -> Field:
        near = self.move(self.cold(), NARROW * self.momentum(key))
        return jnp.where(number % 2 == 0, self.random(key), near)

    @override
    def move(self, x: Field, p: Tangent) -> Field:
        return _move(x, p, group=self.group)

    @override
    def displace(self, x: Field, p: Tangent) -> Field:
        return _displace(x, p, group=self.group)

    @override
    def coordinates(self, x: Field, dx: Field) -> Tangent:
        return _coordinates(x, dx, group=self.group)

    @override
    def defect(self, x: Field) -> Scalar:
        return jnp.max(jnp.stack([self.group.defect(x[mu]) for mu in range(self.ndim)]))

    @override
    def momentum(self, key: PRNGKey) -> Tangent:
        return standard_normal(key, self.tangent_shape)


def refuse_uniforms(space: AbstractFieldSpace) -> NoReturn:
    """Say that the space has no map of uniform numbers.

    Raises:
        ConfigError: Always.
    """
    allowed = "links, tori, and spheres of one, two or an odd number of dimensions"
    raise ConfigError([f"quasi-random points: {space.summary} has no map of uniform numbers; allowed: {allowed}"])


def refuse_coordinates(space: AbstractFieldSpace) -> NoReturn:
    """Say that the space has no uniform coordinates.

    Raises:
        ConfigError: Always.
    """
    allowed = "tori, spheres of two or an odd number of dimensions, and products of them"
    raise ConfigError([f"uniform coordinates: {space.summary} has none; allowed: {allowed}"])


def require_array(x: Configuration, shape: tuple[int, ...], *, is_complex: bool | None) -> None:
    """Refuse an array of another shape or kind of numbers; a kind of `None` is any.

    Raises:
        TypeError: If it is no array.
        ConfigError: If its shape or kind differs.
    """
    require_shape("configuration", x, shape)
    if is_complex is not None and jnp.issubdtype(x.dtype, jnp.complexfloating) != is_complex:
        allowed = "complex matrices" if is_complex else "real numbers"
        raise ConfigError([f"configuration: an array of {x.dtype}; allowed: {allowed}"])


def _each(group: AbstractGroup, function: Callable[..., Array], *arrays: Array) -> Array:
    """One direction after another: the program is compiled once, and matrices stay where they are.

    Where an element has no indices, directions are sites like others.
    """
    if not group.element_shape:
        return function(*arrays)
    return jax.lax.map(lambda parts: function(*parts), arrays)


@trailing
def _move(x: Field, p: Tangent, *, group: AbstractGroup) -> Field:
    return _each(group, group.move, x, p)


@trailing
def _displace(x: Field, p: Tangent, *, group: AbstractGroup) -> Field:
    return _each(group, group.displace, x, p)


@trailing
def _coordinates(x: Field, dx: Field, *, group: AbstractGroup) -> Tangent:
    return _each(group, group.displacement, _double(x), _double(dx))


@trailing
def _reunitarised(x: Field, *, group: AbstractGroup) -> Field:
    return _each(group, lambda u: group.project(group.matrices(u)), _double(x))


@trailing
def _links(x: Field, *, group: AbstractGroup) -> Links:
    wide = _double(x)
    return wide if group.element_shape else jnp.moveaxis(group.matrices(wide), 2, 0)


def _double(x: Field) -> Field:
    """The same numbers in double precision, where JAX has it."""
    return x.astype(jnp.promote_types(x.dtype, jnp.result_type(float)))


@trailing
def _directions_first(x: Field, *, group: AbstractGroup) -> Inexact[Array, "mu ..."]:
    """From element indices, direction, sites to direction, element indices, sites."""
    return jnp.moveaxis(x, len(group.element_shape), 0)
