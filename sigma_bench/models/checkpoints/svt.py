"""Files of SVT and TimeSformer: divided space-time attention, learned tables for places and times."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch

from sigma_bench.contracts import UserError, Verified
from sigma_bench.models.checkpoints import policies
from sigma_bench.models.checkpoints.adapter import Beside, Built, PositionReport, Split, State
from sigma_bench.models.checkpoints.geometry import MAX_TOKENS, Asked, heads_of
from sigma_bench.models.timesformer import TimeSformer
from sigma_bench.models.vit import IMAGENET_MEAN, IMAGENET_STD

KINETICS_MEAN, KINETICS_STD = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)
COLOURS = {"svt": (IMAGENET_MEAN, IMAGENET_STD), "timesformer": (KINETICS_MEAN, KINETICS_STD)}
"""Mean and deviation of the pictures in training: SVT's augmentation (`datasets/transform.py`), TimeSformer's
`DATA.MEAN` and `DATA.STD` (`timesformer/config/defaults.py`)."""
HEADS = {384: 6, 768: 12, 1024: 16}


@dataclass
class Divided:
    """A TimeSformer under `prefix`; every tensor there is the encoder's, but those of `head.`.

    Under `backbone.` with a projection head beside it, it is SVT's; under `model.` with a classifier, TimeSformer's.
    Bare names do not show whose it is, and the two were trained on pictures of different normalisation.
    """

    names: tuple[str, ...]
    prefix: str
    by_keys: bool
    verified: Verified

    def recognises(self, state: State) -> bool:
        """Tell the layout by attention over time."""
        return f"{self.prefix}blocks.0.temporal_attn.qkv.weight" in state

    def split(self, state: State) -> Split:
        """Keep what is under the prefix; a classifier is told apart, a projection head is dropped."""
        split = Split()
        for name, tensor in state.items():
            own = name.removeprefix(self.prefix)
            if name.startswith(self.prefix) and own in ("head.weight", "head.bias"):
                split.head[own] = tensor
            elif name.startswith("head."):
                split.dropped[name] = tensor
            elif name.startswith(self.prefix):
                split.encoder[own] = tensor
            else:
                split.unexpected[name] = tensor
        return split

    def build(self, split: Split, beside: Beside, asked: Asked, family: str, path: Path) -> Built:
        """Build a `TimeSformer`; see `Adapter.build`."""
        policies.check(asked, (), "its learned tables are resized by nearest neighbour", path)
        notes: list[str] = []
        if beside.container == "teacher":
            notes.append("the teacher's weights are taken, as the released evaluation does; the student's are not read")
        dim, patch = _patches(split.encoder, path)
        side, times = _tables(split.encoder, dim, path)
        frames, image = asked.frames or times, asked.image_size or side * patch
        if frames * (image // patch) ** 2 > MAX_TOKENS:
            raise UserError(
                f"{path}: {frames} frames of {image} px make more than {MAX_TOKENS} tokens; the sizes are wrong"
            )
        mean, std = COLOURS[family]
        if family == "svt":
            notes.append("pictures are normalised as in training; the released evaluation code used 0.45 and 0.225")
        with torch.device("meta"):
            module = TimeSformer(
                image,
                patch,
                frames,
                dim,
                len({name.split(".")[1] for name in split.encoder if name.startswith("blocks.")}),
                heads_of(beside.args, asked, dim, path, notes, usual=HEADS),
                table_frames=times,
                table_side=side,
                mlp_hidden=_tensor(split.encoder, "blocks.0.mlp.fc1.weight", 2, path).shape[0],
                mean=mean,
                std=std,
                family=family,
                verified=self.verified,
            )
        stored = (times, side, side)
        policy = "as is" if stored == module.grid else "nearest"
        if policy == "nearest":
            notes.append(
                f"learned positions for {times} frames of {side * patch} px are resized by nearest neighbour to "
                f"{frames} frames of {image} px"
            )
        report = PositionReport("learned space and time", "stored", module.grid, stored, policy)
        return Built(module, report, notes=notes)


DIVIDED = (
    Divided(("svt",), "backbone.", by_keys=True, verified="golden"),
    Divided(("timesformer",), "model.", by_keys=True, verified="none"),
    Divided(("timesformer", "svt"), "", by_keys=False, verified="none"),
)


def _patches(encoder: State, path: Path) -> tuple[int, int]:
    weight = _tensor(encoder, "patch_embed.proj.weight", 4, path)
    dim, channels, patch, width = weight.shape
    if channels != 3 or patch != width or 0 in weight.shape:
        raise UserError(
            f"{path}: patch_embed.proj.weight has shape {tuple(weight.shape)}; expected (dim, 3, patch, patch)"
        )
    return dim, patch


def _tables(encoder: State, dim: int, path: Path) -> tuple[int, int]:
    """Return the side of the table of places, without that of the class token, and the length of that of times."""
    places = _tensor(encoder, "pos_embed", 3, path).shape
    times = _tensor(encoder, "time_embed", 3, path).shape
    side = math.isqrt(max(places[1] - 1, 0))
    if tuple(places) != (1, 1 + side * side, dim) or side == 0:
        raise UserError(
            f"{path}: pos_embed has shape {tuple(places)}; expected (1, 1 + side * side, {dim}): one class token and a "
            "square grid of patches (a model with two class tokens, as for optical flow, cannot be loaded)"
        )
    if times[0] != 1 or times[1] == 0 or times[2] != dim:
        raise UserError(f"{path}: time_embed has shape {tuple(times)}; expected (1, frames, {dim})")
    return side, times[1]


def _tensor(encoder: State, name: str, axes: int, path: Path) -> torch.Tensor:
    if name not in encoder or encoder[name].ndim != axes:
        found = f"has {encoder[name].ndim} axes, {axes} expected" if name in encoder else "is missing"
        raise UserError(f"{path}: the encoder's tensor {name} {found}; the file is not a whole encoder")
    return encoder[name]
