"""Which tubes of a clip are hidden from the encoder."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sigma_bench.spec.base import Count, Spec, Text

Ratio = Annotated[float, Field(gt=0, lt=1)]


class TubeMask(Spec):
    """The same random positions in every slice of a clip."""

    kind: Literal["tube"]
    ratio: Ratio
    """Share of the positions that is hidden, rounded down."""


class MotionMask(Spec):
    """Motion-guided masking (MGMAE): visible positions follow the optical flow from a base frame outwards."""

    kind: Literal["motion"]
    ratio: Ratio
    """Share of the positions of each slice that is hidden."""
    flow: Literal["raft_small", "dis", "farneback"]
    """Flow between neighbouring frames: RAFT-small, or a method of OpenCV that needs no weights."""
    weights: Text | None = None
    """File of RAFT's weights; null: torchvision's own, from torch's hub cache."""
    iterations: Count = 6
    """Refinements of RAFT."""
    initial: Literal["mix_gauss", "token_rand", "pixel_rand"] = "mix_gauss"
    """Visibility map of the base frame."""
    base_frame: Literal["middle", "first"] = "middle"
    fill: Literal["consist", "none"] = "consist"
    """What stands where the warped map has a hole: the initial map, or nothing."""
    mgmae_compat: bool = False
    """Reproduce the released code: towards the past it asks for the flow of the wrong direction, a pixel is half a size
    of the grid, and the number of visible positions is rounded in floating point."""


AnyMask = Annotated[TubeMask | MotionMask, Field(discriminator="kind")]
