"""Laws of a bijection: it inverts, its log-determinant is that of its Jacobian, and compilation changes nothing.

The Jacobian is taken in tangent coordinates of the space: every basis vector is pushed through the map by a
Jacobian-vector product and read off with `coordinates`, so the same ten lines serve every space. Test fields are moved
away from the cold configuration by momenta, so they lie in the space. All laws of one bijection share one compiled
program.
"""

from typing import NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Inexact

from latflow._typing import Field, PRNGKey, Scalar
from latflow.bijections.base import AbstractBijection
from latflow.fields.spaces import AbstractFieldSpace
from latflow.fields.symmetry import AbstractSymmetry
from latflow.testing.result import LawResult, judge

ROUND_TRIP_WORST = 1e-9
ROUND_TRIP_TYPICAL = 1e-11
LOG_DET_PER_DOF = 1e-12
ROUNDING = 1e-12
LARGEST_JACOBIAN = 256
"""Degrees of freedom up to which Jacobian determinants are formed, at the cost of their cube."""

M = TypeVar("M", bound=eqx.Module)
Fields = Inexact[Array, "n *shape"]
Image = tuple[Field, Float[Array, ""]]


@eqx.filter_jit
def spread_fields(key: PRNGKey, space: AbstractFieldSpace, *, n: int = 8, widest: float = 10.0) -> Fields:
    """Test configurations from cold to wide: moved from the cold one by momenta times `widest`, 1, 0.1, 0 and again."""
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(n))
    scales = jnp.asarray([widest, 1.0, 0.1, 0.0])[jnp.arange(n) % 4]
    return jax.vmap(lambda k, scale: space.move(space.cold(), scale * space.momentum(k)))(keys, scales)


def scrambled(key: PRNGKey, module: M, *, scale: float = 0.3) -> M:
    """The same module with noise on every learnable array, so that laws do not test the identity of a fresh flow.

    The noise of a weight falls with the square root of the inputs it sums over, so activations stay of order `scale`.
    """
    arrays, rest = eqx.partition(module, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(arrays)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))

    def noisy(leaf: Array) -> Array:
        fan_in = leaf.shape[0] if leaf.ndim > 1 else 1
        return leaf + jnp.asarray(scale / np.sqrt(fan_in) * rng.standard_normal(leaf.shape), dtype=leaf.dtype)

    return eqx.combine(jax.tree.unflatten(structure, [noisy(leaf) for leaf in leaves]), rest)


class Deviations(NamedTuple):
    """Every deviation of a bijection on a batch of fields, each relative to max(1, largest value) or per dof.

    Attributes:
        round_trip: Per field, the larger error of inverse(forward(x)) and forward(inverse(x)).
        log_det: Per field, the forward log-det against that of the Jacobian, per degree of freedom.
        inverse_log_det: Per field, the sum of forward and inverse log-dets, per degree of freedom.
        batched: The first field alone against the same field in the batch.
        image: Image and log-det of the first field as compiled.
    """

    round_trip: Float[Array, " n"]
    log_det: Float[Array, " n"]
    inverse_log_det: Float[Array, " n"]
    batched: Float[Array, ""]
    image: Image


def apart(space: AbstractFieldSpace, x: Field, reference: Field) -> Float[Array, ""]:
    """Distance of two configurations, relative to the largest entry where that is above 1."""
    return space.distance(x, reference) / jnp.maximum(1.0, jnp.max(jnp.abs(reference)))


def jacobian_log_det(bijection: AbstractBijection, space: AbstractFieldSpace, x: Field, y: Field) -> Float[Array, ""]:
    """ln|det| of the map in tangent coordinates at x and y = f(x)."""
    zero, tangent = ravel_pytree(space.still())

    def column(p: Float[Array, " dof"]) -> Float[Array, " dof"]:
        _, dy = jax.jvp(lambda z: bijection.forward_and_log_det(z)[0], (x,), (space.displace(x, tangent(p)),))
        return ravel_pytree(space.coordinates(y, dy))[0]

    return jnp.linalg.slogdet(jax.vmap(column)(jnp.eye(zero.size)))[1]


