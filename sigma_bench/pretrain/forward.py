"""From a batch to its losses, one function an objective; training and verification both call these."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F

from sigma_bench.losses.reconstruction import feature_l2, pixel_mse
from sigma_bench.losses.sinkhorn import sinkhorn
from sigma_bench.losses.swapped import swapped_cross_entropy
from sigma_bench.models.masked import MaskedVideoModel
from sigma_bench.models.selection import take, token_ids
from sigma_bench.pretrain.targets import normalized, raw_tubes, unit_range


@dataclass(frozen=True)
class Clustering:
    """How scores become assignments and losses."""

    epsilon: float = 0.05
    iterations: int = 10
    temperature: float = 0.1
    hard: bool = True


def pixel_targets(
    model: MaskedVideoModel, clips: torch.Tensor, mask: torch.Tensor, normalize: bool = True
) -> torch.Tensor:
    """Return the pixel targets of the masked tubes, (B, N_masked, t*p*p*3), float32, without gradient.

    Args:
        model: Gives patch, tubelet, mean and deviation.
        clips: Normalised clips (B, 3, T, H, W).
        mask: Boolean (B, N), True = masked.
        normalize: Normalise each tube per colour channel.
    """
    spec = model.encoder.spec
    with torch.no_grad():
        every = raw_tubes(unit_range(clips, spec.mean, spec.std), spec.patch, spec.tubelet)
        masked = take(every, token_ids(mask).to(clips.device))
        return normalized(masked) if normalize else masked


def pixel_forward(
    model: MaskedVideoModel, clips: torch.Tensor, mask: torch.Tensor, normalize: bool = True
) -> dict[str, torch.Tensor]:
    """Return `loss`, `targets` and `decoded` of pixel reconstruction (VideoMAE).

    Args:
        model: A model whose predictions are as wide as a tube has values.
        clips: Normalised clips (B, 3, T, H, W).
        mask: Boolean (B, N), True = masked.
        normalize: Predict tubes normalised per colour channel.
    """
    targets = pixel_targets(model, clips, mask, normalize)
    decoded = model(clips, mask)
    return {"loss": pixel_mse(decoded, targets), "targets": targets, "decoded": decoded}


def feature_l2_forward(
    model: MaskedVideoModel,
    clips: torch.Tensor,
    mask: torch.Tensor,
    targets: torch.Tensor | None = None,
    normalize: bool = True,
) -> dict[str, torch.Tensor]:
    """Return `loss`, `targets`, `projected` and `decoded` of feature regression: MSE(decoder, phi(targets)).

    phi is `model.head`, trained together with the model; a model without one takes the targets as they are.

    Args:
        model: The model.
        clips: Normalised clips (B, 3, T, H, W).
        mask: Boolean (B, N), True = masked.
        targets: What phi is fed for the masked tokens, (B, N_masked, P); the pixels of the tubes where None.
        normalize: Normalise pixel targets per tube and colour channel.
    """
    targets, projected, decoded = _branches(model, clips, mask, targets, normalize)
    return {"loss": feature_l2(decoded, projected), "targets": targets, "projected": projected, "decoded": decoded}


def sigma_forward(
    model: MaskedVideoModel,
    clips: torch.Tensor,
    mask: torch.Tensor,
    settings: Clustering,
    targets: torch.Tensor | None = None,
    normalize: bool = True,
    group: dist.ProcessGroup | None = None,
) -> dict[str, torch.Tensor]:
    """Return the losses of SIGMA and what they are made of.

    The prototypes are first scaled to unit length in place. Scores of the projected targets train phi and the
    prototypes; scores of the decoder are taken with the prototypes detached. Scores, assignments and losses are float32
    at any precision of the networks.

    Args:
        model: A model with prototypes, and with `head` as phi unless the targets are features already.
        clips: Normalised clips (B, 3, T, H, W).
        mask: Boolean (B, N), True = masked.
        settings: Sinkhorn and loss settings.
        targets: What phi is fed for the masked tokens, (B, N_masked, P); the pixels of the tubes where None.
        normalize: Normalise pixel targets per tube and colour channel.
        group: Processes that share the balance of the assignments.

    Returns:
        `loss`, `loss1` and `loss2` (scalars); `scores1`, `q1`, `scores2`, `q2` (B*N_masked, K); `targets`, `projected`
        and `decoded` (B, N_masked, ...).

    Raises:
        ValueError: The model has no prototypes.
        FloatingPointError: A score is infinite or not a number.
    """
    model.normalize_prototypes()
    targets, projected, decoded = _branches(model, clips, mask, targets, normalize)
    assert model.prototypes is not None
    with torch.autocast(clips.device.type, enabled=False):
        prototypes = model.prototypes.float()
        scores1 = F.normalize(projected.float(), dim=-1).flatten(0, 1) @ prototypes.t()
        scores2 = F.normalize(decoded.float(), dim=-1).flatten(0, 1) @ prototypes.detach().t()
        q1 = sinkhorn(scores1, settings.epsilon, settings.iterations, group)
        q2 = sinkhorn(scores2, settings.epsilon, settings.iterations, group)
        loss = swapped_cross_entropy(scores1, scores2, q1, q2, settings.temperature, settings.hard)
    return {
        "loss": loss.total,
        "loss1": loss.first,
        "loss2": loss.second,
        "scores1": scores1,
        "q1": q1,
        "scores2": scores2,
        "q2": q2,
        "targets": targets,
        "projected": projected,
        "decoded": decoded,
    }


def _branches(
    model: MaskedVideoModel, clips: torch.Tensor, mask: torch.Tensor, targets: torch.Tensor | None, normalize: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    if targets is None:
        targets = pixel_targets(model, clips, mask, normalize)
    projected = targets if model.head is None else model.head(targets)
    return targets, projected, model(clips, mask)
