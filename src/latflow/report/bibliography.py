"""What a report cites: the works behind what its study did, and no others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Work:
    """One entry of the bibliography.

    Attributes:
        text: What it is.
        arxiv: Its number on arXiv, if it has one.
        used_for: What it is cited for.
        key: Dotted key of the study that decides whether it was used; empty for what every report rests on.
        values: Values of that key, or entries of its list, at which it was; none for all that are not zero.
        sampler: The sampler that the key belongs to: a study that does not run it did not use it.
        of_flows: Whether it speaks of flows, and of nothing that a study without one does.
    """

    text: str
    arxiv: str
    used_for: str
    key: str = ""
    values: tuple[str, ...] = ()
    sampler: str = ""
    of_flows: bool = False

    def is_used(self, study: Mapping[str, Any]) -> bool:
        """Whether a study used it, as far as its file says."""
        sampled = (study.get("sampling") or {}).get("samplers")
        if self.sampler and sampled is not None and self.sampler not in sampled:
            return False
        found: Any = study
        for part in self.key.split(".") if self.key else ():
            found = found.get(part) if isinstance(found, Mapping) else None
        if self.key and not self.values:
            return bool(found)
        return not self.key or any(word in self.values for word in (found if isinstance(found, list) else [found]))


_FLOWS = ("wilson", "symanzik")

BIBLIOGRAPHY = (
    Work(
        "M. S. Albergo, G. Kanwar and P. E. Shanahan, Flow-based generative models for Markov chain Monte Carlo in "
        "lattice field theory",
        "1904.12072",
        "flow proposals with independence Metropolis for φ⁴, and the normalisation of its action",
        of_flows=True,
    ),
    Work(
        "L. Dinh, J. Sohl-Dickstein and S. Bengio, Density estimation using Real NVP",
        "1605.08803",
        "affine couplings",
        of_flows=True,
        key="flow.kind",
        values=("real_nvp", "spline", "multiscale"),
    ),
    Work(
        "C. Durkan, A. Bekasov, I. Murray and G. Papamakarios, Neural Spline Flows",
        "1906.04032",
        "rational-quadratic spline couplings",
        of_flows=True,
        key="flow.kind",
        values=("spline",),
    ),
    Work(
        "M. Gerdes, P. de Haan, C. Rainone, R. Bondesan and M. C. N. Cheng, Learning lattice quantum field theories "
        "with equivariant continuous flows",
        "2207.00283",
        "continuous flows with the symmetries of the lattice",
        of_flows=True,
        key="flow.kind",
        values=("continuous",),
    ),
    Work(
        "L. Vaitl, K. A. Nicoli, S. Nakajima and P. Kessel, Path-gradient estimators for continuous normalizing flows",
        "2206.09016",
        "gradients along the path, without the score",
        of_flows=True,
        key="training.loss",
        values=("path_gradient",),
    ),
    Work(
        "U. Wolff, Monte Carlo errors with less errors", "hep-lat/0306017", "errors and autocorrelation times, Γ method"
    ),
    Work(
        "M. S. Albergo et al., Introduction to Normalizing Flows for Lattice Field Theory",
        "2101.08176",
        "training by the reverse Kullback–Leibler divergence, effective sample size",
        of_flows=True,
    ),
    Work(
        "S. Duane, A. D. Kennedy, B. J. Pendleton and D. Roweth, Hybrid Monte Carlo, Phys. Lett. B 195 (1987) 216",
        "",
        "HMC",
    ),
    Work(
        "I. P. Omelyan, I. M. Mryglod and R. Folk, Symplectic analytically integrable decomposition algorithms, "
        "Comput. Phys. Commun. 151 (2003) 272",
        "",
        "the integrator of the trajectories",
        key="hmc.integrator",
        values=("omf2", "omf4", "force-gradient"),
        sampler="hmc",
    ),
    Work(
        "K. G. Wilson, Confinement of quarks, Phys. Rev. D 10 (1974) 2445",
        "",
        "the action of plaquettes",
        key="action.kind",
        values=("wilson", "improved"),
    ),
    Work(
        "P. Weisz, Continuum limit improved lattice action for pure Yang–Mills theory, Nucl. Phys. B 212 (1983) 1",
        "",
        "the tree-level coefficient of rectangles",
        key="action.improvement",
        values=("luscher-weisz",),
    ),
    Work(
        "A. A. Migdal, Recursion equations in gauge theories, Sov. Phys. JETP 42 (1975) 413",
        "",
        "exact values on two-dimensional tori",
        key="action.kind",
        values=("wilson",),
    ),
    Work(
        "M. Lüscher, Properties and uses of the Wilson flow in lattice QCD, JHEP 08 (2010) 071",
        "1006.4518",
        "the gradient flow, its integrator and t₀",
        key="gradient_flow.kind",
        values=_FLOWS,
    ),
    Work(
        "S. Borsányi et al., High-precision scale setting in lattice QCD, JHEP 09 (2012) 010",
        "1203.4469",
        "w₀",
        key="gradient_flow.kind",
        values=_FLOWS,
    ),
    Work(
        "P. Fritzsch and A. Ramos, The gradient flow coupling in the Schrödinger Functional, JHEP 10 (2013) 008",
        "1301.4388",
        "adaptive steps of the flow",
        key="gradient_flow.kind",
        values=_FLOWS,
    ),
    Work(
        "M. Albanese et al. (APE), Glueball masses and string tension in lattice QCD, Phys. Lett. B 192 (1987) 163",
        "",
        "smearing of links in space",
        key="smearing.kind",
        values=("ape",),
    ),
    Work(
        "N. Metropolis, A. W. Rosenbluth, M. N. Rosenbluth, A. H. Teller and E. Teller, Equation of state calculations "
        "by fast computing machines, J. Chem. Phys. 21 (1953) 1087",
        "",
        "updates of links one by one",
        key="sampling.samplers",
        values=("metropolis",),
    ),
    Work(
        "N. Cabibbo and E. Marinari, A new method for updating SU(N) matrices in computer simulations of gauge "
        "theories, Phys. Lett. B 119 (1982) 387",
        "",
        "the heat bath of SU(N) by its SU(2) subgroups",
        key="sampling.samplers",
        values=("heatbath",),
    ),
    Work(
        "A. D. Kennedy and B. J. Pendleton, Improved heatbath method for Monte Carlo calculations in lattice gauge "
        "theories, Phys. Lett. B 156 (1985) 393",
        "",
        "draws of SU(2) matrices at large β",
        key="sampling.samplers",
        values=("heatbath",),
    ),
    Work(
        "M. Creutz, Overrelaxation and Monte Carlo simulation, Phys. Rev. D 36 (1987) 515",
        "",
        "sweeps of overrelaxation",
        key="heatbath.overrelaxation",
        sampler="heatbath",
    ),
)
"""In the order in which they are listed."""


def works_of(study: Mapping[str, Any], *, has_flow: bool) -> list[Work]:
    """What the report of a study cites; nothing on flows where there is none."""
    return [work for work in BIBLIOGRAPHY if work.is_used(study) and (has_flow or not work.of_flows)]
