"""An encoder for clips of fewer frames than it was made for, from the same weights."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, cast

from torch import nn

from sigma_bench.contracts import Encoder, UserError
from sigma_bench.models.floors import Floor
from sigma_bench.models.frames import FrameViT
from sigma_bench.models.joint import JointViT
from sigma_bench.models.timesformer import TimeSformer, resized_times
from sigma_bench.models.vit import VideoViT


def shortened(encoder: Encoder, frames: int) -> Encoder:
    """Return `encoder` for clips of `frames` frames: the first rows of its position tables, nothing interpolated.

    Weights are shared with `encoder`, which stays as it was. An image ViT takes any number of frames. An encoder of
    another package may have a method `shortened(frames)` that returns the encoder for such clips.

    Raises:
        UserError: It takes fewer frames than these, its tubelets do not divide them, or it cannot be shortened.
    """
    spec = encoder.spec
    if frames == spec.frames:
        return encoder
    if frames < 1 or frames % spec.tubelet:
        raise UserError(
            f"{frames} frames asked of an encoder with tubelets of {spec.tubelet}, which do not divide them"
        )
    own = getattr(encoder, "shortened", None)
    if own is not None:
        return cast(Encoder, own(frames))
    if frames > spec.frames and not isinstance(encoder, FrameViT):
        raise UserError(f"{frames} frames asked of an encoder that takes {spec.frames}")
    if not isinstance(encoder, FrameViT | VideoViT | JointViT | TimeSformer):
        raise UserError(
            f"{frames} frames asked of {type(encoder).__name__}, which takes {spec.frames}; give it a method "
            "`shortened(frames)` that returns it for shorter clips"
        )
    shown = _copy(encoder)
    shown.spec = replace(spec, frames=frames)
    if isinstance(encoder, FrameViT):
        return cast(Encoder, shown)
    shown.grid = (frames // spec.tubelet, *encoder.grid[1:])
    shown.clip_shape = (3, frames, spec.image_size, spec.image_size)
    if isinstance(encoder, TimeSformer):
        times = resized_times(encoder.time_embed, spec.frames)[:, :frames]
        shown.time_embed = nn.Parameter(times.detach(), requires_grad=False)
        return cast(Encoder, shown)
    kept = shown.grid[0] * shown.grid[1] * shown.grid[2]
    if isinstance(encoder, JointViT) and encoder.rotary_positions:
        shown.cosines, shown.sines = encoder.cosines[:kept], encoder.sines[:kept]
    else:
        before = int(isinstance(encoder, VideoViT) and encoder.cls_token is not None)
        shown.positions = encoder.positions[:, : before + kept]
    return cast(Encoder, shown)


def _copy(module: nn.Module) -> Any:
    """Return a module with the same tensors and parts, in which others can be put without a change of the first."""
    shown: Any = copy.copy(module)
    for name in ("_parameters", "_buffers", "_modules"):
        shown.__dict__[name] = dict(module.__dict__[name])
    return shown


def longest(encoder: Encoder) -> int | None:
    """Return the most frames that an encoder can be shown; None where any number can."""
    return None if isinstance(encoder, FrameViT | Floor) else encoder.spec.frames
