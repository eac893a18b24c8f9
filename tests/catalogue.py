"""Named constructors of everything the package contains; the laws in tests/laws run over all of them.

A new space, action, bijection, flow or kernel is tested by one line here. Constructors are called inside the tests and
cached, so importing this module costs nothing and equal objects share compiled programs. Lattices are tiny.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from latflow.actions import exact, exact_gauge, exact_spins
from latflow.actions.base import AbstractAction, AbstractLocalAction
from latflow.actions.directional import (
    FOUR_ON_S2,
    FOUR_ON_S3,
    THREE_ON_T2,
    AbstractDirectional,
    CorrelatedAngles,
    SphereModes,
    TorusModes,
    TurnedSphere,
)
from latflow.actions.gauge import AbstractLinkAction, ImprovedAction, RectangleAction, WilsonAction
from latflow.actions.particles import DoubleWell, DoubleWellPairs, LennardJones, MuellerBrown, Particles
from latflow.actions.robot_arm import RobotArm
from latflow.actions.scalar import FreeField, PhiFour, SitePotential
from latflow.actions.spins import SpinModel
from latflow.actions.sums import SummedAction
from latflow.bijections.base import AbstractBijection
from latflow.bijections.circle import CircleMap
from latflow.bijections.compose import Chain, Inverse
from latflow.bijections.conditioners import ConvolutionalConditioner, DenseConditioner
from latflow.bijections.coupling import AffineCoupling
from latflow.bijections.doubling import Doubling
from latflow.bijections.elementwise import Identity, Scale
from latflow.bijections.gauge import PlaquetteCoupling
from latflow.bijections.levels import Hierarchy, halvings
from latflow.bijections.partition import Partition
from latflow.bijections.sphere_maps import ExponentialMapSum
from latflow.bijections.splits.su2 import SU2Split
from latflow.bijections.splits.u1 import U1Split
from latflow.bijections.unit_maps import AbstractUnitMap, ProjectionMixture, UnitSpline
from latflow.distributions import AbstractDistribution, FreeFieldPrior, HaarPrior, IsotropicNormal, Normal
from latflow.fields.compact import SphereSpace, TorusSpace
from latflow.fields.euclidean import EuclideanSpace
from latflow.fields.gauge_symmetry import (
    ChargeConjugation,
    GaugeTransformation,
    LinkTranslation,
    link_generators,
    random_gauge_transformation,
)
from latflow.fields.particle_symmetry import particle_generators
from latflow.fields.product import Held, ProductSpace
from latflow.fields.spaces import AbstractFieldSpace, GaugeSpace, ScalarSpace
from latflow.fields.spin_symmetry import spin_generators
from latflow.fields.symmetry import AbstractSymmetry, Product, Reflection, Rotation, SignFlip, Translation, generators
from latflow.flows.architectures import cast, multiscale, rational_quadratic_spline, real_nvp
from latflow.flows.autoregressive import autoregressive_flow
from latflow.flows.conditional import ConditionalFlow, conditioned, interpolated
from latflow.flows.continuous import continuous_flow, of_draws
from latflow.flows.doubling import at_heat_bath
from latflow.flows.flow import Flow
from latflow.flows.gauge import u1_plaquette_flow
from latflow.flows.link_layers import link_coupling_flow, stout_flow
from latflow.flows.links import continuous_link_flow
from latflow.flows.mixture import Z2Mixture
from latflow.flows.multiscale_links import multiscale_link_flow
from latflow.flows.networks import Networks
from latflow.flows.particles import pair_flow
from latflow.flows.robot_arm import arm_flow
from latflow.flows.spins import continuous_spin_flow, spin_levels_flow
from latflow.flows.villain import VillainPrior, villain_flow
from latflow.flows.weighted import FlowSampler
from latflow.groups import named
from latflow.groups.sun import SU
from latflow.groups.u1 import U1
from latflow.lattice import Lattice
from latflow.observables.base import AbstractObservable
from latflow.observables.scalar import scalar_observables
from latflow.samplers.base import AbstractKernel, AbstractWeightedSampler
from latflow.samplers.heatbath import HeatBath
from latflow.samplers.hmc import HMC
from latflow.samplers.independence import IndependenceSampler
from latflow.samplers.integrators import FORCE_GRADIENT, LEAPFROG, OMF2, SCHEMES, Level, Nested
from latflow.samplers.link_metropolis import LinkMetropolis
from latflow.samplers.local import LocalMetropolis
from latflow.samplers.spins import SpinClusters, SpinHeatBath
from latflow.samplers.wolff import WolffMetropolis
from latflow.testing.bijections import scrambled, spread_fields
from latflow.theories.sine_gordon.physics import CosinePotential, SineGordon
from latflow.training.losses import ReverseKL
from latflow.training.schedules import adam
from latflow.training.steps import TrainingState, run_steps
from latflow.variates.base import AbstractSteinFields
from latflow.variates.catalogue import family
from latflow.variates.latent_fields import LatentFields

KEY_SEED = 20240
F64 = jnp.dtype(jnp.float64)
F32 = jnp.dtype(jnp.float32)


def key(stream: int) -> jax.Array:
    """A key of the catalogue's own stream."""
    return jax.random.fold_in(jax.random.key(KEY_SEED), stream)


# Spaces -------------------------------------------------------------------------------------------------------------


def gauge_space(group: str, shape: tuple[int, ...]) -> GaugeSpace:
    """Links by the name of their group."""
    return GaugeSpace(Lattice(shape), named(group))


SPACES: dict[str, Callable[[], AbstractFieldSpace]] = {
    "scalar 5": lambda: ScalarSpace((5,)),
    "scalar 3x4": lambda: ScalarSpace((3, 4)),
    "scalar 2x1x3": lambda: ScalarSpace((2, 1, 3)),
    "U(1) 3x2": lambda: gauge_space("U(1)", (3, 2)),
    "SU(2) 2x3": lambda: gauge_space("SU(2)", (2, 3)),
    "SU(3) 2x1x2": lambda: gauge_space("SU(3)", (2, 1, 2)),
    "angles 3x2": lambda: TorusSpace((3, 2)),
    "circle of unit vectors 3": lambda: SphereSpace(1, (3,)),
    "unit vectors 2x2": lambda: SphereSpace(2, (2, 2)),
    "unit vector of 4 components": lambda: SphereSpace(3),
    "unit vector of 5 components": lambda: SphereSpace(4),
    "point in R3": lambda: EuclideanSpace((3,)),
    "3 particles": lambda: EuclideanSpace((3, 2)),
    "4 mean-free particles": lambda: EuclideanSpace((4, 2), mean_free=True),
    "angles and a unit vector": lambda: ProductSpace({"angles": TorusSpace((2,)), "vector": SphereSpace(2)}),
    "links, matter and a held field": lambda: ProductSpace(
        {
            "links": gauge_space("SU(2)", (2, 2)),
            "matter": ScalarSpace((2, 2)),
            "auxiliary": Held(gauge_space("U(1)", (2, 2))),
        }
    ),
}

