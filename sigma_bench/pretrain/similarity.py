"""How similar tubes are to prototypes, and which tubes of some clips are the most similar ones to each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from sigma_bench.models.masked import MaskedVideoModel
from sigma_bench.models.selection import token_ids
from sigma_bench.models.vit import VideoViT
from sigma_bench.pretrain.masking import masked_per_slice
from sigma_bench.pretrain.projector import MlpProjector
from sigma_bench.pretrain.targets import normalized, raw_tubes, unit_range


@torch.inference_mode()
def projected(projector: MlpProjector, encoder: VideoViT, clips: torch.Tensor, normalize: bool) -> torch.Tensor:
    """Return phi of every tube, (B, N, D), tokens in (t, h, w) order.

    Args:
        projector: The network phi.
        encoder: Gives patch, tubelet, mean and deviation.
        clips: Normalised clips (B, 3, T, H, W).
        normalize: Standardise the pixels per tube and colour channel first, as phi was trained with.
    """
    spec = encoder.spec
    every = raw_tubes(unit_range(clips, spec.mean, spec.std), spec.patch, spec.tubelet)
    out: torch.Tensor = projector(normalized(every) if normalize else every)
    return out


@torch.inference_mode()
def decoded(model: MaskedVideoModel, clips: torch.Tensor, ratio: float, seed: int) -> torch.Tensor:
    """Return what the decoder predicts of every tube while it is hidden, (B, N, D), tokens in (t, h, w) order.

    Tube masks of the ratio are drawn one after another from one random order of the positions until each was hidden
    once; a tube takes the prediction of the first mask that hides it.

    Args:
        model: Encoder and decoder.
        clips: Normalised clips (B, 3, T, H, W).
        ratio: Share of the positions that a mask hides.
        seed: Of the random order.

    Raises:
        ValueError: The ratio hides all positions or none.
    """
    slices, height, width = model.encoder.grid
    positions = height * width
    count = masked_per_slice(positions, ratio)
    order = np.random.default_rng(seed).permutation(positions)
    found: torch.Tensor | None = None
    for number in range(math.ceil(positions / count) - 1, -1, -1):
        hidden = np.zeros(positions, bool)
        hidden[order[(number * count + np.arange(count)) % positions]] = True
        mask = torch.from_numpy(np.tile(hidden, slices)).expand(len(clips), -1)
        predicted = model(clips, mask)
        if found is None:
            found = predicted.new_zeros(len(clips), mask.shape[1], predicted.shape[-1])
        ids = token_ids(mask).to(predicted.device)
        found.scatter_(1, ids[..., None].expand_as(predicted), predicted)
    assert found is not None
    return found


@torch.inference_mode()
def similarities(features_ND: torch.Tensor, prototypes_KD: torch.Tensor) -> torch.Tensor:
    """Return the cosine similarities (N, K) of features to prototypes (Eq. 4 of the paper without its temperature)."""
    return F.normalize(features_ND.float(), dim=-1) @ F.normalize(prototypes_KD.float(), dim=-1).T


class Highest:
    """Keeps the `count` highest similarities of each prototype over clips that come one after another.

    Of equal similarities the tube that came first goes first.

    Attributes:
        values_nK: Similarities, falling; fewer than `count` rows until so many tubes have come.
        tubes_nK: Which tubes, numbered in the order they came.
        seen: Tubes that came.
    """

    def __init__(self, count: int, prototypes: int) -> None:
        self.count, self.seen = count, 0
        self.values_nK = torch.empty(0, prototypes)
        self.tubes_nK = torch.empty(0, prototypes, dtype=torch.long)

    def add(self, similarities_NK: torch.Tensor) -> None:
        """Take the similarities of further tubes."""
        numbers = torch.arange(self.seen, self.seen + len(similarities_NK))[:, None].expand(
            -1, similarities_NK.shape[1]
        )
        values = torch.cat((self.values_nK, similarities_NK.cpu()))
        tubes = torch.cat((self.tubes_nK, numbers))
        falling, order = values.sort(dim=0, descending=True, stable=True)
        self.values_nK = falling[: self.count]
        self.tubes_nK = tubes.gather(0, order[: self.count])
        self.seen += len(similarities_NK)

    def best(self, number: int, overlap: float = 1.0) -> list[int]:
        """Return the prototypes with the highest mean of their kept similarities, falling; the lowest id on ties.

        Args:
            number: So many, or fewer where no more are left.
            overlap: A prototype is passed over where more than this share of its tubes are those of one before it.
        """
        order = self.values_nK.double().mean(0).sort(dim=0, descending=True, stable=True).indices
        chosen: list[int] = []
        sets: list[frozenset[int]] = []
        for k in order.tolist():
            if len(chosen) == number:
                break
            tubes = frozenset(self.tubes_nK[:, k].tolist())
            if all(len(tubes & other) <= overlap * len(tubes) for other in sets):
                chosen.append(k)
                sets.append(tubes)
        return chosen


def places(tubes: Sequence[int], grid: tuple[int, int, int]) -> list[tuple[int, int, int, int]]:
    """Return clip, slice, row and column of tubes that are numbered through clips of this grid."""
    found = np.unravel_index(np.asarray(tubes, dtype=np.int64), (2**31, *grid))
    return [(int(c), int(t), int(y), int(x)) for c, t, y, x in zip(*found, strict=True)]
