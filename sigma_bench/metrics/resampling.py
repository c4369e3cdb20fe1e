"""From the resolution of tokens and masks to that of the comparison."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

Nearest = Literal["nearest", "nearest-exact", "pil"]
NEAREST: tuple[Nearest, ...] = get_args(Nearest)


def upsampled(features_THWD: torch.Tensor, size: int) -> torch.Tensor:
    """Return feature maps at another resolution, (T, size, size, D): bilinear in space, nothing in time.

    Cells keep their places (`align_corners=False`). Source: SIGMA, section 4.2; maps of 14 become 28.
    """
    if features_THWD.shape[1:3] == (size, size):
        return features_THWD
    channels_first = features_THWD.permute(0, 3, 1, 2)
    resized = F.interpolate(channels_first, size=(size, size), mode="bilinear", align_corners=False)
    return resized.permute(0, 2, 3, 1)


def nearest(masks_THW: NDArray[np.uint8], size: int, operator: Nearest) -> NDArray[np.uint8]:
    """Return masks at another resolution, (T, size, size), each pixel a copy of one of the mask's.

    Args:
        masks_THW: Ids.
        size: Height and width of the result.
        operator: Which pixel stands for a cell: `nearest`, of torch, the first one (top left); `nearest-exact` and
            `pil` the one at its centre, computed by torch or by Pillow.

    Raises:
        ValueError: No such operator.
    """
    if operator == "pil":
        return np.stack([_pil(mask, size) for mask in masks_THW])
    if operator not in NEAREST:
        raise ValueError(f"no operator '{operator}'; expected one of {', '.join(NEAREST)}")
    if masks_THW.shape[1:] == (size, size):
        return masks_THW
    resized = F.interpolate(torch.from_numpy(masks_THW)[:, None].float(), size=(size, size), mode=operator)
    result: NDArray[np.uint8] = resized[:, 0].to(torch.uint8).numpy()
    return result


def _pil(mask_HW: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    picture = Image.fromarray(np.ascontiguousarray(mask_HW))
    return np.asarray(picture.resize((size, size), Image.Resampling.NEAREST))
