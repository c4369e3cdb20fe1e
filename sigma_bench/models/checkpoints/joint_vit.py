"""Building a `JointViT` for the tensors of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints.adapter import Beside, State
from sigma_bench.models.checkpoints.geometry import MAX_TOKENS, Asked, heads_of
from sigma_bench.models.joint import JointViT

MARKS = ("patch_embed.proj.weight", "blocks.0.attn.qkv.bias", "norm.weight")
"""Names that a joint ViT with one bias over queries, keys and values has."""


@dataclass(frozen=True)
class Shapes:
    """What the shapes of a file's tensors tell."""

    dim: int
    tubelet: int
    patch: int
    depth: int
    mlp_hidden: int


def shapes_of(encoder: State, path: Path) -> Shapes:
    """Read the sizes off the shapes.

    Raises:
        UserError: A tensor the sizes are read from is missing or misshapen.
    """
    for name in ("patch_embed.proj.weight", "blocks.0.mlp.fc1.weight"):
        if name not in encoder:
            raise UserError(f"{path}: the encoder's tensor {name} is missing; the file is not a whole encoder")
    weight = encoder["patch_embed.proj.weight"]
    if weight.ndim != 5 or weight.shape[1] != 3 or weight.shape[3] != weight.shape[4] or 0 in weight.shape:
        raise UserError(
            f"{path}: patch_embed.proj.weight has shape {tuple(weight.shape)}; expected (dim, 3, tubelet, patch, patch)"
        )
    depth = len({name.split(".")[1] for name in encoder if name.startswith("blocks.")})
    dim, _, tubelet, patch, _ = weight.shape
    return Shapes(dim, tubelet, patch, depth, next(iter(encoder["blocks.0.mlp.fc1.weight"].shape), 0))


@dataclass(frozen=True)
class Clip:
    """Frames of a clip and the side of one in pixels."""

    frames: int
    image_size: int

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.frames} frames of {self.image_size} px"


def clip_of(asked: Asked, own: Clip, shapes: Shapes, path: Path) -> Clip:
    """Return the clip an encoder is to be built for: as asked, else as in the file.

    Raises:
        UserError: It cannot be cut into the encoder's tubelets, or makes too many of them.
    """
    clip = Clip(asked.frames or own.frames, asked.image_size or own.image_size)
    if clip.frames % shapes.tubelet or clip.image_size % shapes.patch:
        raise UserError(
            f"{path}: {clip} do not divide into its tubelets of {shapes.tubelet} frames of {shapes.patch} px; "
            f"give a multiple of {shapes.tubelet} frames and of {shapes.patch} px"
        )
    if (clip.frames // shapes.tubelet) * (clip.image_size // shapes.patch) ** 2 > MAX_TOKENS:
        raise UserError(f"{path}: {clip} make more than {MAX_TOKENS} tokens; the sizes are wrong")
    return clip


def empty(
    shapes: Shapes,
    clip: Clip,
    beside: Beside,
    asked: Asked,
    usual: Mapping[int, int],
    notes: list[str],
    *,
    family: str,
    norm: bool = True,
    rotary_positions: bool = False,
) -> JointViT:
    """Return the model on the meta device; `usual` are the family's numbers of heads by width.

    Raises:
        UserError: The number of heads is unknown or does not divide the width.
    """
    heads = heads_of(beside.args, asked, shapes.dim, beside.path, notes, usual=usual)
    with torch.device("meta"):
        return JointViT(
            clip.image_size,
            shapes.patch,
            clip.frames,
            shapes.tubelet,
            shapes.dim,
            shapes.depth,
            heads,
            norm=norm,
            rotary_positions=rotary_positions,
            mlp_hidden=shapes.mlp_hidden,
            family=family,
        )
