"""Checkpoints of this package's own pretraining runs and exports, which say themselves what the encoder is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sigma_bench.contracts import UserError, Verified
from sigma_bench.models.checkpoints import tube_vit
from sigma_bench.models.checkpoints.adapter import Beside, Built, Split, State, encoder_prefix, split_by_prefix
from sigma_bench.models.checkpoints.fields import fraction, triple
from sigma_bench.models.checkpoints.geometry import Asked
from sigma_bench.models.vit import EPS, IMAGENET_MEAN, IMAGENET_STD

FAMILY = "sigma_bench"
LONGEST_WARNING = 1000
_HOW_FAR = ("step", "steps", "steps_per_epoch")
FIELDS = ("image_size", "patch", "frames", "tubelet", "dim", "depth", "heads")


class OwnRun:
    """The state dict of a `MaskedVideoModel`, or of an encoder alone; chosen by the entry `encoder` beside it."""

    names: tuple[str, ...] = (FAMILY,)
    by_keys = False
    verified: Verified = "golden"

    def recognises(self, state: State) -> bool:
        """Tell that the names can be those of a `MaskedVideoModel` or a `VideoViT`."""
        return encoder_prefix(state) is not None

    def split(self, state: State) -> Split:
        """Keep the encoder; of a file of a finetuning its classifier is told apart."""
        known = ("decoder.", "encoder_to_decoder.", "mask_token", "prototypes", "head.")
        pretrained = any(name.startswith("decoder.") for name in state)
        heads = {} if pretrained else {name: t for name, t in state.items() if name.startswith(("head.", "fc_norm."))}
        rest = {name: tensor for name, tensor in state.items() if name not in heads}
        split = split_by_prefix(rest, encoder_prefix(state) or "", known)
        split.head.update(heads)
        return split

    def build(self, split: Split, beside: Beside, asked: Asked, family: str, path: Path) -> Built:
        """Build a `VideoViT`; see `Adapter.build`."""
        norm, settings = _settings(beside, path)
        if not norm and "norm.weight" in split.encoder:
            raise UserError(f"{path}: key 'encoder' says there is no last norm, its tensors hold one; export it again")
        return tube_vit.build(
            split, beside, asked, family, path, verified=self.verified, needs_norm=norm, settings=settings
        )


def _settings(beside: Beside, path: Path) -> tuple[bool, tube_vit.Settings]:
    """Return whether there is a last norm, and what exports say besides; runs say nothing, and have the usual ones."""
    entry = beside.content.get("encoder")
    found = entry if isinstance(entry, dict) else {}
    norm, eps = found.get("norm", True), fraction(found.get("eps", EPS))
    mean, std = triple(found.get("mean", IMAGENET_MEAN)), triple(found.get("std", IMAGENET_STD))
    if not isinstance(norm, bool) or eps is None or mean is None or std is None or min(std) <= 0:
        raise UserError(
            f"{path}: key 'encoder': norm = {norm!r}, eps = {found.get('eps')!r}, mean = {found.get('mean')!r}, std = "
            f"{found.get('std')!r}; expected true or false, a number above 0 and below 1, and three numbers twice"
        )
    return norm, tube_vit.Settings(eps, mean, std)


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


def system(beside: Mapping[str, Any]) -> dict[str, Any]:
    """Return what one of our files says of its run, for rows; empty where it says nothing.

    Beside the entry `system`: `step`, `steps` and `steps_per_epoch` (how far the run was), where they are sound, and
    `warnings`, what was said while it trained.
    """
    entry = beside.get("system")
    found = {k: v for k, v in entry.items() if k not in (*_HOW_FAR, "warnings")} if isinstance(entry, dict) else {}
    numbers = beside.get("numbers")
    stated = {**(numbers if isinstance(numbers, dict) else {}), "step": beside.get("step")}
    found |= {key: stated[key] for key in _HOW_FAR if type(stated.get(key)) is int and 0 <= stated[key] < 2**63}
    warnings = beside.get("warnings") or (entry.get("warnings") if isinstance(entry, dict) else None)
    said = warnings if isinstance(warnings, list) else []
    told = [text[:LONGEST_WARNING] for text in said if isinstance(text, str)]
    return {**found, "warnings": told} if told else found
