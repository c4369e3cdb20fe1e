"""Pretraining files of SIGMA's code: with prototypes, or with an L2 loss on features."""

from __future__ import annotations

from pathlib import Path

from sigma_bench.contracts import Verified
from sigma_bench.models.checkpoints import tube_vit
from sigma_bench.models.checkpoints.adapter import Beside, Built, Split, State, split_by_prefix
from sigma_bench.models.checkpoints.geometry import Asked
from sigma_bench.models.checkpoints.videomae import HEAD, PATCH, is_masked_model, predicts_pixels


class Sigma:
    """VideoMAE's tensors and `prototypes`, or a decoder that predicts features; `head.*` where an MLP projects them."""

    names: tuple[str, ...] = ("sigma",)
    by_keys = True
    verified: Verified = "golden"

    def recognises(self, state: State) -> bool:
        """Tell the layout by its prototypes, or by a decoder that does not predict the pixels of a tube."""
        return PATCH in state and ("prototypes" in state or (is_masked_model(state) and not predicts_pixels(state)))

    def split(self, state: State) -> Split:
        """Keep `encoder.*`."""
        known = ("decoder.", "encoder_to_decoder.", "mask_token", "prototypes", "head.")
        split = split_by_prefix(state, "encoder.", known)
        source = "an MLP projector" if any(name.startswith("head.") for name in state) else "a frozen teacher"
        targets = state.get("prototypes", state.get(HEAD))
        wide = (
            "of unknown width"
            if targets is None or not targets.ndim
            else (f"{targets.shape[-1] if 'prototypes' in state else targets.shape[0]} wide")
        )
        loss = "SIGMA" if "prototypes" in state else "SIGMA's code with an L2 loss, without prototypes,"
        split.notes.append(f"{loss} with {source}, targets {wide}")
        return split

    def build(self, split: Split, beside: Beside, asked: Asked, family: str, path: Path) -> Built:
        """Build a `VideoViT`; see `Adapter.build`."""
        return tube_vit.build(split, beside, asked, family, path, verified=self.verified, needs_norm=True)
