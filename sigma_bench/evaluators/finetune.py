"""Full finetuning: the encoder and a new linear head trained end to end, tested on several views of each video.

Protocol of the VideoMAE family and of SIGMA's finetuning results (their Tables 2, 3, 12, 13); with `trainable: head`
the released linear probe. The mean of the softmax over the views of a video is its prediction. A finetuned file that
brings its own classifier is only tested.
"""

from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import Any

import torch

from sigma_bench.contracts import Encoder, Evaluation, Run, UserError
from sigma_bench.data.index import Index
from sigma_bench.evaluators import classified, classifier_run, samples, subject
from sigma_bench.evaluators.lessons import taught
from sigma_bench.evaluators.samples import Lists
from sigma_bench.evaluators.subject import Subject
from sigma_bench.evaluators.together import all_processes, leads
from sigma_bench.evaluators.view_scores import Aggregate, Scores, scores
from sigma_bench.metrics.views import mean_softmax
from sigma_bench.models.checkpoints.classifier import Classifier
from sigma_bench.models.classifier import VideoClassifier
from sigma_bench.spec.task_finetune import Finetune

FOREIGN = "classifier of the file, not trained here"
UNCHECKED = "that its classes are in the order of the list was not checked"


def evaluate(encoder: Encoder, task: Any, run: Run) -> Evaluation:
    """Return accuracies (percent) of a classifier made of `encoder`, and one record a test sample.

    The training lies in a folder of its own below `run.folder`; begun again it goes on, and once it is over only the
    test is made. `encoder` stays as it is. Every process of the evaluation calls this; what the first returns counts.

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
    asked = subject.of(encoder, task, run, lists)
    tested, record = class_scores(encoder, task, run, lists, asked)
    found = classified.evaluation(task, lists, tested, asked.views, record, asked.settings.precision)
    found.marks = (*marks(asked, run), *classified.marks(found, tested, lists, asked.lesson.index.labels, record))
    return found


def class_scores(
    encoder: Encoder, task: Any, run: Run, lists: Lists, asked: Subject, aggregate: Aggregate = mean_softmax
) -> tuple[Scores, dict[str, Any]]:
    """Return the scores of the test samples by the classifier that is asked for, and what is to be known of it.

    Args:
        encoder: A torch module; a copy of it is trained.
        task: What is done.
        run: Its seed, processes and folder, and the classifier of a finetuned file, which is then tested.
        lists: The samples.
        asked: What is trained, and the views of the test.
        aggregate: Puts the logits of a sample's views together.

    Raises:
        UserError: The encoder cannot be trained so, or the training cannot go on.
    """
    folder = classifier_run.place(run.folder, lists.train.name, asked.content)  # tasks may share a training
    with (
        classifier_run.alone(folder) if leads(run) else nullcontext(),
        all_processes(encoder, task, run, lists) as joint,
    ):
        if run.classifier is not None:
            model, record = _of_file(encoder, run, task, lists.test), {"trained": False}
        else:
            model = classifier(encoder, len(asked.lesson.index.classes), asked.settings, run.seed).to(run.device)
            record = taught(model, asked, run, joint, folder)
        precision, ranks = asked.settings.precision, joint.ranks
        found = scores(model, lists.test, asked.views, run, precision, ranks=ranks, folder=folder, aggregate=aggregate)
    return found, record


def classifier(encoder: Encoder, classes: int, settings: Finetune, seed: int) -> VideoClassifier:
    """Return a copy of an encoder with a new head, whose weights depend on the seed alone; on the CPU.

    Raises:
        UserError: The encoder is no torch module, or cannot be trained so.
    """
    if not isinstance(encoder, torch.nn.Module):
        raise UserError("finetuning needs an encoder that is a torch module")
    own = copy.deepcopy(encoder).cpu().requires_grad_(settings.trainable == "all")
    torch.manual_seed(seed)
    try:
        return VideoClassifier(
            own,
            classes,
            pool=settings.pool or encoder.spec.default_pool,
            init_scale=settings.init_scale,
            dropout=settings.dropout,
            drop_path=settings.drop_path,
        )
    except UserError as error:
        raise UserError(f"{error} (the settings are finetune.drop_path and finetune.pool)") from error


def _of_file(encoder: Encoder, run: Run, task: Any, index: Index) -> VideoClassifier:
    """Return the classifier of a finetuned file.

    Raises:
        UserError: It has another number of classes than the list, or says that its classes are others.
    """
    head: Classifier = run.classifier
    other = "Name the task of its data, or finetune it here (without --test-only)"
    if head.classes != len(index.classes):
        raise UserError(
            f"{task.id}: the classifier of the file has {head.classes} classes, the list has {len(index.classes)}; it "
            f"was finetuned on other data. {other}"
        )
    if head.label_map not in ("", index.classes_sha256):
        raise UserError(
            f"{task.id}: the classifier of the file has classes of other names, or in another order, than the list "
            f"(hash {head.label_map[:12]}, here {index.classes_sha256[:12]}). {other}"
        )
    assert isinstance(encoder, torch.nn.Module)
    return VideoClassifier.of_file(copy.deepcopy(encoder), run.classifier).to(run.device).eval()


def marks(asked: Subject, run: Run) -> tuple[str, ...]:
    """Return what a reader must know of how a classifier came to be."""
    if run.classifier is not None:
        return (FOREIGN if run.classifier.label_map else f"{FOREIGN}; {UNCHECKED}",)
    judged = {"paper_compat": ("epoch chosen on the test list (paper_compat)",)}
    return judged.get(asked.settings.select, ()) + asked.marks