# Actions ------------------------------------------------------------------------------------------------------------

LOCAL_ACTIONS: dict[str, Callable[[], AbstractLocalAction]] = {
    "free 4x4": lambda: FreeField(Lattice((4, 4)), mass_squared=0.7),
    "free 6": lambda: FreeField(Lattice((6,)), mass_squared=0.3),
    "phi4 4x4": lambda: PhiFour(Lattice((4, 4)), mass_squared=-4.0, coupling=6.975),
    "phi4 2x2": lambda: PhiFour(Lattice((2, 2)), mass_squared=-4.0, coupling=8.0),
    "phi4 2x4x2": lambda: PhiFour(Lattice((2, 4, 2)), mass_squared=-1.0, coupling=0.5),
    "phi4 half 4x2": lambda: PhiFour.half(Lattice((4, 2)), mu_squared=-2.0, g=1.5),
    "phi4 factorial 4x2": lambda: PhiFour.factorial(Lattice((4, 2)), mass_squared=-2.0, coupling=9.0),
    "potential 2x4": lambda: SitePotential(Lattice((2, 4)), mass_squared=-4.0, coupling=6.975),
    "phi4 hopping 2x2x2": lambda: PhiFour.hopping(Lattice((2, 2, 2)), kappa=0.2, coupling=0.1),
    "sine-Gordon 4x2": lambda: SineGordon(Lattice((4, 2)), mass_squared=0.3, alpha=2.0),
    "cosine 2x4": lambda: CosinePotential(Lattice((2, 4)), alpha=2.0),
}
"""Actions on even extents, where every site has two colours."""

ACTIONS: dict[str, Callable[[], AbstractAction]] = {
    **LOCAL_ACTIONS,
    "free 3x5": lambda: FreeField(Lattice((3, 5)), mass_squared=0.7),
    "phi4 3": lambda: PhiFour(Lattice((3,)), mass_squared=-1.0, coupling=2.0),
    "phi4 3x3": lambda: PhiFour(Lattice((3, 3)), mass_squared=-4.0, coupling=6.975),
    "phi4 1x4": lambda: PhiFour(Lattice((1, 4)), mass_squared=-1.0, coupling=2.0),
    "sine-Gordon 3x3": lambda: SineGordon(Lattice((3, 3)), mass_squared=0.3, alpha=0.0),
    "U(1) wilson 3x4": lambda: wilson("U(1)", (3, 4), 1.7),
    "U(1) wilson 3x3, open": lambda: wilson("U(1)", (3, 3), 1.7, open_boundaries=True),
    "SU(2) wilson 2x3, open": lambda: wilson("SU(2)", (2, 3), 2.2, open_boundaries=True),
    "SU(3) wilson 2x2x2x2": lambda: wilson("SU(3)", (2, 2, 2, 2), 5.7),
    "U(1) tree level 3x3x2": lambda: ImprovedAction.luescher_weisz(Lattice((3, 3, 2)), named("U(1)"), beta=1.1),
    "SU(2) iwasaki 3x2": lambda: ImprovedAction.iwasaki(Lattice((3, 2)), named("SU(2)"), beta=0.9),
    "SU(2) rectangles 3x2": lambda: RectangleAction(Lattice((3, 2)), named("SU(2)"), coefficient=-0.3),
    "U(1) wilson + rectangles 3x4": lambda: SummedAction(
        (wilson("U(1)", (3, 4), 1.7), RectangleAction(Lattice((3, 4)), named("U(1)"), coefficient=0.2))
    ),
    "modes on a torus": lambda: TorusModes(THREE_ON_T2, concentration=4.0),
    "correlated angles": lambda: CorrelatedAngles(concentration=4.0),
    "modes on a sphere": lambda: SphereModes(FOUR_ON_S2, concentration=10.0),
    "modes on a sphere of 3 dimensions": lambda: SphereModes(FOUR_ON_S3, concentration=10.0),
    "turned sphere": lambda: TurnedSphere(concentration=2.0),
    "robot arm": lambda: RobotArm(width=0.6),
    "double well": lambda: DoubleWell(tilt=0.5, temperature=2.0),
    "Müller–Brown": MuellerBrown,
    "four particles": lambda: DoubleWellPairs(linear=0.3),
    "Lennard-Jones": lambda: LennardJones(3, 2, epsilon=0.7, radius=0.2),
    "an energy of one's own": lambda: Particles(lambda x: jax.numpy.sum(x**4), n=3, dim=2, mean_free=False),
    "XY 3x4": lambda: spins((3, 4), 2, 1.1),
    "O(3) 2x3x3": lambda: spins((2, 3, 3), 3, 0.9),
    "O(4) 5": lambda: spins((5,), 4, 1.7),
}


def spins(shape: tuple[int, ...], components: int, beta: float) -> SpinModel:
    """Spins of so many components."""
    return SpinModel(Lattice(shape), components=components, beta=beta)


STEIN_FIELDS: dict[str, Callable[[], tuple[AbstractSteinFields, AbstractAction]]] = {
    f"lattice, {name}": lambda name=name: (stein_fields("lattice", ACTIONS[name]()), ACTIONS[name]())
    for name in ("phi4 3", "sine-Gordon 3x3")
} | {"latent, real nvp": lambda: (latent_fields(FLOWS["real nvp dense"]()), ACTIONS["phi4 half 4x2"]())}
"""Velocities with closed divergences, and an action that they correct averages of."""
STEIN_FIELDS["loops, SU(3) 4x4"] = lambda: loop_fields(wilson("SU(3)", (4, 4), 2.5))
STEIN_FIELDS |= {
    f"latent, made for draws, {precision}": lambda precision=precision: (
        latent_fields(cast(_small_flow_of_draws((4, 2)), precision)),
        ACTIONS["phi4 half 4x2"](),
    )
    for precision in ("float64", "float32")
}
STEIN_ROUNDING = {"latent, made for draws, float64": 1e-9, "latent, made for draws, float32": 1e-3}
"""How far divergences may be off where the adjoint equation is integrated, and networks are in float32."""


def loop_fields(action: WilsonAction) -> tuple[AbstractSteinFields, AbstractAction]:
    """Velocities of links, their products with plaquettes of every distance among them, and the action."""
    return family("loops").create(key(70), action.space, {"products": "slices"}), action


