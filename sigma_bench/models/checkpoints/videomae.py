"""Pretraining files of VideoMAE; MGMAE and VideoMAEv2 write the same tensors under the same names."""

from __future__ import annotations

from pathlib import Path

from sigma_bench.contracts import Verified
from sigma_bench.models.checkpoints import tube_vit
from sigma_bench.models.checkpoints.adapter import Beside, Built, Split, State, split_by_prefix
from sigma_bench.models.checkpoints.geometry import Asked


class VideoMAE:
    """`encoder.*`, `encoder_to_decoder.weight`, `mask_token`, `decoder.*`, and neither prototypes nor a projector."""

    names: tuple[str, ...] = ("videomae", "videomaev2", "mgmae")
    by_keys = True
    verified: Verified = "golden"

    def recognises(self, state: State) -> bool:
        """Tell the layout by its decoder and by what it lacks."""
        return (
            "encoder.patch_embed.proj.weight" in state
            and "encoder_to_decoder.weight" in state
            and "decoder.head.weight" in state
            and "prototypes" not in state
        )

    def split(self, state: State) -> Split:
        """Keep `encoder.*`."""
        split = split_by_prefix(state, "encoder.", ("decoder.", "encoder_to_decoder.", "mask_token"))
        split.notes.append("VideoMAE, VideoMAEv2 and MGMAE files look alike and load alike")
        return split

    def build(self, split: Split, beside: Beside, asked: Asked, family: str, path: Path) -> Built:
        """Build a `VideoViT`; see `Adapter.build`."""
        return tube_vit.build(split, beside, asked, family, path, verified=self.verified, needs_norm=True)
