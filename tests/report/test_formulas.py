"""The formulas that the report prints are those of the actions: read back as arithmetic and evaluated on a field."""

import re
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from latflow.study.build import build_action
from latflow.study.config import StudyConfig
from latflow.theories.catalogue import stored_table

MASS, COUPLING, KAPPA = 0.3, 0.7, 0.2

ACTIONS: list[tuple[dict[str, Any], float]] = [
    ({"kind": "phi4", "mass_squared": MASS, "coupling": COUPLING}, 1.0),
    ({"kind": "phi4", "mass_squared": MASS, "coupling": COUPLING, "normalisation": "half"}, 0.5),
    ({"kind": "phi4", "mass_squared": MASS, "coupling": COUPLING, "normalisation": "factorial"}, 0.5),
    ({"kind": "phi4_hopping", "kappa": KAPPA, "coupling": COUPLING}, KAPPA),
    ({"kind": "free", "mass_squared": MASS}, 1.0),
    ({"kind": "sine_gordon", "mass_squared": MASS, "alpha": COUPLING}, 1.0),
]
"""Sections of study files, and the square of the house field over the field of the formula."""

WORDS = (
    ("Σ_{μ} (φ_{x+μ} − φ_{x})²", "kinetic"),
    ("Σ_{μ} φ_{x} φ_{x+μ}", "hopping"),
    ("φ_{x}⁴/4!", "phi**4/24"),
    ("φ_{x}⁴", "phi**4"),
    ("φ_{x}²", "phi**2"),
    ("α (1 − cos φ_{x})", "coupling*(1 - np.cos(phi))"),
    ("−", "-"),
    ("½ ", "0.5*"),
    ("¼ ", "0.25*"),
    ("2κ ", "2*kappa*"),
    ("2λ", "2*coupling"),
    ("m² ", "mass*"),
    ("λ ", "coupling*"),
    (") ", ")*"),
)


def value(formula: str, phi: np.ndarray) -> float:
    """The sum over sites of what stands in the brackets."""
    (body,) = re.findall(r"^Σ_\{x\} \[(.*)\]", formula)
    for word, code in WORDS:
        body = body.replace(word, code)
    ahead = [np.roll(phi, -1, axis=mu) for mu in range(phi.ndim)]
    names = {
        "np": np,
        "phi": phi,
        "kinetic": sum((shifted - phi) ** 2 for shifted in ahead),
        "hopping": sum(phi * shifted for shifted in ahead),
        "mass": MASS,
        "coupling": COUPLING,
        "kappa": KAPPA,
    }
    return float(np.sum(eval(body, {}, names)))


@pytest.mark.parametrize(("section", "scale"), ACTIONS)
def test_a_formula_is_the_action(section: dict[str, Any], scale: float) -> None:
    study = {"name": "a", "lattice": {"shape": [3, 2]}, "action": section, "sampling": {"samplers": ["hmc"]}}
    phi = np.random.default_rng(3).normal(size=(3, 2))
    expected = float(build_action(StudyConfig.model_validate(study))(jnp.asarray(np.sqrt(scale) * phi)))
    assert value(stored_table(section).formula(), phi) == pytest.approx(expected, rel=1e-12)


def test_an_action_that_is_not_known_has_no_formula() -> None:
    assert stored_table({"kind": "another"}) is None
    assert stored_table({}) is None