def latent_fields(flow: Flow) -> AbstractSteinFields:
    """Velocities in the latent variables of a flow."""
    return LatentFields.of_flow(flow.prior, flow.bijection)


def stein_fields(kind: str, action: AbstractAction) -> AbstractSteinFields:
    """A small family with random weights."""
    return family(kind).create(key(70), action.space, {"contexts": 2, "hidden": 2, "products": 1, "radius": 1})


LINK_ACTIONS: dict[str, Callable[[], AbstractLinkAction]] = {
    "U(1) wilson 2x4": lambda: wilson("U(1)", (2, 4), 1.7),
    "SU(2) wilson 2x4x2, open": lambda: wilson("SU(2)", (2, 4, 2), 2.2, open_boundaries=True),
    "SU(3) wilson 2x2x4": lambda: wilson("SU(3)", (2, 2, 4), 5.7),
    "U(1) tree level 4x4x4": lambda: ImprovedAction.luescher_weisz(Lattice((4, 4, 4)), named("U(1)"), beta=1.1),
    "SU(2) iwasaki 4x8": lambda: ImprovedAction.iwasaki(Lattice((4, 8)), named("SU(2)"), beta=0.9),
}
"""Actions linear in every link, on lattices that their colours fit."""


def wilson(group: str, shape: tuple[int, ...], beta: float, *, open_boundaries: bool = False) -> WilsonAction:
    """Wilson's action by the name of its group."""
    return WilsonAction(Lattice(shape), named(group), beta=beta, open_boundaries=open_boundaries)


def symmetries(action: AbstractAction) -> tuple[AbstractSymmetry, ...]:
    """What generates the symmetries that the action should have."""
    space = action.space
    if isinstance(action, AbstractDirectional):
        return ()
    if isinstance(space, SphereSpace):
        return spin_generators(key(60), space)
    if isinstance(space, EuclideanSpace):
        return particle_generators(key(60), space) if space.mean_free else ()
    if not isinstance(space, GaugeSpace):
        return generators(Lattice(space.shape))
    every = link_generators(key(60), space)
    if isinstance(action, WilsonAction) and action.open_boundaries:
        return tuple(g for g in every if isinstance(g, ChargeConjugation | GaugeTransformation))
    return every


OBSERVABLE_ACTIONS: dict[str, Callable[[], AbstractAction]] = {
    name: ACTIONS[name] for name in ("phi4 4x4", "phi4 3", "free 3x5", "phi4 2x4x2")
}
"""Actions on whose lattices the observables are tested."""


def observables(action: AbstractAction) -> tuple[AbstractObservable, ...]:
    """Every observable there is."""
    return scalar_observables(action)


# Bijections ---------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class BijectionCase:
    """A bijection, its space, the symmetries it claims, and whether it has a derivative at the cold field."""

    bijection: AbstractBijection
    space: AbstractFieldSpace
    symmetries: tuple[AbstractSymmetry, ...] = ()
    smooth_at_cold: bool = True

    def fields(self, stream: jax.Array, n: int = 8) -> jax.Array:
        """Test fields from cold to wide."""
        fields = spread_fields(stream, self.space, n=n)
        # Every fourth one is the cold one: on a sphere the pole of the coordinates.
        return fields if self.smooth_at_cold else fields[jnp.arange(n) % 4 < 3]


def _coupling(shape: tuple[int, ...], parity: int, network: str, stream: int) -> AffineCoupling:
    partition = Partition.of(Lattice(shape).checkerboard(parity=parity))
    if network == "dense":
        conditioner = DenseConditioner(key(stream), partition, hidden=(8, 8), dtype=F64)
    else:
        conditioner = ConvolutionalConditioner(key(stream), partition, hidden=(4,), kernel_size=3, dtype=F64)
    return AffineCoupling(partition, conditioner, bound=2.0)


def _case(shape: tuple[int, ...], bijection: AbstractBijection, *symmetries: AbstractSymmetry) -> BijectionCase:
    return BijectionCase(scrambled(key(99), bijection), ScalarSpace(shape), symmetries)


EVEN_SHIFTS = (Translation((1, 1)), Translation((0, 2)))
"""Translations that keep the colours of a checkerboard."""

Z2_SHIFT = Product((SignFlip(), Translation((1, 1))))
"""And one that inverts the field as well."""

BIJECTIONS: dict[str, Callable[[], BijectionCase]] = {
    "scale": lambda: _case((4, 2), Scale(0.3), Translation((1, 0)), Reflection(0), SignFlip()),
    "affine dense, even": lambda: _case((4, 4), _coupling((4, 4), 0, "dense", 1)),
    "affine dense, odd, 1d": lambda: _case((6,), _coupling((6,), 1, "dense", 2)),
    "affine convolutional": lambda: _case((4, 4), _coupling((4, 4), 0, "convolutional", 3), *EVEN_SHIFTS),
    "affine convolutional, sparse": lambda: _case((36,), _coupling((36,), 0, "convolutional", 6), Translation((2,))),
    "inverse of affine": lambda: _case((4, 2), Inverse(_coupling((4, 2), 0, "dense", 5))),
    "empty chain": lambda: _case((3,), Chain(())),
    "real nvp dense": lambda: _case((4, 4), _real_nvp((4, 4), "dense").bijection),
    "real nvp convolutional": lambda: _case((4, 4), _real_nvp((4, 4), "convolutional").bijection, *EVEN_SHIFTS),
    "real nvp dense, float32 cast": lambda: _case((4, 2), cast(_real_nvp((4, 2), "dense", F32), F64).bijection),
    "real nvp dense, z2": lambda: _case((4, 2), _z2_real_nvp("dense").bijection, SignFlip()),
    "real nvp convolutional, z2": lambda: _case((4, 2), _z2_real_nvp("convolutional").bijection, SignFlip(), Z2_SHIFT),
    "spline dense, bounded slopes": lambda: _case((4, 2), _spline("dense", slopes="bounded").bijection),
    "spline dense, odd bins": lambda: _case((4, 2), _spline("dense", n_bins=5).bijection),
    "spline convolutional, z2": lambda: _case((4, 2), _spline(z2=True).bijection, SignFlip(), Z2_SHIFT),
    "multiscale": lambda: _case((4, 4), _multiscale((4, 4)).bijection, Translation((2, 2))),
    "multiscale on odd extents, z2": lambda: _case((6, 2), _multiscale((6, 2), z2=True).bijection, SignFlip()),
    "multiscale, 1d": lambda: _case((8,), _multiscale((8,)).bijection),
    "real nvp dense, 3d": lambda: _case((2, 2, 2), _real_nvp((2, 2, 2), "dense").bijection),
}


