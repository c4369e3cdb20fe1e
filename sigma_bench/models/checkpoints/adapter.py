"""What a family of checkpoints has to say about itself, and what all of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from sigma_bench.contracts import Verified

State = Mapping[str, torch.Tensor]
ENCODER_PARTS = ("patch_embed.", "blocks.", "norm.", "pos_embed", "time_embed", "cls_token")


@dataclass
class Split:
    """The tensors of a file, told apart: those of the encoder under the names of `VideoViT`, and the others.

    `dropped` are known parts that an encoder does not need; `unexpected` are those the family does not know.
    """

    encoder: dict[str, torch.Tensor] = field(default_factory=dict)
    dropped: dict[str, torch.Tensor] = field(default_factory=dict)
    unexpected: dict[str, torch.Tensor] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Adapter(Protocol):
    """One layout of checkpoint files.

    `names` are the families that use the layout, the usual one first. `by_keys` says whether the names of the tensors
    are enough to choose it; where not, the user has to name the family. `needs_norm` says that the last norm must be in
    the file.
    """

    names: tuple[str, ...]
    by_keys: bool
    needs_norm: bool
    verified: Verified

    def recognises(self, state: State) -> bool:
        """Tell from the names of the tensors whether this is the layout."""
        ...

    def split(self, state: State) -> Split:
        """Tell the encoder's tensors from the others."""
        ...


def split_by_prefix(state: State, prefix: str, known: Sequence[str]) -> Split:
    """Take `prefix` + one of `ENCODER_PARTS` as the encoder and names that start with `known` as dropped."""
    split = Split()
    parts = tuple(prefix + part for part in ENCODER_PARTS)
    for name, tensor in state.items():
        if name.startswith(parts):
            split.encoder[name.removeprefix(prefix)] = tensor
        elif name.startswith(tuple(known)):
            split.dropped[name] = tensor
        else:
            split.unexpected[name] = tensor
    return split


def encoder_prefix(state: State) -> str | None:
    """Return the prefix under which an encoder of the VideoMAE family lies, None where there is none."""
    for prefix in ("encoder.", "backbone.", ""):
        if f"{prefix}patch_embed.proj.weight" in state and f"{prefix}blocks.0.attn.qkv.weight" in state:
            return prefix
    return None
