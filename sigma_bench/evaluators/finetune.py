"""Full finetuning: the encoder and a new linear head trained end to end, tested on several views of each video.

Protocol of the VideoMAE family and of SIGMA's finetuning results (their Tables 2, 3, 12, 13); with `trainable: head`
the released linear probe. The mean of the softmax over the views of a video is its prediction.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from sigma_bench.contracts import Encoder, Evaluation, Run, UserError
from sigma_bench.data import subsets
from sigma_bench.data.index import Index
from sigma_bench.data.miniatures.publish import generated
from sigma_bench.data.views import Views
from sigma_bench.evaluators import classified, classifier_run, frozen, samples, training
from sigma_bench.evaluators.samples import Lists
from sigma_bench.evaluators.training import Lesson
from sigma_bench.evaluators.view_scores import scores
from sigma_bench.models.classifier import VideoClassifier
from sigma_bench.models.fingerprint import fingerprint
from sigma_bench.progress import say
from sigma_bench.spec.task_finetune import Finetune
from sigma_bench.train.distributed import Processes


def evaluate(encoder: Encoder, task: Any, run: Run) -> Evaluation:
    """Return accuracies (percent) of a classifier made of `encoder`, and one record a test sample.

    The training lies in a folder of its own below `run.folder`; begun again it goes on, and once it is over only the
    test is made. `encoder` stays as it is.

    Args:
        encoder: A torch module; a copy of it is trained.
        task: A task with a `finetune` block.
        run: Seed of head, order and augmentation.

    Raises:
        UserError: The lists are missing, damaged or leave nothing to train or test on, the encoder cannot be trained
            so, or the training cannot go on.
    """
    lists = samples.read(task, run)
    samples.check(task, lists)
    processes = Processes(device=run.device)
    subject = subject_of(encoder, task, run, lists)
    folder = classifier_run.place(run.folder, lists.train.name, subject.content)  # tasks may share a training
    with classifier_run.alone(folder):
        model, record = _trained(encoder, subject, run, processes, folder)
        tested = scores(model, lists.test, subject.views, run, subject.settings.precision, folder=folder)
    return classified.evaluation(task, lists, tested, subject.views, record, subject.settings.precision)


@dataclass(frozen=True)
class Subject:
    """What is trained: the samples, how, and all that the outcome depends on."""

    lesson: Lesson
    views: Views
    settings: Finetune
    content: Mapping[str, Any]
    present: Index
    """The training samples whose file is there."""


def subject_of(encoder: Encoder, task: Any, run: Run, lists: Lists) -> Subject:
    """Return what a task asks to train.

    Raises:
        UserError: No training file is there.
    """
    settings: Finetune = task.finetune
    present = lists.train.present()
    if task.dataset.per_class is not None:
        present = subsets.per_class(present, task.dataset.per_class, run.seed)
    if present.count == 0:
        raise UserError(f"{task.id}: none of the {lists.train.count} training files is in {lists.train.root}")
    stride = frozen.stride_of(encoder, task)
    _, views = frozen.views_of(task, stride, run.seed)
    lesson = Lesson(
        index=present,
        settings=settings,
        sampling=task.clips.sampling,
        stride=stride,
        crop=task.views.augment == "random_resized",
        flip=task.views.flip,
        title=task.id,
    )
    content: dict[str, Any] = {
        "weights": fingerprint(encoder),
        "train_sha256": present.sha256,
        "classes_sha256": present.classes_sha256,
        "generated": generated(present.root),
        "sampling": lesson.sampling,
        "stride": lesson.stride,
        "crop": lesson.crop,
        "flip": lesson.flip,
        "finetune": settings.model_dump(mode="json", exclude={"save_every", "log_every"}),
        "seed": run.seed,
        "device": torch.device(run.device).type,
    }
    return Subject(lesson, views, settings, json.loads(json.dumps(content)), present)


def classifier(encoder: Encoder, classes: int, settings: Finetune, seed: int, device: str) -> VideoClassifier:
    """Return a copy of an encoder with a new head, whose weights depend on the seed alone."""
    assert isinstance(encoder, torch.nn.Module)
    own = copy.deepcopy(encoder).cpu().requires_grad_(settings.trainable == "all")
    torch.manual_seed(seed)
    model = VideoClassifier(
        own,
        classes,
        pool=settings.pool or encoder.spec.default_pool,
        init_scale=settings.init_scale,
        dropout=settings.dropout,
        drop_path=settings.drop_path,
    )
    return model.to(device)


def _trained(
    encoder: Encoder, subject: Subject, run: Run, processes: Processes, folder: Path
) -> tuple[VideoClassifier, dict[str, Any]]:
    """Return the classifier of a training, and what is to be known of it; what of it is done is not done again."""
    settings = subject.settings
    model = classifier(encoder, len(subject.present.classes), settings, run.seed, run.device)
    kept = classifier_run.finished(folder)
    if kept is not None:
        say(f"{folder / classifier_run.RESULT}: trained already, only tested")
        model.load_state_dict(kept["model"])
        classifier_run.clear(folder)
        return model, dict(kept["record"])
    start = classifier_run.begun(folder, subject.content)
    numbers = subject.lesson.numbers
    say(
        f"{subject.lesson.title}: {numbers['trained_on']} videos, {numbers['steps']} steps of {settings.global_batch}, "
        f"peak rate {settings.lr:.3g} = {settings.base_lr:.3g} x {settings.global_batch}/{settings.lr_per}, in {folder}"
        + (f", from {start.name}" if start else "")
    )
    objective, counts = training.train(subject.lesson, model, run, processes, folder, start)
    record = {**numbers, "select": settings.select, "epoch": settings.epochs, "decoded": counts}
    classifier_run.finish(folder, {"model": objective.weights.state_dict(), "record": record, "spec": _plain(model)})
    classifier_run.clear(folder)
    return objective.weights, record


def _plain(model: VideoClassifier) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(asdict(model.encoder.spec)))
    return found


__all__ = ["Subject", "classifier", "evaluate", "subject_of"]
