"""What a report cites: the works behind the methods that its study used."""

from collections.abc import Mapping
from typing import Any

from latflow.study.config.methods import METHODS
from latflow.theories.catalogue import all_works
from latflow.words import Work

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
        "M. Lüscher, Trivializing maps, the Wilson flow and the HMC algorithm",
        "0907.5491",
        "flows of links along loops, and the equation that their weights solve",
        of_flows=True,
        key="flow.kind",
        values=("loops",),
    ),
    Work(
        "J. Villain, Theory of one- and two-dimensional magnets with an easy magnetization plane, II. The planar, "
        "classical, two-dimensional magnet, J. Phys. (Paris) 36 (1975) 581",
        "",
        "the weight of the links that the flow moves",
        of_flows=True,
        key="flow.kind",
        values=("villain",),
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
)
"""In the order in which they are listed; then come those of methods of sampling and of the theory."""


def works_of(study: Mapping[str, Any], *, has_flow: bool) -> list[Work]:
    """What the report of a study cites; nothing on flows where there is none."""
    of_methods = (work for method in METHODS.values() for work in method.works)
    known = (*BIBLIOGRAPHY, *of_methods, *all_works())
    return [work for work in known if work.is_used(study) and (has_flow or not work.of_flows)]
