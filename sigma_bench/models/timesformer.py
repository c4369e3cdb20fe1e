"""TimeSformer with divided space-time attention, in plain torch, with the parameter names of its released files.

Bertasius et al., "Is Space-Time Attention All You Need for Video Understanding?" (2021), section 3, and the released
`timesformer/models/vit.py`. SVT (Ranasinghe et al., 2022) trains the same network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from sigma_bench.contracts import EncoderSpec, Tokens, UserError, Verified
from sigma_bench.models.attention import Attention
from sigma_bench.models.selection import ascending, block_of, check_clips
from sigma_bench.models.vit import EPS, IMAGENET_MEAN, IMAGENET_STD, Mlp, backbone_name, xavier_init

TOKEN_STD = 0.02


class DividedBlock(nn.Module):
    """Attention over the frames of each place, then over the places of each frame with the class token, then an MLP."""

    def __init__(self, dim: int, heads: int, mlp_hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.attn = Attention(dim, heads)
        self.temporal_norm1 = nn.LayerNorm(dim, eps=EPS)
        self.temporal_attn = Attention(dim, heads)
        self.temporal_fc = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim, eps=EPS)
        self.mlp = Mlp(dim, mlp_hidden)

    def forward(self, cls_BD: torch.Tensor, x_BTSD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the class token (B, D) and the patches (B, T, S, D) after the block.

        The class token takes no part in attention over time. In attention over space every frame has its own copy of
        it, and what the copies receive is averaged over the frames.
        """
        B, T, S, D = x_BTSD.shape
        over_time = x_BTSD.transpose(1, 2).reshape(B * S, T, D)
        over_time = self.temporal_fc(self.temporal_attn(self.temporal_norm1(over_time)))
        x_BTSD = x_BTSD + over_time.view(B, S, T, D).transpose(1, 2)
        copies = cls_BD[:, None, None].expand(B, T, 1, D)
        frames = torch.cat((copies, x_BTSD), dim=2).view(B * T, 1 + S, D)
        over_space = self.attn(self.norm1(frames)).view(B, T, 1 + S, D)
        cls_BD = cls_BD + over_space[:, :, 0].mean(1)
        x_BTSD = x_BTSD + over_space[:, :, 1:]
        return cls_BD + self.mlp(self.norm2(cls_BD)), x_BTSD + self.mlp(self.norm2(x_BTSD))


