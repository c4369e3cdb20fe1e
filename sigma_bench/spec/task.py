"""An evaluation task: the schema of `tasks/**.yaml` after its overlays were applied."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, Strict, StringConstraints, ValidationInfo, field_validator, model_validator

from sigma_bench import registry
from sigma_bench.contracts import Order
from sigma_bench.spec.base import Count, Floats, Resolved, Spec, Text, Texts
from sigma_bench.spec.problems import nearest
from sigma_bench.spec.task_counting import Counting
from sigma_bench.spec.task_finetune import Finetune
from sigma_bench.spec.task_multilabel import Multilabel
from sigma_bench.spec.task_multilabel import check as check_multilabel
from sigma_bench.spec.task_segmentation import Segmentation

BLOCKS: dict[str, tuple[str, ...]] = {
    "linear": ("probe",),
    "knn": ("probe", "knn"),
    "attentive": ("probe", "attentive"),
    "finetune": ("finetune",),
    "linear_released": ("finetune",),
    "segmentation": ("segmentation",),
    "counting": ("counting",),
    "multilabel": ("finetune", "multilabel"),
}
"""Evaluator -> blocks of settings that it needs; what is shared stands in `probe`, `clips` and `views`."""
METRICS: dict[str, tuple[str, ...]] = {
    "linear": ("top1", "mean_class_acc"),
    "knn": ("knn_top1",),
    "attentive": ("attentive_top1",),
    "finetune": ("top1", "mean_class_acc"),
    "linear_released": ("top1",),
    "segmentation": ("miou",),
    "counting": ("mean_count_error", "obo"),
    "multilabel": ("map", "map_official"),
}
"""Evaluator -> metrics that its tasks may be named for."""
UNTRAINED = frozenset({"segmentation"})
"""Evaluators that train nothing: their tasks have no training list and no views."""


class Dataset(Spec):
    """Which lists are read, and which labels."""

    name: Text
    """A reader of the registry, an outside package's, or MODULE:OBJECT."""
    train: Text | None = None
    """Null where nothing is trained (`UNTRAINED`)."""
    test: Text
    split: Count | None = None
    """Number of the official split (fold), where there are several."""
    relabel: Text | None = None
    """Column of the data set's `factors.csv` that replaces the label."""
    per_class: Count | None = None
    """Labelled training clips per class; null takes all."""
    draws: Count | None = None
    """Seeded draws of `per_class` clips whose metrics are averaged."""

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if not registry.knows("datasets", name):
            raise ValueError(f"unknown data set '{name}'{nearest(name, registry.names('datasets'))}")
        return name

    @model_validator(mode="after")
    def _draws_of_a_part(self) -> Dataset:
        if (self.per_class is None) != (self.draws is None):
            raise ValueError("per_class and draws go together: give both or neither")
        return self


class Clips(Spec):
    """Which frames of a video make a clip."""

    frames: Count
    """Frames of a clip; an encoder of another number keeps the time span of frames x stride."""
    stride: Count
    sampling: Literal["dense", "windows", "segments", "still", "scattered"]
    """Windows of frames x stride by the rule of the VideoMAE family or of SlowFast (`data/clips.py`), one frame of each
    of equal parts, one frame repeated (pictures), or frames drawn from all of the video and put in order; the last
    three have no stride."""
    order: Order = "natural"
    """How the frames of a clip are shown: as they are, shuffled (seeded, clip by clip), reversed, or the middle one all
    the time (frozen). The frames are the same in each."""
    train_order: Order | None = None
    """The same for training clips, where it is another; null: as `order`."""

    @model_validator(mode="after")
    def _order_of_several(self) -> Clips:
        if self.sampling == "still" and {self.order, self.train_order} - {"natural", None}:
            raise ValueError("a still is one frame, which has no order; leave out order and train_order")
        return self


class Views(Spec):
    """How many clips and crops of a video are shown, in training and in the test."""

    train: Count
    test_clips: Count
    test_crops: Literal[1, 3]
    augment: Literal["random_resized", "random_square", "none"]
    """Crop of a training view: a random part of the frame, a random square of it, or its middle."""
    flip: bool
    """Mirrored training views; off where the label depends on the direction."""


class Probe(Spec):
    """Linear probe on frozen features; the setting is chosen on `holdout` of the training list."""

    rates: Annotated[Floats, Field(min_length=1)]
    weight_decays: Annotated[Floats, Field(min_length=1)]
    epochs: Count
    batch: Count
    holdout: Annotated[float, Field(gt=0, lt=1)]
    layer: int
    """Encoder block whose tokens are read; negative counts from the last."""
    layers: Literal["all"] | Annotated[tuple[int, ...], Strict(False), Field(min_length=1)] | None = None
    """Instead of `layer`: blocks that are measured one by one, a row each, all read in one pass of the encoder."""
    norm: bool
    """Apply the encoder's own final norm, where it has one."""
    pool: Literal["mean", "cls"] | None = None
    """How tokens become one vector; null: as the encoder was made for."""

    @field_validator("rates")
    @classmethod
    def _rates_move(cls, rates: tuple[float, ...]) -> tuple[float, ...]:
        if 0.0 in rates:
            raise ValueError("a rate of 0 trains nothing; remove it")
        return rates