def _continuous(shape: tuple[int, ...], n_steps: int = 24) -> Flow:
    return continuous_flow(
        key(13),
        Lattice(shape),
        n_contexts=2,
        n_features=2,
        n_hidden=3,
        n_times=2,
        radius=1,
        n_steps=n_steps,
        scheme="rk8",
        dtype=F64,
    )


def _small_flow_of_draws(shape: tuple[int, ...]) -> Flow:
    small = {"n_contexts": 1, "n_features": 1, "n_hidden": 2, "n_times": 2, "radius": 1}
    flow = continuous_flow(key(13), Lattice(shape), n_steps=16, scheme="rk8", dtype=F64, **small)
    return Flow(flow.prior, of_draws(scrambled(key(14), flow.bijection)))


BIJECTIONS |= {
    "continuous": lambda: _case(
        (3, 3), _continuous((3, 3)).bijection, Translation((1, 0)), Rotation((0, 1)), Reflection(0), SignFlip()
    ),
    "continuous, made for draws": lambda: _case(
        (3, 3), of_draws(_continuous((3, 3)).bijection), Translation((1, 0)), Rotation((0, 1)), Reflection(0)
    ),
    "continuous, 1d": lambda: _case((4,), _continuous((4,)).bijection, Translation((1,)), SignFlip()),
    "conditional, lower end": lambda: _at_coupling((3, 3), 5.0),
    "conditional, inside": lambda: _at_coupling((3, 3), 6.4),
    "identity of SU(2) links": lambda: _link_case("SU(2)", (2, 2), Identity()),
    "plaquettes along 0": lambda: _link_case("U(1)", (3, 4), _plaquettes((3, 4), 0), LinkTranslation((1, 0))),
    "plaquettes along 1": lambda: _link_case("U(1)", (8, 2), _plaquettes((8, 2), 1), LinkTranslation((4, 1))),
    "doubling of U(1)": lambda: _link_case("U(1)", (4, 2), u1_doubling((4, 2), 3)),
    "doubling of U(1), one level": lambda: _link_case("U(1)", (6, 1), u1_doubling((6, 1), 1), LinkTranslation((2, 0))),
    "doubling of U(1), open": lambda: _link_case("U(1)", (4, 4), u1_doubling((4, 4), 4, open_boundaries=True)),
    "doubling of U(1), inside a range": lambda: _link_case("U(1)", (4, 2), _u1_range((4, 2)).at(2.3).bijection),
    "doubling of SU(2)": lambda: _link_case("SU(2)", (2, 2), _su2_doubling((2, 2))),
    "doubling of SU(2), open": lambda: _link_case("SU(2)", (2, 2), _su2_doubling((2, 2), open_boundaries=True)),
    "loops of U(1)": lambda: _loops("U(1)", (3, 3)),
    "plaquettes that keep the charge": lambda: _link_case(
        "U(1)", (2, 4), villain_of((2, 4)).bijection, LinkTranslation((1, 1))
    ),
    "loops of SU(2)": lambda: _loops("SU(2)", (3, 2)),
    "couplings of U(1) links, 3d": lambda: _stripes_case("U(1)", (2, 2, 2), link_coupling_flow, (1, 1, 1), n_terms=2),
    "couplings of SU(2) links": lambda: _stripes_case("SU(2)", (2, 2), link_coupling_flow, (2, 0), n_terms=2),
    "multiscale flow of U(1) links": lambda: _multiscale_links(),
    "filling of U(1) links, 3d": lambda: _filling("U(1)", (4, 4, 4), (2, 0, 0)),
    "filling of SU(2) links": lambda: _filling("SU(2)", (4, 4), (2, 0)),
    "stout steps of U(1) links": lambda: _stripes_case("U(1)", (2, 4), stout_flow, (0, 2)),
    "u1 plaquette flow": lambda: _link_case("U(1)", (4, 4), _u1_plaquette_flow().bijection),
    "conditionals of a robot arm": lambda: BijectionCase(_arm().bijection, TorusSpace((3,))),
    "autoregression of angles": lambda: _autoregression(TorusSpace((3,))),
    "autoregression of wound angles by centres": lambda: _autoregression(
        TorusSpace((3,)), circle_map="moebius", windings=((), (-1,), (0, 2))
    ),
    "exponential maps of a unit vector": lambda: _bumps(2),
    "exponential maps of a unit vector of 4 components": lambda: _bumps(3),
    "splines of angles": lambda: _circles(UnitSpline(4, circle=True)),
    "projections of angles": lambda: _circles(ProjectionMixture(3, moebius=False)),
    "centres of angles": lambda: _circles(ProjectionMixture(3, moebius=True)),
    "autoregression of a unit vector": lambda: _autoregression(SphereSpace(2)),
    "autoregression of a unit vector of 4 components": lambda: _autoregression(SphereSpace(3)),
    "autoregression of a unit vector of 6 components": lambda: _autoregression(SphereSpace(5)),
}


def _arm() -> Flow:
    action = RobotArm((0.3, 0.4, 0.3), ((0.6, 0.2), (-0.5, 0.4)), width=0.8, concentration=0.3)
    return arm_flow(action, angles=24, spacing=0.2)


def _autoregressive(space: AbstractFieldSpace, **options: Any) -> Flow:
    return autoregressive_flow(key(25), space, bins=4, hidden=(6, 6), order=2, **options)


def _bumps(dimension: int) -> BijectionCase:
    space = SphereSpace(dimension)
    plain = ExponentialMapSum.untrained(key(97), space, 3)
    # shares of .2 each
    loud = eqx.tree_at(lambda each: each.logits, plain, jnp.asarray([0.0, 0.0, 0.0, 0.7]))
    return BijectionCase(scrambled(key(97), loud), space)


def _circles(family: AbstractUnitMap) -> BijectionCase:
    space = TorusSpace((2, 2))
    plain = CircleMap(family, jnp.zeros((family.n_numbers, *space.shape)), jnp.zeros(space.shape))
    return BijectionCase(scrambled(key(98), plain, scale=1.0), space)


def _autoregression(space: AbstractFieldSpace, **options: Any) -> BijectionCase:
    bijection = scrambled(key(99), _autoregressive(space, **options).bijection)
    return BijectionCase(bijection, space, smooth_at_cold=isinstance(space, TorusSpace))


def _link_case(
    group: str, shape: tuple[int, ...], bijection: AbstractBijection, *symmetries: AbstractSymmetry
) -> BijectionCase:
    """A bijection of links, which claims to commute with gauge transformations and charge conjugation."""
    space = gauge_space(group, shape)
    gauge = (random_gauge_transformation(key(61), space), ChargeConjugation(space.group))
    return BijectionCase(scrambled(key(99), bijection), space, (*gauge, *symmetries))