class FramePatches(nn.Module):
    """Square patches of each frame, projected by one linear map."""

    def __init__(self, patch: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=patch, stride=patch)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Return the patches of clips (B, 3, T, H, W) as (B, T, S, D), S in (h, w) order."""
        B, C, T, H, W = clips.shape
        patches: torch.Tensor = self.proj(clips.transpose(1, 2).reshape(B * T, C, H, W)).flatten(2)
        return patches.view(B, T, *patches.shape[1:]).transpose(2, 3)


class TimeSformer(nn.Module):
    """Divided space-time ViT: patches of single frames, learned places, times and class token, a last norm.

    Tables of another size than the clips are resized by nearest neighbour, over the two axes of space and over time,
    as the released forward pass does.

    Args:
        image_size: Side of the square frames in pixels.
        patch: Side of a patch in pixels.
        frames: Frames of a clip.
        dim: Embedding width.
        depth: Number of blocks.
        heads: Attention heads of a block.
        table_frames: Times in the learned table; `frames` where None.
        table_side: Places on one side in the learned table; `image_size / patch` where None.
        mlp_hidden: Hidden width of a block's MLP; 4 x dim where None.
        mean: Mean of the colour channels the weights were trained with.
        std: Deviation of the colour channels the weights were trained with.
        family: Family written into `spec`.
        verified: How far the adapter that filled the weights was checked.

    Raises:
        UserError: Sizes that do not divide.
    """

    def __init__(
        self,
        image_size: int = 224,
        patch: int = 16,
        frames: int = 8,
        dim: int = 768,
        depth: int = 12,
        heads: int = 12,
        *,
        table_frames: int | None = None,
        table_side: int | None = None,
        mlp_hidden: int | None = None,
        mean: tuple[float, float, float] = IMAGENET_MEAN,
        std: tuple[float, float, float] = IMAGENET_STD,
        family: str = "timesformer",
        verified: Verified = "none",
    ) -> None:
        super().__init__()
        if image_size % patch or dim % heads:
            raise UserError(
                f"sizes do not fit: image {image_size} px / patch {patch}, dim {dim} / heads {heads}; "
                "each second number must divide the first"
            )
        side = image_size // patch
        self.grid = (frames, side, side)
        self.clip_shape = (3, frames, image_size, image_size)
        self.patch_embed = FramePatches(patch, dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (table_side or side) ** 2, dim))
        self.time_embed = nn.Parameter(torch.zeros(1, table_frames or frames, dim))
        self.blocks = nn.ModuleList(DividedBlock(dim, heads, mlp_hidden or 4 * dim) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=EPS)
        xavier_init(self)
        for table in (self.cls_token, self.pos_embed):
            nn.init.trunc_normal_(table, std=TOKEN_STD)
        self.spec = EncoderSpec(
            family=family,
            backbone=backbone_name(dim, depth, patch),
            embed_dim=dim,
            depth=depth,
            heads=heads,
            tubelet=1,
            patch=patch,
            frames=frames,
            image_size=image_size,
            mean=mean,
            std=std,
            params=sum(p.numel() for p in self.parameters()),
            has_norm=True,
            default_pool="cls",
            verified=verified,
        )

    def tokens(
        self, clips: torch.Tensor, layer: int = -1, norm: bool = True, visible: torch.Tensor | None = None
    ) -> Tokens:
        """Return the tokens after block `layer`; see `contracts.Encoder.tokens`.

        Raises:
            UserError: The clips are not of this encoder's size, it has no such block, or `visible` is given.
        """
        depth = len(self.blocks)
        if visible is not None:
            raise UserError(
                f"family {self.spec.family}: tokens cannot be hidden from attention that is divided into space and "
                "time, it needs whole frames; leave out masking for this encoder"
            )
        last = block_of(layer, depth)
        cls, patches = self._embed(clips)
        for block in self.blocks[: last + 1]:
            cls, patches = block(cls, patches)
        if norm and last == depth - 1:
            cls, patches = self.norm(cls), self.norm(patches)
        return Tokens(patches.reshape(len(clips), *self.grid, -1), cls)

    def each_layer(self, clips: torch.Tensor, layers: Sequence[int], norm: bool = True) -> Iterator[Tokens]:
        """Yield the tokens after each of some blocks, ascending, from one pass; see `contracts.Encoder`."""
        (cls, patches), done, depth = self._embed(clips), 0, len(self.blocks)
        for last in ascending(layers, depth):
            for block in self.blocks[done : last + 1]:
                cls, patches = block(cls, patches)
            done, normed = last + 1, norm and last == depth - 1
            shown = self.norm(patches) if normed else patches
            yield Tokens(shown.reshape(len(clips), *self.grid, -1), self.norm(cls) if normed else cls)

    def layer_of(self, name: str) -> int:
        """Return the depth of a parameter for layer-wise rates: 0 embedding, k + 1 block k, then what follows."""
        if name.startswith("blocks."):
            return int(name.split(".")[1]) + 1
        return len(self.blocks) + 1 if name.startswith("norm.") else 0

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Return the class token after the last block and norm, (B, D)."""
        cls = self.tokens(clips).cls_BD
        assert cls is not None
        return cls

    def _embed(self, clips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        check_clips(clips, self.clip_shape)
        patches = self.patch_embed(clips)
        places = resized_places(self.pos_embed[:, 1:], self.grid[1])
        times = resized_times(self.time_embed, self.grid[0])
        cls = (self.cls_token + self.pos_embed[:, :1])[:, 0].expand(len(clips), -1)
        return cls, patches + places[:, None] + times[:, :, None]


def resized_places(table_1SD: torch.Tensor, side: int) -> torch.Tensor:
    """Return a table over a square grid for a grid of another side, (1, side * side, D), by nearest neighbour."""
    if table_1SD.shape[1] == side * side:
        return table_1SD
    own = round(table_1SD.shape[1] ** 0.5)
    square_1DHW = table_1SD.transpose(1, 2).reshape(1, -1, own, own)
    return F.interpolate(square_1DHW, size=(side, side), mode="nearest").flatten(2).transpose(1, 2)


def resized_times(table_1TD: torch.Tensor, frames: int) -> torch.Tensor:
    """Return a table over time for another number of frames, (1, frames, D), by nearest neighbour."""
    if table_1TD.shape[1] == frames:
        return table_1TD
    return F.interpolate(table_1TD.transpose(1, 2), size=frames, mode="nearest").transpose(1, 2)
