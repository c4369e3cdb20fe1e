"""Files of a finetuned classifier, or of an encoder alone: the encoder under one of `PREFIXES`, and a head."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sigma_bench.contracts import Verified
from sigma_bench.models.checkpoints import tube_vit
from sigma_bench.models.checkpoints.adapter import Beside, Built, Split, State, encoder_prefix, split_by_prefix
from sigma_bench.models.checkpoints.geometry import Asked

HEAD_PARTS = ("fc_norm.", "head.", "fc.")
K710 = 710
FOREIGN_PARTS = ("decoder", "temporal_attn", ".attn.qkv.bias")
"""Parts of names that the family's finetuned files never have."""


@dataclass(frozen=True)
class Finetuned:
    """Encoder, `fc_norm`, `head`; whose encoder it is cannot be told from the names, so the user has to say it.

    MVD's position table is not VideoMAE's and is not in its finetuned files: the wrong family would change the features
    without an error.
    """

    names: tuple[str, ...]
    verified: Verified
    by_keys: bool = False

    def recognises(self, state: State) -> bool:
        """Tell the layout by an encoder without a decoder."""
        return encoder_prefix(state) is not None and not any(part in name for name in state for part in FOREIGN_PARTS)

    def split(self, state: State) -> Split:
        """Keep the encoder; the classifier and its norm are told apart."""
        prefix = encoder_prefix(state) or ""
        heads = {name: own for name in state if (own := name.removeprefix(prefix)).startswith(HEAD_PARTS)}
        split = split_by_prefix({name: tensor for name, tensor in state.items() if name not in heads}, prefix, ())
        for name, own in heads.items():
            split.head[own.replace("fc.", "head.", 1) if own.startswith("fc.") else own] = state[name]
        split.notes.append(_described(split))
        return split

    def build(self, split: Split, beside: Beside, asked: Asked, family: str, path: Path) -> Built:
        """Build a `VideoViT`; see `Adapter.build`."""
        return tube_vit.build(split, beside, asked, family, path, verified=self.verified, needs_norm=False)


FINETUNED = (
    Finetuned(("videomae", "videomaev2"), "golden"),
    Finetuned(("mgmae", "sigma", "mme", "mvd"), "none"),
)


def _described(split: Split) -> str:
    if "head.weight" not in split.head:
        return "an encoder alone, without decoder and classifier"
    classes = next(iter(split.head["head.weight"].shape), 0)
    named = f"a finetuned file with {classes} classes"
    if classes == K710:
        named += " (K710: the official code picks the rows of K400, K600 or K700 from them)"
    if any(name.startswith("fc_norm.") for name in split.head):
        return f"{named}, mean pooling"
    if "norm.weight" in split.encoder:
        return f"{named}; its classifier reads the first token after the last norm, which was finetuned with it"
    return named
