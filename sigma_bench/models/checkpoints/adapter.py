"""What a family of checkpoints has to say about itself, and what all of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import nn

from sigma_bench.contracts import Verified
from sigma_bench.models.checkpoints.config import config_beside
from sigma_bench.models.checkpoints.geometry import Asked

State = Mapping[str, torch.Tensor]
ENCODER_PARTS = ("patch_embed.", "blocks.", "norm.")
ENCODER_NAMES = ("pos_embed", "time_embed", "cls_token")
PREFIXES = ("encoder_q.encoder.model.", "encoder.model.", "encoder.", "backbone.", "videomae.", "")
"""What an encoder of the VideoMAE family may stand under."""


@dataclass
class Split:
    """The tensors of a file, told apart: those of the encoder under the names of the model, and the others.

    `head` is a classifier with the norm before it, under the names `fc_norm.*` and `head.*`. `dropped` are known parts
    that an encoder does not need; `unexpected` are those the family does not know.
    """

    encoder: dict[str, torch.Tensor] = field(default_factory=dict)
    head: dict[str, torch.Tensor] = field(default_factory=dict)
    dropped: dict[str, torch.Tensor] = field(default_factory=dict)
    unexpected: dict[str, torch.Tensor] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Beside:
    """What a file says beside its weights.

    `container` is the key the weights lay under, `content` the other entries of the file, `args` the arguments of the
    training among them, `stated` the sizes that one of our own files states.
    """

    path: Path
    container: str = "bare"
    content: Mapping[str, Any] = field(default_factory=dict)
    args: Mapping[str, Any] = field(default_factory=dict)
    stated: Mapping[str, int] | None = None

    @property
    def config(self) -> dict[str, Any]:
        """The `config.json` in the folder of the file, empty where there is none."""
        return config_beside(self.path)


@dataclass(frozen=True)
class PositionReport:
    """Which position table an encoder has: its kind, whence its values, and how it was fitted to the grid.

    `grid` is that of the encoder, `stored_grid` that of a table in the file (None: there is none, or it is unknown);
    `policy` is "as is" where nothing had to be fitted.
    """

    kind: str
    source: Literal["computed", "stored", "none"]
    grid: tuple[int, ...]
    stored_grid: tuple[int, ...] | None = None
    policy: str = "as is"
    note: str = ""

    def __str__(self) -> str:
        """Return one line, as "stored 3-D sine-cosine positions of grid 8x14x14"."""
        size = "x".join(map(str, self.grid))
        fitted = "" if self.policy == "as is" else f", fitted by '{self.policy}'"
        if self.stored_grid is not None and self.stored_grid != self.grid:
            fitted += f" from {'x'.join(map(str, self.stored_grid))}"
        noted = f" ({self.note})" if self.note else ""
        return f"{self.source} {self.kind} positions of grid {size}{fitted}{noted}"


@dataclass
class Built:
    """A model that waits for its weights.

    `module` satisfies `contracts.Encoder`, lies on the meta device and its `spec` is final; its `state_dict` names the
    tensors it wants. `buffers` are values of its buffers that are not in its `state_dict`, by name.
    """

    module: nn.Module
    positions: PositionReport
    buffers: dict[str, torch.Tensor] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Adapter(Protocol):
    """One layout of checkpoint files.

    `names` are the families that use the layout, the usual one first. `by_keys` says whether the names of the tensors
    are enough to choose it; where not, the user has to name the family.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Families, the usual one first."""
        ...

    @property
    def by_keys(self) -> bool:
        """Whether the tensors tell the layout."""
        ...

    @property
    def verified(self) -> Verified:
        """How far the layout was checked."""
        ...

    def recognises(self, state: State) -> bool:
        """Tell from the names and shapes of the tensors whether this is the layout."""
        ...

    def split(self, state: State) -> Split:
        """Tell the encoder's tensors from the others."""
        ...

    def build(self, split: Split, beside: Beside, asked: Asked, family: str, path: Path) -> Built:
        """Build the model of the encoder's tensors, without its weights.

        May put a tensor into another form in `split` (a table that is resized, one that equals a computed table).

        Raises:
            UserError: The sizes cannot be told, contradict each other, or a tensor they are read from is missing.
        """
        ...


def split_by_prefix(state: State, prefix: str, known: Sequence[str]) -> Split:
    """Take what is under `prefix` as the encoder and names that start with `known` as dropped.

    Where the prefix is empty only the encoder's parts are taken; where it is not, an unknown tensor under it is the
    encoder's too, and refused when the encoder is filled.
    """
    split = Split()
    for name, tensor in state.items():
        own = name.removeprefix(prefix)
        if name.startswith(prefix) and (prefix or own.startswith(ENCODER_PARTS) or own in ENCODER_NAMES):
            split.encoder[own] = tensor
        elif name.startswith(tuple(known)):
            split.dropped[name] = tensor
        else:
            split.unexpected[name] = tensor
    return split


def encoder_prefix(state: State) -> str | None:
    """Return the prefix under which an encoder of the VideoMAE family lies, None where there is none."""
    for prefix in PREFIXES:
        if f"{prefix}patch_embed.proj.weight" in state and f"{prefix}blocks.0.attn.qkv.weight" in state:
            return prefix
    return None
