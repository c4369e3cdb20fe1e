"""The video ViT of the VideoMAE family, in plain torch, with the parameter names of its released files."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from sigma_bench.contracts import EncoderSpec, Tokens, UserError, Verified
from sigma_bench.models.drop_path import kept
from sigma_bench.models.positions import sincos_1d
from sigma_bench.models.selection import ascending, block_of, check_clips, take, token_ids

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
EPS = 1e-6
FIRST = ("patch_embed.", "pos_embed", "cls_token", "mask_token")
"""Beginnings of names of parameters before the first block."""
MAX_LOG_SCALE = 4.6052
"""Bound of the learned scale of cosine attention: log 100, to the digits of the released code."""


@dataclass(frozen=True)
class Size:
    """Widths of an encoder and of the decoder that is trained with it."""

    dim: int
    depth: int
    heads: int
    decoder_dim: int
    decoder_depth: int
    decoder_heads: int


SIZES: dict[str, Size] = {
    "nano": Size(96, 3, 4, 64, 1, 2),
    "small": Size(384, 12, 6, 192, 4, 3),
    "base": Size(768, 12, 12, 384, 4, 6),
    "large": Size(1024, 24, 16, 512, 12, 8),
    "huge": Size(1280, 32, 16, 640, 12, 8),
}


def size_of(name: str) -> Size:
    """Return the widths of a named size.

    Raises:
        UserError: No size of that name.
    """
    if name not in SIZES:
        raise UserError(f"unknown model size '{name}'; known: {', '.join(SIZES)}")
    return SIZES[name]


def backbone_name(dim: int, depth: int, patch: int) -> str:
    """Return the usual name of a backbone ("ViT-B/16"), or its widths where it has none."""
    letters = {"nano": "ViT-nano", "small": "ViT-S", "base": "ViT-B", "large": "ViT-L", "huge": "ViT-H"}
    for name, size in SIZES.items():
        if (size.dim, size.depth) == (dim, depth):
            return f"{letters[name]}/{patch}"
    return f"ViT-g/{patch}" if (dim, depth) == (1408, 40) else f"ViT-{dim}x{depth}/{patch}"


class Attention(nn.Module):
    """Multi-head self-attention whose queries and values have a bias and whose keys have none.

    With `cosine` the scores are cosines times the exponential of a learned `scale` a head, at most 100 (VideoMAEv2
    `modeling_finetune.py`, `CosAttention`).
    """

    def __init__(self, dim: int, heads: int, cosine: bool = False) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"{heads} heads do not divide {dim} channels")
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))
        self.proj = nn.Linear(dim, dim)
        self.scale = nn.Parameter(torch.full((heads, 1, 1), math.log(10))) if cosine else None

    def forward(self, x_BND: torch.Tensor) -> torch.Tensor:
        """Return the attended tokens, (B, N, D)."""
        B, N, D = x_BND.shape
        bias = torch.cat((self.q_bias, torch.zeros_like(self.v_bias), self.v_bias))
        qkv = F.linear(x_BND, self.qkv.weight, bias).view(B, N, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        if self.scale is None:
            attended = F.scaled_dot_product_attention(query, key, value)
        else:
            query = F.normalize(query, dim=-1) * self.scale.clamp(max=MAX_LOG_SCALE).exp()
            attended = F.scaled_dot_product_attention(query, F.normalize(key, dim=-1), value, scale=1.0)
        out: torch.Tensor = self.proj(attended.transpose(1, 2).reshape(B, N, D))
        return out


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return tokens of the input's shape."""
        out: torch.Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class Block(nn.Module):
    """A pre-LN transformer block, without layer scale; `drop_path` is its rate of stochastic depth, 0 unless set."""

    def __init__(
        self, dim: int, heads: int, mlp_hidden: int | None = None, eps: float = EPS, cosine: bool = False
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = Attention(dim, heads, cosine)
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = Mlp(dim, mlp_hidden or 4 * dim)
        self.drop_path = 0.0

    def forward(self, x_BND: torch.Tensor) -> torch.Tensor:
        """Return the tokens after the block, (B, N, D)."""
        x_BND = x_BND + kept(self.attn(self.norm1(x_BND)), self.drop_path, self.training)
        return x_BND + kept(self.mlp(self.norm2(x_BND)), self.drop_path, self.training)


def through(blocks: Iterable[nn.Module], x_BND: torch.Tensor, recompute: bool) -> torch.Tensor:
    """Return the tokens after all blocks; with `recompute`, what a block needs for its gradient is not kept."""
    for block in blocks:
        keep = not (recompute and torch.is_grad_enabled())
        x_BND = block(x_BND) if keep else checkpoint(block, x_BND, use_reentrant=False)
    return x_BND


class PatchEmbed(nn.Module):
    """Non-overlapping tubelets, each one projected by the same linear map.

    All tubelets go through the convolution `proj`; where only some are asked for, they are cut out first and the same
    weights are applied as a linear layer, so that hidden ones cost nothing.
    """

    def __init__(self, patch: int, tubelet: int, dim: int) -> None:
        super().__init__()
        self.kernel = (tubelet, patch, patch)
        self.proj = nn.Conv3d(3, dim, kernel_size=self.kernel, stride=self.kernel)

    def forward(self, clips: torch.Tensor, ids_Bn: torch.Tensor | None = None) -> torch.Tensor:
        """Return the embedded tubelets in (t, h, w) order, all (B, N, D) or those of `ids_Bn` (B, n, D)."""
        if ids_Bn is None:
            every: torch.Tensor = self.proj(clips).flatten(2).transpose(1, 2)
            return every
        B, C, T, H, W = clips.shape
        t, p, _ = self.kernel
        cut = clips.reshape(B, C, T // t, t, H // p, p, W // p, p).permute(0, 2, 4, 6, 1, 3, 5, 7)
        tubes = take(cut.reshape(B, -1, C * t * p * p), ids_Bn)
        return F.linear(tubes, self.proj.weight.flatten(1), self.proj.bias)


class VideoViT(nn.Module):
    """Space-time ViT: tubelet embedding, fixed flat sine-cosine positions, pre-LN blocks, an optional last norm.

    Args:
        image_size: Side of the square frames in pixels.
        patch: Side of a tubelet in pixels.
        frames: Frames of a clip.
        tubelet: Frames of a tubelet.
        dim: Embedding width.
        depth: Number of blocks.
        heads: Attention heads of a block.
        norm: Whether there is a LayerNorm after the last block (pretraining files have one, finetuned ones do not).
        mlp_hidden: Hidden width of a block's MLP; 4 x dim where None.
        cosine: Cosine attention with a learned scale (an option of VideoMAEv2 and MGMAE).
        cls_token: A class token before the patches (an option of MVD); its position is the first row of the table.
        eps: Epsilon of every LayerNorm (1e-6 in the family's own code, 1e-12 in Hugging Face's).
        mean: Channel means that the clips are normalised with.
        std: Channel deviations that the clips are normalised with.
        family: Family written into `spec`.
        verified: How far the adapter that filled the weights was checked.

    Raises:
        UserError: Sizes that do not divide.
    """

    def __init__(
        self,
        image_size: int = 224,
        patch: int = 16,
        frames: int = 16,
        tubelet: int = 2,
        dim: int = 768,
        depth: int = 12,
        heads: int = 12,
        norm: bool = True,
        *,
        mlp_hidden: int | None = None,
        cosine: bool = False,
        cls_token: bool = False,
        eps: float = EPS,
        mean: tuple[float, float, float] = IMAGENET_MEAN,
        std: tuple[float, float, float] = IMAGENET_STD,
        family: str = "sigma",
        verified: Verified = "none",
    ) -> None:
        super().__init__()
        if image_size % patch or frames % tubelet or dim % heads:
            raise UserError(
                f"sizes do not fit: image {image_size} px / patch {patch}, frames {frames} / tubelet {tubelet}, "
                f"dim {dim} / heads {heads}; each second number must divide the first"
            )
        self.grid = (frames // tubelet, image_size // patch, image_size // patch)
        self.clip_shape = (3, frames, image_size, image_size)
        self.eps = eps
        self.recompute = False
        self.patch_embed = PatchEmbed(patch, tubelet, dim)
        self.blocks = nn.ModuleList(Block(dim, heads, mlp_hidden, eps, cosine) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=eps) if norm else nn.Identity()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if cls_token else None
        self.positions: torch.Tensor
        self.register_buffer("positions", sincos_1d(math.prod(self.grid) + cls_token, dim), persistent=False)
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
            mean=mean,
            std=std,
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
        x = self._embed(clips, ids)
        x = through(self.blocks[: last + 1], x, self.recompute)
        return self._tokens(x, norm and last == depth - 1, visible is None)

    def each_layer(self, clips: torch.Tensor, layers: Sequence[int], norm: bool = True) -> Iterator[Tokens]:
        """Yield the tokens after each of some blocks, ascending, from one pass; see `contracts.Encoder`."""
        x, done, depth = self._embed(clips, None), 0, len(self.blocks)
        for last in ascending(layers, depth):
            x, done = through(self.blocks[done : last + 1], x, self.recompute), last + 1
            yield self._tokens(x, norm and last == depth - 1, True)

    def _tokens(self, x: torch.Tensor, norm: bool, whole: bool) -> Tokens:
        """Return what came out of a block as tokens; `whole`: all places of the grid are there."""
        if norm:
            x = self.norm(x)
        cls = None
        if self.cls_token is not None:
            cls, x = x[:, 0], x[:, 1:]
        return Tokens(x.reshape(len(x), *self.grid, -1) if whole else x[:, None, None], cls)

    def forward_visible(self, clips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the normed tokens of the unmasked positions, (B, N_visible, D), ascending; only these are computed.

        Args:
            clips: Normalised clips (B, 3, T, H, W).
            mask: Boolean (B, N), True = masked, the same number in each row.
        """
        return self.tokens(clips, visible=~mask).patch_BTHWD[:, 0, 0]

    def layer_of(self, name: str) -> int:
        """Return the depth of a parameter for layer-wise rates: 0 embedding, k + 1 block k, then what follows."""
        if name.startswith("blocks."):
            return int(name.split(".")[1]) + 1
        return 0 if name.startswith(FIRST) else len(self.blocks) + 1

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Return all tokens after the last block and norm, (B, N, D)."""
        return self.tokens(clips).patch_BTHWD.flatten(1, 3)

    def _embed(self, clips: torch.Tensor, ids_Bn: torch.Tensor | None) -> torch.Tensor:
        check_clips(clips, self.clip_shape)
        x: torch.Tensor = self.patch_embed(clips, ids_Bn)
        of_patches = self.positions if self.cls_token is None else self.positions[:, 1:]
        positions = of_patches if ids_Bn is None else of_patches[0][ids_Bn]
        x = x + positions.to(x.dtype)
        if self.cls_token is None:
            return x
        first = (self.cls_token + self.positions[:, :1]).to(x.dtype)
        return torch.cat((first.expand(len(x), -1, -1), x), dim=1)


def xavier_init(module: nn.Module) -> None:
    """Set linear layers to Xavier-uniform with zero bias and LayerNorms to identity, as the family does."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
