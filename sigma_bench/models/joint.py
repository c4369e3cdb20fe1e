"""A video ViT with joint space-time attention and one bias over queries, keys and values: OmniMAE, V-JEPA, V-JEPA 2."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from sigma_bench.contracts import EncoderSpec, Tokens, UserError, Verified
from sigma_bench.models.attention import Block, Turns
from sigma_bench.models.selection import ascending, block_of, check_clips, token_ids
from sigma_bench.models.vit import EPS, IMAGENET_MEAN, IMAGENET_STD, PatchEmbed, backbone_name, xavier_init
from sigma_bench.models.vjepa import rotary


class JointViT(nn.Module):
    """Tubelet embedding, positions from a table or rotary, pre-LN blocks, an optional last norm.

    Args:
        image_size: Side of the square frames in pixels.
        patch: Side of a tubelet in pixels.
        frames: Frames of a clip.
        tubelet: Frames of a tubelet.
        dim: Embedding width.
        depth: Number of blocks.
        heads: Attention heads of a block.
        norm: Whether there is a LayerNorm after the last block.
        rotary_positions: Positions turn queries and keys (V-JEPA 2); else the buffer `positions` is added to the
            tokens, which is zero until a family's table is put there.
        mlp_hidden: Hidden width of a block's MLP; 4 x dim where None.
        family: Family written into `spec`.
        verified: How far the adapter that filled the weights was checked.

    Raises:
        UserError: Sizes that do not divide.
    """

    def __init__(
        self,
        image_size: int,
        patch: int,
        frames: int,
        tubelet: int,
        dim: int,
        depth: int,
        heads: int,
        *,
        norm: bool = True,
        rotary_positions: bool = False,
        mlp_hidden: int | None = None,
        family: str,
        verified: Verified = "none",
    ) -> None:
        super().__init__()
        if image_size % patch or frames % tubelet or dim % heads:
            raise UserError(
                f"sizes do not fit: image {image_size} px / patch {patch}, frames {frames} / tubelet {tubelet}, "
                f"dim {dim} / heads {heads}; each second number must divide the first"
            )
        side = image_size // patch
        self.grid = (frames // tubelet, side, side)
        self.clip_shape = (3, frames, image_size, image_size)
        self.rotary_positions = rotary_positions
        self.patch_embed = PatchEmbed(patch, tubelet, dim)
        self.blocks = nn.ModuleList(Block(dim, heads, mlp_hidden or 4 * dim) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=EPS) if norm else nn.Identity()
        self.positions: torch.Tensor
        self.cosines: torch.Tensor
        self.sines: torch.Tensor
        if rotary_positions:
            cosines, sines = rotary(self.grid, dim // heads)
            self.register_buffer("cosines", cosines, persistent=False)
            self.register_buffer("sines", sines, persistent=False)
        else:
            self.register_buffer("positions", torch.zeros(1, math.prod(self.grid), dim), persistent=False)
        xavier_init(self)
        self.spec = EncoderSpec(
            family=family,
            backbone=backbone_name(dim, depth, patch),
            embed_dim=dim,
            depth=depth,
            heads=heads,
            tubelet=tubelet,
            patch=patch,
            frames=frames,
            image_size=image_size,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            params=sum(p.numel() for p in self.parameters()),
            has_norm=norm,
            verified=verified,
        )

    def tokens(
        self, clips: torch.Tensor, layer: int = -1, norm: bool = True, visible: torch.Tensor | None = None
    ) -> Tokens:
        """Return the tokens after block `layer`; see `contracts.Encoder.tokens`.

        Raises:
            UserError: The clips are not of this encoder's size, or it has no such block.
        """
        depth = len(self.blocks)
        last = block_of(layer, depth)
        ids = None if visible is None else token_ids(visible).to(clips.device)
        x, turns = self._embed(clips, ids), self._turns(ids)
        for block in self.blocks[: last + 1]:
            x = block(x, turns)
        x = self.norm(x) if norm and last == depth - 1 else x
        return Tokens(x.reshape(len(x), *self.grid, -1) if visible is None else x[:, None, None], None)

    def each_layer(self, clips: torch.Tensor, layers: Sequence[int], norm: bool = True) -> Iterator[Tokens]:
        """Yield the tokens after each of some blocks, ascending, from one pass; see `contracts.Encoder`."""
        x, turns, done, depth = self._embed(clips, None), self._turns(None), 0, len(self.blocks)
        for last in ascending(layers, depth):
            for block in self.blocks[done : last + 1]:
                x = block(x, turns)
            done = last + 1
            out = self.norm(x) if norm and last == depth - 1 else x
            yield Tokens(out.reshape(len(x), *self.grid, -1), None)

    def layer_of(self, name: str) -> int:
        """Return the depth of a parameter for layer-wise rates: 0 embedding, k + 1 block k, then what follows."""
        if name.startswith("blocks."):
            return int(name.split(".")[1]) + 1
        return 0 if name.startswith("patch_embed.") else len(self.blocks) + 1

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Return all tokens after the last block and norm, (B, N, D)."""
        return self.tokens(clips).patch_BTHWD.flatten(1, 3)

    def _embed(self, clips: torch.Tensor, ids_Bn: torch.Tensor | None) -> torch.Tensor:
        check_clips(clips, self.clip_shape)
        x: torch.Tensor = self.patch_embed(clips, ids_Bn)
        if not self.rotary_positions:
            x = x + (self.positions if ids_Bn is None else self.positions[0][ids_Bn]).to(x.dtype)
        return x

    def _turns(self, ids_Bn: torch.Tensor | None) -> Turns | None:
        if not self.rotary_positions:
            return None
        if ids_Bn is None:
            return self.cosines, self.sines
        return self.cosines[ids_Bn].unsqueeze(1), self.sines[ids_Bn].unsqueeze(1)
