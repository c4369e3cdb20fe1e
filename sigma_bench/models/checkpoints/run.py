"""Checkpoints of this package's own pretraining runs, which say themselves what the encoder is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sigma_bench.contracts import UserError, Verified
from sigma_bench.models.checkpoints import tube_vit
from sigma_bench.models.checkpoints.adapter import Beside, Built, Split, State, split_by_prefix
from sigma_bench.models.checkpoints.geometry import Asked

FAMILY = "sigma_bench"
FIELDS = ("image_size", "patch", "frames", "tubelet", "dim", "depth", "heads")


class OwnRun:
    """The state dict of a `MaskedVideoModel`; chosen by the `encoder` entry beside it, not by its names."""

    names: tuple[str, ...] = (FAMILY,)
    by_keys = False
    verified: Verified = "golden"

    def recognises(self, state: State) -> bool:
        """Tell that the names can be those of a `MaskedVideoModel`."""
        return "encoder.patch_embed.proj.weight" in state

    def split(self, state: State) -> Split:
        """Keep `encoder.*`."""
        return split_by_prefix(
            state, "encoder.", ("decoder.", "encoder_to_decoder.", "mask_token", "prototypes", "head.")
        )

    def build(self, split: Split, beside: Beside, asked: Asked, family: str, path: Path) -> Built:
        """Build a `VideoViT`; see `Adapter.build`."""
        return tube_vit.build(split, beside, asked, family, path, verified=self.verified, needs_norm=True)


def described(beside: Mapping[str, Any], path: Path) -> dict[str, int] | None:
    """Return the sizes that one of our files states about its encoder, None where it is another's file.

    Raises:
        UserError: The entry is there, and a size is missing or not a positive whole number.
    """
    entry = beside.get("encoder")
    if not isinstance(entry, dict) or any(isinstance(value, torch.Tensor) for value in entry.values()):
        return None
    wrong = [key for key in FIELDS if type(entry.get(key)) is not int or entry[key] < 1]
    if wrong:
        raise UserError(
            f"{path}: key 'encoder': {', '.join(f'{key} = {entry.get(key)!r}' for key in wrong)}; "
            f"expected positive whole numbers for {', '.join(FIELDS)}"
        )
    return {key: entry[key] for key in FIELDS}
