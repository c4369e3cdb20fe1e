"""Repetition counting: an encoder with heads of cycle lengths is finetuned, then counts the repetitions of videos.

Protocol of UCFRep in SEVERE (`severe/ucf_rc`), which took it from Zhang et al., CVPR 2020. How it was done with a ViT
was never published; `docs/counting.md` tells what is taken over and what is decided here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
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
from sigma_bench.evaluators.counting.taught import taught
from sigma_bench.evaluators.together import all_processes, leads
from sigma_bench.models.cycle_net import CycleNet
from sigma_bench.models.fingerprint import fingerprint
from sigma_bench.spec.task_counting import Counting as Settings

VERSION = 1
"""Raised when the same training would give other weights: part of what its folder is known by."""
TEST_ONLY = ("minimum_cycles", "weight", "save_every", "log_every")
"""Settings that a trained network does not depend on."""


def evaluate(encoder: Encoder, task: Any, run: Run) -> Evaluation:
    """Return the counting error of a network made of `encoder`, and one record a test video.

    The training lies in a folder of its own below `run.folder`; begun again it goes on exactly, and once it is over
    only the test is made. `encoder` stays as it is. Every process of the evaluation calls this; what the first returns
    counts.

    Args:
        encoder: A torch module; a copy of it is trained.
        task: A task with a `counting` block.
        run: Seed of heads, segments, order and windows.

    Raises:
        UserError: The lists are missing, damaged or leave nothing to train or test on, the encoder cannot be trained
            so, or the training cannot go on.
        OtherFailed: Another process cannot take part.
        Stopped: A signal asked for the end.
    """
    settings: Settings = task.counting
    lists = samples.read(task, run)
    check(task, lists)
    size = encoder.spec.image_size
    with (
        all_processes(encoder, task, run, lists) as joint,
        DecodePool(JOB, run.workers, deadline_s=DEADLINE_S) as pool,
    ):
        net = training.network(encoder, settings, run.seed, run.device)
        train, test = (Stretches(index, size, pool, run.device) for index in (lists.train, lists.test))
        joint.ranks.together(partial(train.read, silent=joint.ranks.rank > 0))
        found = lessons(train, settings.segments, settings.longest, run.seed)
        content = _content(encoder, task, run, lists.train.sha256, train, found)
        _same_videos(joint.ranks.gather([content["segments_sha256"], len(train.counts), train.first_error]))
        if not found.segments:
            raise UserError(f"{task.id}: no training video can be used; the first: {train.first_error}")
        folder = classifier_run.place(run.folder, task.id, content, "counting")
        with classifier_run.alone(folder) if leads(run) else nullcontext():
            record = taught(net, found, train, task, run, joint, folder, content)
        rule = Rule(settings.minimum_cycles, settings.weight, settings.anchors)
        counts = tested.counted(net, test, rule, run.device, settings.precision, joint.ranks)
    marks = (*found.marks, *_marks(encoder, task, net))
    return tested.evaluation(lists, test, counts, found.counts, record, settings.precision, marks)


def _same_videos(told: Sequence[Sequence[Any]]) -> None:
    """Refuse that processes train on other parts; all come to the same judgement."""
    for rank, (parts, decoded, error) in enumerate(told):
        if parts != told[0][0]:
            raise UserError(
                f"process {rank} decoded {decoded} training videos, process 0 {told[0][1]}; the first that could not "
                f"be decoded: {error if decoded < told[0][1] else told[0][2]}. All need the same files"
            )


def _content(
    encoder: Encoder, task: Any, run: Run, list_sha256: str, train: Stretches, found: Lessons
) -> dict[str, Any]:
    """Return all that a trained network depends on."""
    shown = [(train.index.ids[lesson.row], *lesson.segment) for lesson in found.segments]
    content = {
        "weights": fingerprint(encoder),
        "spec": asdict(encoder.spec),
        "version": VERSION,
        "train_sha256": list_sha256,
        "segments_sha256": hashlib.sha256(json.dumps(shown).encode()).hexdigest(),
        "generated": generated(train.index.root),
        "counting": task.counting.model_dump(mode="json", exclude=set(TEST_ONLY)),
        "flip": task.views.flip,
        "seed": run.seed,
        "device": torch.device(run.device).type,
    }
    return dict(json.loads(json.dumps(content)))


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
