"""Trained models without a study: from the zoo, from a run, from a directory; and what is refused."""

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import latflow as lf
from latflow.bijections.ode.runge_kutta import RK8
from latflow.errors import DataError, MissingInputError, UnavailableError
from latflow.flows.architectures import cast
from latflow.flows.conditional import ConditionalFlow
from latflow.flows.continuous import with_integrator
from latflow.store.atomic import write_bytes
from latflow.store.records import seal
from latflow.study.build import study_flow
from latflow.study.card import zoo
from latflow.study.config import StudyConfig
from latflow.study.context import Silent
from latflow.study.models import load_whole, specification
from latflow.study.run import run_stages
from latflow.study.stages.training import production_flow
from latflow.training.model_file import ModelMismatchError, read_header, save_model

CONTINUOUS = {"kind": "continuous", "hidden": 2, "contexts": 1, "features": 1, "times": 1, "radius": 1, "steps": 2}
STUDIES: dict[str, dict[str, Any]] = {
    "real_nvp": {},
    "plaquettes": {
        "lattice": {"shape": [4, 4]},
        "action": {"kind": "wilson", "group": "U(1)", "beta": 1.0},
        "flow": {"kind": "plaquettes", "layers": 8},
    },
    "conditional": {
        "action": {"kind": "phi4", "mass_squared": -4.0, "coupling": 42.0, "normalisation": "factorial"},
        "flow": {**CONTINUOUS, "coupling_range": [36.0, 54.0], "coupling_order": 1},
    },
}