@eqx.filter_jit
def deviations(bijection: AbstractBijection, space: AbstractFieldSpace, fields: Fields) -> Deviations:
    """Everything that the laws of a bijection need, in one compiled program.

    Above `LARGEST_JACOBIAN` degrees of freedom no Jacobian is formed and its deviation is NaN, which never passes.
    """
    jacobian = space.dof <= LARGEST_JACOBIAN

    def one(x: Field) -> tuple[Array, Array, Array, Image]:
        def trip(v: Field, _: None) -> tuple[Field, tuple[Array, ...]]:
            # loops of two passes, so that each direction is compiled once: v is x, then its image y
            back, inverse = bijection.inverse_and_log_det(v)
            images, log_dets = jax.lax.map(bijection.forward_and_log_det, jnp.stack([x, back]))
            return images[0], (back, inverse, images[1], log_dets[0])

        y, (backs, inverses, forths, log_dets) = jax.lax.scan(trip, x, length=2)
        expected = jacobian_log_det(bijection, space, x, y) if jacobian else jnp.nan
        farthest = jnp.maximum(apart(space, backs[1], x), apart(space, forths[0], x))
        log_det = log_dets[0]
        return (
            farthest,
            jnp.abs(log_det - expected) / space.dof,
            jnp.abs(log_det + inverses[1]) / space.dof,
            (y, log_det),
        )

    # one field after another: the Jacobians of all at once would not fit for a large flow
    trips, log_dets, inverses, (alone, sums) = jax.lax.map(one, fields)
    images, together = jax.vmap(bijection.forward_and_log_det)(fields)
    batched = jnp.maximum(apart(space, images[0], alone[0]), jnp.abs(together[0] - sums[0]) / space.dof)
    return Deviations(trips, log_dets, inverses, batched, (alone[0], sums[0]))


def round_trip_worst(bijection: AbstractBijection, space: AbstractFieldSpace, fields: Fields) -> LawResult:
    """Forward and inverse undo each other on every field, in both orders."""
    worst = np.max(deviations(bijection, space, fields).round_trip)
    return judge("round trip, worst field", worst, limit=ROUND_TRIP_WORST)


def round_trip_typical(bijection: AbstractBijection, space: AbstractFieldSpace, fields: Fields) -> LawResult:
    """The median over fields of the round-trip error."""
    median = np.median(deviations(bijection, space, fields).round_trip)
    return judge("round trip, typical field", median, limit=ROUND_TRIP_TYPICAL)


def log_det_is_jacobian(bijection: AbstractBijection, space: AbstractFieldSpace, fields: Fields) -> LawResult:
    """The forward log-det is that of the autodiff Jacobian in tangent coordinates; deviation per degree of freedom."""
    worst = np.max(deviations(bijection, space, fields).log_det)
    return judge("log-det equals the Jacobian's", worst, limit=LOG_DET_PER_DOF, detail=f"{space.dof} dof")


def inverse_log_det_is_negative(bijection: AbstractBijection, space: AbstractFieldSpace, fields: Fields) -> LawResult:
    """The inverse map's log-det is minus the forward one; deviation per degree of freedom."""
    worst = np.max(deviations(bijection, space, fields).inverse_log_det)
    return judge("log-dets of forward and inverse cancel", worst, limit=LOG_DET_PER_DOF)


def batched_is_alone(bijection: AbstractBijection, space: AbstractFieldSpace, fields: Fields) -> LawResult:
    """Under `vmap` a configuration gets what it gets alone."""
    return judge("batched equals alone", deviations(bijection, space, fields).batched, limit=ROUNDING)


def compiled_is_eager(bijection: AbstractBijection, space: AbstractFieldSpace, fields: Fields) -> LawResult:
    """Under `jit` the map and its log-det are the same up to rounding."""
    compiled, compiled_log_det = deviations(bijection, space, fields).image
    y, log_det = bijection.forward_and_log_det(fields[0])
    error = jnp.maximum(apart(space, compiled, y), jnp.abs(log_det - compiled_log_det) / space.dof)
    return judge("compiled equals eager", error, limit=ROUNDING)


BIJECTION_LAWS = (
    round_trip_worst,
    round_trip_typical,
    log_det_is_jacobian,
    inverse_log_det_is_negative,
    batched_is_alone,
    compiled_is_eager,
)
"""All laws of a bijection, called as ``law(bijection, space, fields)``."""


