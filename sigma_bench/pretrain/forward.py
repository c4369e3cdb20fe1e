"""From a batch to its losses, one function an objective; training and verification both call these."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.distributed as dist

from sigma_bench.losses.clustering import ClusteringLoss, ClusteringSettings, balance_weights, clustering_loss
from sigma_bench.losses.reconstruction import feature_l2, pixel_mse
from sigma_bench.models.masked import MaskedVideoModel
from sigma_bench.models.selection import take, token_ids
from sigma_bench.pretrain.targets import normalized, raw_tubes, unit_range


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
    settings: ClusteringSettings,
    targets: torch.Tensor | None = None,
    normalize: bool = True,
    group: dist.ProcessGroup | None = None,
    weights: tuple[torch.Tensor, torch.Tensor] | None = None,
    watch: bool = False,
) -> dict[str, torch.Tensor]:
    """Return the losses of SIGMA and what they are made of.

    The prototypes are first scaled to unit length in place. Scores of the projected targets train phi and the
    prototypes; scores of the decoder are taken with the prototypes detached. Scores that are infinite or not a number
    give a loss that is not a number, so that every process reaches the end of the step and all can agree to stop.

    Args:
        model: A model with prototypes, and with `head` as phi unless the targets are features already.
        clips: Normalised clips (B, 3, T, H, W).
        mask: Boolean (B, N), True = masked.
        settings: Sinkhorn and loss settings.
        targets: What phi is fed for the masked tokens, (B, N_masked, P); the pixels of the tubes where None.
        normalize: Normalise pixel targets per tube and colour channel.
        group: Processes that share the balance of the assignments.
        weights: The balance of both branches, found by `sigma_balance`; None: it is found over this batch.
        watch: Also measure the entropy of the assignments.

    Returns:
        `loss`, `loss1` and `loss2` (scalars); `labels1` and `labels2` (B*N_masked,); `entropy1` (scalar, where
        watched); `targets`, `projected` and `decoded` (B, N_masked, ...).

    Raises:
        ValueError: The model has no prototypes.
    """
    model.normalize_prototypes()
    targets, projected, decoded = _branches(model, clips, mask, targets, normalize)
    assert model.prototypes is not None
    sides = projected.flatten(0, 1), decoded.flatten(0, 1)
    try:
        loss = clustering_loss(*sides, model.prototypes, settings, group, weights, watch)
    except FloatingPointError:
        loss = _undefined(*sides, model.prototypes, watch)
    found = {
        "loss": loss.total,
        "loss1": loss.first,
        "loss2": loss.second,
        "labels1": loss.labels1_M,
        "labels2": loss.labels2_M,
        "targets": targets,
        "projected": projected,
        "decoded": decoded,
    }
    return found if loss.entropy1 is None else {**found, "entropy1": loss.entropy1}


def _undefined(
    projected_MD: torch.Tensor, decoded_MD: torch.Tensor, prototypes_KD: torch.Tensor, watch: bool
) -> ClusteringLoss:
    loss = (projected_MD.float().sum() + decoded_MD.float().sum() + prototypes_KD.sum()) * math.nan
    labels_M = torch.zeros(len(projected_MD), dtype=torch.long, device=loss.device)
    return ClusteringLoss(loss, loss, loss, labels_M, labels_M, loss.detach() if watch else None)


def sigma_balance(
    model: MaskedVideoModel,
    parts: Iterable[tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]],
    settings: ClusteringSettings,
    normalize: bool = True,
    group: dist.ProcessGroup | None = None,
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return the balance of both branches over several micro-batches, as if they were one batch; without gradient.

    None where scores are infinite or not a number; the losses of these micro-batches will say so.

    Args:
        model: As for `sigma_forward`.
        parts: Normalised clips, mask and targets (or None) of each micro-batch.
        settings: Sinkhorn settings.
        normalize: Normalise pixel targets per tube and colour channel.
        group: Processes that share the balance.
    """
    with torch.no_grad():
        model.normalize_prototypes()
        assert model.prototypes is not None
        found = [_branches(model, clips, mask, targets, normalize)[1:] for clips, mask, targets in parts]
        projected = [branches[0].flatten(0, 1) for branches in found]
        decoded = [branches[1].flatten(0, 1) for branches in found]
        del found
        try:
            return balance_weights(projected, decoded, model.prototypes, settings, group)
        except FloatingPointError:
            return None


def _branches(
    model: MaskedVideoModel, clips: torch.Tensor, mask: torch.Tensor, targets: torch.Tensor | None, normalize: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    if targets is None:
        targets = pixel_targets(model, clips, mask, normalize)
    projected = targets if model.head is None else model.head(targets)
    return targets, projected, model(clips, mask)
