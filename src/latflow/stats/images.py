r"""Whether a flow has seen the images of its own draws under a symmetry of the action.

If $S(gx)=S(x)$, draws $x$ of a flow with their weights $w(x)=e^{-S(x)}/q(x)$ stand for the theory, and so do their
images $gx$ with the same weights $w(x)$. Images that the flow draws as it should have weights $w(gx)$ of their own like
those that were seen; in a vacuum that it has lost they are larger than all of them. So a lost vacuum shows without any
draws of the target, if a symmetry leads to it. What no symmetry leads to stays hidden.
"""

import math

import numpy as np
from jaxtyping import Float, Int

MOST_IMAGED = 256
"""Draws whose images are looked at, at most: they cost one density each."""

_LARGER = 1e-3
"""A log-weight is larger than another if it is so by more than this: equal ones differ by rounding."""


def representatives(log_weights: Float[np.ndarray, " n"], most: int = MOST_IMAGED) -> Int[np.ndarray, " m"]:
    """Draws that stand for the theory with equal weights: each is picked as often as its weight demands.

    Systematic resampling: no random numbers, the same draws for the same weights.

    Args:
        log_weights: ln w of every draw, some of them finite.
        most: How many are picked; all draws are there to pick from, but no more than there are draws.

    >>> representatives(np.log([1.0, 2.0, 1.0]), most=4)
    array([0, 1, 2])
    """
    count = min(most, log_weights.size)
    reached = np.cumsum(np.exp(log_weights - np.max(log_weights)))
    wanted = (np.arange(count) + 0.5) / count * reached[-1]
    return np.searchsorted(reached, wanted)


def unseen(images: Float[np.ndarray, "m images"], log_weights: Float[np.ndarray, " n"]) -> float:
    """Part of the theory, as draws and images show it, whose weights are larger than that of any draw.

    Args:
        images: ln w at every image of `representatives`, the draws themselves left out.
        log_weights: ln w of every draw.

    Returns:
        Between 0 and the share of the images, 1/2 for one image of each draw. An image where the density vanishes or
        is no number counts as unseen.
    """
    larger = ~(images <= float(np.max(log_weights)) + _LARGER)
    number = images.shape[1]
    return float(np.mean(larger)) * number / (number + 1) if larger.size else math.nan
