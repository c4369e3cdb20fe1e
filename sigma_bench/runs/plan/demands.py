"""Which stages a task has: one function an evaluator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sigma_bench.contracts import Encoder, UserError
from sigma_bench.data.views import Views
from sigma_bench.evaluators import frozen
from sigma_bench.runs.plan.sizes import Size, size_of
from sigma_bench.runs.plan.stages import FLOAT, Job, Stage, checkpoints
from sigma_bench.spec.task import Task

WINDOWS = 74
"""Windows that a test video is judged by in repetition counting."""
HALF = 2
"""Bytes of a number of the tokens that an attentive probe keeps."""
Find = Callable[[str], Size]
"""Split -> length of the task's list."""


def job(task: Task, encoder: Encoder, root: Path | None, limit: int | None) -> Job:
    """Return what a task asks for.

    Args:
        task: The resolved task.
        encoder: Its spec decides frames and widths.
        root: Data root.
        limit: As `sigma-bench eval --limit`.

    Raises:
        UserError: Its evaluator is not planned for, or a list's length is not known.
    """
    demand = DEMANDS.get(task.evaluator)
    if demand is None:
        raise UserError(f"{task.id}: what evaluator {task.evaluator} asks for is not known; it cannot be planned")
    sizes: dict[str, Size] = {}

    def find(split: str) -> Size:
        found = size_of(task.dataset.name, split, task.dataset.split or 1, root, limit)
        return sizes.setdefault(f"{task.dataset.name}/{split}", found)

    stages = demand(task, encoder, find)
    return Job(task.id, stages, sizes)


def _features(task: Task, encoder: Encoder, find: Find) -> tuple[Stage, ...]:
    """Features of a training and a test list, each view once; the probe itself takes minutes."""
    stages = []
    for split, views in zip(_splits(task), frozen.views_of(task, frozen.stride_of(encoder, task), 0), strict=True):
        count = find(split).count
        shown = count * views.count
        stages.append(
            Stage(
                f"features of {task.dataset.name} {split}, {views.clips} x {views.crops} views",
                task.dataset.name,
                split,
                count,
                views,
                shown,
                written=shown * encoder.spec.embed_dim * FLOAT,
            )
        )
    return tuple(stages)


def _tokens(task: Task, encoder: Encoder, find: Find) -> tuple[Stage, ...]:
    """All tokens of both lists, those of the training list kept in half precision; the heads are not in the plan.

    Where they have no room, the training list is seen anew in every epoch, which costs that many times as much.
    """
    spec = encoder.spec
    tokens = spec.frames // spec.tubelet * (spec.image_size // spec.patch) ** 2
    train, test = (
        replace(stage, what=stage.what.replace("features", "tokens", 1)) for stage in _features(task, encoder, find)
    )
    return replace(train, written=train.shown * tokens * spec.embed_dim * HALF), replace(test, written=0)


def _training(task: Task, encoder: Encoder, find: Find) -> tuple[Stage, ...]:
    """Epochs of a training list, forward and backward, then a forward pass of every view of the test list.

    With a frozen encoder a step costs its forward pass alone, since the head is small.
    """
    s = task.finetune
    assert s is not None
    train, test = _splits(task)
    taught, tested = frozen.views_of(task, frozen.stride_of(encoder, task), 0)
    count = max(1, find(train).count // s.global_batch) * s.global_batch
    videos = s.epochs * count
    judged = _judged(s.select, s.epochs, find(test).count, int(s.holdout * find(train).count))
    learns = s.trainable == "all"
    kept = checkpoints(encoder.spec.params, average=s.ema is not None) if learns else 0
    return (
        Stage(
            f"{s.epochs} epochs of {task.dataset.name} {train}" + (f" x {s.repeats}" if s.repeats > 1 else ""),
            task.dataset.name,
            train,
            videos,
            replace(taught, clips=1),
            videos * s.repeats,
            trains=learns,
            written=kept + encoder.spec.params * FLOAT,
        ),
        Stage(
            f"test of {task.dataset.name} {test}, {tested.clips} x {tested.crops} views",
            task.dataset.name,
            test,
            find(test).count + judged,
            tested,
            (find(test).count + judged) * tested.count,
        ),
    )


def _judged(select: str, epochs: int, tested: int, held: int) -> int:
    """Return the samples that are tested besides, after every epoch, to choose one."""
    return {"last": 0, "held_out": epochs * held, "paper_compat": epochs * tested}[select]


def _maps(task: Task, encoder: Encoder, find: Find) -> tuple[Stage, ...]:
    """Dense features of one clip a video; k-means on them takes seconds."""
    count = find(task.dataset.test).count
    views = Views("segments_test", 1, 1, 1, "full", flip=False, seed=0)
    what = f"dense features of {task.dataset.name} {task.dataset.test}"
    frames = min(task.clips.frames, encoder.spec.frames)
    return (Stage(what, task.dataset.name, task.dataset.test, count, views, count, frames=frames),)


def _counted(task: Task, encoder: Encoder, find: Find) -> tuple[Stage, ...]:
    """Windows of every segment, step by step, then 74 windows a test video; each video is decoded once and kept.

    Decoding is measured by the clip, so that of whole videos takes longer than the plan says.
    """
    c = task.counting
    assert c is not None
    frames = encoder.spec.frames if c.passes == 2 else task.clips.frames
    views = Views("segments_test", 1, 1, 1, "full", flip=False, seed=0)
    train, test = _splits(task)
    windows = c.epochs * find(train).count * c.segments * c.unroll
    learns = c.trainable == "all"
    kept = checkpoints(encoder.spec.params) * learns + encoder.spec.params * FLOAT
    name = task.dataset.name
    return (
        Stage(f"windows of {c.epochs} epochs of {name} {train}", name, train, find(train).count, views,
              windows * c.passes, trains=learns, written=kept, frames=frames, size=c.image_size),
        Stage(f"{WINDOWS} windows a video of {name} {test}", name, test, find(test).count, views,
              find(test).count * WINDOWS * c.passes, frames=frames, size=c.image_size),
    )  # fmt: skip


def _splits(task: Task) -> tuple[str, str]:
    return str(task.dataset.train), task.dataset.test


DEMANDS: dict[str, Callable[[Task, Encoder, Find], tuple[Stage, ...]]] = {
    "linear": _features,
    "knn": _features,
    "attentive": _tokens,
    "finetune": _training,
    "segmentation": _maps,
    "counting": _counted,
    "linear_released": _training,
    "multilabel": _training,
}
"""Evaluator -> its stages."""


def shared(jobs: list[Job]) -> list[Job]:
    """Return the jobs without the features that an earlier one of the command has computed already.

    Features of one list and one set of views are computed once, whatever task asks for them.
    """
    seen: set[Stage] = set()
    left = []
    for each in jobs:
        left.append(replace(each, stages=tuple(stage for stage in each.stages if stage.trains or stage not in seen)))
        seen.update(each.stages)
    return left
