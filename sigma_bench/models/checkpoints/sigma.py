"""Pretraining files of SIGMA, with a learned projector (MLP) or a frozen teacher (DINO)."""

from __future__ import annotations

from sigma_bench.contracts import Verified
from sigma_bench.models.checkpoints.adapter import Split, State, split_by_prefix


class Sigma:
    """VideoMAE's tensors and `prototypes`; `head.*` where the targets were projected by an MLP."""

    names: tuple[str, ...] = ("sigma",)
    by_keys = True
    needs_norm = True
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
