"""Numbers of targets on compact spaces: their centres, the links of an arm. Nothing here imports JAX.

References:
    arXiv:2002.02428, section 5.
"""

import math
from collections.abc import Sequence

FOUR_ON_S2 = tuple(
    (math.sin(a), math.cos(a) * math.cos(b), math.cos(a) * math.sin(b))
    for a, b in ((0.7, 1.5), (-1.0, 1.0), (0.6, 5.0), (-0.7, 4.0))
)
"""Four directions by latitude and longitude, the third with the latitude that reproductions use: .6, not 5.0."""
FOUR_ON_S3 = ((0.5, 0.5, 0.5, 0.5), (0.5, -0.5, -0.5, 0.5), (-0.5, 0.5, -0.5, 0.5), (-0.5, -0.5, 0.5, -0.5))
ONE_ON_T2 = ((4.18, 5.96),)
THREE_ON_T2 = ((0.21, 2.85), (1.89, 6.18), (3.77, 1.56))

SIX_LINKS = (0.2,) * 6
THREE_GOALS = ((0.6, 0.3), (-0.3, 0.6), (-0.2, -0.5))
"""Of our own robot arm; the numbers of the paper could not be found."""

_ROUNDING = 1e-9


def out_of_reach(lengths: Sequence[float], goals: Sequence[Sequence[float]]) -> list[str]:
    """Goals to which the tip of an arm cannot come: too far out, or nearer than the longest link overshoots.

    Args:
        lengths: Of the links.
        goals: Positions.

    Returns:
        What is wrong with each, and what is allowed.
    """
    most = sum(lengths)
    least = max(0.0, 2 * max(lengths) - most)
    allowed = f"from {least:g} to {most:g}" if least else f"at most {most:g}"
    # rounding of the sum is no obstacle
    far = [(x, y) for x, y in goals if not least - _ROUNDING <= math.hypot(x, y) <= most + _ROUNDING]
    return [
        f"({x:g}, {y:g}) at a distance of {math.hypot(x, y):.3g}; allowed: {allowed}, the reach of action.lengths"
        for x, y in far
    ]
