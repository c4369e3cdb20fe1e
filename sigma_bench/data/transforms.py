"""From decoded frames to the clips an encoder takes, on whatever device the frames are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from sigma_bench.data import boxes


def to_clip(frames: torch.Tensor, size: int, flip: bool = False) -> torch.Tensor:
    """Return frames resized to a square, bilinear with antialiasing, mirrored if wanted.

    Args:
        frames: uint8 (T, h, w, 3).
        size: Side of the result, pixels; frames of that size pass unchanged.
        flip: Mirror left and right.

    Returns:
        uint8 (3, T, size, size).

    Raises:
        ValueError: `frames` are not uint8 (T, h, w, 3).
    """
    _check(frames)
    clip = _resize(frames, size, size)
    return (clip.flip(-1) if flip else clip).contiguous()


def test_crops(frames: torch.Tensor, size: int, crops: int) -> list[torch.Tensor]:
    """Return square crops spread along the long side, after the short side has been resized to `size`.

    Resizing first and cropping then is the order of the reference protocol; the long side becomes
    int(size * long / short).

    Args:
        frames: uint8 (T, h, w, 3), whole frames.
        size: Side of a crop, pixels.
        crops: Number of crops; one is the central one.

    Returns:
        `crops` clips, uint8 (3, T, size, size).

    Raises:
        ValueError: `frames` are not uint8 (T, h, w, 3), or `crops` is below 1.
    """
    _check(frames)
    h, w = frames.shape[1:3]
    height, width = (int(size * h / w), size) if w < h else (size, int(size * w / h))
    clip = _resize(frames, height, width)
    return [clip[:, :, y : y + s, x : x + s].contiguous() for y, x, s, _ in boxes.along(height, width, crops)]


def normalize(clips: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Return float clips with an encoder's mean and standard deviation removed.

    Args:
        clips: uint8 (B, 3, T, H, W).
        mean: Mean of each channel of values in [0, 1].
        std: Standard deviation of each channel.

    Returns:
        float32, the same shape, on the same device.

    Raises:
        ValueError: `clips` are not uint8.
    """
    if clips.dtype != torch.uint8:
        raise ValueError(f"clips are {clips.dtype}; expected uint8, which is normalised once")
    shape = (1, 3, 1, 1, 1)
    scale = torch.tensor(std, device=clips.device).view(shape) * 255
    shift = torch.tensor(mean, device=clips.device).view(shape) * 255
    return clips.float().sub_(shift).div_(scale)


def _check(frames: torch.Tensor) -> None:
    if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise ValueError(f"frames are {frames.dtype} {tuple(frames.shape)}; expected uint8 (T, h, w, 3)")


def _resize(frames: torch.Tensor, height: int, width: int) -> torch.Tensor:
    images = frames.permute(0, 3, 1, 2)  # a view: channels stay last in memory, which the kernel is fastest on
    if images.shape[2:] != (height, width):
        direct = images.device.type == "cpu"  # other devices resize floating point only
        images = functional.interpolate(
            images if direct else images.float(), (height, width), mode="bilinear", antialias=True
        )
        images = images if direct else images.round_().clamp_(0, 255).to(torch.uint8)
    return images.transpose(0, 1)
