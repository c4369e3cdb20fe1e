"""Pretraining files of SIGMA, with a learned projector (MLP) or a frozen teacher (DINO)."""

from __future__ import annotations

from pathlib import Path

from sigma_bench.contracts import Verified
from sigma_bench.models.checkpoints import tube_vit
from sigma_bench.models.checkpoints.adapter import Beside, Built, Split, State, split_by_prefix
from sigma_bench.models.checkpoints.geometry import Asked


class Sigma:
    """VideoMAE's tensors and `prototypes`; `head.*` where the targets were projected by an MLP."""

    names: tuple[str, ...] = ("sigma",)
    by_keys = True
    verified: Verified = "golden"

    def recognises(self, state: State) -> bool:
        """Tell the layout by its prototypes."""
        return "encoder.patch_embed.proj.weight" in state and "prototypes" in state

    def split(self, state: State) -> Split:
        """Keep `encoder.*`."""
        known = ("decoder.", "encoder_to_decoder.", "mask_token", "prototypes", "head.")
        split = split_by_prefix(state, "encoder.", known)
        width = state["prototypes"].shape[-1] if "prototypes" in state else None
        projector = any(name.startswith("head.") for name in state)
        split.notes.append(
            f"SIGMA with {'an MLP projector' if projector else 'a frozen teacher'}, targets {width} wide"
        )
        return split

    def build(self, split: Split, beside: Beside, asked: Asked, family: str, path: Path) -> Built:
        """Build a `VideoViT`; see `Adapter.build`."""
        return tube_vit.build(split, beside, asked, family, path, verified=self.verified, needs_norm=True)
