"""The flows a study can train, one table per kind."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from latflow.study.config.values import AbstractSection, List, Width


class RealNVPConfig(AbstractSection):
    """The flow: affine couplings on alternating checkerboards."""

    kind: Literal["real_nvp"] = Field(default="real_nvp", description="affine couplings on alternating checkerboards")
    layers: Annotated[int, Field(ge=2, le=256)] = Field(default=10, description="coupling layers")
    network: Literal["dense", "convolutional"] = Field(
        default="dense", description="dense sees the whole lattice, convolutional is translation-equivariant"
    )
    hidden: List[Width] = Field(
        default=(256, 256), min_length=1, max_length=8, description="units (dense) or channels of each hidden layer"
    )
    kernel_size: Annotated[int, Field(ge=1, le=63)] = Field(
        default=3, description="extent of the kernel, odd; convolutional only"
    )
    log_scale_bound: Annotated[float, Field(gt=0, le=50)] = Field(
        default=2.0, description="bound on |log scale| of one layer"
    )
    mixture: Literal["none", "z2"] = Field(
        default="none", description="z2: half the flow, half its mirror image, for broken phases"
    )


FlowConfig: TypeAlias = RealNVPConfig
"""What may stand in the table ``[flow]``."""