def bijection_laws(
    key: PRNGKey, bijection: AbstractBijection, space: AbstractFieldSpace, *, widest: float = 10.0, eager: bool = True
) -> list[LawResult]:
    """Every law of a bijection that its size allows, on fields from narrow to `widest`.

    Args:
        key: Randomness of the fields.
        bijection: What is tested.
        space: Of its fields.
        widest: Width of the widest fields in units of momenta.
        eager: Also compare with the bijection as it is without compilation, which takes long for many steps.
    """
    fields = spread_fields(key, space, widest=widest)
    left_out = ([] if space.dof <= LARGEST_JACOBIAN else [log_det_is_jacobian]) + ([] if eager else [compiled_is_eager])
    return [law(bijection, space, fields) for law in BIJECTION_LAWS if law not in left_out]


def forces_move_along(
    bijection: AbstractBijection, fields: Float[Array, "n *sites"], *, limit: float = ROUNDING
) -> LawResult:
    """`pulled_back` and `pushed_forward` give the derivatives of energies at image and pre-image, and undo each other.

    Args:
        bijection: Of real fields.
        fields: Where it is looked at.
        limit: Of the deviation, relative to one; that of the scheme where these integrate.
    """
    error = jnp.max(_forces(bijection, fields))
    return judge("forces pulled back and pushed forward are gradients of the energies", error, limit=limit)


@eqx.filter_jit
def _forces(bijection: AbstractBijection, fields: Float[Array, "n *sites"]) -> Float[Array, " n"]:
    def one(x: Field, force: Field, direction: Field) -> Scalar:
        def energy(image: tuple[Field, Scalar]) -> Scalar:
            return jnp.sum(force * image[0]) - image[1]

        y = bijection.forward_and_log_det(x)[0]
        pulled, pushed = bijection.pulled_back(y, force), bijection.pushed_forward(x, force)
        deviations = [jnp.max(jnp.abs(pulled[0] - x)), jnp.max(jnp.abs(pushed[0] - y))]
        ways = (bijection.forward_and_log_det, x, pulled[1]), (bijection.inverse_and_log_det, y, pushed[1])
        for moved, place, gradient in ways:
            slope = jax.jvp(lambda z, moved=moved: energy(moved(z)), (place,), (direction,))[1]
            deviations.append(jnp.abs(jnp.sum(gradient * direction) - slope) / (1 + jnp.abs(slope)))
        again = bijection.pushed_forward(*pulled)[1]
        return jnp.max(jnp.stack([*deviations, jnp.max(jnp.abs(again - force))]))

    return jax.vmap(one)(fields, jnp.roll(fields, 1, axis=0), jnp.roll(fields, 2, axis=0))


@eqx.filter_jit
def _equivariance(
    bijection: AbstractBijection, space: AbstractFieldSpace, elements: tuple[AbstractSymmetry, ...], fields: Fields
) -> Float[Array, "n elements"]:
    def one(x: Field) -> Float[Array, " elements"]:
        # a loop, so that the map is compiled once for all elements
        every = jnp.stack([x, *(element(x) for element in elements)])
        images, log_dets = jax.lax.map(bijection.forward_and_log_det, every)
        expected = jnp.stack([element(images[0]) for element in elements])
        moved = jax.vmap(lambda turned, y: apart(space, turned, y))(images[1:], expected)
        return jnp.maximum(moved, jnp.abs(log_dets[1:] - log_dets[0]) / space.dof)

    return jax.vmap(one)(fields)


def equivariant_under(
    bijection: AbstractBijection, space: AbstractFieldSpace, elements: tuple[AbstractSymmetry, ...], fields: Fields
) -> LawResult:
    """f(g·x) = g·f(x), with the same log-det, for every given element g; there is one or more."""
    errors = np.max(_equivariance(bijection, space, elements, fields), axis=0)
    worst = int(np.argmax(errors))
    detail = f"{len(elements)} elements, worst {type(elements[worst]).__name__}"
    return judge("equivariant under the symmetry", errors[worst], limit=ROUNDING, detail=detail)
