"""Building a `VideoViT` for the tensors of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from sigma_bench.contracts import UserError, Verified
from sigma_bench.models.checkpoints.adapter import Beside, Built, PositionReport, Split
from sigma_bench.models.checkpoints.geometry import SCALE, Asked, Geometry, Policy, infer
from sigma_bench.models.checkpoints.tables import FLAT, SPACE_TIME, Kind, Request, fit
from sigma_bench.models.positions import Grid
from sigma_bench.models.vit import EPS, IMAGENET_MEAN, IMAGENET_STD, VideoViT

KINDS = {"mvd": SPACE_TIME}
"""Families whose table is not VideoMAE's flat one."""
USUAL: dict[str, Policy] = {"mgmae": "interpolate", "videomaev2": "interpolate"}
"""Families whose own code does not recompute the table for other sizes (`run_class_finetuning.py` of both)."""
COSINE = ("mgmae", "videomaev2")
"""Families whose code has cosine attention as an option."""
CLASS_TOKEN = ("mvd",)
PATCH = "patch_embed.proj.weight"
TUBELET, MAX_TUBELET = 2, 64


@dataclass(frozen=True)
class Settings:
    """What a description beside the weights may say besides sizes, and where it says it, for messages."""

    eps: float = EPS
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    source: str = "key 'encoder'"


USUAL_SETTINGS = Settings()


@dataclass(frozen=True)
class _Plan:
    geometry: Geometry
    kind: Kind
    family: str
    path: Path
    asked: Asked


def build(
    split: Split,
    beside: Beside,
    asked: Asked,
    family: str,
    path: Path,
    *,
    verified: Verified,
    needs_norm: bool,
    settings: Settings = USUAL_SETTINGS,
) -> Built:
    """Build the ViT of the VideoMAE family; `needs_norm` says that the last norm must be in the file.

    MME's kernels over pictures are inflated. A position table in the file is used where the family's files hold one
    (MVD); elsewhere one that equals the computed table is dropped, and any other stays among the encoder's tensors,
    where it is refused.

    Raises:
        UserError: The sizes cannot be told or contradict each other, or the position table does not fit.
    """
    notes = _inflate(split, beside) if family == "mme" else []
    geometry, found = infer(split.encoder, beside.stated, beside.args, asked, path, settings.source)
    notes += found
    cosine = family in COSINE and SCALE in split.encoder
    cls_token = family in CLASS_TOKEN and "cls_token" in split.encoder
    plan = _Plan(geometry, KINDS.get(family, FLAT), family, path, asked)
    if plan.kind is SPACE_TIME and geometry.dim % 16:
        raise UserError(
            f"{path}: is {geometry.dim} wide; the position table of family {family} needs a width divisible by 16, so "
            "the file is of another family"
        )
    with torch.device("meta"):
        module = VideoViT(
            geometry.image_size,
            geometry.patch,
            geometry.frames,
            geometry.tubelet,
            geometry.dim,
            geometry.depth,
            geometry.heads,
            norm=needs_norm or "norm.weight" in split.encoder,
            mlp_hidden=geometry.mlp_hidden,
            cosine=cosine,
            cls_token=cls_token,
            eps=settings.eps,
            mean=settings.mean,
            std=settings.std,
            family=family,
            verified="none" if cosine or cls_token else verified,
        )
    table, report = _positions(plan, module, split)
    return Built(module, report, {"positions": table}, notes)


def _positions(plan: _Plan, module: VideoViT, split: Split) -> tuple[torch.Tensor, PositionReport]:
    geometry = plan.geometry
    request = Request(
        module.grid,
        _grid(geometry),
        geometry.dim,
        plan.asked.positions,
        USUAL.get(plan.family, "recompute"),
        plan.path,
    )
    if plan.kind is FLAT:
        table, report = fit(FLAT, request)
        _drop_same(split, FLAT.compute(_grid(geometry) or module.grid, geometry.dim))
        return table, report
    stored = split.encoder.pop("pos_embed", None)
    if module.cls_token is None:
        return fit(plan.kind, request, stored)
    first = torch.zeros(1, 1, geometry.dim) if stored is None else stored[:, :1].float()
    patches = None if stored is None else stored[:, 1:]
    table, report = fit(plan.kind, request, patches)
    return torch.cat((first, table), dim=1), report


def _grid(geometry: Geometry) -> Grid | None:
    if geometry.own is None:
        return None
    frames, image = geometry.own
    return (frames // geometry.tubelet, image // geometry.patch, image // geometry.patch)


def _inflate(split: Split, beside: Beside) -> list[str]:
    """Repeat a kernel over pictures for the frames of a tubelet, each a part of it (MME `finetune/run.py`)."""
    weight = split.encoder.get(PATCH)
    if weight is None or weight.ndim != 4:
        return []
    told = beside.args.get("tubelet_size")
    tubelet = told if type(told) is int and 0 < told <= MAX_TUBELET else TUBELET
    split.encoder[PATCH] = (weight.float() / tubelet).unsqueeze(2).expand(-1, -1, tubelet, -1, -1).contiguous()
    return [f"{PATCH} is a kernel over pictures: repeated for tubelets of {tubelet} frames and divided by {tubelet}"]


def _drop_same(split: Split, positions: torch.Tensor) -> None:
    stored = split.encoder.get("pos_embed")
    if stored is not None and stored.shape == positions.shape and torch.allclose(stored.float(), positions, atol=1e-3):
        split.dropped["pos_embed"] = split.encoder.pop("pos_embed")
