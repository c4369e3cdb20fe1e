"""Pretraining files of MME: one decoder a target, each in a list."""

from __future__ import annotations

from pathlib import Path

from sigma_bench.contracts import Verified
from sigma_bench.models.checkpoints import tube_vit
from sigma_bench.models.checkpoints.adapter import Beside, Built, Split, State, encoder_prefix, split_by_prefix
from sigma_bench.models.checkpoints.geometry import Asked


class Mme:
    """`encoder.*`, `decoder.J.*`, `encoder_to_decoder.J.weight`, `mask_token`."""

    names: tuple[str, ...] = ("mme",)
    by_keys = True
    verified: Verified = "golden"

    def recognises(self, state: State) -> bool:
        """Tell the layout by the lists of decoders."""
        return any(name.startswith(("decoder.0.", "encoder_to_decoder.0.")) for name in state)

    def split(self, state: State) -> Split:
        """Keep the encoder, under any prefix that MME's own loader takes."""
        return split_by_prefix(
            state, encoder_prefix(state) or "encoder.", ("decoder.", "encoder_to_decoder.", "mask_token")
        )

    def build(self, split: Split, beside: Beside, asked: Asked, family: str, path: Path) -> Built:
        """Build a `VideoViT`; see `Adapter.build`."""
        return tube_vit.build(split, beside, asked, family, path, verified=self.verified, needs_norm=True)
