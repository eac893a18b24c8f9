"""Actions written out, as the report shows them: what the parameters of the study multiply.

They are those of the conventions, in the normalisation that the study chose, so that a reader needs no other page.
"""

from collections.abc import Mapping
from typing import Any

_KINETIC = "Σ_{μ} (φ_{x+μ} − φ_{x})²"

_PHI_FOUR = {
    "house": f"Σ_{{x}} [{_KINETIC} + m² φ_{{x}}² + λ φ_{{x}}⁴]",
    "half": f"Σ_{{x}} [½ {_KINETIC} + ½ m² φ_{{x}}² + ¼ λ φ_{{x}}⁴]; observables are those of φ/√2",
    "factorial": f"Σ_{{x}} [½ {_KINETIC} + ½ m² φ_{{x}}² + λ φ_{{x}}⁴/4!]; observables are those of φ/√2",
}

_OTHERS = {
    "phi4_hopping": "Σ_{x} [−2κ Σ_{μ} φ_{x} φ_{x+μ} + (1 − 2λ) φ_{x}² + λ φ_{x}⁴]; observables are those of √κ φ",
    "free": f"Σ_{{x}} [{_KINETIC} + m² φ_{{x}}²]",
}


def action_formula(action: Mapping[str, Any]) -> str:
    """S(φ) for the ``[action]`` of a study, ``_{…}`` to be set low; empty for an action that is not written here."""
    kind = action.get("kind")
    if kind == "phi4":
        return _PHI_FOUR.get(str(action.get("normalisation", "house")), "")
    return _OTHERS.get(str(kind), "")
