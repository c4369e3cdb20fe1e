"""What masked tokens are asked to predict: the pixels of a clip, or the features of a teacher."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sigma_bench.models.selection import take, token_ids

EPS = 1e-6


def unit_range(clips: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Undo the normalisation of clips (B, 3, T, H, W): values in [0, 1], float32."""
    shape = (1, 3, 1, 1, 1)
    return (clips.float() * clips.new_tensor(std).view(shape)).add_(clips.new_tensor(mean).view(shape))


def tubes(clips01: torch.Tensor, patch: int, tubelet: int) -> torch.Tensor:
    """Cut clips (B, 3, T, H, W) into tubes (B, N, t*p*p, 3), tokens in (t, h, w) order."""
    B, C, T, H, W = clips01.shape
    cut = clips01.reshape(B, C, T // tubelet, tubelet, H // patch, patch, W // patch, patch)
    return cut.permute(0, 2, 4, 6, 3, 5, 7, 1).reshape(B, -1, tubelet * patch * patch, C)


def raw_tubes(clips01: torch.Tensor, patch: int, tubelet: int) -> torch.Tensor:
    """Return the pixels of each tube as they are, (B, N, t*p*p*3), channel fastest."""
    return tubes(clips01, patch, tubelet).flatten(2)


def normalized(tubes_BNP: torch.Tensor) -> torch.Tensor:
    """Return tubes (B, n, t*p*p*3), channel fastest, with zero mean and unit deviation per tube and colour channel.

    The deviation is the unbiased one, plus 1e-6.
    """
    by_channel = tubes_BNP.reshape(*tubes_BNP.shape[:2], -1, 3).transpose(2, 3).contiguous()
    centred = by_channel - by_channel[..., :1]  # a tube of one colour is zero, not the rounding error of its mean
    centred -= centred.mean(-1, keepdim=True)
    deviation = torch.linalg.vector_norm(centred, dim=-1, keepdim=True) / (centred.shape[-1] - 1) ** 0.5
    return centred.div_(deviation + EPS).transpose(2, 3).flatten(2)


@torch.no_grad()
def teacher_targets(features_BND: torch.Tensor, mask_BN: torch.Tensor, normalize: bool) -> torch.Tensor:
    """Return the features of the masked tokens in ascending order, (B, N_masked, D), float32, without gradient.

    Args:
        features_BND: Features of all tokens.
        mask_BN: Boolean, True = masked, the same number in each row.
        normalize: Give each channel zero mean and unit deviation over all tokens of its clip, hidden or not; the
            deviation is the unbiased one, plus 1e-6.
    """
    features_BND = features_BND.float()
    if normalize:
        variance, mean = torch.var_mean(features_BND, 1, correction=1, keepdim=True)
        features_BND = (features_BND - mean) / (variance.sqrt() + EPS)
    return take(features_BND, token_ids(mask_BN).to(features_BND.device))
