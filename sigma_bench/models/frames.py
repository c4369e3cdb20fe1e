"""An image ViT of timm applied to every frame of a clip by itself: what a video encoder has to be better than."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from sigma_bench.contracts import EncoderSpec, Pool, Tokens, UserError, Verified
from sigma_bench.models.selection import block_of
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
        depth, side = self.spec.depth, self.spec.image_size
        if visible is not None:
            raise UserError(
                f"family {FAMILY}: an image ViT is applied to whole frames, no token of a clip can be hidden from it; "
                "leave out masking for this encoder"
            )
        if clips.ndim != 5 or clips.shape[1] != 3 or tuple(clips.shape[3:]) != (side, side):
            raise UserError(f"clips of shape {tuple(clips.shape)} given; this encoder takes (B, 3, T, {side}, {side})")
        B, _, T = clips.shape[:3]
        last = block_of(layer, depth)
        pictures = clips.transpose(1, 2).flatten(0, 1)
        with_norm = norm and last == depth - 1
        parts = [self._frames(part, last, with_norm) for part in torch.split(pictures, FRAMES_AT_A_TIME)]
        patches = torch.cat([part for part, _ in parts])
        cls = torch.cat([part for _, part in parts]).view(B, T, -1).mean(1) if self.has_cls else None
        return Tokens(patches.view(B, T, *patches.shape[1:]), cls)

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

    def _frames(self, pictures: torch.Tensor, last: int, norm: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the patches (N, H, W, D) and the class tokens (N, D) of pictures; no values where there are none."""
        found = cast(Any, self.model).forward_intermediates(
            pictures, indices=[last], return_prefix_tokens=True, norm=norm, stop_early=True, intermediates_only=True
        )[0]
        patches_NDHW, before = found if self.prefix else (found, None)
        cls = before[:, 0] if before is not None else patches_NDHW.new_zeros(0)
        return patches_NDHW.permute(0, 2, 3, 1), cls


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
