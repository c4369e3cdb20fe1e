"""Files of OmniMAE: a joint ViT under `trunk.`, with VideoMAE's flat position table stored in the file.

Source: `omnivision/models/vision_transformer.py` and `omnimae/omni_mae_model.py` of facebookresearch/omnivore.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch

from sigma_bench.contracts import UserError, Verified
from sigma_bench.models.checkpoints import joint_vit, policies
from sigma_bench.models.checkpoints.adapter import Beside, Built, PositionReport, Split, State
from sigma_bench.models.checkpoints.geometry import Asked
from sigma_bench.models.checkpoints.joint_vit import Clip
from sigma_bench.models.positions import sincos_1d

PREFIX = "trunk."
PAD_AND_PROJECT = ("patch_embed.proj.1.", "patch_embed.proj.")
"""The stem is a sequence of padding, which has no weights, and the convolution."""
OUTSIDE = ("decoder.", "mask_token")
CLASSIFIER = ("head.weight", "head.bias")
"""In pretraining files these predict pixels, in finetuned ones classes."""
HEADS = {768: 12, 1024: 16, 1280: 16}
RELEASED = Clip(16, 224)
SAME = 1e-3


class OmniMAE:
    """`trunk.*`, with `trunk.decoder.*` and `trunk.mask_token` in pretraining files, and `head.*` or `heads.*`.

    A finetuned file averages the tokens before `trunk.norm`, so there this norm is the classifier's and no token's.
    """

    names: tuple[str, ...] = ("omnimae",)
    by_keys = True
    verified: Verified = "none"

    def recognises(self, state: State) -> bool:
        """Tell the layout by its prefix and stem."""
        return f"{PREFIX}patch_embed.proj.1.weight" in state

    def split(self, state: State) -> Split:
        """Keep `trunk.*` without decoder and mask token; the norm of a finetuned file is dropped."""
        split = Split()
        finetuned = not any(name.startswith(PREFIX + OUTSIDE[0]) for name in state)
        for name, tensor in state.items():
            own = name.removeprefix(PREFIX).replace(*PAD_AND_PROJECT)
            if finetuned and name in CLASSIFIER:
                split.head[name] = tensor
            elif finetuned and name.startswith(f"{PREFIX}norm."):
                split.head[f"fc_{own}"] = tensor
            elif name.startswith(("head.", "heads.")) or (name.startswith(PREFIX) and own.startswith(OUTSIDE)):
                split.dropped[name] = tensor
            elif name.startswith(PREFIX):
                split.encoder[own] = tensor
            else:
                split.unexpected[name] = tensor
        if finetuned:
            split.notes.append("finetuned: its last norm follows the mean over tokens and is not applied to them")
        return split

    def build(self, split: Split, beside: Beside, asked: Asked, family: str, path: Path) -> Built:
        """Build a `JointViT`; see `Adapter.build`."""
        policies.check(asked, ("recompute",), "its table is computed for any size", path)
        shapes = joint_vit.shapes_of(split.encoder, path)
        stored = split.encoder.pop("pos_embed", None)
        notes: list[str] = []
        clip = joint_vit.clip_of(asked, RELEASED, shapes, path)
        finetuned = "fc_norm.weight" in split.head
        module = joint_vit.empty(shapes, clip, beside, asked, HEADS, notes, family=family, norm=not finetuned)
        table = sincos_1d(math.prod(module.grid), shapes.dim)
        if stored is None:
            raise UserError(f"{path}: trunk.pos_embed is missing; the file is not a whole encoder")
        _compare(stored, shapes.dim, path)
        split.dropped[f"{PREFIX}pos_embed"] = stored
        fitted = stored.shape != table.shape
        if fitted:
            notes.append(f"position table computed for {clip}; the file's has {stored.shape[1]} places")
        report = PositionReport("flat sine-cosine", "computed", module.grid, policy="recompute" if fitted else "as is")
        return Built(module, report, {"positions": table}, notes)


def _compare(stored: torch.Tensor, dim: int, path: Path) -> None:
    """Refuse a stored table that is not the flat sine-cosine one: learned, or with a row for a class token."""
    if stored.ndim == 3 and stored.shape[0] == 1 and stored.shape[2] == dim and stored.shape[1] > 0:
        difference = float((stored.float() - sincos_1d(stored.shape[1], dim)).abs().max())
        if difference <= SAME:
            return
        found = f"differs from the flat sine-cosine table by up to {difference:.3g}"
    else:
        found = f"has shape {tuple(stored.shape)}, expected (1, places, {dim})"
    raise UserError(f"{path}: trunk.pos_embed {found}; it is not the table of the released OmniMAE models")