def _stripes_case(
    group: str, shape: tuple[int, ...], make: Callable[..., Flow], shift: tuple[int, ...], **sizes: int
) -> BijectionCase:
    """Layers on stripes that move every link once."""
    n, bins = 2 * len(shape), {"n_bins": 4} if sizes else {}
    flow = make(key(23), Lattice(shape), named(group), n_layers=n, width=4, dtype="float64", **bins, **sizes)
    return _link_case(group, shape, flow.bijection, LinkTranslation(shift))


def multiscale_links(group: str, shape: tuple[int, ...], beta: float = 1.0, **sizes: int) -> Flow:
    """A small multiscale flow of links."""
    small = {"n_coarse": 0, "n_fine": 0, "width": 4, "n_bins": 4, "n_terms": 2, "dtype": "float64"}
    return multiscale_link_flow(key(25), Lattice(shape), named(group), beta, **{**small, **sizes})


def _multiscale_links() -> BijectionCase:
    """Links of both directions doubled, then one coupling of fine links."""
    flow = multiscale_links("U(1)", (4, 4), n_fine=1, reach=1)
    return _link_case("U(1)", (4, 4), flow.bijection, LinkTranslation((2, 2)))


def _filling(group: str, shape: tuple[int, ...], shift: tuple[int, ...]) -> BijectionCase:
    """The layers that fill in new links of the first doubling, whose staples become known one after another."""
    filling = multiscale_links(group, shape).bijection.fillings[0]
    return _link_case(group, filling.stripes[0].lattice.shape, filling, LinkTranslation(shift))


def loop_flow(group: str, shape: tuple[int, ...], n_steps: int, *, scale: float = 0.3, order: int = 3) -> Flow:
    """A continuous flow of links along loops and their products, accurate to rounding with a dozen steps."""
    kinds = {"beta": 0.5, "order": order, "n_steps": n_steps, "scheme": "rk8"}
    plain = continuous_link_flow(key(21), Lattice(shape), named(group), **kinds)
    return scrambled(key(22), plain, scale=scale)


def _loops(group: str, shape: tuple[int, ...]) -> BijectionCase:
    space = gauge_space(group, shape)
    symmetries = (random_gauge_transformation(key(61), space), ChargeConjugation(space.group), LinkTranslation((1, 0)))
    return BijectionCase(loop_flow(group, shape, n_steps=12, order=4).bijection, space, symmetries)


def villain_of(shape: tuple[int, ...]) -> Flow:
    """Villain links moved by two harmonics of their plaquettes, for each itself and against its neighbours."""
    kinds = {"n_harmonics": 2, "n_powers": 2, "n_times": 2, "n_steps": 12, "scheme": "rk8"}
    return scrambled(key(25), villain_flow(key(24), Lattice(shape), beta=0.5, **kinds), scale=0.1)


def _plaquettes(shape: tuple[int, ...], mu: int) -> PlaquetteCoupling:
    return PlaquetteCoupling.untrained(Lattice(shape), mu=mu, offset=1)


def u1_doubling(shape: tuple[int, ...], n_levels: int, *, open_boundaries: bool = False) -> Doubling:
    splits = U1Split(0.1 * jax.random.normal(key(21), (n_levels, 3)), 3)
    return Doubling(splits, U1(), Hierarchy(Lattice(shape), n_levels), open_boundaries)


def _u1_range(shape: tuple[int, ...]) -> ConditionalFlow:
    """Doubling flows for β from 1 to 5 that start as the heat bath of three values between."""
    flat = Flow(HaarPrior(gauge_space("U(1)", shape)), u1_doubling(shape, 3))
    ends = {"lower": 1.0, "upper": 5.0, "order": 2, "parameter": "beta"}
    return interpolated(lambda beta: at_heat_bath(flat, beta), **ends)


def _su2_doubling(shape: tuple[int, ...], *, open_boundaries: bool = False) -> Doubling:
    n = len(halvings(Lattice(shape)))
    splits = SU2Split(jnp.broadcast_to(jnp.asarray([1.5, 0.3, 0.2]), (n, 3)), 4)
    return Doubling(splits, SU(2), Hierarchy(Lattice(shape), n), open_boundaries)


def _u1_plaquette_flow() -> Flow:
    return u1_plaquette_flow(key(19), Lattice((4, 4)), n_layers=8)


def conditional_flow(shape: tuple[int, ...], n_steps: int = 24, scale: float = 0.1) -> ConditionalFlow:
    """A continuous flow for couplings from 5 to 7 whose weights differ from one coupling to the next."""
    flat = conditioned(_continuous(shape, n_steps), lower=5.0, upper=7.0, order=2)
    return scrambled(key(18), flat, scale=scale)


def _at_coupling(shape: tuple[int, ...], coupling: float) -> BijectionCase:
    bijection = conditional_flow(shape, scale=0.3).at(coupling).bijection
    return BijectionCase(bijection, ScalarSpace(shape), (Translation((1, 0)), Rotation((0, 1)), SignFlip()))


def spin_flow(shape: tuple[int, ...], components: int, n_steps: int = 8) -> Flow:
    """Sums of spins with random weights."""
    flow = continuous_spin_flow(
        key(28), Lattice(shape), components, radius=2, degree=1, n_times=2, n_steps=n_steps, scheme="rk8"
    )
    return scrambled(key(29), flow, scale=0.04)


def _spin_case_of_flow(shape: tuple[int, ...], components: int) -> BijectionCase:
    flow = spin_flow(shape, components)
    return BijectionCase(flow.bijection, flow.space, spin_generators(key(60), flow.space))


def particle_flow(n: int, dim: int, *, width: float = 1.2, n_steps: int = 4) -> Flow:
    """Particles along random many-body potentials."""
    space = EuclideanSpace((n, dim), mean_free=True)
    sizes = {"n_local": 1, "n_total": 1, "n_bells": 3, "n_times": 2, "n_steps": n_steps}
    return scrambled(key(31), pair_flow(key(30), space, width=width, **sizes, scheme="rk8"), scale=0.1)


def _particle_case(n: int, dim: int) -> BijectionCase:
    flow = particle_flow(n, dim)
    return BijectionCase(flow.bijection, flow.space, particle_generators(key(60), flow.space))


BIJECTIONS["many-body potentials of 3 particles"] = lambda: _particle_case(3, 3)


