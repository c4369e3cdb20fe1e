"""What knows nothing of objects, in the form of an encoder: a floor under the numbers of segmentation."""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import nn

from sigma_bench.contracts import EncoderSpec, Tokens

Kind = Literal["all_background", "random_labels", "pixel_positions", "pixel_colours"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FAMILY = "floor"
PREFIX = "floor:"
VERSION = 1
"""Raised when a floor would give other numbers."""
WIDTH: dict[Kind, int] = {"all_background": 1, "random_labels": 1, "pixel_positions": 2, "pixel_colours": 3}


class Floor(nn.Module):
    """Features that are no features, on the grid of a video ViT's tokens.

    `pixel_positions`: row and column of a tubelet, the same in every frame. `pixel_colours`: its mean colour. The
    other two have no features: their maps are drawn (`random_labels`) or all background.
    """

    def __init__(self, kind: Kind, frames: int = 16) -> None:
        super().__init__()
        self.kind: Kind = kind
        self.spec = EncoderSpec(
            family=FAMILY,
            backbone="none",
            embed_dim=WIDTH[kind],
            depth=1,
            heads=1,
            tubelet=2,
            patch=16,
            frames=frames,
            image_size=224,
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
            params=0,
            has_norm=True,
            verified="golden",
        )

    def tokens(
        self, clips: torch.Tensor, layer: int = -1, norm: bool = True, visible: torch.Tensor | None = None
    ) -> Tokens:
        """Return what is known of every tubelet; see `contracts.Encoder.tokens`. Nothing is hidden from it."""
        del layer, norm, visible
        spec = self.spec
        colours = F.avg_pool3d(clips, (spec.tubelet, spec.patch, spec.patch)).permute(0, 2, 3, 4, 1)
        if self.kind == "pixel_colours":
            return Tokens(colours, None)
        B, T, H, W, _ = colours.shape
        axes = [torch.arange(n, dtype=clips.dtype, device=clips.device) / n for n in (H, W)]
        places = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)[..., : spec.embed_dim]
        return Tokens(places.expand(B, T, H, W, -1), None)

    def shortened(self, frames: int) -> Floor:
        """Return the same for clips of so many frames."""
        return Floor(self.kind, frames)
