"""Encoder and decoder of masked video modelling, with the state-dict keys of SIGMA and VideoMAE pretraining files."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from sigma_bench.models.decoder import Decoder
from sigma_bench.models.positions import sincos_1d
from sigma_bench.models.selection import token_ids
from sigma_bench.models.vit import VideoViT, size_of


class MaskedVideoModel(nn.Module):
    """Encodes the visible tokens of a clip and predicts the masked ones.

    Args:
        encoder: The encoder that is kept after pretraining; it must have a last norm.
        decoder_dim: Width of the decoder.
        decoder_depth: Blocks of the decoder.
        decoder_heads: Attention heads of the decoder.
        out_dim: Width of a prediction.
        head: The network phi that projects the targets (SIGMA's MLP), or None.
        prototypes: Number of prototypes, 0 for none.
    """

    def __init__(
        self,
        encoder: VideoViT,
        decoder_dim: int,
        decoder_depth: int,
        decoder_heads: int,
        out_dim: int,
        head: nn.Module | None = None,
        prototypes: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.encoder_to_decoder = nn.Linear(encoder.spec.embed_dim, decoder_dim, bias=False)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_dim))
        nn.init.trunc_normal_(self.mask_token, std=0.02, a=-0.02, b=0.02)
        self.decoder = Decoder(decoder_dim, decoder_depth, decoder_heads, out_dim)
        self.head = head
        self.prototypes = nn.Parameter(torch.randn(prototypes, out_dim)) if prototypes else None
        self.decoder_positions: torch.Tensor
        table = sincos_1d(math.prod(encoder.grid), decoder_dim)
        self.register_buffer("decoder_positions", table, persistent=False)

    def forward(self, clips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the predictions for the masked tokens in ascending order, (B, N_masked, out_dim).

        Args:
            clips: Normalised clips (B, 3, T, H, W).
            mask: Boolean (B, N), True = masked, the same number in each row.
        """
        visible = self.encoder_to_decoder(self.encoder.forward_visible(clips, mask))
        table = self.decoder_positions[0].to(visible.dtype)
        masked_ids = token_ids(mask).to(clips.device)
        shown = visible + table[token_ids(~mask).to(clips.device)]
        hidden = self.mask_token.to(visible.dtype) + table[masked_ids]
        out: torch.Tensor = self.decoder(torch.cat((shown, hidden), 1), masked_ids.shape[1])
        return out

    def recompute_activations(self) -> None:
        """Keep no activations inside the blocks; the backward pass computes them again."""
        self.encoder.recompute = self.decoder.recompute = True

    def compile_blocks(self) -> None:
        """Compile each block of encoder and decoder, in place; names of parameters stay."""
        for block in (*self.encoder.blocks, *self.decoder.blocks):
            block.compile(dynamic=False)

    @torch.no_grad()
    def normalize_prototypes(self) -> None:
        """Scale the prototypes to unit length in place; no gradient passes through it.

        Raises:
            ValueError: The model has no prototypes.
        """
        if self.prototypes is None:
            raise ValueError("this model has no prototypes")
        self.prototypes.copy_(F.normalize(self.prototypes, dim=1))


def masked_model(
    size: str,
    *,
    out_dim: int,
    image_size: int = 224,
    frames: int = 16,
    tubelet: int = 2,
    patch: int = 16,
    decoder_depth: int | None = None,
    head: nn.Module | None = None,
    prototypes: int = 0,
) -> MaskedVideoModel:
    """Build an untrained model of a named size (`models.vit.SIZES`).

    Args:
        size: Name of the size.
        out_dim: Width of a prediction.
        image_size: Side of the frames in pixels.
        frames: Frames of a clip.
        tubelet: Frames of a tubelet.
        patch: Side of a tubelet in pixels.
        decoder_depth: Blocks of the decoder; the size's own where None.
        head: The network phi, or None.
        prototypes: Number of prototypes, 0 for none.

    Raises:
        UserError: Unknown size, or sizes that do not divide.
    """
    chosen = size_of(size)
    encoder = VideoViT(image_size, patch, frames, tubelet, chosen.dim, chosen.depth, chosen.heads)
    depth = chosen.decoder_depth if decoder_depth is None else decoder_depth
    return MaskedVideoModel(encoder, chosen.decoder_dim, depth, chosen.decoder_heads, out_dim, head, prototypes)
