"""Wilson loops with smeared spatial sides, which reduce excited states in the static potential."""

from typing import ClassVar

from jaxtyping import Array, Float
from typing_extensions import override

from latflow._typing import Field
from latflow.fields.smearing import ape
from latflow.fields.spaces import GaugeSpace
from latflow.observables.base import AbstractObservable
from latflow.observables.gauge import WilsonLoops


class SmearedWilsonLoops(AbstractObservable):
    r"""W(R, T) as `WilsonLoops`, after APE smearing of the links in space.

    Temporal links are not smeared, so that $V(R)=\ln\frac{W(R,T)}{W(R,T+1)}$ at large T is that of unsmeared loops.

    Args:
        space: Space of the links, three or more directions.
        space_steps: Largest R.
        time_steps: Largest T.
        alpha: Weight of the staples.
        n_steps: Steps of smearing.
    """

    name: ClassVar[str] = "smeared_wilson_loops"
    section: ClassVar[str] = "smearing"
    space: GaugeSpace
    space_steps: int
    time_steps: int
    alpha: float = 0.5
    n_steps: int = 4

    @override
    def __call__(self, x: Field) -> Float[Array, "space_steps time_steps"]:
        smeared = ape(self.space, x, alpha=self.alpha, n_steps=self.n_steps, spatial=True)
        return WilsonLoops(self.space, self.space_steps, self.time_steps)(smeared)
