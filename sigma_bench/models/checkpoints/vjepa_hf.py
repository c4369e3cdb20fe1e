"""V-JEPA 2 as Hugging Face publishes it: `VJEPA2Model`, or a classifier around it.

Source: transformers/models/vjepa2/modeling_vjepa2.py and convert_vjepa2_to_hf.py.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sigma_bench.contracts import UserError, Verified
from sigma_bench.models.checkpoints import joint_vit
from sigma_bench.models.checkpoints.adapter import Beside, Built, Split, State
from sigma_bench.models.checkpoints.geometry import Asked
from sigma_bench.models.checkpoints.joint_vit import Clip, Shapes
from sigma_bench.models.checkpoints.vjepa import RELEASED, with_rotary
from sigma_bench.models.vit import EPS

PREFIXES = ("vjepa2.", "")
STEM, LAYER, LAST = "encoder.embeddings.patch_embeddings.", "encoder.layer.", "encoder.layernorm."
PARTS = ("query", "key", "value")
OUTSIDE = ("predictor.", "vjepa2.predictor.", "pooler.", "classifier.")


class HuggingFaceVJepa2:
    """`encoder.*` with queries, keys and values apart, `predictor.*`, and `pooler.*` and `classifier.*`."""

    names: tuple[str, ...] = ("vjepa2",)
    by_keys = True
    verified: Verified = "none"

    def recognises(self, state: State) -> bool:
        """Tell the layout by its stem and its queries."""
        return any(
            f"{prefix}{STEM}proj.weight" in state and f"{prefix}{LAYER}0.attention.query.weight" in state
            for prefix in PREFIXES
        )

    def split(self, state: State) -> Split:
        """Rename the encoder's tensors and join queries, keys and values."""
        prefix = next(p for p in PREFIXES if f"{p}{STEM}proj.weight" in state)
        split = Split()
        apart: dict[str, dict[str, torch.Tensor]] = {}
        for name, tensor in state.items():
            own = name.removeprefix(prefix)
            if name.startswith(OUTSIDE):
                split.dropped[name] = tensor
            elif not name.startswith(f"{prefix}encoder."):
                split.unexpected[name] = tensor
            elif (part := _part(own)) is not None:
                apart.setdefault(_ours(own.replace(f"attention.{part}.", "attn.qkv.")), {})[part] = tensor
            else:
                split.encoder[_ours(own)] = tensor
        for name, parts in apart.items():
            same = len({part.shape for part in parts.values()}) == 1 and all(part.ndim for part in parts.values())
            if same and all(part in parts for part in PARTS):
                split.encoder[name] = torch.cat([parts[part] for part in PARTS])
        return split

    def build(self, split: Split, beside: Beside, asked: Asked, family: str, path: Path) -> Built:
        """Build a `JointViT`; see `Adapter.build`."""
        shapes = joint_vit.shapes_of(split.encoder, path)
        config = beside.config
        notes: list[str] = []
        if not config:
            notes.append("no config.json beside the file: heads and clip are those usual for the family")
        _check(config, path)
        _agree(config, shapes, path)
        told = _whole(config, "num_attention_heads", path)
        if told is not None and asked.heads not in (None, told):
            raise UserError(f"{path}: {asked.heads} heads asked for, config.json says {told}")
        own = Clip(
            _whole(config, "frames_per_clip", path) or RELEASED.frames,
            _whole(config, "crop_size", path) or RELEASED.image_size,
        )
        return with_rotary(shapes, own, beside, replace(asked, heads=asked.heads or told), notes, family)


def _part(own: str) -> str | None:
    return next((part for part in PARTS if f".attention.{part}." in own), None)


def _ours(own: str) -> str:
    for theirs, ours in ((STEM, "patch_embed."), (LAYER, "blocks."), (LAST, "norm.")):
        if own.startswith(theirs):
            return ours + own.removeprefix(theirs).replace("attention.proj.", "attn.proj.")
    return own


def _check(config: dict[str, Any], path: Path) -> None:
    """Refuse a configuration under which the same weights mean something else."""
    for key, expected in (
        ("hidden_act", "gelu"),
        ("layer_norm_eps", EPS),
        ("qkv_bias", True),
        ("model_type", "vjepa2"),
    ):
        if config.get(key, expected) != expected:
            raise UserError(
                f"{path}: config.json says {key} = {config[key]!r}; expected {expected!r}, as in the released models"
            )


def _agree(config: dict[str, Any], shapes: Shapes, path: Path) -> None:
    """Refuse a configuration of another model than the tensors are of."""
    for key, found in (
        ("patch_size", shapes.patch),
        ("tubelet_size", shapes.tubelet),
        ("hidden_size", shapes.dim),
        ("num_hidden_layers", shapes.depth),
    ):
        if config.get(key, found) != found:
            raise UserError(
                f"{path}: config.json says {key} = {config[key]!r}, the tensors say {found}; fetch both from the same "
                "place, whole"
            )


def _whole(config: dict[str, Any], key: str, path: Path) -> int | None:
    value = config.get(key)
    if value is not None and (type(value) is not int or value < 1):
        raise UserError(f"{path}: config.json says {key} = {value!r}; expected a positive whole number")
    return value
