"""Whatever a study can name stands in the catalogue, and so is under the laws: theories, flows, samplers."""

import functools
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint
from typing import Any, Literal, get_args, get_origin

import equinox as eqx
import jax
import pytest

from catalogue import (
    ACTIONS,
    FLOWS,
    GAUGE_KERNELS,
    KERNELS,
    LINK_ACTIONS,
    LINK_KERNELS,
    STEIN_FIELDS,
    WEIGHTED,
    gauge_space,
)
from latflow.actions.base import AbstractAction
from latflow.bijections.base import AbstractBijection
from latflow.bijections.compose import Inverse
from latflow.bijections.elementwise import Scale
from latflow.distributions import AbstractDistribution, Normal
from latflow.fields.compact import SphereSpace, TorusSpace
from latflow.fields.euclidean import EuclideanSpace
from latflow.fields.spaces import ScalarSpace
from latflow.flows.flow import Flow
from latflow.flows.tables import BUILT_IN as FLOW_TABLES
from latflow.flows.tables import AbstractFlowTable
from latflow.lattice import Lattice
from latflow.samplers.base import AbstractKernel, AbstractWeightedSampler
from latflow.study.config import StudyConfig
from latflow.study.config.methods import BUILT_IN as METHODS
from latflow.study.config.methods import GIVEN, Method
from latflow.study.config.rules import samplers_of
from latflow.study.methods import build_kernel, build_sampler
from latflow.theories.base import AbstractActionTable
from latflow.theories.catalogue import kinds, table_of, theory_of
from latflow.variates.catalogue import FAMILIES

SPACES = {
    "scalar": lambda: ScalarSpace((4, 4)),
    "links": lambda: gauge_space("U(1)", (4, 4)),
    "angles": lambda: TorusSpace((3,)),
    "vectors": lambda: SphereSpace(2),
    "spins": lambda: SphereSpace(2, (4, 4)),
    "points": lambda: EuclideanSpace((2,)),
    "particles": lambda: EuclideanSpace((4, 2), mean_free=True),
}
"""By the fields that a table of a flow names."""


def plain_table(kind: str) -> dict[str, Any]:
    """A table of a theory: every number 1, of words the first."""
    fields = {name: field.annotation for name, field in table_of(kind).model_fields.items() if field.is_required()}
    return {name: get_args(t)[0] if get_origin(t) is Literal else 1.0 for name, t in fields.items()}


def action_of(kind: str) -> AbstractAction:
    """The action of a theory."""
    table: AbstractActionTable = table_of(kind).model_validate(plain_table(kind))
    return theory_of(kind).physics.action(table, Lattice((4, 4)))


def flow_of(table: type[AbstractFlowTable]) -> Flow:
    """The shapes of an untrained flow at the defaults of its table."""
    settings = table()
    builder = EntryPoint(settings.kind, table.builder, "latflow.flows").load()
    space = SPACES[table.fields[0]]()
    return eqx.filter_eval_shape(builder, jax.random.key(0), space, settings, "float64")


def sampler_of(method: Method) -> AbstractKernel | AbstractWeightedSampler:
    """The kernel or the weighted sampler of a method, for the first theory that it serves."""
    kind = next(kind for kind in kinds() if method.name in samplers_of(kind))
    lattice = {"lattice": {"shape": [4, 4]}} if table_of(kind).lattice else {}
    study = {"name": "a", **lattice, "action": plain_table(kind)}
    config = StudyConfig.model_validate({**study, "sampling": {"samplers": ["hmc"]}})
    if method.stage == "chains":
        return build_kernel(config, method.name)
    return build_sampler(config, method.name, Flow(Normal((4, 4)), Scale()))


def made_of(tree: Any) -> frozenset[type]:
    """Classes of the bijections and distributions in a flow."""
    kinds_of = (AbstractBijection, AbstractDistribution)
    found: set[type] = set()

    def note(node: Any) -> bool:
        found.update({type(node)} if isinstance(node, kinds_of) else ())
        return False

    jax.tree.leaves(tree, is_leaf=note)
    return frozenset(found)


def missing(wanted: type, entries: Iterable[Callable[[], Any]]) -> bool:
    """Whether no entry makes an object of this class; entries are made until one does."""
    return not any(type(make()) is wanted for make in entries)


def kernels() -> Iterable[Callable[[], Any]]:
    """Kernels of the catalogue, those that cost most last."""
    cases = (*LINK_KERNELS.values(), *GAUGE_KERNELS.values(), *KERNELS.values())
    return (lambda case=case: case().kernel for case in cases)


def weighted() -> Iterable[Callable[[], Any]]:
    """Weighted samplers of the catalogue, the one whose flow is trained last."""
    return (lambda case=case: case().sampler for case in reversed(WEIGHTED.values()))


@functools.cache
def catalogued() -> frozenset[type]:
    """What the flows of the catalogue are made of; one that is trained is made like another that is not."""
    return frozenset().union(*(made_of(make()) for name, make in FLOWS.items() if "trained" not in name))


SAMPLED = [kind for kind in kinds() if table_of(kind).samplers != GIVEN]
"""All but links of another code, which have no action here: they are measured only."""


@pytest.mark.parametrize("kind", SAMPLED)
def test_the_action_of_every_theory_is_under_the_laws(kind: str) -> None:
    assert not missing(type(action_of(kind)), (*ACTIONS.values(), *LINK_ACTIONS.values()))


@pytest.mark.parametrize("table", FLOW_TABLES, ids=lambda table: table.__name__)
def test_every_flow_is_under_the_laws(table: type[AbstractFlowTable]) -> None:
    assert made_of(flow_of(table)) <= catalogued()


@pytest.mark.parametrize("method", [m for m in METHODS if m.name not in GIVEN], ids=lambda method: method.name)
def test_every_sampler_is_under_the_laws(method: Method) -> None:
    assert not missing(type(sampler_of(method)), kernels() if method.stage == "chains" else weighted())


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_family_of_stein_fields_is_under_the_laws(kind: str) -> None:
    assert any(name.startswith(kind) for name in STEIN_FIELDS)


def test_what_is_exempt_is_found() -> None:
    """One of each that the catalogue does not have."""
    assert missing(int, ACTIONS.values())
    assert made_of(Flow(Normal((2,)), Scale())) == {Flow, Normal, Scale}
    assert made_of(Flow(Normal((2,)), Inverse(Scale()))) - catalogued() == {Inverse}
