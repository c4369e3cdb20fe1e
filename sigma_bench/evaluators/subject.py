"""What a task asks to train: the samples, how, and all that the outcome depends on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from sigma_bench.contracts import Encoder, Run, UserError
from sigma_bench.data import subsets
from sigma_bench.data.index import Index
from sigma_bench.data.miniatures.publish import generated
from sigma_bench.data.views import STILL, Views
from sigma_bench.evaluators import frozen
from sigma_bench.evaluators.samples import Lists, sizes_sha256
from sigma_bench.evaluators.training import Lesson
from sigma_bench.models.fingerprint import fingerprint
from sigma_bench.spec.task_finetune import Finetune

VERSION = 2
"""Raised when the same training would give other weights: part of what its folder is known by."""


@dataclass(frozen=True)
class Subject:
    """One training, and how its classifier is tested.

    Attributes:
        lesson: What is trained.
        views: The views of a test sample.
        settings: The `finetune` block.
        content: All that the trained weights depend on, as plain values.
        judges: The samples that each epoch is judged on; None: the last epoch is tested.
        marks: What a reader of a number must know.
    """

    lesson: Lesson
    views: Views
    settings: Finetune
    content: Mapping[str, Any]
    judges: Index | None
    marks: tuple[str, ...]

    @property
    def judging(self) -> Views:
        """One view of each sample that an epoch is judged on: the middle clip and crop."""
        return replace(self.views, clips=1, crops=1)


def of(encoder: Encoder, task: Any, run: Run, lists: Lists) -> Subject:
    """Return what a task asks to train.

    Raises:
        UserError: No training file is there, or the encoder cannot keep the task's time span.
    """
    settings: Finetune = task.finetune
    only_tested = run.classifier is not None
    present = lists.train if only_tested else lists.train.present()
    if present.count == 0:
        raise UserError(f"{task.id}: none of the {lists.train.count} training files is in {lists.train.root}")
    marks = [f"{lists.train.count - present.count} of {lists.train.count} training files missing"]
    marks = marks if present.count < lists.train.count else []
    if task.dataset.per_class is not None and not only_tested:
        if task.dataset.draws != 1:
            raise UserError(
                f"{task.id}: dataset.draws is {task.dataset.draws}; a finetuning takes one draw of dataset.per_class "
                "videos (another seed, another draw): set dataset.draws to 1"
            )
        present = subsets.per_class(present, task.dataset.per_class, run.seed)
    kept, judges = present, None
    select = "last" if only_tested else settings.select
    if select == "held_out":
        kept, judges = subsets.holdout(present, settings.holdout, run.seed)
    elif select == "paper_compat":
        judges = lists.test
    stride = frozen.stride_of(encoder, task)
    _, views = frozen.views_of(task, stride, run.seed)
    if encoder.spec.frames != task.clips.frames and task.clips.sampling != STILL:
        marks.append(f"{encoder.spec.frames} frames over the span of {task.clips.frames}")
    lesson = Lesson(
        index=kept,
        settings=settings,
        sampling=task.clips.sampling,
        stride=stride,
        box="center" if task.views.augment == "none" else task.views.augment,
        flip=task.views.flip,
        title=task.id,
    )
    return Subject(lesson, views, settings, _content(encoder, lesson, judges, run), judges, tuple(marks))


def _content(encoder: Encoder, lesson: Lesson, judges: Index | None, run: Run) -> dict[str, Any]:
    """Return what the trained weights depend on; the test list does only where it judges epochs, its views never."""
    content: dict[str, Any] = {
        "version": VERSION,
        "weights": fingerprint(encoder),
        "spec": asdict(encoder.spec),
        "train_sha256": lesson.index.sha256,
        "files_sha256": sizes_sha256(lesson.index),
        "classes_sha256": lesson.index.classes_sha256,
        "generated": generated(lesson.index.root),
        "sampling": lesson.sampling,
        "stride": lesson.stride,
        "box": lesson.box,
        "flip": lesson.flip,
        "finetune": lesson.settings.model_dump(mode="json", exclude={"save_every", "log_every"}),
        "seed": run.seed,
        "device": torch.device(run.device).type,
    }
    if judges is not None:
        content["judged_on"] = judges.sha256
    found: dict[str, Any] = json.loads(json.dumps(content))
    return found
