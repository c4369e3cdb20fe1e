"""Random erasing of clips: one box of noise, at the same place in all frames of a clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sigma_bench.data.boxes import Box

STREAM = 0x45524153
"""Last seed word: keeps these draws apart from those of frames and boxes."""
TRIES = 100


@dataclass(frozen=True)
class Erasing:
    """How much is erased (Zhong et al., 2020); the values are those of the VideoMAE family (`random_erasing.py`).

    Attributes:
        probability: Share of the clips in which a box is erased.
        area: Least and greatest share of the frame that is erased.
        aspect: Least and greatest height / width of the box, drawn uniformly in the logarithm.
    """

    probability: float = 0.25
    area: tuple[float, float] = (0.02, 1 / 3)
    aspect: tuple[float, float] = (0.3, 1 / 0.3)

    def box(self, h: int, w: int, rng: np.random.RandomState) -> Box | None:
        """Return what is erased of frames of h x w pixels; None where nothing is."""
        if rng.uniform() >= self.probability:
            return None
        for _ in range(TRIES):
            area = rng.uniform(*self.area) * h * w
            aspect = math.exp(rng.uniform(math.log(self.aspect[0]), math.log(self.aspect[1])))
            box_h, box_w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if box_h < h and box_w < w:
                y, x = int(rng.randint(h - box_h + 1)), int(rng.randint(w - box_w + 1))
                return Box(y, x, box_h, box_w)
        return None


def erase(clips: torch.Tensor, words: Sequence[tuple[int, ...]], erasing: Erasing) -> torch.Tensor:
    """Put noise into a box of some clips, in place, and return them.

    Every value of the box is drawn from the standard normal distribution, in each frame anew ("pixel" mode). Boxes are
    the same on every device, the noise is not.

    Args:
        clips: Normalised clips (B, C, T, H, W).
        words: Seed words of each clip.
        erasing: How much is erased.

    Raises:
        ValueError: There are not as many seed words as clips, or the clips have another number of axes.
    """
    if clips.ndim != 5 or len(words) != len(clips):
        raise ValueError(f"clips {tuple(clips.shape)} and {len(words)} seeds; expected (B, C, T, H, W) and B seeds")
    for clip, own in zip(clips, words, strict=True):
        state = np.random.SeedSequence((*own, STREAM)).generate_state(6)
        box = erasing.box(clip.shape[-2], clip.shape[-1], np.random.RandomState(state[:4]))
        if box is not None:
            generator = torch.Generator(clips.device).manual_seed(int(state[4:].view(np.uint64)[0] >> np.uint64(1)))
            y, x, h, w = box
            hidden = clip[..., y : y + h, x : x + w]
            hidden.copy_(torch.randn(hidden.shape, generator=generator, device=clips.device))
    return clips
