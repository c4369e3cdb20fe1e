"""The dense features of clips: all tokens of every clip, computed once for all tasks that show the same frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sigma_bench.contracts import Encoder, EncoderSpec, Run, UserError
from sigma_bench.data.index import Index
from sigma_bench.data.views import GIVEN, Views
from sigma_bench.encoding import DENSE_FP32
from sigma_bench.features import Features, extract
from sigma_bench.models.shortened import longest


@dataclass(frozen=True)
class Dense:
    """The tokens of some rows of a list.

    Attributes:
        features: As they are cached.
        place: Row of the list -> row of the features.
        shape: Of the tokens of a clip: (T, H, W, D).
        errors: Row of the list -> why it could not be decoded.
    """

    features: Features
    place: Mapping[int, int]
    shape: tuple[int, int, int, int]
    errors: Mapping[int, str]

    def tokens(self, row: int, device: str) -> torch.Tensor:
        """Return the tokens of a clip, (T, H, W, D) float32."""
        values = np.array(self.features.values_NVD[self.place[row], 0])
        return torch.from_numpy(values).view(self.shape).to(device)


def shown_frames(encoder: Encoder, frames: int) -> int:
    """Return how many frames of a clip an encoder is shown: all, or as many as it takes."""
    most = longest(encoder)
    return frames if most is None else min(most, frames)


def dense(encoder: Encoder, index: Index, frames: Mapping[int, tuple[int, ...]], settings: Any, run: Run) -> Dense:
    """Return the tokens of clips after the last block.

    Args:
        encoder: Stays frozen, in eval mode; for clips shorter than it takes, the first rows of its position tables.
        index: The videos.
        frames: Row of the list -> places of the clip's frames in the video, of all as many.
        settings: `layer` and `norm` of the block `segmentation`.
        run: Device, cache and precision.

    Raises:
        UserError: The encoder cannot be shown clips of this length.
    """
    rows = sorted(frames)
    views = Views(GIVEN, 1, 1, 1, "squashed", flip=False, seed=0, frames=tuple(frames[row] for row in rows))
    norm = settings.norm == "pretraining"
    found = extract(encoder, index.select(rows), views, run, layer=settings.layer, norm=norm, pool=DENSE_FP32)
    shape = (*grid(encoder.spec, len(views.frames[0])), encoder.spec.embed_dim)
    errors = {row: found.errors[index.ids[row]] for row in rows if index.ids[row] in found.errors}
    return Dense(found, {row: place for place, row in enumerate(rows)}, shape, errors)


def grid(spec: EncoderSpec, frames: int) -> tuple[int, int, int]:
    """Return the numbers of tokens in time, height and width of a clip of `frames` frames."""
    side = spec.image_size // spec.patch
    return frames // spec.tubelet, side, side


def check_norm(encoder: Encoder, task: Any) -> None:
    """Refuse an encoder without the norm that the task reads its features behind.

    Raises:
        UserError: It has none.
    """
    if task.segmentation.norm == "pretraining" and not encoder.spec.has_norm:
        raise UserError(
            f"{task.id}: this encoder has no final norm (finetuned files have none), behind which features are read. "
            "To measure its last block as it is: --set segmentation.norm=none"
        )
