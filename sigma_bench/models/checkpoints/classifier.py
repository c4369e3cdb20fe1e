"""A classifier that is in a file beside the encoder: dropped, kept for evaluation, or required."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints.adapter import State
from sigma_bench.models.checkpoints.geometry import HeadPolicy

LABEL_MAP = "classes_sha256"
"""Key of a file of our own beside its tensors: the hash of the class names in their order."""


@dataclass(frozen=True)
class Classifier:
    """The finetuned head: `head.weight` (classes, dim), `head.bias`, and `fc_norm.*` where tokens are averaged first.

    `tensors` are in float32 on the CPU. `label_map` is the hash of the class names in their order
    (`Index.classes_sha256`), empty where the file does not say.
    """

    classes: int
    tensors: Mapping[str, torch.Tensor] = field(repr=False, compare=False)
    label_map: str = ""

    @property
    def pooled(self) -> bool:
        """Whether it reads the mean of the tokens through `fc_norm`, not the first token."""
        return "fc_norm.weight" in self.tensors


def take(head: State, policy: HeadPolicy, dim: int, path: Path, label_map: object = None) -> Classifier | None:
    """Return the classifier of a file as the policy says; None where it is dropped, or kept and there is none.

    Args:
        head: Its tensors.
        policy: What is asked of it.
        dim: Width of the encoder.
        path: The file.
        label_map: What the file says of its class names.

    Raises:
        UserError: One is required and there is none, or it does not fit the encoder.
    """
    if policy == "drop":
        return None
    if "head.weight" not in head:
        if policy == "require":
            raise UserError(
                f"{path}: a classifier is required, but the file has none (no head.weight); name a finetuned file"
            )
        return None
    weight = head["head.weight"]
    classes = next(iter(weight.shape), 0)
    shapes = {
        "head.weight": (classes, dim),
        "head.bias": (classes,),
        "fc_norm.weight": (dim,),
        "fc_norm.bias": (dim,),
    }
    needed = ["head.weight", "head.bias"] + (list(shapes)[2:] if any(n.startswith("fc_norm.") for n in head) else [])
    for name in needed:
        found = tuple(head[name].shape) if name in head else "nothing"
        if found != shapes[name]:
            raise UserError(f"{path}: the classifier's {name} is {found}; expected shape {shapes[name]}")
        if not bool(head[name].isfinite().all()):
            raise UserError(f"{path}: the classifier's {name} holds infinite or undefined values")
    tensors = {name: head[name].detach().to(torch.float32, copy=True) for name in needed}
    return Classifier(classes, tensors, label_map if isinstance(label_map, str) else "")
