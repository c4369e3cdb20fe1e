"""Floating-point operations of a pretraining step per clip: arithmetic from the shapes of a recipe, nothing measured.

Only matrix products are counted, two operations a multiply-add. A backward pass costs two products for each of the
forward pass, less those whose result nobody needs: gradients of pixels, of a frozen teacher, of detached prototypes.
Attention is counted without the scores that a fused kernel computes again in the backward pass (about 3 % for ViT-B),
the forward pass without the second one that `clustering.balance: step` needs for several micro-batches, and motion
masks without their optical flow.
"""

from __future__ import annotations

import itertools
from dataclasses import astuple, dataclass
from functools import cache

from sigma_bench.models.vit import size_of
from sigma_bench.spec.recipe import Recipe
from sigma_bench.spec.recipe_target import MlpTarget, TeacherTarget

H200_PEAK = 790e12
"""Dense bf16 operations per second that the matrix units of an H200 sustain."""
UTILISATION = 0.45
"""Share of the peak that the estimates of GPU hours assume."""


@dataclass(frozen=True)
class ClipFlops:
    """Operations of one clip, forward and backward together, part by part."""

    encoder: float
    decoder: float
    projection: float
    scores: float
    teacher: float

    @property
    def total(self) -> float:
        """Sum of the parts."""
        return float(sum(astuple(self)))


@dataclass(frozen=True)
class ImageVit:
    """What the cost of an image ViT depends on."""

    dim: int
    depth: int
    patch: int
    prefix: int
    """Class and register tokens."""
    block_weights: int
    """Weights of the linear layers of all blocks."""


def clip_flops(recipe: Recipe) -> ClipFlops:
    """Return the operations a clip costs in training by `recipe`.

    Raises:
        UserError: Unknown size.
    """
    model, size = recipe.model, size_of(recipe.model.size)
    slices, height, width = recipe.model.grid
    slots, ratio = height * width, recipe.mask.ratio
    compat = recipe.mask.kind == "motion" and recipe.mask.mgmae_compat
    masked = (slots - int(slots * (1 - ratio)) if compat else int(ratio * slots)) * slices
    tokens = slices * slots
    tube = model.tubelet * model.patch**2 * 3
    vit = image_vit(recipe.target.model) if isinstance(recipe.target, TeacherTarget) else None
    mlp = recipe.target if isinstance(recipe.target, MlpTarget) else None
    out = vit.dim if vit else mlp.dim if mlp else tube
    visible = tokens - masked
    encoder = 2 * (2 * visible * tube * size.dim) + 3 * size.depth * _block(visible, size.dim)
    rest = 2 * visible * size.dim * size.decoder_dim + 2 * masked * size.decoder_dim * out
    decoder = 3 * (model.decoder_depth * _block(tokens, size.decoder_dim) + rest)
    projection = 0
    if mlp:
        layers = [before * after for before, after in itertools.pairwise((tube, *mlp.widths, mlp.dim))]
        projection = 2 * masked * (3 * sum(layers) - layers[0])
    scores = 0
    if recipe.clustering:
        # the projected branch gives gradients to the prototypes, and to a projection that learns; the decoded one to
        # the decoder alone
        scores = 2 * masked * out * recipe.clustering.prototypes * (2 + (2 if mlp else 1) + 1)
    teacher = slices * image_flops(vit, model.image_size) if vit else 0
    return ClipFlops(encoder, decoder, projection, scores, teacher)


def image_flops(vit: ImageVit, image_size: int) -> int:
    """Return the operations of a forward pass of one square image of `image_size` pixels."""
    patches = (image_size // vit.patch) ** 2
    tokens = patches + vit.prefix
    embed = 2 * patches * 3 * vit.patch**2 * vit.dim
    return embed + 2 * tokens * vit.block_weights + vit.depth * 4 * tokens**2 * vit.dim


def gpu_hours(flops: float, clips: int) -> float:
    """Return the hours one H200 needs for `clips` clips of `flops` operations at 45 % of its peak: arithmetic."""
    return flops * clips / (UTILISATION * H200_PEAK) / 3600


@cache
def image_vit(name: str) -> ImageVit:
    """Return the geometry of an image ViT of timm by its name; no weights are made.

    Raises:
        UserError: timm has no such model, or it is no plain ViT.
    """
    import timm
    import torch
    from torch import nn

    from sigma_bench.contracts import UserError

    try:
        with torch.device("meta"):
            module = timm.create_model(name, pretrained=False, num_classes=0)
    except RuntimeError as error:
        raise UserError(f"target.model: timm has no model {name!r} ({error}); see timm.list_models('vit_*')") from error
    if not isinstance(module, timm.models.VisionTransformer | timm.models.Eva):
        raise UserError(f"target.model: {name} is a {type(module).__name__}, expected a plain ViT such as DINO's")
    linear = [part.weight.numel() for part in module.blocks.modules() if isinstance(part, nn.Linear)]
    side = module.patch_embed.patch_size[0]
    return ImageVit(module.embed_dim, len(module.blocks), side, module.num_prefix_tokens, sum(linear))


def _block(tokens: int, dim: int) -> int:
    """Return the operations of the forward pass of a transformer block with an MLP of four times its width."""
    return 24 * tokens * dim**2 + 4 * tokens**2 * dim