class Neighbours(Spec):
    """Vote of the nearest training samples, on the features that the `probe` block names."""

    k: Count
    temperature: Annotated[float, Field(gt=0)]
    """Cosine similarity by which the weight of a vote grows e-fold."""


class Attentive(Spec):
    """Attentive probe on all tokens of the layer that the `probe` block names; its hold-out chooses the setting."""

    rates: Annotated[Floats, Field(min_length=1)]
    weight_decays: Annotated[Floats, Field(min_length=1)]
    epochs: Count
    batch: Count
    heads: Count | None = None
    """Attention heads of the probe; null: as many as the encoder has."""

    @field_validator("rates")
    @classmethod
    def _rates_move(cls, rates: tuple[float, ...]) -> tuple[float, ...]:
        if 0.0 in rates:
            raise ValueError("a rate of 0 trains nothing; remove it")
        return rates


class Task(Spec):
    """A measurement, fully stated. Its id is its path under `tasks/` and the key of the published values."""

    id: Text
    title: Text
    version: Count
    evaluator: Text
    metric: Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_-]{0,59}$")]
    """One of `METRICS` of the evaluator; an evaluator of another package may have any."""
    data_only: Literal["miniature"] | None = None
    """The only data this task exists for; null: all."""
    dataset: Dataset
    clips: Clips
    views: Views | None = None
    """Null where nothing is trained (`UNTRAINED`)."""
    probe: Probe | None = None
    knn: Neighbours | None = None
    attentive: Attentive | None = None
    finetune: Finetune | None = None
    segmentation: Segmentation | None = None
    counting: Counting | None = None
    multilabel: Multilabel | None = None
    options: dict[Text, bool | int | float | str] = {}
    """Settings of an evaluator from another package; our own have blocks of their own."""
    cost: Text
    notes: Texts = ()
    marks: Texts = ()
    """What every row of the task carries as a mark: an assumption where neither paper nor code says how it is done."""
    resolved: Resolved

    @property
    def sizes(self) -> dict[str, Any]:
        """How the encoder is to be read: frames, side of the frames, how a position table is fitted; only what is
        stated.
        """
        if self.counting is None:
            return {}
        stated = {
            "frames": self.clips.frames if self.counting.passes == 1 else None,
            "image_size": self.counting.image_size,
            "positions": self.counting.positions,
        }
        return {name: value for name, value in stated.items() if value is not None}

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, metric: str, info: ValidationInfo) -> str:
        evaluator = str(info.data.get("evaluator"))
        metrics = METRICS.get(evaluator, (metric,))
        if metric not in metrics:
            raise ValueError(f"found '{metric}' (text), expected one of {', '.join(metrics)}, of evaluator {evaluator}")
        return metric

    @field_validator("evaluator")
    @classmethod
    def _known(cls, evaluator: str) -> str:
        if not registry.knows("evaluators", evaluator):
            raise ValueError(f"unknown evaluator '{evaluator}'{nearest(evaluator, registry.names('evaluators'))}")
        return evaluator

    @model_validator(mode="after")
    def _parts_fit(self) -> Task:
        missing = [name for name in BLOCKS.get(self.evaluator, ()) if getattr(self, name) is None]
        if missing:
            raise ValueError(f"evaluator {self.evaluator} needs the block {' and the block '.join(missing)}")
        frozen = "probe" in BLOCKS.get(self.evaluator, ("probe",))
        if not frozen and {self.clips.order, self.clips.train_order} - {"natural", None}:
            raise ValueError(
                f"evaluator {self.evaluator} shows clips as they are; leave out clips.order and train_order"
            )
        own, trains = not registry.origin("evaluators", self.evaluator), self.evaluator not in UNTRAINED
        if own and trains and (self.dataset.train is None or self.views is None):
            what = "dataset.train" if self.dataset.train is None else "the block views"
            raise ValueError(f"evaluator {self.evaluator} needs {what}")
        if own and not trains and (self.dataset.train is not None or self.views is not None):
            what = "the block views" if self.dataset.train is None else "dataset.train"
            raise ValueError(f"evaluator {self.evaluator} trains nothing; leave out {what}")
        if (self.clips.sampling == "scattered") != (self.segmentation is not None):
            raise ValueError("clips.sampling scattered and the block segmentation go together: give both or neither")
        if own and self.finetune is not None and self.views is not None and self.views.train != 1:
            raise ValueError(
                f"evaluator {self.evaluator} shows one new clip of a video an epoch; leave views.train at 1 "
                "(finetune.repeats gives several)"
            )
        if self.evaluator == "multilabel" and self.finetune is not None:
            check_multilabel(self.finetune)
        if self.options and not registry.origin("evaluators", self.evaluator):
            raise ValueError(f"options are for evaluators of other packages; {self.evaluator} takes none")
        return self
