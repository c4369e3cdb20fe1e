"""A pretraining step written out plainly, after the description of the released code: what ours is measured against.

It uses the weights of a `MaskedVideoModel` and shares none of its computation: attention with its matrix of
probabilities, the convolution over every tubelet before some are chosen, targets of every tubelet, choices by boolean
masks, Sinkhorn by rewriting the whole matrix, cross entropy over (B, K, N) scores, autograd for all of it.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from sigma_bench.models.masked import MaskedVideoModel
from sigma_bench.models.vit import IMAGENET_MEAN, IMAGENET_STD, Attention, Block
from sigma_bench.pretrain.teacher import FrozenTeacher
from sigma_bench.spec.recipe import Recipe
from sigma_bench.spec.recipe_target import TeacherTarget

COLOURS = (1, 3, 1, 1, 1)


def plain_sinkhorn(scores_MK: torch.Tensor, epsilon: float, iterations: int) -> torch.Tensor:
    """Return the assignments (M, K) of the loop over the whole matrix.

    An iteration goes through the K x M matrix four times: it sums and scales the prototypes' rows, then the tokens'
    columns, both with one product in place. The matrix is a transposed view, and is copied once.
    """
    with torch.no_grad():
        q_KM = torch.exp(scores_MK / epsilon).t().clone()
        q_KM /= q_KM.sum()
        K, M = q_KM.shape
        for _ in range(iterations):
            q_KM *= (1 / (K * q_KM.sum(1))).unsqueeze(1)
            q_KM *= (1 / (M * q_KM.sum(0))).unsqueeze(0)
        return (q_KM / q_KM.sum(0, keepdim=True)).t()


def plain_clustering_loss(
    projected_BND: torch.Tensor,
    decoded_BND: torch.Tensor,
    prototypes_KD: torch.Tensor,
    epsilon: float,
    iterations: int,
    temperature: float,
) -> torch.Tensor:
    """Return the loss with hard assignments; classes are the second dimension of the scores in the cross entropy."""
    B, N, _ = projected_BND.shape
    scores, labels = [], []
    for tokens_BND, centres_KD in ((projected_BND, prototypes_KD), (decoded_BND, prototypes_KD.detach())):
        unit_MD = F.normalize(tokens_BND.reshape(B * N, -1), dim=-1)
        scores_MK = torch.einsum("md,kd->mk", unit_MD, centres_KD)
        labels.append(plain_sinkhorn(scores_MK.detach(), epsilon, iterations).reshape(B, N, -1).argmax(-1))
        scores.append((scores_MK.reshape(B, N, -1) / temperature).permute(0, 2, 1))
    return F.cross_entropy(scores[0], labels[1]) + F.cross_entropy(scores[1], labels[0])


def plain_attention(attention: Attention, x_BND: torch.Tensor) -> torch.Tensor:
    B, N, D = x_BND.shape
    bias = torch.cat((attention.q_bias, torch.zeros_like(attention.v_bias), attention.v_bias))
    qkv = F.linear(x_BND, attention.qkv.weight, bias).reshape(B, N, 3, attention.heads, -1).permute(2, 0, 3, 1, 4)
    query, key, value = qkv[0], qkv[1], qkv[2]
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    attended = (scores.softmax(-1) @ value).transpose(1, 2).reshape(B, N, D)
    return cast(torch.Tensor, attention.proj(attended))


def plain_blocks(blocks: nn.ModuleList, x_BND: torch.Tensor) -> torch.Tensor:
    for block in blocks:
        assert isinstance(block, Block)
        x_BND = x_BND + plain_attention(block.attn, block.norm1(x_BND))
        x_BND = x_BND + block.mlp.fc2(F.gelu(block.mlp.fc1(block.norm2(x_BND))))
    return x_BND


def plain_prediction(module: MaskedVideoModel, clips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the predictions for the masked tokens (B, N_masked, out)."""
    B, encoder = len(clips), module.encoder
    every = encoder.patch_embed.proj(clips).flatten(2).transpose(1, 2)
    every = every + encoder.positions.type_as(every).clone()
    visible = encoder.norm(plain_blocks(encoder.blocks, every[~mask].reshape(B, -1, every.shape[-1])))
    visible = module.encoder_to_decoder(visible)
    table = module.decoder_positions.expand(B, -1, -1).type_as(clips).clone()
    width = table.shape[-1]
    shown, hidden = (table[chosen].reshape(B, -1, width) for chosen in (~mask, mask))
    x_BND = plain_blocks(module.decoder.blocks, torch.cat((visible + shown, module.mask_token + hidden), 1))
    return cast(torch.Tensor, module.decoder.head(module.decoder.norm(x_BND[:, -hidden.shape[1] :])))


