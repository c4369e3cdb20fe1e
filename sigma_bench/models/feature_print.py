"""A short print of what an encoder computes: eight numbers out of its features of one fixed clip.

The clip is a formula, so no random generator, decoder or file takes part. Numbers of the same weights differ between
machines by rounding only: by some 1e-6 of their size in float32 on CPUs, by more where matrix products are rounded
harder (TF32, bfloat16). The fourth digit shown may thus differ by one. The hash is over the numbers in steps of a
fiftieth of their root mean square, so it is the same unless one of them lies just at the edge of a step, which happens
to fewer than one encoder in a hundred: where hashes differ and numbers agree, the encoders agree.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch

from sigma_bench.contracts import Encoder, EncoderSpec, UserError

NUMBERS, TOKENS = 8, 32
STEPS = 50
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class FeaturePrint:
    """The numbers, a hash of them rounded, and how many tokens were computed (0: all of the clip)."""

    values: tuple[float, ...]
    digest: str
    tokens: int

    @property
    def text(self) -> str:
        """The numbers with four significant digits."""
        return " ".join(f"{value:.4g}" for value in self.values)


def fixed_clip(spec: EncoderSpec) -> torch.Tensor:
    """Return the clip (1, 3, T, H, W), normalised: two waves that drift across each other, others in each colour."""
    colour, frame, row, column = np.meshgrid(
        *(np.arange(n, dtype=np.float64) for n in (3, spec.frames, spec.image_size, spec.image_size)), indexing="ij"
    )
    turn = 2 * np.pi / spec.image_size
    first = np.sin(turn * (3 * row + 5 * column) + 0.7 * frame + colour)
    second = np.cos(turn * (11 * row - 7 * column) - 0.4 * frame + 2 * colour)
    picture = 0.5 + 0.3 * first + 0.2 * second
    mean, std = (np.asarray(values).reshape(3, 1, 1, 1) for values in (spec.mean, spec.std))
    return torch.from_numpy((picture - mean) / std).float()[None]


def feature_print(encoder: Encoder) -> FeaturePrint:
    """Return the print of an encoder: sums of the features after its last block and norm, each with other weights.

    Only some tokens, spread over the clip, are given to encoders that can leave tokens out, which is quick; all to the
    others. Every channel and every token counts, and so does their order.
    """
    clip = fixed_clip(encoder.spec)
    with torch.no_grad():
        try:
            visible = _visible(encoder.spec)
            tokens, count = encoder.tokens(clip, visible=visible), int(visible.sum())
        except UserError:
            tokens, count = encoder.tokens(clip), 0
    parts = [tokens.patch_BTHWD] if tokens.cls_BD is None else [tokens.cls_BD, tokens.patch_BTHWD]
    features = np.concatenate([part.double().numpy().ravel() for part in parts])
    place = np.arange(1, len(features) + 1, dtype=np.float64) * GOLDEN
    weights = [np.cos(2 * np.pi * np.modf(place * (number + 1))[0]) for number in range(NUMBERS)]
    values = np.array([(weight * features).sum() for weight in weights]) / np.sqrt(len(features))
    size = float(np.sqrt((values**2).mean())) or 1.0
    steps = np.rint(values / size * STEPS).astype("<i8")
    digest = hashlib.sha256(steps.tobytes()).hexdigest()[:12]
    return FeaturePrint(tuple(float(value) for value in values), digest, count)


def _visible(spec: EncoderSpec) -> torch.Tensor:
    """Return the mask (1, N) of some tokens, spread over the clip by the golden ratio."""
    total = (spec.frames // spec.tubelet) * (spec.image_size // spec.patch) ** 2
    mask = torch.zeros(1, total, dtype=torch.bool)
    mask[0, [int(total * ((number * GOLDEN) % 1.0)) for number in range(TOKENS)]] = True
    return mask
