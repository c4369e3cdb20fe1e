"""What happened when a checkpoint was loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass(frozen=True)
class Count:
    """Tensors, and the numbers in them."""

    tensors: int = 0
    parameters: int = 0

    @staticmethod
    def of(state: Mapping[str, torch.Tensor]) -> Count:
        """Count the tensors of a state dict."""
        return Count(len(state), sum(tensor.numel() for tensor in state.values()))


@dataclass(frozen=True)
class LoadReport:
    """Where an encoder came from and how well the file fitted it.

    `guessed` says that the family was told from the names of the tensors, neither by the user nor by the file.
    `matched` tensors fill the encoder and `missing` ones would have been needed (never any: that is an error);
    `dropped` ones are known parts that an encoder does not need, `unexpected` ones are unknown. `system` is what one of
    our own runs says about itself.
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

    @property
    def headline(self) -> str:
        """One line for the log: what was loaded, how much of it fitted, what was assumed."""
        guess = ", told from the names of its tensors" if self.guessed else ""
        parts = [f"{self.path}: {self.backbone} of family {self.family}{guess}"]
        if self.matched.tensors:
            parts.append(f"{self.matched.tensors} tensors ({self.matched.parameters / 1e6:.2f} M) fill the encoder")
            parts.append(f"{self.dropped.tensors} not needed, {self.unexpected.tensors} unknown")
        return "; ".join([*parts, *self.notes])
