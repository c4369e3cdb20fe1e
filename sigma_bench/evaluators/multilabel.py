"""Classes that may be shown together: an encoder finetuned on timed actions, tested by mean average precision.

Protocol of SlowFast on Charades, which SEVERE and so SIGMA's Table 5 follow: the target of a training clip is all that
it shows, that of a test video all that it ever shows; of the scores of its views the greatest counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.special import expit
from torch.nn import functional

from sigma_bench.contracts import Encoder, Evaluation, Run
from sigma_bench.evaluators import clip_actions, finetune, ranked, samples, subject
from sigma_bench.evaluators.samples import Lists
from sigma_bench.evaluators.subject import Subject
from sigma_bench.evaluators.view_scores import Scores
from sigma_bench.metrics.views import maximum
from sigma_bench.train.supervised import Losses

COMBINE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "max": lambda logits_NVC: np.asarray(expit(maximum(logits_NVC))),
    "mean": lambda logits_NVC: np.asarray(expit(logits_NVC.astype(np.float64)).mean(1)),
}
"""From the logits of the views to scores of the video, by the name in the task."""


def evaluate(encoder: Encoder, task: Any, run: Run) -> Evaluation:
    """Return mean average precisions (percent) of a classifier made of `encoder`, and one record a test video.

    Args:
        encoder: A torch module; a copy of it is trained.
        task: A task with the blocks `finetune` and `multilabel`.
        run: Seed of head, order and augmentation.

    Raises:
        UserError: The lists are missing, damaged or leave nothing to train or test on, the encoder cannot be trained
            so, or the training cannot go on.
    """
    lists = samples.read(task, run)
    ranked.check(task, lists)
    asked = subject_of(encoder, task, run, lists)
    combine = COMBINE[task.multilabel.combine]
    tested, record = finetune.class_scores(encoder, task, run, lists, asked, combine)
    found = evaluation(lists, tested, asked, record)
    return replace(found, marks=(*finetune.marks(asked, run), *found.marks))


def subject_of(encoder: Encoder, task: Any, run: Run, lists: Lists) -> Subject:
    """Return what a task asks to train.

    Raises:
        UserError: No training file is there, the encoder cannot keep the task's time span, or a training video has no
            list of actions.
    """
    asked, wanted = subject.of(encoder, task, run, lists), task.multilabel
    lesson = replace(
        asked.lesson,
        count_fps=wanted.fps,
        targets=clip_actions.targets(asked.lesson.index, wanted.fps, wanted.ends == "included"),
        loss=binary_cross_entropy,
    )
    content = {**asked.content, "multilabel": wanted.model_dump(mode="json", exclude={"combine"})}
    return replace(asked, lesson=lesson, views=replace(asked.views, count_fps=wanted.fps), content=content)


def binary_cross_entropy(logits_BC: torch.Tensor, targets_BC: torch.Tensor) -> Losses:
    """Return the binary cross entropy of each class, mean over clips and classes."""
    return {"loss": functional.binary_cross_entropy_with_logits(logits_BC.float(), targets_BC)}


def evaluation(lists: Lists, tested: Scores, asked: Subject, record: dict[str, Any]) -> Evaluation:
    """Return metrics, records and what a reader must know."""
    truth_NC, trained_NC = ranked.truth(lists.test), ranked.truth(asked.lesson.index)
    empty = {"unlabelled_train": ~trained_NC.any(1), "unlabelled_test": ~truth_NC.any(1)}
    return Evaluation(
        metrics=ranked.metrics(tested, truth_NC),
        samples=ranked.records(tested, lists.test, truth_NC),
        counts=samples.counts(lists.test, int(tested.ok_N.sum())),
        selection={**record, **{name: int(rows.sum()) for name, rows in empty.items()}},
        views=f"{asked.views.clips}x{asked.views.crops}",
        marks=ranked.marks(tested, truth_NC, trained_NC, lists.test.classes),
        train_index=lists.train,
        test_index=lists.test,
        decoders=tested.decoders,
        precision=asked.settings.precision,
    )
