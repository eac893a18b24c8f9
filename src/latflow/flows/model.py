"""What a trained model is: weights, and a specification from which the flow they belong to is built.

The specification stands in the header of the model. It needs no study and no theory: the kind of the flow with its
sizes, the space of the fields, the range of a conditional flow, the precision of the weights and the integration.
"""

import functools
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import equinox as eqx
from pydantic import Field, ValidationError

from latflow._typing import PRNGKey
from latflow.bijections.ode.runge_kutta import SCHEMES
from latflow.errors import ConfigError
from latflow.fields.compact import SphereSpace, TorusSpace
from latflow.fields.euclidean import EuclideanSpace
from latflow.fields.spaces import AbstractFieldSpace, GaugeSpace, ScalarSpace
from latflow.flows.architectures import cast
from latflow.flows.conditional import FlowModel, conditioned
from latflow.flows.continuous import with_integrator
from latflow.flows.mixture import TrainableFlow, Z2Mixture
from latflow.flows.tables import GROUP, AbstractFlowTable, flow_tables
from latflow.groups.names import named
from latflow.lattice import Lattice
from latflow.randomness import root_key
from latflow.store.records import FormatError
from latflow.tables import AbstractSection, Extent, List

_FlowT = TypeVar("_FlowT", bound=eqx.Module)

Shape: TypeAlias = Annotated[List[Extent], Field(min_length=1, max_length=6)]


class ScalarFields(AbstractSection):
    """Real scalar fields.

    Attributes:
        shape: Sites along each direction.
    """

    fields: Literal["scalar"] = "scalar"
    shape: Shape

    def build(self) -> AbstractFieldSpace:
        """The space itself."""
        return ScalarSpace(self.shape)


class LinkFields(AbstractSection):
    """Elements of a group on links.

    Attributes:
        group: "U(1)" or "SU(N)".
        shape: Sites along each direction.
    """

    fields: Literal["links"] = "links"
    group: str
    shape: Shape

    def build(self) -> AbstractFieldSpace:
        """The space itself."""
        return GaugeSpace(Lattice(self.shape), named(self.group))


class AngleFields(AbstractSection):
    """Angles on a torus.

    Attributes:
        shape: Of the array of angles.
    """

    fields: Literal["angles"] = "angles"
    shape: Shape

    def build(self) -> AbstractFieldSpace:
        """The space itself."""
        return TorusSpace(self.shape)


class VectorFields(AbstractSection):
    """Unit vectors, one or one per site.

    Attributes:
        dimension: D of the sphere.
        sites: Extents; none for one vector.
    """

    fields: Literal["vectors"] = "vectors"
    dimension: Annotated[int, Field(ge=1, le=4096)]
    sites: Annotated[List[Extent], Field(max_length=6)] = ()

    def build(self) -> AbstractFieldSpace:
        """The space itself."""
        return SphereSpace(self.dimension, self.sites)


class PointFields(AbstractSection):
    """A point of Euclidean space.

    Attributes:
        dimension: Of the space.
    """

    fields: Literal["points"] = "points"
    dimension: Extent

    def build(self) -> AbstractFieldSpace:
        """The space itself."""
        return EuclideanSpace((self.dimension,))


class ParticleFields(AbstractSection):
    """Particles in Euclidean space.

    Attributes:
        particles: How many.
        dimension: Of the space.
        mean_free: Whether their mean stays zero.
    """

    fields: Literal["particles"] = "particles"
    particles: Extent
    dimension: Extent
    mean_free: bool = True

    def build(self) -> AbstractFieldSpace:
        """The space itself."""
        return EuclideanSpace((self.particles, self.dimension), mean_free=self.mean_free)


Fields: TypeAlias = ScalarFields | LinkFields | AngleFields | VectorFields | PointFields | ParticleFields


class ParameterRange(AbstractSection):
    """What a conditional flow depends on, in the normalisation of the action class.

    Attributes:
        parameter: Name of the parameter.
        lower: Lower end of the range.
        upper: Upper end.
        order: Degree of the weights as polynomials in the logarithm of the parameter.
    """

    parameter: str
    lower: Annotated[float, Field(gt=0)]
    upper: Annotated[float, Field(gt=0)]
    order: Annotated[int, Field(ge=1, le=64)]


class Integration(AbstractSection):
    """How production draws integrate a continuous flow.

    Attributes:
        scheme: Name of the scheme, see `latflow.bijections.ode.runge_kutta`.
        steps: Steps from the prior to the field.
        log_prob_error: Largest error of log q that was found with them.
    """

    scheme: str
    steps: Annotated[int, Field(ge=1, le=4096)]
    log_prob_error: Annotated[float, Field(ge=0)]


class Specification(AbstractSection):
    """Everything but the weights.

    Attributes:
        flow: Table of the flow as plain data: its kind and its sizes, see `latflow.flows.tables`.
        space: The space of the fields.
        precision: Dtype of the stored networks.
        over: The range of a conditional flow; None for an ordinary one.
        theory: Word for the theory that it was trained for. Nothing is built from it.
        parameters: Parameters of that theory in the normalisation of its action class, without the one of `over`.
            Nothing is built from them.
        integration: How finely a continuous flow is integrated; None for other flows.
    """

    flow: dict[str, Any]
    space: Annotated[Fields, Field(discriminator="fields")]
    precision: Literal["float32", "float64"]
    over: ParameterRange | None = None
    theory: str = ""
    parameters: dict[str, float] = Field(default_factory=dict)
    integration: Integration | None = None