@pytest.fixture(scope="module")
def runs(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models of several kinds, each in a run directory of its name from which the study was removed."""
    folder = tmp_path_factory.mktemp("models")
    for name, changes in STUDIES.items():
        data: dict[str, Any] = {**tomllib.loads(tiny_study.read_text()), **changes}
        data["training"] |= {"evaluate_every": 2, "stop": {"steps": 2}}
        data["sampling"] |= {"samplers": ["flow"]}
        data["hmc"]["target_acceptance"] = 0.8
        run_stages(StudyConfig.model_validate(data), folder / name, stages=("train",), progress=Silent())
        (folder / name / "study.toml").unlink(missing_ok=True)
    return folder


def equal(a: Any, b: Any) -> bool:
    (left, structure), (right, other) = jax.tree.flatten(a), jax.tree.flatten(b)
    pairs = zip(left, right, strict=True)
    return structure == other and all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in pairs)


def by_its_study(path: Path) -> Any:
    """The flow as a study that knows its configuration builds and integrates it."""
    model, _, header = load_whole(path)
    exact = cast(model, "float64")
    return with_integrator(exact, RK8, header["integration"]["steps"]) if "integration" in header else exact


OLD = [card for card in zoo() if card.name.startswith("phi4")]
"""Models whose headers have no specification yet."""
NEW = [card for card in zoo() if card.name in {"u1-16-b3", "su2-16-b2.2", "su3-16-b5"}]
"""One of every group."""


@pytest.mark.parametrize("card", OLD + NEW, ids=lambda card: card.name)
def test_models_of_the_zoo_are_the_same_bits(card: Any) -> None:
    assert ("specification" in read_header(card.directory)) == (card in NEW)
    assert equal(lf.load_model(f"zoo:{card.name}"), by_its_study(card.directory))


@pytest.mark.parametrize("name", STUDIES)
def test_models_rebuild_themselves(runs: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = by_its_study(runs / name / "model")

    def no_study(*args: object, **kwargs: object) -> None:
        raise AssertionError("a specification needs no study")

    monkeypatch.setattr(StudyConfig, "model_validate", no_study)
    assert equal(lf.load_model(runs / name), expected)
    assert equal(lf.load_model(str(runs / name / "model")), expected)


@pytest.mark.parametrize("name", STUDIES)
def test_a_specification_says_what_the_identity_says(runs: Path, name: str, tmp_path: Path) -> None:
    """So models of older versions, whose header has no specification, get the same one."""
    header = read_header(runs / name / "model")
    old = rewritten(runs / name, tmp_path, lambda header: header.pop("specification"))
    assert specification(old).plain() == header["specification"]
    assert equal(lf.load_model(old), lf.load_model(runs / name))


def test_specifications_speak_of_the_class_of_the_action(runs: Path) -> None:
    conditional = read_header(runs / "conditional/model")["specification"]
    assert conditional["over"] == {"parameter": "coupling", "lower": 6.0, "upper": 9.0, "order": 1}
    assert (conditional["theory"], conditional["parameters"]) == ("phi4", {"mass_squared": -4.0})
    assert not {"coupling_range", "coupling_order", "parameter"} & conditional["flow"].keys()
    assert conditional["integration"] == read_header(runs / "conditional/model")["integration"]
    links = read_header(runs / "plaquettes/model")["specification"]
    assert links["space"] == {"fields": "links", "group": "U(1)", "shape": [4, 4]}
    assert (links["theory"], links["parameters"], links["over"]) == ("wilson", {"beta": 1.0}, None)


def test_a_conditional_model_is_the_flow_of_every_value(runs: Path) -> None:
    model = lf.load_model(runs / "conditional")
    assert isinstance(model, ConditionalFlow)
    assert model.coefficients.bijection.scheme.name == "rk8"
    whole, config, header = load_whole(runs / "conditional/model")
    at_study = production_flow(study_flow(cast(whole, "float64"), config), header)
    value = config.action.in_house(2)["coupling"]
    assert equal(model.at(value), at_study)
    assert not equal(model.at(6.0), model.at(9.0))


def test_a_loaded_model_samples(runs: Path) -> None:
    action = lf.PhiFour(lf.Lattice((2, 2)), mass_squared=-4.0, coupling=8.0)
    with pytest.warns(lf.UnreliableWarning):  # of 64 draws nothing can be said
        samples = lf.sample(jax.random.key(1), lf.load_model(runs / "real_nvp"), action, n=64)
    assert 0 < samples.acceptance <= 1


def rewritten(run: Path, folder: Path, change: Any) -> Path:
    """A copy of a model whose header was changed and sealed again."""
    shutil.copytree(run / "model", folder / "model")
    path = folder / "model/model.json"
    record = {key: value for key, value in json.loads(path.read_text()).items() if key != "check"}
    change(record["header"])
    write_bytes(path, seal(record, indent=1) + b"\n")
    return folder / "model"


def other_kind(header: dict[str, Any]) -> None:
    header["specification"]["flow"]["kind"] = "diffusion"


def old_of_other_kind(header: dict[str, Any]) -> None:
    del header["specification"]
    header["identity"]["flow"]["kind"] = "diffusion"


NOT_INSTALLED = r"a flow of a kind that is not installed: flow\.kind = 'diffusion'; allowed: .*install the package"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header: header["specification"].update(depth=3), r"specification\.depth"),
        (lambda header: header.update(specification=None), r"specification: "),
        (other_kind, NOT_INSTALLED),
        (old_of_other_kind, NOT_INSTALLED),
        (lambda header: header.clear(), "no description of its training"),
    ],
)
def test_other_specifications_are_refused_by_name(runs: Path, tmp_path: Path, change: Any, message: str) -> None:
    model = rewritten(runs / "real_nvp", tmp_path, change)
    with pytest.raises(DataError, match=message) as caught:
        lf.load_model(model)
    assert str(model) in str(caught.value)


def test_weights_of_other_sizes_are_refused(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMismatchError, match="another shape"):
        lf.load_model(rewritten(runs / "real_nvp", tmp_path, lambda h: h["specification"]["flow"].update(hidden=[5])))


def test_damage_and_absence_are_named(runs: Path, tmp_path: Path) -> None:
    model = rewritten(runs / "real_nvp", tmp_path, lambda header: None)
    weights = model / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match="checksum"):
        lf.load_model(model)
    with pytest.raises(MissingInputError, match="no trained model"):
        lf.load_model(tmp_path / "nothing")
    with pytest.raises(MissingInputError, match="no such model in the zoo"):
        lf.load_model("zoo:nothing")


def test_single_precision_is_refused(runs: Path) -> None:
    with jax.enable_x64(False), pytest.raises(UnavailableError, match="need float64"):
        lf.load_model(runs / "real_nvp")


def test_a_model_made_by_hand_may_bring_its_specification(tmp_path: Path) -> None:
    """Without any study: whoever trains by `fit` writes the specification beside the weights."""
    from latflow.flows.model import ScalarFields, Specification, build

    own = Specification(
        flow={"kind": "real_nvp", "layers": 2, "hidden": [4]}, space=ScalarFields(shape=(2, 2)), precision="float64"
    )
    flow = build(own, jax.random.key(5))
    save_model(tmp_path, flow, header={"specification": own.plain()})
    assert equal(lf.load_model(tmp_path), flow)
