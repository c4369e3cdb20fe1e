"""What a network of cycle lengths is trained with: does an anchor fit, and by what factor is it wrong."""

from __future__ import annotations

import torch
import torch.nn.functional as F

IGNORED = -1
BOX_WEIGHT = 50.0
"""Of the regression against the classification."""


def side_loss(
    logits_B2A: torch.Tensor,
    boxes_BA: torch.Tensor,
    fits_BA: torch.Tensor,
    factors_BA: torch.Tensor,
    known: float | None = None,
    rows: float | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the two losses of one side of B windows, in float32: classification, and `BOX_WEIGHT` x regression.

    The first is the cross entropy over anchors that are not `IGNORED`, 0 where all are (PyTorch's mean would be NaN).
    The second is the smooth L1 distance (beta 1) over all B x A; where an anchor does not fit, the target is the
    prediction itself, which adds 0 and no gradient.

    Args:
        logits_B2A: Of "does not fit" and "fits".
        boxes_BA: Predicted logarithms of true length / anchor.
        fits_BA: 1, 0 or `IGNORED`, int64.
        factors_BA: True logarithms, `IGNORED` where an anchor does not fit.
        known: Anchors that are not ignored, where these windows are a part of more; None: those of these.
        rows: Windows, likewise.

    Source: `train_epoch` of `train_2stream.py` of the code of Zhang et al., CVPR 2020.
    """
    known = float((fits_BA != IGNORED).sum()) if known is None else known
    rows = float(len(boxes_BA)) if rows is None else rows
    entropy = F.cross_entropy(logits_B2A.float(), fits_BA, ignore_index=IGNORED, reduction="sum")
    boxes = boxes_BA.float()
    wanted = torch.where(fits_BA == 1, factors_BA.float(), boxes.detach())
    distance = F.smooth_l1_loss(boxes, wanted, reduction="sum")
    return entropy / max(known, 1.0), BOX_WEIGHT * distance / max(rows * boxes.shape[1], 1.0)
