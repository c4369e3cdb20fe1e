"""What happened when a checkpoint was loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from sigma_bench.models.checkpoints.adapter import PositionReport
from sigma_bench.models.checkpoints.classifier import Classifier

SHOWN = 3
"""Names that a count keeps."""


@dataclass(frozen=True)
class Count:
    """Tensors, the numbers in them, and the first names."""

    tensors: int = 0
    parameters: int = 0
    first: tuple[str, ...] = field(default=(), compare=False)

    @staticmethod
    def of(state: Mapping[str, torch.Tensor]) -> Count:
        """Count the tensors of a state dict."""
        return Count(len(state), sum(tensor.numel() for tensor in state.values()), tuple(state)[:SHOWN])


@dataclass(frozen=True)
class LoadReport:
    """Where an encoder came from and how well the file fitted it.

    `guessed` says that the family was told from the names of the tensors, neither by the user nor by the file.
    `matched` tensors fill the encoder and `missing` ones would have been needed (never any: that is an error);
    `dropped` ones are known parts that an encoder does not need, `unexpected` ones are unknown. `norm` says whether
    there is a norm after the last block, `head_policy` what was asked of a classifier in the file and `head` is that
    classifier where it is kept. `system` is what one of our own runs says about itself.
    """

    path: str
    container: str
    family: str
    guessed: bool
    backbone: str
    heads: int
    matched: Count
    missing: Count
    unexpected: Count
    dropped: Count
    sha256: str
    notes: tuple[str, ...] = ()
    system: Mapping[str, Any] = field(default_factory=dict)
    positions: PositionReport | None = None
    norm: bool = True
    head_policy: str = "drop"
    head: Classifier | None = None

    @property
    def headline(self) -> str:
        """One line for the log: what was loaded, how much of it fitted, what was assumed."""
        guess = ", told from the names of its tensors" if self.guessed else ""
        parts = [f"{self.path}: {self.backbone} of family {self.family}{guess}"]
        if self.matched.tensors:
            parts.append(f"{self.matched.tensors} tensors ({self.matched.parameters / 1e6:.2f} M) fill the encoder")
            parts.append(f"{self.dropped.tensors} not needed, {self.unexpected.tensors} unknown")
        if self.positions is not None:
            parts.append(str(self.positions))
        if self.matched.tensors:
            parts.append("with its last norm" if self.norm else "without a last norm")
        if self.head is not None:
            parts.append(f"classifier of {self.head.classes} classes kept")
        elif self.head_policy != "drop":
            parts.append("no classifier in the file")
        return "; ".join([*parts, *self.notes])
