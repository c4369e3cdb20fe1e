"""Files of V-JEPA and V-JEPA 2: a joint ViT under `backbone.`, with a stored table or with rotary positions.

Source: `src/models/vision_transformer.py` of facebookresearch/jepa, that and `src/hub/backbones.py` of
facebookresearch/vjepa2.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F

from sigma_bench.contracts import UserError, Verified
from sigma_bench.models.checkpoints import joint_vit, policies
from sigma_bench.models.checkpoints.adapter import Beside, Built, PositionReport, Split, State
from sigma_bench.models.checkpoints.geometry import Asked
from sigma_bench.models.checkpoints.joint_vit import Clip, Shapes
from sigma_bench.models.positions import Grid
from sigma_bench.models.vjepa import rotary, sincos_by_half, sincos_uniform

PREFIXES = ("backbone.", "")
LATER = ("norms_block.", "patch_embed_img.", "video_mod_embed", "img_mod_embed")
"""What V-JEPA 2.1 has besides; its rotary positions are others, too."""
HEADS = {
    "vjepa": {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16},
    "vjepa2": {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16, 1408: 22, 1664: 26},
}
"""Width to number of heads of the released models; the giant one of V-JEPA 2 has 22, not the 16 of other families."""
RELEASED = Clip(64, 256)
TRAINED_FRAMES = 16
"""Frames of a clip in all released V-JEPA models."""
SAME = 1e-3
OTHER_TABLE = "table, not the computed 3-D sine-cosine one,"


class VJepa:
    """The encoder under `backbone.` or bare.

    Names and shapes do not tell V-JEPA from V-JEPA 2: files of V-JEPA 2 may hold a table that is not used, and adding
    it would change the features without an error. So the family has to be named.
    """

    names: tuple[str, ...] = ("vjepa", "vjepa2")
    by_keys = False
    verified: Verified = "none"

    def recognises(self, state: State) -> bool:
        """Tell the layout by tubelets, one bias over queries, keys and values, and no decoder beside them."""
        prefix = _prefix(state)
        return prefix is not None and state[f"{prefix}patch_embed.proj.weight"].ndim == 5

    def split(self, state: State) -> Split:
        """Keep what is under the prefix."""
        prefix = _prefix(state) or ""
        split = Split()
        for name, tensor in state.items():
            if name.startswith(prefix):
                split.encoder[name.removeprefix(prefix)] = tensor
            else:
                split.unexpected[name] = tensor
        return split

    def build(self, split: Split, beside: Beside, asked: Asked, family: str, path: Path) -> Built:
        """Build a `JointViT`; see `Adapter.build`."""
        if any(name.startswith(LATER) for name in split.encoder):
            raise UserError(
                f"{path}: is a V-JEPA 2.1 encoder (it has {', '.join(LATER[:2])}...); its positions and norms differ "
                "from V-JEPA 2's and cannot be loaded"
            )
        shapes = joint_vit.shapes_of(split.encoder, path)
        stored = split.encoder.pop("pos_embed", None)
        if family == "vjepa2":
            notes: list[str] = []
            if asked.frames is None or asked.image_size is None:
                notes.append(f"the clip is not in the file: {RELEASED} are usual for this family")
            if stored is not None:
                split.dropped["pos_embed"] = stored
                notes.append("the position table in the file is not used: this family's positions are rotary")
            return with_rotary(shapes, RELEASED, beside, asked, notes, family)
        if stored is None:
            raise UserError(f"{path}: pos_embed is missing; V-JEPA files hold it, V-JEPA 2 (vjepa2) does without it")
        return _with_table(shapes, stored, beside, asked, split, family)


def with_rotary(shapes: Shapes, own: Clip, beside: Beside, asked: Asked, notes: list[str], family: str) -> Built:
    """Build V-JEPA 2's encoder; `own` is the clip taken where the user asks for none.

    Raises:
        UserError: The clip does not fit, or the number of heads is unknown.
    """
    policies.check(asked, (), "rotary positions need no table", beside.path)
    clip = joint_vit.clip_of(asked, own, shapes, beside.path)
    module = joint_vit.empty(shapes, clip, beside, asked, HEADS[family], notes, family=family, rotary_positions=True)
    cosines, sines = rotary(module.grid, shapes.dim // module.spec.heads)
    report = PositionReport("rotary", "computed", module.grid)
    return Built(module, report, {"cosines": cosines, "sines": sines}, notes)


def _with_table(shapes: Shapes, stored: torch.Tensor, beside: Beside, asked: Asked, split: Split, family: str) -> Built:
    policies.check(asked, ("interpolate",), "its stored table is interpolated in space and time at once", beside.path)
    own = _own(stored, shapes, asked, beside.path)
    clip = joint_vit.clip_of(asked, own, shapes, beside.path)
    notes: list[str] = []
    module = joint_vit.empty(shapes, clip, beside, asked, HEADS[family], notes, family=family)
    grid = _grid(own, shapes)
    kind = _kind(stored, grid, shapes.dim)
    if kind == OTHER_TABLE:
        notes.append(f"its position table is not the computed one of {own}: that it is over this clip is assumed")
    table, policy = stored.detach().float(), "as is"
    if grid != module.grid:
        table, policy = _trilinear(table, grid, module.grid), "trilinear"
        notes.append(f"position table for {own} interpolated to {clip}, as the released code does")
    if not bool(table.isfinite().all()):
        raise UserError(f"{beside.path}: pos_embed holds infinite or undefined values")
    split.dropped["pos_embed"] = stored
    report = PositionReport(kind, "stored", module.grid, grid, policy)
    return Built(module, report, {"positions": table.contiguous()}, notes)


def _prefix(state: State) -> str | None:
    return next((p for p in PREFIXES if all(p + mark in state for mark in joint_vit.MARKS[:2])), None)


def _grid(clip: Clip, shapes: Shapes) -> Grid:
    side = clip.image_size // shapes.patch
    return clip.frames // shapes.tubelet, side, side


def _own(stored: torch.Tensor, shapes: Shapes, asked: Asked, path: Path) -> Clip:
    """Return the clip of a stored table: 16 frames or what was asked for, whichever makes square frames.

    Where both do, it is the one whose computed table is the stored one, and 16 frames where neither's is.
    """
    if stored.ndim != 3 or stored.shape[0] != 1 or stored.shape[1] == 0 or stored.shape[2] != shapes.dim:
        raise UserError(f"{path}: pos_embed has shape {tuple(stored.shape)}; expected (1, tubelets, {shapes.dim})")
    number = stored.shape[1]
    possible = []
    for frames in (TRAINED_FRAMES, asked.frames or 0):
        depth = frames // shapes.tubelet
        side = math.isqrt(number // depth) if depth else 0
        if side and depth * side * side == number:
            possible.append(Clip(frames, side * shapes.patch))
    computed = (clip for clip in possible if _kind(stored, _grid(clip, shapes), shapes.dim) != OTHER_TABLE)
    if possible:
        return next(computed, possible[0])
    raise UserError(
        f"{path}: pos_embed has {number} places, which are no square frames in a clip of {TRAINED_FRAMES} frames; "
        "give the number of frames it was trained with (frames)"
    )


def _kind(stored: torch.Tensor, grid: Grid, dim: int) -> str:
    for name, compute in (("uniform", sincos_uniform), ("half of it for time", sincos_by_half)):
        table = compute(grid, dim)
        if table.shape == stored.shape and torch.allclose(stored.float(), table, atol=SAME):
            return f"3-D sine-cosine ({name})"
    return OTHER_TABLE


def _trilinear(table: torch.Tensor, own: Grid, wanted: Grid) -> torch.Tensor:
    cube = table.reshape(1, *own, -1).permute(0, 4, 1, 2, 3)
    return F.interpolate(cube, size=wanted, mode="trilinear").flatten(2).transpose(1, 2)