def _levels(shape: tuple[int, int], components: int) -> Flow:
    """Spins drawn stage by stage about fields with random weights."""
    flow = spin_levels_flow(key(33), Lattice(shape), components, beta=0.5, neighbours=6, near=4, width=4)
    return scrambled(key(34), flow, scale=0.2)


def _levels_case(shape: tuple[int, int], components: int) -> BijectionCase:
    flow = _levels(shape, components)
    turns = spin_generators(key(60), flow.space)[-2:]
    return BijectionCase(flow.bijection, flow.space, turns, smooth_at_cold=False)


BIJECTIONS["levels of XY spins"] = lambda: _levels_case((4, 4), 2)
BIJECTIONS["levels of O(3) spins"] = lambda: _levels_case((2, 6), 3)
BIJECTIONS["levels of O(4) spins"] = lambda: _levels_case((3, 3), 4)
BIJECTIONS["sums of XY spins"] = lambda: _spin_case_of_flow((3, 3), 2)
BIJECTIONS["sums of O(3) spins"] = lambda: _spin_case_of_flow((2, 3), 3)


# Distributions and flows --------------------------------------------------------------------------------------------


def _real_nvp(shape: tuple[int, ...], network: str, dtype: jnp.dtype = F64, width: int = 6) -> Flow:
    return real_nvp(
        key(7),
        Lattice(shape),
        n_layers=4,
        network=network,
        hidden=(width,),
        kernel_size=3,
        log_scale_bound=1.0,
        dtype=dtype,
    )


def _z2_real_nvp(network: str) -> Flow:
    return real_nvp(
        key(7), Lattice((4, 2)), n_layers=2, network=network, hidden=(6,), kernel_size=3, z2=True, dtype="float64"
    )


def _spline(network: str = "convolutional", *, n_bins: int = 4, z2: bool = False, slopes: str = "unbounded") -> Flow:
    networks = Networks(network=network, hidden=(6,), kernel_size=3, z2=z2, dtype="float64")
    return rational_quadratic_spline(
        key(13),
        Lattice((4, 2)),
        n_layers=2,
        n_splines=2,
        n_bins=n_bins,
        half_width=3.0,
        slopes=slopes,
        networks=networks,
    )


def _multiscale(shape: tuple[int, ...], *, z2: bool = False) -> Flow:
    networks = Networks(hidden=(6,), kernel_size=3, z2=z2, dtype="float64")
    return multiscale(key(14), Lattice(shape), n_coarse=2, n_fine=2, log_scale_bound=1.0, networks=networks)


def two_site_flow() -> Flow:
    """Both sites transformed, each reading the other."""
    return scrambled(key(11), _real_nvp((2,), "dense"))


@functools.cache
def trained_flow() -> Flow:
    """A flow trained on φ⁴ 2×2 for a thousand steps."""
    optimiser = adam(optax.exponential_decay(0.02, 200, 0.5))
    flow = _real_nvp((2, 2), "dense", width=16)
    state, _ = run_steps(
        TrainingState.start(flow, optimiser),
        key(12),
        jnp.asarray(1000),
        action=phi_four_2x2(),
        loss=ReverseKL(batch_size=128),
        optimiser=optimiser,
    )
    return state.flow


FLOWS: dict[str, Callable[[], Flow]] = {
    "scaled normal": lambda: Flow(Normal((2, 2)), Scale(-0.4)),
    "real nvp dense": lambda: scrambled(key(8), _real_nvp((4, 2), "dense"), scale=0.2),
    "real nvp convolutional": lambda: scrambled(key(9), _real_nvp((4, 2), "convolutional"), scale=0.2),
    "continuous": lambda: scrambled(key(16), _continuous((2, 2), n_steps=12), scale=0.2),
    "conditional, lower end": lambda: conditional_flow((2, 2), n_steps=12).at(5.0),
    "conditional, inside": lambda: conditional_flow((2, 2), n_steps=12).at(6.4),
    "real nvp, z2": lambda: scrambled(key(15), _z2_real_nvp("convolutional"), scale=0.2),
    "spline": lambda: scrambled(key(16), _spline(), scale=0.1),
    "multiscale": lambda: scrambled(key(17), _multiscale((4, 2)), scale=0.2),
    "trained real nvp": trained_flow,
    "u1 doubling": lambda: scrambled(
        key(22), Flow(HaarPrior(gauge_space("U(1)", (2, 2))), u1_doubling((2, 2), 2)), scale=0.2
    ),
    "u1 plaquettes": lambda: scrambled(key(20), _u1_plaquette_flow(), scale=0.05),
    "loops of U(1)": lambda: loop_flow("U(1)", (2, 2), n_steps=12),
    "villain links": lambda: villain_of((2, 3)),
    "couplings of U(1) links": lambda: scrambled(
        key(24),
        link_coupling_flow(key(23), Lattice((2, 2)), U1(), n_layers=4, width=4, n_bins=4, n_terms=2, dtype=F64),
        scale=0.2,
    ),
    "multiscale flow of U(1) links": lambda: scrambled(key(27), multiscale_links("U(1)", (4, 4), beta=0.1), scale=0.1),
    "identity of SU(2) links": lambda: Flow(HaarPrior(gauge_space("SU(2)", (2, 2))), Identity()),
    "robot arm": _arm,
    "autoregressive angles": lambda: scrambled(key(26), _autoregressive(TorusSpace((2, 2))), scale=0.2),
    "autoregressive unit vector": lambda: scrambled(key(26), _autoregressive(SphereSpace(2)), scale=0.2),
    "autoregressive unit vector of 4 components": lambda: scrambled(
        key(26), _autoregressive(SphereSpace(3)), scale=0.2
    ),
}

FLOWS["levels of spins"] = lambda: _levels((2, 2), 3)

FLOWS["sums of spins"] = lambda: spin_flow((2, 2), 3, n_steps=3)

FLOWS["pairs of particles"] = lambda: particle_flow(3, 2, n_steps=2)

DISTRIBUTIONS: dict[str, Callable[[], AbstractDistribution]] = {
    "normal particles": lambda: IsotropicNormal.of_width(EuclideanSpace((3, 2), mean_free=True), 1.3),
    "normal": lambda: Normal((2, 3)),
    "free field": lambda: scrambled(key(17), FreeFieldPrior.of_mass(Lattice((2, 3)), mass_squared=0.6), scale=0.2),
    "haar U(1)": lambda: HaarPrior(gauge_space("U(1)", (2, 3))),
    "villain": lambda: VillainPrior.of_beta(gauge_space("U(1)", (2, 3)), 0.5),
    "haar SU(2)": lambda: HaarPrior(gauge_space("SU(2)", (2, 2))),
    "uniform angles": lambda: HaarPrior(TorusSpace((2, 3))),
    "uniform unit vectors": lambda: HaarPrior(SphereSpace(2, (2,))),
    "uniform unit vector of 6 components": lambda: HaarPrior(SphereSpace(5)),
    "z2 mixture": lambda: Z2Mixture(scrambled(key(8), _real_nvp((4, 2), "dense"), scale=0.2)),
    **FLOWS,
}

