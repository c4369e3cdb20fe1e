"""The sizes of an encoder, from the shapes of its tensors and from what a file says beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from sigma_bench.contracts import UserError

HEADS_BY_DIM = {384: 6, 768: 12, 1024: 16, 1280: 16, 1408: 16}
DEFAULT_FRAMES, DEFAULT_IMAGE = 16, 224
PUBLISHED = {384: 12, 768: 12, 1024: 24, 1280: 32, 1408: 40}
"""Width to depth of the family's published backbones, all of them pretrained on 16 frames of 224 pixels."""
Policy = Literal["recompute", "interpolate", "slice"]
HeadPolicy = Literal["drop", "keep", "require"]
MAX_TOKENS = 1_000_000
SCALE = "blocks.0.attn.scale"
"""Learned scales of cosine attention, one a head: the only shape that tells the number of heads."""


@dataclass(frozen=True)
class Asked:
    """What the user says about the encoder; None leaves it to the file."""

    heads: int | None = None
    frames: int | None = None
    image_size: int | None = None
    positions: Policy | None = None
    """How a position table is fitted to sizes other than the file's; None: as the family's own code does."""
    head: HeadPolicy = "drop"
    """What becomes of a classifier in the file."""
    weights: str | None = None
    """Key of the weights in a file that holds several; None: the first one of `container.CONTAINERS`."""

    def __post_init__(self) -> None:
        for name, value, known in (
            ("positions", self.positions, get_args(Policy)),
            ("head", self.head, get_args(HeadPolicy)),
        ):
            if value is not None and value not in known:
                raise UserError(f"{name} = '{value}' is not known; one of {', '.join(known)}")


@dataclass(frozen=True)
class Geometry:
    """All sizes of a `VideoViT`; `own` are frames and image size the file was trained with, None where unknown."""

    image_size: int
    patch: int
    frames: int
    tubelet: int
    dim: int
    depth: int
    heads: int
    mlp_hidden: int
    own: tuple[int, int] | None = None


