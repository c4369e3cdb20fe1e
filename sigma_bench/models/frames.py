"""An image ViT of timm applied to every frame of a clip by itself: what a video encoder has to be better than."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import nn

from sigma_bench.contracts import EncoderSpec, Pool, Tokens, UserError, Verified
from sigma_bench.models.selection import ascending, block_of
from sigma_bench.models.vit import backbone_name

FAMILY = "image"
FRAMES_AT_A_TIME = 64
"""So many frames go through the network at once, however many a batch of clips has."""
NEEDED = (
    *("forward_intermediates", "reset_classifier", "set_input_size"),
    *("patch_embed", "blocks", "norm", "num_prefix_tokens", "embed_dim", "global_pool"),
)
"""What a model of timm has to have."""


class FrameViT(nn.Module):
    """A ViT for pictures, frame by frame; no token sees another frame.

    `patch_BTHWD` has a time step a frame and none of the tokens that stand before the patches (class token,
    registers); `cls_BD` is the mean of the frames' class tokens. The tokens are those of timm's
    `forward_intermediates`.

    Args:
        model: A ViT of timm without its head, see `take_off_head`.
        frames: Frames of a clip.
        mean: Mean of the colour channels the weights were trained with.
        std: Deviation of the colour channels the weights were trained with.
        default_pool: How the model was made to be pooled.
        verified: How far the reading of the weights was checked.
    """

    def __init__(
        self,
        model: nn.Module,
        frames: int,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        default_pool: Pool,
        *,
        verified: Verified = "none",
    ) -> None:
        super().__init__()
        self.model = vit = cast(Any, model)
        self.has_cls = getattr(vit, "cls_token", None) is not None
        self.prefix = int(vit.num_prefix_tokens)
        (side, _), (patch, _) = vit.patch_embed.img_size, vit.patch_embed.patch_size
        dim, depth = int(vit.embed_dim), len(vit.blocks)
        self.spec = EncoderSpec(
            family=FAMILY,
            backbone=backbone_name(dim, depth, patch),
            embed_dim=dim,
            depth=depth,
            heads=int(vit.blocks[0].attn.num_heads),
            tubelet=1,
            patch=patch,
            frames=frames,
            image_size=side,
            mean=mean,
            std=std,
            params=sum(p.numel() for p in self.parameters()),
            has_norm=not isinstance(vit.norm, nn.Identity),
            default_pool=default_pool,
            verified=verified,
        )

    def tokens(
        self, clips: torch.Tensor, layer: int = -1, norm: bool = True, visible: torch.Tensor | None = None
    ) -> Tokens:
        """Return the tokens after block `layer`; see `contracts.Encoder.tokens`. Clips may have any number of frames.

        Raises:
            UserError: The frames are not of this encoder's size, it has no such block, or `visible` is given.
        """
        if visible is not None:
            raise UserError(
                f"family {FAMILY}: an image ViT is applied to whole frames, no token of a clip can be hidden from it; "
                "leave out masking for this encoder"
            )
        return next(self.each_layer(clips, (block_of(layer, self.spec.depth),), norm))

    def each_layer(self, clips: torch.Tensor, layers: Sequence[int], norm: bool = True) -> Iterator[Tokens]:
        """Yield the tokens after each of some blocks, ascending, from one pass; see `contracts.Encoder`."""
        side, chosen = self.spec.image_size, ascending(layers, self.spec.depth)
        if clips.ndim != 5 or clips.shape[1] != 3 or tuple(clips.shape[3:]) != (side, side):
            raise UserError(f"clips of shape {tuple(clips.shape)} given; this encoder takes (B, 3, T, {side}, {side})")
        B, _, T = clips.shape[:3]
        pictures = clips.transpose(1, 2).flatten(0, 1)
        parts = [self._frames(part, chosen, norm) for part in torch.split(pictures, FRAMES_AT_A_TIME)]
        for of_layer in zip(*parts, strict=True):
            patches = torch.cat([part for part, _ in of_layer])
            cls = torch.cat([part for _, part in of_layer]).view(B, T, -1).mean(1) if self.has_cls else None
            yield Tokens(patches.view(B, T, *patches.shape[1:]), cls)

    def layer_of(self, name: str) -> int:
        """Return the depth of a parameter for layer-wise rates: 0 embedding, k + 1 block k, then what follows."""
        own = name.removeprefix("model.")
        if own.startswith("blocks."):
            return int(own.split(".")[1]) + 1
        return self.spec.depth + 1 if own.startswith("norm.") else 0

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Return one vector a clip (B, D), pooled as the model was made for."""
        tokens = self.tokens(clips)
        if self.spec.default_pool == "cls" and tokens.cls_BD is not None:
            return tokens.cls_BD
        return tokens.patch_BTHWD.flatten(1, 3).mean(1)

    def _frames(
        self, pictures: torch.Tensor, layers: Sequence[int], norm: bool
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return patches (N, H, W, D) and class tokens (N, D) of pictures, a layer each; no values where none are."""
        vit = cast(Any, self.model)
        found = vit.forward_intermediates(
            pictures, indices=list(layers), return_prefix_tokens=True, stop_early=True, intermediates_only=True
        )
        tokens = []
        for layer, one in zip(layers, found, strict=True):
            patches_NDHW, before = one if self.prefix else (one, None)
            patches = patches_NDHW.permute(0, 2, 3, 1)
            cls = before[:, 0] if before is not None else patches.new_zeros(0)
            if norm and layer == self.spec.depth - 1:
                patches, cls = vit.norm(patches), vit.norm(cls) if before is not None else cls
            tokens.append((patches, cls))
        return tokens


def take_off_head(model: nn.Module) -> Pool:
    """Remove what comes after the tokens, and return how the model was made to be pooled.

    That is attention pooling, a norm that is applied to pooled features alone (`fc_norm`), and the classifier.

    Raises:
        UserError: The model is no ViT with square frames and patches.
    """
    vit = cast(Any, model)
    lacking = [name for name in NEEDED if not hasattr(vit, name)]
    if lacking or not hasattr(vit.blocks[0], "attn"):
        raise UserError(
            f"{type(model).__name__} is no plain ViT (it lacks {', '.join(lacking) or 'blocks with attention'}); "
            "expected one such as vit_base_patch16_224.dino"
        )
    for what, size in (("frames", vit.patch_embed.img_size), ("patches", vit.patch_embed.patch_size)):
        if size is None or size[0] != size[1]:
            raise UserError(f"{type(model).__name__}: its {what} are {size} pixels; expected a fixed square")
    pool: Pool = "cls" if vit.global_pool == "token" else "mean"
    vit.reset_classifier(0, "")
    vit.fc_norm = nn.Identity()
    return pool