LOG_WIDTHS = {
    "free field": -1.55,
    "continuous": -1.5,
    "conditional, lower end": -1.5,
    "conditional, inside": -1.5,
    "real nvp convolutional": -0.6,
    "trained real nvp": -1.5,
}
"""Logarithm of the width of a normal density inside the one of that name; -0.3 for the others of real fields."""

# Weighted samplers --------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class WeightedCase:
    """A weighted sampler with its density, its target, the exact log Z, and the draws that pin it to 1e-3."""

    sampler: AbstractWeightedSampler
    density: AbstractDistribution
    action: AbstractAction
    log_z: float
    n: int


def _weighted(flow: Flow, action: AbstractAction, log_z: float, n: int) -> WeightedCase:
    return WeightedCase(FlowSampler(flow, action), flow, action, log_z, n)


COUPLING = 8.0
RING_2X2 = functools.cache(lambda: exact.phi_four_2x2(mass_squared=-4.0, coupling=COUPLING))
RING_3 = functools.cache(lambda: exact.phi_four_chain(3, mass_squared=-1.0, coupling=2.0))


def phi_four_2x2() -> PhiFour:
    """The interacting target whose every correlation is known."""
    return PhiFour(Lattice((2, 2)), mass_squared=-4.0, coupling=COUPLING)


def _widened(flow: Flow, log_scale: float) -> Flow:
    """A little wider than the target, so that the tails are drawn often enough to pin the mean weight."""
    return Flow(flow.prior, Chain((flow.bijection, Scale(log_scale))))


WEIGHTED: dict[str, Callable[[], WeightedCase]] = {
    "trained real nvp on phi4 2x2": lambda: _weighted(
        _widened(trained_flow(), 0.15), phi_four_2x2(), RING_2X2().log_z, 1_000_000
    ),
    "scaled normal on free 4x2": lambda: _weighted(
        Flow(Normal((4, 2)), Scale(-1.25)),
        FreeField(Lattice((4, 2)), mass_squared=4.0),
        exact.free_log_z(Lattice((4, 2)), mass_squared=4.0),
        1_000_000,
    ),
}

# Kernels ------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class KernelCase:
    """A kernel whose target has exact expectation values, and how long its chains must be."""

    kernel: AbstractKernel
    shape: tuple[int, ...]
    exact: dict[str, float]
    n_records: int = 150
    warmup: int = 50
    thin: int = 1


def _ring_values(ring: exact.RingMoments) -> dict[str, float]:
    return {"phi_squared": ring.phi_squared, "neighbour": ring.neighbour, "susceptibility": ring.susceptibility}


def _free_values(lattice: Lattice, mass_squared: float) -> dict[str, float]:
    g = exact.free_propagator(lattice, mass_squared=mass_squared)
    return {
        "phi_squared": float(g.flat[0]),
        "neighbour": float(g[..., 1].flat[0]),
        "susceptibility": exact.free_susceptibility(mass_squared=mass_squared),
    }


def hmc(action: AbstractAction, scheme: str, step_size: float, n_steps: int) -> HMC:
    """An HMC kernel by the name of its scheme."""
    return HMC(action, SCHEMES[scheme], step_size=step_size, n_steps=n_steps)


NESTED: dict[str, Nested] = {
    "leapfrog / leapfrog": Nested((Level(LEAPFROG, terms=(0,)), Level(LEAPFROG, 3, terms=(1,)))),
    "omf2 / leapfrog, exchanged": Nested((Level(OMF2, terms=(1,)), Level(LEAPFROG, 2, terms=(0,)))),
    "force-gradient / force-gradient": Nested(
        (Level(FORCE_GRADIENT, terms=(0,)), Level(FORCE_GRADIENT, 2, terms=(1,)))
    ),
}
"""Time scales of actions with two terms."""


def resonant(jitter: float) -> HMC:
    """Trajectories of half a period of the constant mode, which would only change its sign."""
    mass_squared = 1.0
    length = math.pi / math.sqrt(2 * mass_squared)
    action = FreeField(Lattice((2, 2)), mass_squared=mass_squared)
    return HMC(action, SCHEMES["omf4"], step_size=length / 4, n_steps=4, jitter=jitter)


def _independence(case: WeightedCase) -> IndependenceSampler:
    return IndependenceSampler(case.sampler, lambda x: -case.action(x) - case.density.log_prob(x))


def _hmc_2x2(scheme: str, step_size: float, n_steps: int) -> KernelCase:
    return KernelCase(hmc(phi_four_2x2(), scheme, step_size, n_steps), (2, 2), _ring_values(RING_2X2()))


KERNELS: dict[str, Callable[[], KernelCase]] = {
    "hmc leapfrog": lambda: _hmc_2x2("leapfrog", 0.15, 4),
    "hmc omf2": lambda: _hmc_2x2("omf2", 0.2, 3),
    "hmc omf4": lambda: _hmc_2x2("omf4", 0.3, 2),
    "hmc force-gradient": lambda: _hmc_2x2("force-gradient", 0.3, 2),
    "hmc nested": lambda: KernelCase(
        HMC(phi_four_2x2(), NESTED["leapfrog / leapfrog"], step_size=0.2, n_steps=3), (2, 2), _ring_values(RING_2X2())
    ),
    "hmc on odd chain": lambda: KernelCase(
        hmc(PhiFour(Lattice((3,)), mass_squared=-1.0, coupling=2.0), "leapfrog", 0.25, 4), (3,), _ring_values(RING_3())
    ),
    "hmc on free field": lambda: KernelCase(
        hmc(FreeField(Lattice((4, 3)), mass_squared=0.7), "leapfrog", 0.3, 4),
        (4, 3),
        _free_values(Lattice((4, 3)), 0.7),
    ),
    "hmc with jitter": lambda: KernelCase(resonant(0.3), (2, 2), _free_values(Lattice((2, 2)), 1.0)),
    "local on phi4": lambda: KernelCase(
        LocalMetropolis(phi_four_2x2(), width=0.9), (2, 2), _ring_values(RING_2X2()), n_records=400
    ),
    "cluster on phi4": lambda: KernelCase(
        WolffMetropolis(phi_four_2x2(), width=0.9), (2, 2), _ring_values(RING_2X2()), n_records=300
    ),
    "cluster on free field": lambda: KernelCase(
        WolffMetropolis(FreeField(Lattice((4, 2)), mass_squared=0.7), width=0.9, n_sweeps=2, n_clusters=2),
        (4, 2),
        _free_values(Lattice((4, 2)), 0.7),
        n_records=300,
    ),
    "local on free field": lambda: KernelCase(
        LocalMetropolis(FreeField(Lattice((4, 2)), mass_squared=0.7), width=0.9),
        (4, 2),
        _free_values(Lattice((4, 2)), 0.7),
        n_records=400,
    ),
    "independence": lambda: KernelCase(
        _independence(WEIGHTED["trained real nvp on phi4 2x2"]()), (2, 2), _ring_values(RING_2X2()), n_records=400
    ),
}


