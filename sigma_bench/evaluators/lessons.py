"""One classifier taught in its folder, by all processes: begun, gone on with, or found to be over."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from sigma_bench.contracts import Run, UserError
from sigma_bench.evaluators import classifier_run, training
from sigma_bench.evaluators.epochs import Epochs
from sigma_bench.evaluators.subject import Subject
from sigma_bench.evaluators.together import Joint
from sigma_bench.evaluators.trained_once import trained_once
from sigma_bench.evaluators.view_scores import scores
from sigma_bench.metrics.accuracy import top_k
from sigma_bench.models.checkpoints import export
from sigma_bench.models.checkpoints.classifier import LABEL_MAP
from sigma_bench.models.classifier import VideoClassifier
from sigma_bench.progress import say
from sigma_bench.train.distributed import Processes
from sigma_bench.train.log import NAME, read


def taught(model: VideoClassifier, asked: Subject, run: Run, joint: Joint, folder: Path) -> dict[str, Any]:
    """Give a classifier the weights of its training, and return what is to be known of that.

    Every process calls this. What is over is not done again; what was begun is gone on with.

    Raises:
        UserError: The folder is damaged, or the training cannot go on.
        Stopped: A signal asked for the end; what was trained is saved.
    """
    train_it = partial(_train, model, asked, run, joint, folder)
    return trained_once(model, folder, asked.content, joint.ranks, run.device, train_it)


def _train(
    model: VideoClassifier,
    asked: Subject,
    run: Run,
    joint: Joint,
    folder: Path,
    processes: Processes,
    start: Path | None,
) -> None:
    """Train, and keep the classifier that is to be tested."""
    settings, numbers = asked.settings, asked.lesson.numbers
    micro = training.micro_batch(settings, processes.world)
    numbers |= {"processes": processes.world, "micro_batch": micro}
    if processes.leader:
        say(_announcement(asked, numbers, folder, start))
    epochs = _epochs(asked, run, folder) if asked.judges is not None else None
    objective, counts = training.train(
        asked.lesson,
        model,
        run,
        processes,
        folder,
        start,
        extra={"numbers": numbers},
        epochs=epochs,
        undisturbed=joint.undisturbed,
    )

    def keep() -> None:
        record = {**numbers, "select": settings.select, "epoch": settings.epochs, "decoded": _told(counts)}
        record |= _course(folder)
        weights = objective.weights.state_dict()
        if epochs is not None:
            record["epoch"], weights = epochs.best()
            record["scores"] = epochs.scores
        classes = asked.lesson.index
        content = {"model": weights, "record": record, LABEL_MAP: classes.classes_sha256, **_described(model)}
        classifier_run.finish(folder, content)

    joint.ranks.together(lambda: keep() if processes.leader else None)


def _epochs(asked: Subject, run: Run, folder: Path) -> Epochs:
    judges = asked.judges
    assert judges is not None
    per_epoch = asked.lesson.numbers["steps_per_epoch"]
    return Epochs(folder, per_epoch, partial(_judged, asked, run))


def _judged(asked: Subject, run: Run, weights: VideoClassifier) -> float:
    """Return the accuracy (percent) of weights on the samples that judge; what cannot be decoded does not count."""
    judges = asked.judges
    assert judges is not None
    found = scores(weights, judges, asked.judging, run, asked.settings.precision)
    if not found.ok_N.any():
        raise UserError(f"{asked.lesson.title}: none of the {judges.count} videos that judge an epoch can be decoded")
    return top_k(found.values_NC[found.ok_N], judges.labels[found.ok_N])


def _announcement(asked: Subject, numbers: dict[str, Any], folder: Path, start: Path | None) -> str:
    s = asked.settings
    world, micro = numbers["processes"], numbers["micro_batch"]
    parts = [
        f"{asked.lesson.title}: {numbers['trained_on']} videos, {numbers['steps']} steps of {s.global_batch} "
        f"({world} process{'es' if world > 1 else ''} x {s.global_batch // (micro * world)} x {micro}"
        f"{f' x {s.repeats} clips' if s.repeats > 1 else ''})",
        f"peak rate {s.lr:.3g} = {s.base_lr:.3g} x {s.global_batch}/{s.lr_per}",
        s.precision,
        *(["head alone trained"] if s.trainable == "head" else []),
        *([f"epochs judged on {asked.judges.count} videos"] if asked.judges is not None else []),
        *([f"from {start.name}"] if start else []),
        f"in {folder}",
    ]
    return ", ".join(parts)


def _told(counts: dict[str, Any]) -> dict[str, Any]:
    """Return what was not decoded of the training samples, in a size that a row can hold."""
    names = sorted(counts["replaced"])
    return {"replaced": len(names), "draws": counts["draws"], "first": names[:3], "decoders": counts["decoders"]}


def _course(folder: Path) -> dict[str, Any]:
    """Return the loss at the beginning and at the end of the training, as logged."""
    records = [one for one in read(folder / NAME).records if isinstance(one.get("loss"), float)]
    if not records:
        return {}
    return {"last_loss": records[-1]["loss"], **({"first_loss": records[0]["loss"]} if len(records) > 1 else {})}


def _described(model: VideoClassifier) -> dict[str, Any]:
    """Return what lets the file be read again as a finetuned one; nothing where our loader cannot build the encoder."""
    try:
        return {"encoder": export.own(export.holdable(model.encoder, "safetensors"))[1]}
    except UserError:
        return {}
