"""An encoder with the heads that say how long the cycles beside a moment are."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from sigma_bench.contracts import UserError
from sigma_bench.models.pooling import pool_tokens

Passes = Literal[1, 2]


class Cycles(NamedTuple):
    """What is said of B windows: of the cycle before the middle (1) and of the one after it (2).

    Attributes:
        logits1_B2A: Of "does not fit" and "fits", for each anchor.
        boxes1_BA: Logarithm of true length / anchor.
        logits2_B2A: As `logits1_B2A`.
        boxes2_BA: As `boxes1_BA`.
    """

    logits1_B2A: torch.Tensor
    boxes1_BA: torch.Tensor
    logits2_B2A: torch.Tensor
    boxes2_BA: torch.Tensor


class CycleNet(nn.Module):
    """Encoder, pooling, four linear heads.

    With two passes the halves of a window are two clips of the encoder's own length, and each side's heads read their
    own half (as in the code of Zhang et al., CVPR 2020, where each reads its half of the features). With one pass a
    window is one clip, and all heads read the same vector (as SEVERE's R(2+1)D does).

    Args:
        encoder: Any `contracts.Encoder` that is a module; it becomes part of this one.
        anchors: Number of anchors A.
        passes: Forward passes of a window.
        pool: What the heads read: the mean of the tokens after the last norm, or the class token.

    Raises:
        UserError: One pass of an encoder of an odd number of frames, or it has no class token.
    """

    def __init__(self, encoder: Any, anchors: int, passes: Passes = 2, pool: str = "mean") -> None:
        super().__init__()
        frames = encoder.spec.frames
        if passes == 1 and frames % 2:
            raise UserError(f"one pass over both halves of a window needs an even number of frames, not {frames}")
        self.encoder, self.anchors, self.passes, self.pool = encoder, anchors, passes, pool
        self.side = frames if passes == 2 else frames // 2
        """Frames of either half of a window."""
        dim = encoder.spec.embed_dim
        self.fits1, self.box1 = nn.Linear(dim, 2 * anchors), nn.Linear(dim, anchors)
        self.fits2, self.box2 = nn.Linear(dim, 2 * anchors), nn.Linear(dim, anchors)

    def forward(self, clips: torch.Tensor) -> Cycles:
        """Return what is said of normalised windows (B, 3, 2 * side, H, W)."""
        if self.passes == 2:
            both = torch.cat((clips[:, :, : self.side], clips[:, :, self.side :]))
            first, second = pool_tokens(self.encoder.tokens(both), self.pool).chunk(2)
        else:
            first = second = pool_tokens(self.encoder.tokens(clips), self.pool)
        shape = (len(clips), 2, self.anchors)
        logits1, logits2 = self.fits1(first).reshape(shape), self.fits2(second).reshape(shape)
        return Cycles(logits1, self.box1(first), logits2, self.box2(second))
