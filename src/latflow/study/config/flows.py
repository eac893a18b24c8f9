"""The flows a study can train, one table per kind."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from latflow.study.config.values import AbstractSection, List, Pair, Positive, Width

Layers: TypeAlias = Annotated[int, Field(ge=2, le=256)]
Window: TypeAlias = Annotated[int, Field(ge=1, le=63)]
Bound: TypeAlias = Annotated[float, Field(gt=0, le=50)]
Widths: TypeAlias = List[Width]
Mixture: TypeAlias = Literal["none", "z2"]

_KINDS = "continuous, real_nvp, spline or multiscale"
_HIDDEN = "units (dense) or channels of each hidden layer"
_WINDOW = "extent of the kernel, odd; convolutional only"
_Z2 = "commute with φ → −φ exactly"
_MIXTURE = "z2: half the flow, half its mirror image, for broken phases"


class ContinuousConfig(AbstractSection):
    """An equivariant continuous flow from a free field with a learned spectrum."""

    kind: Literal["continuous"] = Field(default="continuous", description=_KINDS)
    hidden: Width = Field(default=16, description="units of the network at every site")
    contexts: Annotated[int, Field(ge=1, le=256)] = Field(default=4, description="convolutions the network reads")
    features: Annotated[int, Field(ge=1, le=256)] = Field(default=3, description="features that are convolved")
    radius: Annotated[int, Field(ge=1, le=32)] = Field(default=3, description="largest displacement of a kernel")
    times: Annotated[int, Field(ge=1, le=64)] = Field(default=4, description="functions of time per weight")
    steps: Annotated[int, Field(ge=1, le=1024)] = Field(default=6, description="integration steps in training")
    coupling_range: Pair[Positive] | None = Field(default=None, description="one model for every λ between these two")
    coupling_order: Annotated[int, Field(ge=1, le=8)] = Field(
        default=2, description="degree of the weights as polynomials in ln λ; with coupling_range only"
    )
    mixture: Mixture = Field(default="none", description=_MIXTURE)


class RealNVPConfig(AbstractSection):
    """Affine couplings on alternating checkerboards."""

    kind: Literal["real_nvp"] = Field(default="real_nvp", description=_KINDS)
    layers: Layers = Field(default=10, description="coupling layers")
    network: Literal["dense", "convolutional"] = Field(
        default="dense", description="dense sees the whole lattice, convolutional is translation-equivariant"
    )
    hidden: Widths = Field(default=(256, 256), min_length=1, max_length=8, description=_HIDDEN)
    kernel_size: Window = Field(default=3, description=_WINDOW)
    log_scale_bound: Bound = Field(default=2.0, description="bound on |log scale| of one layer")
    z2: bool = Field(default=False, description=_Z2)
    mixture: Mixture = Field(default="none", description=_MIXTURE)


class SplineConfig(AbstractSection):
    """Couplings on alternating checkerboards, the last of them rational-quadratic splines."""

    kind: Literal["spline"] = Field(default="spline", description=_KINDS)
    layers: Layers = Field(default=8, description="coupling layers")
    network: Literal["dense", "convolutional"] = Field(
        default="convolutional", description="dense sees the whole lattice, convolutional is translation-equivariant"
    )
    hidden: Widths = Field(default=(32, 32, 32), min_length=1, max_length=8, description=_HIDDEN)
    kernel_size: Window = Field(default=7, description=_WINDOW)
    splines: Annotated[int, Field(ge=1, le=256)] = Field(
        default=2, description="how many couplings, the last ones, are splines; the others are affine"
    )
    bins: Annotated[int, Field(ge=2, le=64)] = Field(default=8, description="bins of a spline")
    half_width: Positive = Field(default=4.0, description="splines act on values between ± this")
    z2: bool = Field(default=False, description=_Z2)
    mixture: Mixture = Field(default="none", description=_MIXTURE)


class MultiscaleConfig(AbstractSection):
    """The field of a coarse lattice first, then the fluctuations between its sites, level by level."""

    kind: Literal["multiscale"] = Field(default="multiscale", description=_KINDS)
    coarse_layers: Layers = Field(default=8, description="couplings of the coarsest level")
    fine_layers: Layers = Field(default=8, description="couplings of every other level")
    hidden: Widths = Field(default=(32, 32), min_length=1, max_length=8, description="channels of each hidden layer")
    kernel_size: Window = Field(default=5, description="extent of the kernel on every level, odd")
    log_scale_bound: Bound = Field(default=2.0, description="bound on |log scale| of one layer")
    z2: bool = Field(default=False, description=_Z2)
    mixture: Mixture = Field(default="none", description=_MIXTURE)


def _with_kind(table: Any) -> Any:
    """A table that names no kind is one of the default flow."""
    return {"kind": "continuous", **table} if type(table) is dict else table


FlowConfig: TypeAlias = Annotated[
    Annotated[
        ContinuousConfig | RealNVPConfig | SplineConfig | MultiscaleConfig,
        Field(discriminator="kind", description="the flow"),
    ],
    BeforeValidator(_with_kind),
]
"""What may stand in the table ``[flow]``."""
