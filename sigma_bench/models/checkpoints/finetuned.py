"""Files of a finetuned classifier: the encoder under bare names, or under `encoder.` or `backbone.`, and a head."""

from __future__ import annotations

from pathlib import Path

from sigma_bench.contracts import Verified
from sigma_bench.models.checkpoints import tube_vit
from sigma_bench.models.checkpoints.adapter import Beside, Built, Split, State, encoder_prefix, split_by_prefix
from sigma_bench.models.checkpoints.geometry import Asked


class Finetuned:
    """Encoder, `fc_norm`, `head`; whose encoder it is cannot be told from the names, so the user has to say it.

    Of the families with these names only those with VideoMAE's position table are listed: another table would change
    the features without an error.
    """

    names: tuple[str, ...] = ("videomae", "videomaev2", "mgmae", "sigma")
    by_keys = False
    verified: Verified = "golden"

    def recognises(self, state: State) -> bool:
        """Tell the layout by an encoder without a decoder."""
        return encoder_prefix(state) is not None and not any("decoder" in name for name in state)

    def split(self, state: State) -> Split:
        """Keep the encoder; the classifier and its norm are dropped."""
        prefix = encoder_prefix(state) or ""
        split = split_by_prefix(state, prefix, (), head="")
        split.notes.append("a file without a decoder (finetuned, or an encoder alone)")
        return split

    def build(self, split: Split, beside: Beside, asked: Asked, family: str, path: Path) -> Built:
        """Build a `VideoViT`; see `Adapter.build`."""
        return tube_vit.build(split, beside, asked, family, path, verified=self.verified, needs_norm=False)