def _torus_values(group: str, shape: tuple[int, int], beta: float) -> dict[str, float]:
    volume = math.prod(shape)
    if group == "U(1)":
        values = {
            "plaquette": exact_gauge.u1_wilson_loop(beta, volume=volume),
            "loop 1x2": exact_gauge.u1_wilson_loop(beta, volume=volume, area=2),
            "charge squared": exact_gauge.u1_charge_squared(beta, volume=volume),
        }
    else:
        n = named(group).n
        values = {
            name: exact_gauge.sun_wilson_loop(n, beta, volume=volume, area=area)
            for name, area in (("plaquette", 1), ("loop 1x2", 2))
        }
    return values if shape[1] > 2 else {name: v for name, v in values.items() if name != "loop 1x2"}


def _torus(
    group: str, shape: tuple[int, int], beta: float, make: Callable[[WilsonAction], AbstractKernel], n_records: int
) -> KernelCase:
    return KernelCase(make(wilson(group, shape, beta)), shape, _torus_values(group, shape, beta), n_records=n_records)


def _in_two_parts(action: WilsonAction) -> HMC:
    """A third of the action outside, the rest inside."""
    lattice, group = action.space.lattice, action.space.group
    parts = tuple(WilsonAction(lattice, group, beta=share * action.beta) for share in (1 / 3, 2 / 3))
    return HMC(SummedAction(parts), NESTED["leapfrog / leapfrog"], step_size=0.5, n_steps=3)


GAUGE_KERNELS: dict[str, Callable[[], KernelCase]] = {
    "U(1) leapfrog": lambda: _torus("U(1)", (3, 4), 1.5, lambda a: hmc(a, "leapfrog", 0.3, 5), 400),
    "SU(2) leapfrog": lambda: _torus("SU(2)", (2, 3), 2.2, lambda a: hmc(a, "leapfrog", 0.25, 4), 150),
    "SU(3) omf2": lambda: _torus("SU(3)", (2, 2), 5.0, lambda a: hmc(a, "omf2", 0.3, 3), 150),
    "SU(2) force-gradient": lambda: _torus("SU(2)", (2, 3), 2.2, lambda a: hmc(a, "force-gradient", 0.5, 2), 150),
    "U(1) nested": lambda: _torus("U(1)", (3, 4), 1.5, _in_two_parts, 400),
}
"""HMC on tori of two dimensions, whose loops are known."""

LINK_KERNELS: dict[str, Callable[[], KernelCase]] = {
    "U(1) heat bath": lambda: _torus("U(1)", (2, 4), 1.5, HeatBath, 200),
    "U(1) metropolis": lambda: _torus("U(1)", (2, 4), 1.5, lambda a: LinkMetropolis(a, width=1.5), 300),
    "SU(2) metropolis": lambda: _torus("SU(2)", (4, 2), 2.2, lambda a: LinkMetropolis(a, width=1.2), 300),
    "SU(3) metropolis": lambda: _torus("SU(3)", (2, 4), 5.0, lambda a: LinkMetropolis(a, width=0.9), 300),
}
"""Updates link by link on such tori."""


def _open(group: str, beta: float) -> WilsonAction:
    return wilson(group, (4, 6), beta, open_boundaries=True)


def _open_kernels(action: WilsonAction, *, width: float, step_size: float) -> dict[str, AbstractKernel]:
    return {
        "heat bath": HeatBath(action),
        "metropolis": LinkMetropolis(action, width=width),
        "leapfrog": hmc(action, "leapfrog", step_size, 2),
    }


OPEN_KERNELS: dict[str, Callable[[], dict[str, AbstractKernel]]] = {
    "U(1)": lambda: _open_kernels(_open("U(1)", 1.5), width=2.0, step_size=0.7),
    "SU(2)": lambda: _open_kernels(_open("SU(2)", 2.2), width=1.5, step_size=0.6),
    "SU(3)": lambda: _open_kernels(_open("SU(3)", 3.0), width=1.0, step_size=0.6),
}
"""Kernels with open boundaries, where their target is drawn exactly; steps so long that much is rejected."""


def _spin_case(action: SpinModel, kernel: AbstractKernel, n_records: int) -> KernelCase:
    """Exact values of rings, of 2×2 sites, and of strips of the XY model."""
    shape, n, beta = action.lattice.shape, action.components, float(action.beta)
    if len(shape) == 1:
        found = exact_spins.ring(shape[0], components=n, beta=beta)
    elif n == 2:
        found = exact_spins.xy_strip(*shape, beta=beta)
    else:
        found = exact_spins.two_by_two(components=n, beta=beta)
    names = ("spin_product", "susceptibility", "structure")
    return KernelCase(kernel, shape, {name: getattr(found, name) for name in names}, n_records=n_records)


SPIN_KERNELS: dict[str, Callable[[], KernelCase]] = {
    "XY heat bath": lambda: _spin_case(a := spins((2, 4), 2, 0.8), SpinHeatBath(a, n_overrelaxation=1), 150),
    "O(3) heat bath": lambda: _spin_case(a := spins((2, 2), 3, 1.0), SpinHeatBath(a, n_overrelaxation=1), 150),
    "O(4) heat bath": lambda: _spin_case(a := spins((2, 2), 4, 1.4), SpinHeatBath(a), 150),
    "XY clusters": lambda: _spin_case(a := spins((2, 3), 2, 0.8), SpinClusters(a, n_clusters=2), 150),
    "O(5) clusters": lambda: _spin_case(a := spins((5,), 5, 2.0), SpinClusters(a, n_clusters=2), 150),
    "O(3) clusters and sweeps": lambda: _spin_case(a := spins((2, 2), 3, 1.0), SpinClusters(a, n_sweeps=1), 100),
    "O(3) leapfrog": lambda: _spin_case(a := spins((3,), 3, 1.5), hmc(a, "leapfrog", 0.3, 5), 100),
}
"""Kernels of spins where everything is known."""