def read_specification(plain: Any, *, what: str) -> Specification:
    """A specification from the plain data of a header.

    Args:
        plain: The data.
        what: Where it stands, for messages.

    Raises:
        FormatError: If it is none; names the first key that is wrong.
    """
    try:
        return Specification.model_validate(plain)
    except ValidationError as error:
        raise _wrong_key("specification", error, what=what) from error


def read_integration(header: Mapping[str, Any]) -> Integration | None:
    """How finely the header of a model says that it is integrated; None for a flow that is not.

    Raises:
        FormatError: If what it says cannot be read; names the key.
    """
    plain = header.get("integration")
    try:
        return None if plain is None else Integration.model_validate(plain)
    except ValidationError as error:
        raise _wrong_key("integration", error, what="header of a model") from error


def build(specification: Specification, key: PRNGKey | None = None, *, what: str = "the model") -> FlowModel:
    """The flow of a specification, with the weights it has before training.

    Args:
        specification: What to build.
        key: Randomness of the networks; of no matter to a flow whose weights are loaded next.
        what: Where the specification stands, for messages.

    Raises:
        FormatError: If the flow is of a kind that is not installed, or cannot be built with these sizes on this space.
    """
    table = flow_table(specification.flow, what=what)
    # spins are unit vectors on sites
    if specification.space.fields not in {"vectors" if word == "spins" else word for word in table.fields}:
        raise FormatError(f"{what}: specification.space", value=f"{specification.space.fields} for flow {table.kind}")
    try:
        space = specification.space.build()
        flow = untrained(root_key(0) if key is None else key, table, space, specification.precision)
        over = specification.over
        return (
            flow
            if over is None
            else conditioned(flow, lower=over.lower, upper=over.upper, order=over.order, parameter=over.parameter)
        )
    except ConfigError as error:
        raise FormatError(f"{what}: specification", value=str(error)) from error


def untrained(key: PRNGKey, table: AbstractFlowTable, space: AbstractFieldSpace, dtype: str) -> TrainableFlow:
    """The flow of a table before training, with its mirror image where the table asks for the mixture of both.

    Args:
        key: Randomness of the networks.
        table: Kind and sizes.
        space: The space of the fields.
        dtype: Precision of the networks.

    Raises:
        ConfigError: If there is no such flow on this space.
    """
    builder = EntryPoint(table.kind, table.builder, GROUP).load()
    built = builder(key, space, table, dtype)
    return Z2Mixture(built) if getattr(table, "mixture", "none") == "z2" else built


def started(flow: TrainableFlow, table: AbstractFlowTable, values: Mapping[str, float]) -> TrainableFlow:
    """The flow of a table where its training begins: by default as `untrained` built it.

    Args:
        flow: As built.
        table: Its kind.
        values: Parameters of the action class by name, on which the start may depend.
    """
    if table.starter is None:
        return flow
    return EntryPoint(table.kind, table.starter, GROUP).load()(flow, values)


def production(flow: _FlowT, integration: Integration | None) -> _FlowT:
    """The flow that draws are made with: in float64, a continuous one integrated as finely as its model says.

    Raises:
        FormatError: If the scheme is unknown.
    """
    exact = cast(flow, "float64")
    if integration is None:
        return exact
    if integration.scheme not in SCHEMES:
        raise FormatError("integration.scheme", value=integration.scheme, allowed=", ".join(SCHEMES))
    return with_integrator(exact, SCHEMES[integration.scheme], integration.steps)


@functools.singledispatch
def describe_space(space: AbstractFieldSpace) -> Fields | None:
    """A space as it stands in a specification; None where it has no description."""
    del space


@describe_space.register
def _scalar(space: ScalarSpace) -> ScalarFields:
    return ScalarFields(shape=space.shape)


@describe_space.register
def _links(space: GaugeSpace) -> LinkFields:
    return LinkFields(group=space.group.name, shape=space.lattice.shape)


@describe_space.register
def _angles(space: TorusSpace) -> AngleFields:
    return AngleFields(shape=space.shape)


@describe_space.register
def _points(space: EuclideanSpace) -> PointFields | ParticleFields:
    if len(space.shape) == 1:
        return PointFields(dimension=space.shape[0])
    particles, dimension = space.shape
    return ParticleFields(particles=particles, dimension=dimension, mean_free=space.mean_free)


@describe_space.register
def _vectors(space: SphereSpace) -> VectorFields:
    return VectorFields(dimension=space.dimension, sites=space.sites)


def installed_kind(kind: Any, *, what: str) -> str:
    """The kind of a flow, if some installed package brings it.

    Raises:
        FormatError: If none does.
    """
    tables = flow_tables()
    if type(kind) is str and kind in tables:
        return kind
    raise FormatError(
        f"{what}: a flow of a kind that is not installed",
        value=f"flow.kind = {kind!r}",
        allowed=", ".join(tables),
        hint="install the package that brings it; `latflow doctor` lists those that are there",
    )


def flow_table(plain: dict[str, Any], *, what: str) -> AbstractFlowTable:
    """The table ``[flow]`` of plain data, with its defaults.

    Args:
        plain: The data.
        what: Where it stands, for messages.

    Raises:
        FormatError: If the kind is not installed, or a key is wrong; names the first.
    """
    kind = installed_kind(plain.get("kind"), what=what)
    try:
        return flow_tables()[kind].model_validate(plain)
    except ValidationError as error:
        raise _wrong_key("specification.flow", error, what=what) from error


def _wrong_key(root: str, error: ValidationError, *, what: str) -> FormatError:
    first = error.errors(include_url=False, include_input=False)[0]
    key = ".".join((root, *(str(part) for part in first["loc"])))
    return FormatError(f"{what}: {key}", value=first["msg"], hint="made by another version, or damaged")
