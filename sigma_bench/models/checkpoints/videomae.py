"""Pretraining files of VideoMAE, VideoMAEv2 and MGMAE: the same tensors under the same names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from sigma_bench.contracts import Verified
from sigma_bench.models.checkpoints import tube_vit
from sigma_bench.models.checkpoints.adapter import Beside, Built, Split, State, split_by_prefix
from sigma_bench.models.checkpoints.geometry import SCALE, Asked

PATCH, HEAD = "encoder.patch_embed.proj.weight", "decoder.head.weight"


@dataclass(frozen=True)
class VideoMAE:
    """`encoder.*`, `encoder_to_decoder.weight`, `mask_token`, and `decoder.*` whose head predicts the pixels of a tube.

    `cosine` says whether the family's code has cosine attention as an option: such a file cannot be VideoMAE's.
    """

    names: tuple[str, ...]
    cosine: bool
    by_keys: bool = True
    verified: Verified = "golden"

    def recognises(self, state: State) -> bool:
        """Tell the layout by its decoder and by what it lacks."""
        return predicts_pixels(state) and (self.cosine or f"encoder.{SCALE}" not in state)

    def split(self, state: State) -> Split:
        """Keep `encoder.*`."""
        split = split_by_prefix(state, "encoder.", ("decoder.", "encoder_to_decoder.", "mask_token"))
        split.notes.append("VideoMAE, VideoMAEv2 and MGMAE files look alike and, at their own size, load alike")
        return split

    def build(self, split: Split, beside: Beside, asked: Asked, family: str, path: Path) -> Built:
        """Build a `VideoViT`; see `Adapter.build`."""
        return tube_vit.build(split, beside, asked, family, path, verified=self.verified, needs_norm=True)


LOOKALIKES = (
    VideoMAE(("videomae",), cosine=False),
    VideoMAE(("videomaev2",), cosine=True),
    VideoMAE(("mgmae",), cosine=True),
)


def is_masked_model(state: State) -> bool:
    """Tell an encoder with one decoder, as VideoMAE and SIGMA have it."""
    return PATCH in state and "encoder_to_decoder.weight" in state and HEAD in state


def predicts_pixels(state: State) -> bool:
    """Tell a masked model that predicts all values of a tube, with neither prototypes nor a projector."""
    if not is_masked_model(state) or "prototypes" in state or any(name.startswith("head.") for name in state):
        return False
    return next(iter(state[HEAD].shape), 0) == math.prod(state[PATCH].shape[1:])
