"""Repetition counting: an encoder with heads of cycle lengths is finetuned, then counts the repetitions of videos.

Protocol of UCFRep in SEVERE (`severe/ucf_rc`), which took it from Zhang et al., CVPR 2020. How it was done with a ViT
was never published; `docs/counting.md` tells what is taken over and what is decided here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from sigma_bench.contracts import Encoder, Evaluation, Run, UserError
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.miniatures.publish import generated
from sigma_bench.evaluators import classifier_run, samples
from sigma_bench.evaluators.counting import tested, training
from sigma_bench.evaluators.counting.frames import DEADLINE_S, JOB, Stretches
from sigma_bench.evaluators.counting.inference import Rule
from sigma_bench.evaluators.counting.lessons import Lessons, check, lessons
from sigma_bench.models.cycle_net import CycleNet
from sigma_bench.models.fingerprint import fingerprint
from sigma_bench.progress import say
from sigma_bench.spec.task_counting import Counting as Settings
from sigma_bench.train import state as states
from sigma_bench.train.distributed import Processes

TEST_ONLY = ("minimum_cycles", "weight", "save_every", "log_every")
"""Settings that a trained network does not depend on."""


def evaluate(encoder: Encoder, task: Any, run: Run) -> Evaluation:
    """Return the counting error of a network made of `encoder`, and one record a test video.

    The training lies in a folder of its own below `run.folder`; begun again it goes on exactly, and once it is over
    only the test is made. `encoder` stays as it is.

    Args:
        encoder: A torch module; a copy of it is trained.
        task: A task with a `counting` block.
        run: Seed of heads, segments, order and windows.

    Raises:
        UserError: The lists are missing, damaged or leave nothing to train or test on, the encoder cannot be trained
            so, or the training cannot go on.
        Stopped: A signal asked for the end.
    """
    settings: Settings = task.counting
    lists = samples.read(task, run)
    check(task, lists)
    size, processes = encoder.spec.image_size, Processes(device=run.device)
    net = training.network(encoder, settings, run.seed, run.device)
    with DecodePool(JOB, run.workers, deadline_s=DEADLINE_S) as pool:
        train, test = (Stretches(index, size, pool, run.device) for index in (lists.train, lists.test))
        train.read()
        found = lessons(train, settings.segments, settings.longest, run.seed)
        if not found.segments:
            raise UserError(f"{task.id}: no training video can be used; the first: {train.first_error}")
        content = _content(encoder, task, run, lists.train.sha256, train, found)
        folder = classifier_run.place(run.folder, task.id, content, "counting")
        with classifier_run.alone(folder):
            record = _trained(net, found, train, task, run, processes, folder, content)
        test.read()
        rule = Rule(settings.minimum_cycles, settings.weight, settings.anchors)
        counts = tested.counted(net, test, rule, run.device, settings.precision)
    marks = (*found.marks, *_marks(encoder, task, net))
    return tested.evaluation(lists, test, counts, found.counts, record, settings.precision, marks)


def _content(
    encoder: Encoder, task: Any, run: Run, list_sha256: str, train: Stretches, found: Lessons
) -> dict[str, Any]:
    """Return all that a trained network depends on."""
    shown = [(train.index.ids[lesson.row], *lesson.segment) for lesson in found.segments]
    content = {
        "weights": fingerprint(encoder),
        "spec": asdict(encoder.spec),
        "train_sha256": list_sha256,
        "segments_sha256": hashlib.sha256(json.dumps(shown).encode()).hexdigest(),
        "generated": generated(train.index.root),
        "counting": task.counting.model_dump(mode="json", exclude=set(TEST_ONLY)),
        "flip": task.views.flip,
        "seed": run.seed,
        "device": torch.device(run.device).type,
    }
    return dict(json.loads(json.dumps(content)))


def _trained(
    net: CycleNet,
    found: Lessons,
    train: Stretches,
    task: Any,
    run: Run,
    processes: Processes,
    folder: Path,
    content: dict[str, Any],
) -> dict[str, Any]:
    """Give `net` the weights of a training, and return what is to be known of it; what is done is not done again."""
    if classifier_run.finished(folder):
        kept = states.load(folder / classifier_run.RESULT)
        say(f"{folder / classifier_run.RESULT}: trained already, only tested")
        net.load_state_dict(kept["model"])
        classifier_run.clear(folder)
        return dict(kept["record"])
    settings: Settings = task.counting
    start = classifier_run.begun(folder, content)
    planned = training.plan(settings, -(-len(found.segments) // settings.batch))
    record = {
        "videos": len(found.counts),
        "segments": len(found.segments),
        "epochs": settings.epochs,
        "steps_at_most": planned.steps,
        "batch": settings.batch,
        "lr": settings.lr,
    }
    say(
        f"{task.id}: {record['segments']} segments of {record['videos']} videos, {settings.epochs} epochs of at most "
        f"{planned.steps_per_epoch} steps of {settings.batch}, rate {settings.lr:.3g}, in {folder}"
        + (f", from {start.name}" if start else "")
    )
    training.train(
        net,
        found.segments,
        train,
        settings,
        processes,
        folder,
        start,
        seed=run.seed,
        flip=task.views.flip,
        title=task.id,
        extra={"numbers": record},
    )
    classifier_run.finish(folder, {"model": net.state_dict(), "record": record})
    classifier_run.clear(folder)
    return record


def _marks(encoder: Encoder, task: Any, net: CycleNet) -> list[str]:
    """Return where the encoder departs from what the task states."""
    spec, marks = encoder.spec, []
    stated = task.clips.frames // 2
    if net.side != stated:
        marks.append(f"{net.side} frames over the span of {stated} in each half of a window")
    wanted = task.counting.image_size
    if wanted not in (None, spec.image_size):
        marks.append(f"frames of {spec.image_size} pixels, not the {wanted} of the task")
    return marks
