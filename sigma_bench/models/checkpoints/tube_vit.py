"""Building a `VideoViT` for the tensors of a file."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from sigma_bench.contracts import Verified
from sigma_bench.models.checkpoints.adapter import Beside, Built, PositionReport, Split
from sigma_bench.models.checkpoints.geometry import Asked, infer
from sigma_bench.models.positions import sincos_1d
from sigma_bench.models.vit import VideoViT


def build(
    split: Split, beside: Beside, asked: Asked, family: str, path: Path, *, verified: Verified, needs_norm: bool
) -> Built:
    """Build the ViT of the VideoMAE family; `needs_norm` says that the last norm must be in the file.

    Raises:
        UserError: See `geometry.infer`.
    """
    geometry, notes = infer(split.encoder, beside.stated, beside.args, asked, path)
    with torch.device("meta"):
        module = VideoViT(
            geometry.image_size,
            geometry.patch,
            geometry.frames,
            geometry.tubelet,
            geometry.dim,
            geometry.depth,
            geometry.heads,
            norm=needs_norm or "norm.weight" in split.encoder,
            mlp_hidden=geometry.mlp_hidden,
            family=family,
            verified=verified,
        )
    positions = sincos_1d(math.prod(module.grid), geometry.dim)
    _drop_same(split, positions)
    report = PositionReport("flat sine-cosine", "computed", module.grid)
    return Built(module, report, {"positions": positions}, notes)


def _drop_same(split: Split, positions: torch.Tensor) -> None:
    """Take a stored position table that equals the computed one for known; any other stays, and is refused."""
    stored = split.encoder.get("pos_embed")
    if stored is not None and stored.shape == positions.shape and torch.allclose(stored.float(), positions, atol=1e-3):
        split.dropped["pos_embed"] = split.encoder.pop("pos_embed")
