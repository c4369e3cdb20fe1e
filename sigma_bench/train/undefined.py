"""Where the first infinite or undefined number of a computation comes from, and how large the others are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

BLOCK = 1 << 24
"""Scores held at a time."""


class Watch:
    """Looks at what every part of a module gives.

    Attributes:
        first: Name of the first part whose output is not finite, and whether its inputs were; empty while none is.
    """

    def __init__(self) -> None:
        self.first = ""

    @contextmanager
    def on(self, module: nn.Module) -> Iterator[Watch]:
        """Watch the parts of `module`, inner ones first, as they are computed."""
        handles = [part.register_forward_hook(self._hook(name or "the model")) for name, part in module.named_modules()]
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, name: str) -> Any:
        def look(part: nn.Module, inputs: Any, output: Any) -> None:
            if not self.first and not finite(output):
                came = "finite" if finite(inputs) else "not finite already"
                self.first = f"{name} ({type(part).__name__}), its inputs are {came}"

        return look


def finite(value: Any) -> bool:
    """Return whether all tensors in a value, or in the lists and tuples that it is made of, are finite."""
    if isinstance(value, torch.Tensor):
        return bool(torch.isfinite(value).all()) if value.is_floating_point() else True
    return all(finite(part) for part in value) if isinstance(value, list | tuple) else True


def parameter(module: nn.Module, *, gradient: bool = False) -> str:
    """Return the name of the first parameter that is not finite, or whose gradient is not; empty where all are."""
    for name, value in module.named_parameters():
        looked_at = value.grad if gradient else value
        if looked_at is not None and not finite(looked_at):
            return name
    return ""


def extent(values: torch.Tensor) -> str:
    """Return the least and the greatest finite entry, and how many are not finite."""
    wide = values.detach().float()
    good = wide[torch.isfinite(wide)]
    bad = wide.numel() - good.numel()
    inside = f"{float(good.min()):.4g} to {float(good.max()):.4g}" if good.numel() else "nothing finite"
    return inside + (f", {bad} of {wide.numel()} not finite" if bad else "")


def scores_extent(features: torch.Tensor, prototypes_KD: torch.Tensor) -> str:
    """Return the extent of the cosine similarities of features (..., D) to prototypes."""
    unit = F.normalize(features.detach().float().flatten(0, -2), dim=-1)
    step = max(1, BLOCK // len(prototypes_KD))
    low, high, bad = torch.inf, -torch.inf, 0
    for start in range(0, len(unit), step):
        scores = unit[start : start + step] @ prototypes_KD.detach().float().t()
        good = scores[torch.isfinite(scores)]
        bad += scores.numel() - good.numel()
        if good.numel():
            low, high = min(low, float(good.min())), max(high, float(good.max()))
    inside = f"{low:.4g} to {high:.4g}" if low <= high else "nothing finite"
    return inside + (f", {bad} of {len(unit) * len(prototypes_KD)} not finite" if bad else "")
