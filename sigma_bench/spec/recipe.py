"""A pretraining recipe: the schema of `pretrain/*.yaml` after its overlays were applied."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Strict, model_validator

from sigma_bench.spec.base import Count, Resolved, Spec, Text, Texts
from sigma_bench.spec.recipe_mask import AnyMask
from sigma_bench.spec.recipe_target import AnyTarget, Clustering
from sigma_bench.spec.recipe_train import Clips, Train

TARGETS = {"sigma": ("mlp", "teacher"), "pixels": ("pixels",), "feature_l2": ("mlp", "teacher")}
"""Kinds of targets that an objective can predict."""


class Model(Spec):
    """The masked autoencoder: encoder size, geometry of the clip and of its tubes, depth of the decoder."""

    size: Literal["nano", "small", "base", "large", "huge"]
    image_size: Count
    frames: Count
    tubelet: Count
    patch: Count
    decoder_depth: Count

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tubes along time, height and width."""
        side = self.image_size // self.patch
        return self.frames // self.tubelet, side, side

    @model_validator(mode="after")
    def _tubes_fill_the_clip(self) -> Model:
        if self.image_size % self.patch:
            raise ValueError(f"image_size {self.image_size} is not a multiple of patch {self.patch}")
        if self.frames % self.tubelet:
            raise ValueError(f"frames {self.frames} is not a multiple of tubelet {self.tubelet}")
        return self


class PublishedRow(Spec):
    """A row of `results/published/published.csv` that this recipe reproduces."""

    table: Text
    row: Count


class Recipe(Spec):
    """A pretraining run, fully stated."""

    name: Text
    title: Text
    version: Count
    method: Text
    """Method as the published tables spell it (`SIGMA-MLP`)."""
    variant: str = ""
    """Departure from the method's default, as the published tables spell it (`loss=L2`); empty: none."""
    extra_data: str = ""
    """Data of a teacher, as the published tables spell it (`IN-1K`); empty: none."""
    objective: Literal["sigma", "pixels", "feature_l2"]
    model: Model
    mask: AnyMask
    target: AnyTarget
    clustering: Clustering | None = None
    clips: Clips
    train: Train
    published: Annotated[tuple[PublishedRow, ...], Strict(False)] = ()
    cost: Text
    notes: Texts = ()
    resolved: Resolved

    @model_validator(mode="after")
    def _parts_fit(self) -> Recipe:
        usable = TARGETS[self.objective]
        if self.target.kind not in usable:
            raise ValueError(
                f"objective {self.objective} needs target.kind {' or '.join(usable)}, found {self.target.kind}"
            )
        if (self.clustering is not None) != (self.objective == "sigma"):
            need = "needs a clustering block" if self.objective == "sigma" else "has no use for a clustering block"
            raise ValueError(f"objective {self.objective} {need}")
        if self.train.global_batch % self.clips.repeats:
            raise ValueError(
                f"global_batch {self.train.global_batch} is not a multiple of clips.repeats {self.clips.repeats}"
            )
        slots = self.model.grid[1] * self.model.grid[2]
        if not 0 < int(self.mask.ratio * slots) < slots:
            raise ValueError(f"mask.ratio {self.mask.ratio} of {slots} positions leaves nothing to predict or to see")
        return self