def infer(
    encoder: Mapping[str, torch.Tensor],
    stated: Mapping[str, int] | None,
    args: Mapping[str, Any],
    asked: Asked,
    path: Path,
    source: str = "key 'encoder'",
) -> tuple[Geometry, list[str]]:
    """Return the sizes and notes on those that were assumed.

    Shapes give patch, tubelet, width, depth and the MLP's width. Heads, frames and image size are no part of any
    shape: they are the user's, else the file's own (`stated`, or the arguments of the training in `args`), else the
    usual ones. `source` names what `stated` was read from, for messages.

    Raises:
        UserError: A tensor the sizes are read from is missing or misshapen, the file contradicts itself or the user, or
            the number of heads is unknown.
    """
    weight = _tensor(encoder, "patch_embed.proj.weight", path)
    if weight.ndim != 5 or weight.shape[1] != 3 or weight.shape[3] != weight.shape[4] or 0 in weight.shape:
        raise UserError(
            f"{path}: patch_embed.proj.weight has shape {tuple(weight.shape)}; expected (dim, 3, tubelet, patch, patch)"
        )
    dim, _, tubelet, patch, _ = weight.shape
    depth = len({name.split(".")[1] for name in encoder if name.startswith("blocks.")})
    hidden = next(iter(_tensor(encoder, "blocks.0.mlp.fc1.weight", path).shape), 0)
    found = {"patch": patch, "tubelet": tubelet, "dim": dim, "depth": depth}
    for key, value in found.items():
        if stated is not None and stated[key] != value:
            raise UserError(f"{path}: {source} says {key} = {stated[key]}, its tensors say {value}")
    _agree(args, tubelet, path)
    notes: list[str] = []
    own = _extent(stated, args, tubelet, patch)
    if own is None and PUBLISHED.get(dim) == depth:
        own = (DEFAULT_FRAMES, DEFAULT_IMAGE)
    frames = asked.frames or (own[0] if own else DEFAULT_FRAMES)
    image = asked.image_size or (own[1] if own else DEFAULT_IMAGE)
    if _extent(stated, args, tubelet, patch) is None:
        notes.append(_not_in_the_file(asked, frames, image))
    if frames % tubelet or image % patch:
        raise UserError(
            f"{path}: {frames} frames of {image} px do not divide into its tubelets of {tubelet} frames of {patch} px "
            f"(the shape of patch_embed.proj.weight); give a multiple of {tubelet} frames and of {patch} px"
        )
    if (frames // tubelet) * (image // patch) ** 2 > MAX_TOKENS:
        raise UserError(
            f"{path}: {frames} frames of {image} px make more than {MAX_TOKENS} tokens; the sizes are wrong"
        )
    if SCALE in encoder and encoder[SCALE].ndim == 3:
        args = {**args, "encoder_num_heads": encoder[SCALE].shape[0]}
    heads = heads_of(args, asked, dim, path, notes, stated)
    return Geometry(image, patch, frames, tubelet, dim, depth, heads, hidden, own), notes


def _tensor(encoder: Mapping[str, torch.Tensor], name: str, path: Path) -> torch.Tensor:
    if name not in encoder:
        raise UserError(f"{path}: the encoder's tensor {name} is missing; the file is not a whole encoder")
    return encoder[name]


def _extent(
    stated: Mapping[str, int] | None, args: Mapping[str, Any], tubelet: int, patch: int
) -> tuple[int, int] | None:
    if stated is not None:
        return stated["frames"], stated["image_size"]
    window = args.get("window_size")
    if isinstance(window, (tuple, list)) and len(window) == 3 and all(_whole(n) for n in window):
        return window[0] * tubelet, window[1] * patch
    frames, image = args.get("num_frames"), args.get("input_size")
    return (int(frames or 0), int(image or 0)) if _whole(frames) and _whole(image) else None


def _not_in_the_file(asked: Asked, frames: int, image: int) -> str:
    if asked.frames is not None and asked.image_size is not None:
        return f"frames and image size are not in the file: {frames} and {image} px as asked"
    assumed = f"{frames} and {image} px assumed"
    if asked.frames is not None:
        assumed = f"{frames} as asked, {image} px assumed"
    elif asked.image_size is not None:
        assumed = f"{frames} assumed, {image} px as asked"
    return f"frames and image size are not in the file: {assumed}"


def _agree(args: Mapping[str, Any], tubelet: int, path: Path) -> None:
    told = args.get("tubelet_size")
    if _whole(told) and told != tubelet:
        raise UserError(
            f"{path}: the arguments of its training say tubelets of {told} frames, patch_embed.proj.weight has "
            f"{tubelet}; the file contradicts itself"
        )


def heads_of(
    args: Mapping[str, Any],
    asked: Asked,
    dim: int,
    path: Path,
    notes: list[str],
    stated: Mapping[str, int] | None = None,
    usual: Mapping[int, int] = HEADS_BY_DIM,
) -> int:
    """Return the number of attention heads: the user's, else the file's own, else the usual one of the family.

    Args:
        args: Arguments of the training, as the file has them.
        asked: What the user says.
        dim: Width of the encoder.
        path: The file, for messages.
        notes: Gets a note where the usual number is assumed.
        stated: Sizes that one of our own files states.
        usual: Width to number of heads in the family.

    Raises:
        UserError: User and file disagree, the number does not divide the width, or nothing tells it.
    """
    told = stated["heads"] if stated is not None else None
    if told is None:
        told = next((args[k] for k in ("encoder_num_heads", "num_heads", "heads") if _whole(args.get(k))), None)
    if asked.heads is not None and told not in (None, asked.heads):
        raise UserError(f"{path}: {asked.heads} heads asked for, the file says {told}")
    heads = asked.heads or told
    if heads is None and dim in usual:
        heads = usual[dim]
        notes.append(f"heads are not in the file: {heads} assumed, as is usual at width {dim}")
    if heads is None:
        known = ", ".join(map(str, usual))
        raise UserError(
            f"{path}: the number of attention heads cannot be told at width {dim} (known widths: {known}); "
            "give it (heads)"
        )
    if heads < 1 or dim % heads:
        raise UserError(f"{path}: {heads} heads do not divide the width {dim}; give the right number (heads)")
    return heads


def _whole(value: Any) -> bool:
    return type(value) is int and value > 0
