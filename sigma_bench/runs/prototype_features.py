"""In which features tubes are compared with prototypes: those that the targets are projected to, or the decoder's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.masked import MaskedVideoModel
from sigma_bench.models.vit import SIZES, VideoViT
from sigma_bench.pretrain import similarity
from sigma_bench.pretrain.masking import masked_per_slice
from sigma_bench.pretrain.projector import MlpProjector
from sigma_bench.pretrain.stored import Stored
from sigma_bench.pretrain.targets import teacher_targets
from sigma_bench.pretrain.teacher import FrozenTeacher, frozen_teacher
from sigma_bench.progress import say
from sigma_bench.spec import load
from sigma_bench.spec.recipe import Model, Recipe
from sigma_bench.spec.recipe_target import MlpTarget, TeacherTarget

PROJECTOR, DECODER = "projector", "decoder"
RATIO = 0.9
"""Share that masks hide where neither the user nor the checkpoint says one."""
USUAL_TEACHERS = {384: "vit_small_patch16_224.dino", 768: "vit_base_patch16_224.dino"}
"""Width of the prototypes -> teacher of the released files."""


@dataclass(frozen=True)
class Asked:
    """What the user says of the features; None leaves it to the checkpoint."""

    kind: str = PROJECTOR
    teacher: str | None = None
    ratio: float | None = None
    seed: int = 0
    decoder_heads: int | None = None


@dataclass(frozen=True)
class Features:
    """A function from normalised clips (B, 3, T, H, W) to features (B, N, D), and what is to be said of it."""

    of: Callable[[torch.Tensor], torch.Tensor]
    facts: dict[str, Any]


def recipe_of(file: Path) -> Recipe | None:
    """Return the recipe of the run folder that a checkpoint lies in, None where it lies in none."""
    saved = file.resolve().parent.parent / "recipe.yaml"
    return load.recipe(saved) if file.resolve().parent.name == "checkpoints" and saved.is_file() else None


def features(held: Stored, recipe: Recipe | None, asked: Asked, device: str) -> Features:
    """Return the features of tubes that prototypes are compared with.

    `projector` are the targets of the training: what the learned network phi, or the frozen teacher, makes of a tube.
    `decoder` is what the decoder predicts of a tube while it is hidden.

    Raises:
        UserError: An option without a meaning for this checkpoint, a teacher that is unknown or another one than the
            run's, or features of another width than the prototypes.
    """
    if asked.kind == DECODER:
        return _decoded(held, recipe, asked, device)
    if asked.kind != PROJECTOR:
        raise UserError(f"--features {asked.kind}: expected {PROJECTOR} or {DECODER}")
    for option, value in (("--ratio", asked.ratio), ("--decoder-heads", asked.decoder_heads)):
        if value is not None:
            raise UserError(f"{option} {value}: is for --features {DECODER} alone; leave it out")
    if held.projector is None:
        return _taught(held, recipe, asked, device)
    if asked.teacher is not None:
        raise UserError(f"--teacher {asked.teacher}: {held.path} has a learned projection network; leave it out")
    normalize, source = _normalize(held, recipe)
    projector, encoder = held.projector.to(device), held.encoder
    return Features(partial(_projected, projector, encoder, normalize), {
        "features": "projection network phi (MLP)",
        "tubes_standardised": normalize,
        "tubes_standardised_from": source,
    })  # fmt: skip


def _projected(projector: MlpProjector, encoder: VideoViT, normalize: bool, clips: torch.Tensor) -> torch.Tensor:
    return similarity.projected(projector, encoder, clips, normalize)


def _normalize(held: Stored, recipe: Recipe | None) -> tuple[bool, str]:
    """Return whether phi sees standardised tubes, and what says so."""
    if recipe is not None and isinstance(recipe.target, MlpTarget):
        return recipe.target.normalize, "recipe of the run"
    told = held.args.get("normlize_target")
    if isinstance(told, bool):
        return told, "arguments of the training in the file"
    say(f"{held.path}: does not say whether its network phi sees standardised tubes; assumed: all recipes have it so")
    return True, "assumed"


def _decoded(held: Stored, recipe: Recipe | None, asked: Asked, device: str) -> Features:
    if asked.teacher is not None:
        raise UserError(f"--teacher {asked.teacher}: the decoder needs none; leave it out")
    model = held.model(asked.decoder_heads)
    width = model.decoder.head.out_features
    if width != held.prototypes_KD.shape[1]:
        raise UserError(
            f"{held.path}: its decoder predicts {width} values, its prototypes have {held.prototypes_KD.shape[1]}"
        )
    ratio, source = asked.ratio, "--ratio"
    if ratio is None:
        told = held.args.get("mask_ratio")
        ratio, source = (
            (recipe.mask.ratio, "recipe of the run") if recipe is not None
            else (told, "arguments of the training in the file") if isinstance(told, float)
            else (RATIO, "the usual one")
        )  # fmt: skip
    positions = model.encoder.grid[1] * model.encoder.grid[2]
    try:
        masked_per_slice(positions, ratio)
    except ValueError as error:
        raise UserError(
            f"--ratio {ratio}: expected a share that hides some of the {positions} positions, not all"
        ) from error
    return Features(partial(_predicted, model.to(device), ratio, asked.seed), {
        "features": "decoder output, each tube while it is hidden by a tube mask",
        "mask_ratio": ratio,
        "mask_ratio_from": source,
        "mask_seed": asked.seed,
    })  # fmt: skip


def _predicted(model: MaskedVideoModel, ratio: float, seed: int, clips: torch.Tensor) -> torch.Tensor:
    return similarity.decoded(model, clips, ratio, seed)


def _taught(held: Stored, recipe: Recipe | None, asked: Asked, device: str) -> Features:
    spec, width = held.encoder.spec, held.prototypes_KD.shape[1]
    target = recipe.target if recipe is not None and isinstance(recipe.target, TeacherTarget) else None
    normalize = target is None or target.normalize
    if asked.teacher is not None:
        name, _, file = asked.teacher.removeprefix("timm:").partition(":")
        target = TeacherTarget(kind="teacher", model=name, weights=file or None, normalize=normalize)
    if target is None:
        usual = USUAL_TEACHERS.get(width, "TIMM-NAME")
        raise UserError(
            f"{held.path}: tubes were projected by a frozen teacher {width} wide, which is not in the file; name it "
            f"(--teacher {usual}[:FILE]), or compare the decoder's output (--features {DECODER})"
        )
    size = next((name for name, s in SIZES.items() if s.dim == spec.embed_dim), "base")
    model = Model.model_validate({
        "size": size, "image_size": spec.image_size, "frames": spec.frames, "tubelet": spec.tubelet,
        "patch": spec.patch, "decoder_depth": 1,
    })  # fmt: skip
    teacher = frozen_teacher(target, model, device)
    known = held.frozen.get("teacher_digest")
    if known not in (None, teacher.digest):
        raise UserError(
            f"{held.path}: was trained with the teacher {held.frozen.get('teacher')} ({str(known)[:12]}...); found "
            f"{teacher.source} ({teacher.digest[:12]}...): its features belong to other prototypes"
        )
    if teacher.dim != width:
        raise UserError(f"the teacher {target.model} is {teacher.dim} wide, the prototypes of {held.path} are {width}")
    return Features(partial(_features_of, teacher, held.encoder, normalize), {
        "features": "frozen teacher",
        "teacher": teacher.source,
        "teacher_digest": teacher.digest,
        "teacher_is_the_runs": known is not None,
        "features_standardised": normalize,
    })  # fmt: skip


def _features_of(teacher: FrozenTeacher, encoder: VideoViT, normalize: bool, clips: torch.Tensor) -> torch.Tensor:
    found = teacher.features(clips, encoder.spec.mean, encoder.spec.std)
    every = torch.ones(found.shape[:2], dtype=torch.bool)
    return teacher_targets(found, every, normalize)
