"""From windows and frames to the clips that the network is shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from sigma_bench.contracts import EncoderSpec
from sigma_bench.data import transforms
from sigma_bench.data.cycle_windows import is_padding, window_frames

PADDING = (0.485, 0.456, 0.406)
"""Colour of a frame outside the video, in the values that the network sees, whatever they are normalised with (the
released code fills it in after normalising)."""


def clips_of(
    parts: Sequence[torch.Tensor],
    windows_N3: NDArray[np.float64] | NDArray[np.int64],
    side: int,
    spec: EncoderSpec,
    device: str,
    flips_N: NDArray[np.bool_] | None = None,
) -> torch.Tensor:
    """Return normalised windows, float32 (N, 3, 2 * side, S, S), on a device.

    Args:
        parts: Frames (n, S, S, 3), uint8, of the part of a video in which each of the N windows lies.
        windows_N3: Windows, counted within these.
        side: Frames of either half of a window.
        spec: Mean and deviation of the encoder.
        device: Torch device.
        flips_N: Which windows are mirrored; None: none.
    """
    numbers = window_frames(windows_N3, side)
    outside = is_padding(numbers, [len(frames) for frames in parts])
    wanted = (frames.index_select(0, _within(frames, some)) for frames, some in zip(parts, numbers, strict=True))
    pixels = torch.stack([frames.to(device, non_blocking=True) for frames in wanted])
    clips = transforms.normalize(pixels.permute(0, 4, 1, 2, 3), spec.mean, spec.std)
    if flips_N is not None and flips_N.any():
        mirrored = torch.from_numpy(flips_N).to(device).view(-1, 1, 1, 1, 1)
        clips = torch.where(mirrored, clips.flip(-1), clips)
    colour = torch.tensor(PADDING, device=device).view(1, 3, 1, 1, 1)
    return torch.where(torch.from_numpy(outside).to(device)[:, None, :, None, None], colour, clips)


def _within(frames: torch.Tensor, numbers: NDArray[np.int64]) -> torch.Tensor:
    """Return the numbers of frames that there are, where `frames` lies: the nearest one of one that is not there."""
    return torch.from_numpy(numbers.clip(0, len(frames) - 1)).to(frames.device)
