"""Pretraining files of MVD: a bare encoder with a stored table, and a decoder for each of two teachers."""

from __future__ import annotations

from pathlib import Path

from sigma_bench.contracts import Verified
from sigma_bench.models.checkpoints import tube_vit
from sigma_bench.models.checkpoints.adapter import Beside, Built, Split, State, encoder_prefix, split_by_prefix
from sigma_bench.models.checkpoints.geometry import Asked

OTHERS = tuple(
    f"{part}_{teacher}" for part in ("mask_token", "pos_embed", "down", "decoder") for teacher in ("img", "vid")
)


class Mvd:
    """`patch_embed`, `blocks`, `norm`, `pos_embed`, an optional `cls_token`, and the parts of the decoders."""

    names: tuple[str, ...] = ("mvd",)
    by_keys = True
    verified: Verified = "golden"

    def recognises(self, state: State) -> bool:
        """Tell the layout by the parts of its decoders."""
        return any(name.startswith(OTHERS) for name in state)

    def split(self, state: State) -> Split:
        """Keep the encoder."""
        return split_by_prefix(state, encoder_prefix(state) or "", OTHERS)

    def build(self, split: Split, beside: Beside, asked: Asked, family: str, path: Path) -> Built:
        """Build a `VideoViT`; see `Adapter.build`."""
        return tube_vit.build(split, beside, asked, family, path, verified=self.verified, needs_norm=True)
