"""Mixup and CutMix of clips, with the labels mixed in the same share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from timm.data.mixup import Mixup, mixup_target

from sigma_bench.contracts import UserError

STREAM = 0x4D495850
"""Last seed word: keeps these draws apart from all others."""


@dataclass(frozen=True)
class Mixing:
    """How clips are mixed with those from the other end of the batch; the values are those of the VideoMAE family.

    Mixup (Zhang et al., 2018) adds clips up, CutMix (Yun et al., 2019) pastes the same box of all frames.

    Attributes:
        mixup: Parameter of the beta distribution of mixup's share; 0 for no mixup.
        cutmix: The same of CutMix.
        probability: Share of the batches (of the clips or pairs, in the other modes) that are mixed.
        switch: Share of CutMix where there are both.
        mode: One share and box for the batch, for each pair of clips, or for each clip ("elem").
        smoothing: Share of each target that is spread over all classes.
    """

    mixup: float = 0.8
    cutmix: float = 1.0
    probability: float = 1.0
    switch: float = 0.5
    mode: Literal["batch", "pair", "elem"] = "batch"
    smoothing: float = 0.1

    @property
    def mixes(self) -> bool:
        """Whether anything is mixed; labels are smoothed all the same."""
        return self.probability > 0 and (self.mixup > 0 or self.cutmix > 0)


def mix(
    clips: torch.Tensor, labels: torch.Tensor, classes: int, mixing: Mixing, words: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mixed clips and soft targets; the memory of `clips` is used for the result.

    Time is folded into the channels for timm's `Mixup`, which takes the last two of four axes for height and width and
    would cut five-axis clips in time.

    Args:
        clips: Float clips (B, C, T, H, W).
        labels: Class of each, (B,), on the device of the clips.
        classes: Number of classes.
        mixing: How they are mixed.
        words: Seed words of the batch: the same ones give the same draws.

    Returns:
        Clips (B, C, T, H, W) and targets (B, classes) float32, each of sum 1. The share of a clip's own class, before
        smoothing, is its share of the pixels.

    Raises:
        UserError: The batch is odd, so that a clip would be mixed with itself.
        ValueError: The clips have another number of axes.
    """
    if clips.ndim != 5 or labels.shape != clips.shape[:1]:
        raise ValueError(f"clips {tuple(clips.shape)} and labels {tuple(labels.shape)}; expected (B, C, T, H, W), (B,)")
    if not mixing.mixes:
        return clips, mixup_target(labels, classes, 1.0, mixing.smoothing)
    if len(clips) % 2:
        raise UserError(f"mixup and CutMix mix pairs of clips, the micro-batch has {len(clips)}; expected an even one")
    mixer = Mixup(
        mixup_alpha=mixing.mixup,
        cutmix_alpha=mixing.cutmix,
        prob=mixing.probability,
        switch_prob=mixing.switch,
        mode=mixing.mode,
        label_smoothing=mixing.smoothing,
        num_classes=classes,
    )
    with _drawing(words):
        mixed, targets = mixer(clips.flatten(1, 2), labels)
    return mixed.view(clips.shape), targets


@contextmanager
def _drawing(words: tuple[int, ...]) -> Iterator[None]:
    """Let numpy's global generator, which timm draws from, start from seed words; then put it back as it was."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(np.random.SeedSequence((*words, STREAM)).generate_state(4))  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