def plain_pixels(recipe: Recipe, clips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the standardised pixels of the masked tubes; all tubes are standardised."""
    t, p = recipe.model.tubelet, recipe.model.patch
    mean, std = (clips.new_tensor(values).view(COLOURS) for values in (IMAGENET_MEAN, IMAGENET_STD))
    B, C, T, H, W = clips.shape
    cut = (clips * std + mean).reshape(B, C, T // t, t, H // p, p, W // p, p)
    tubes = cut.permute(0, 2, 4, 6, 3, 5, 7, 1).reshape(B, -1, t * p * p, C)
    deviation = tubes.var(-2, unbiased=True, keepdim=True).sqrt() + 1e-6
    return ((tubes - tubes.mean(-2, keepdim=True)) / deviation).flatten(2)[mask].reshape(B, -1, t * p * p * C)


def plain_features(recipe: Recipe, teacher: FrozenTeacher, clips: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the standardised features of the masked tokens; all frames go through the teacher at once, in float32."""
    network = cast(Any, teacher.network.model)
    B = len(clips)
    frames = clips.transpose(1, 2)[:, :: recipe.model.tubelet].flatten(0, 1)
    with torch.autocast(clips.device.type, enabled=False):
        features = network.forward_features(frames)[:, network.num_prefix_tokens :]
    features = features.reshape(B, -1, features.shape[-1])
    deviation = features.var(-2, unbiased=True, keepdim=True).sqrt() + 1e-6
    every = (features - features.mean(-2, keepdim=True)) / deviation
    return every[mask].reshape(B, -1, features.shape[-1])


def plain_loss(
    recipe: Recipe, module: MaskedVideoModel, teacher: FrozenTeacher | None, frames: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Return the loss of a micro-batch.

    Args:
        recipe: SIGMA with hard assignments, or VideoMAE.
        module: Its weights are used; the prototypes are scaled to unit length in place.
        teacher: For features as targets.
        frames: uint8 (B, 3, T, H, W).
        mask: Boolean (B, N), True = masked, on the device.
    """
    with torch.no_grad():
        mean, std = (torch.tensor(v, device=frames.device).view(COLOURS) for v in (IMAGENET_MEAN, IMAGENET_STD))
        clips = (frames.float() / 255 - mean) / std
        if isinstance(recipe.target, TeacherTarget):
            assert teacher is not None
            targets = plain_features(recipe, teacher, clips, mask)
        else:
            targets = plain_pixels(recipe, clips, mask)
    decoded = plain_prediction(module, clips, mask)
    projected = targets if module.head is None else module.head(targets)
    if recipe.clustering is None:
        return F.mse_loss(decoded, projected)
    assert module.prototypes is not None
    with torch.no_grad():
        module.prototypes.copy_(F.normalize(module.prototypes.clone(), dim=1))
    c = recipe.clustering
    return plain_clustering_loss(projected, decoded, module.prototypes, c.epsilon, c.iterations, c.temperature)


def plain_step(loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> float:
    """Backward pass, norm of the gradients one parameter at a time, and AdamW; returns the loss."""
    value = loss.item()
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    torch.stack([grad.norm() for grad in grads]).norm()
    optimizer.step()
    return value
