"""The training of a classifier: loader, objective, optimiser, plan and loop, from the settings of a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sigma_bench.contracts import EncoderSpec, Run, UserError
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.draws import Words
from sigma_bench.data.erase import Erasing
from sigma_bench.data.index import Index
from sigma_bench.data.load import ClipRequest, where
from sigma_bench.data.loader import TrainingLoader
from sigma_bench.data.mix import Mixing, mix
from sigma_bench.data.views import STILL
from sigma_bench.evaluators.epochs import Epochs
from sigma_bench.models.classifier import VideoClassifier
from sigma_bench.progress import say
from sigma_bench.spec.task_finetune import Finetune
from sigma_bench.train import distributed, loop, optim, schedule
from sigma_bench.train import state as states
from sigma_bench.train.again import Again
from sigma_bench.train.distributed import Processes
from sigma_bench.train.plan import Plan
from sigma_bench.train.supervised import Blend, Loss, Supervised, Targets, classification, labels

DECODER = "auto"
AGAIN = Again(
    resume="start the same command again, it goes on from there",
    change="Try a lower rate (--set finetune.base_lr=...) or more exact arithmetic (--set finetune.precision=fp32).",
    replay="",
)


@dataclass(frozen=True)
class Lesson:
    """What a classifier is taught, and how its clips are cut.

    Attributes:
        index: The training samples.
        settings: How it is trained.
        sampling: Temporal rule of a clip: "dense", "segments", "windows", "still".
        stride: Frames between two frames of a clip.
        box: Spatial rule of a clip, a name of `data.boxes`.
        flip: Mirror clips with probability one half.
        count_fps: Rate at which frames are counted; None counts the file's.
        targets: What is to be predicted; None: the label of the sample.
        loss: Losses of logits and targets.
        blend: Mixes clips and targets; None: mixup, CutMix and smoothing of labels as the settings say, and nothing
            where `targets` are others.
        title: Name shown with the progress.
    """

    index: Index
    settings: Finetune
    sampling: str
    stride: int
    box: str
    flip: bool
    count_fps: float | None = None
    targets: Targets | None = None
    loss: Loss = classification
    blend: Blend | None = None
    title: str = "finetune"

    @property
    def numbers(self) -> dict[str, Any]:
        """Sizes and rates that the settings come to on any number of processes; they are printed and stored."""
        s = self.settings
        per_epoch = max(1, self.index.count // s.global_batch)
        return {
            "trained_on": self.index.count,
            "epochs": s.epochs,
            "steps": s.epochs * per_epoch,
            "steps_per_epoch": per_epoch,
            "global_batch": s.global_batch,
            "base_lr": s.base_lr,
            "lr_per": s.lr_per,
            "effective_lr": s.lr,
            "effective_min_lr": s.min_lr * s.global_batch / s.lr_per,
        }


def requests(lesson: Lesson, spec: EncoderSpec) -> Callable[[int, Words], ClipRequest]:
    """Return the function from a row of the index and seed words to the request of a training clip."""
    sample, still = where(lesson.index), lesson.sampling == STILL
    settings = lesson.settings

    def make(row: int, words: Words) -> ClipRequest:
        return ClipRequest(
            **sample(row),
            sampling="dense_test" if still else f"{lesson.sampling}_train",
            frames=1 if still else spec.frames,
            stride=lesson.stride,
            box=lesson.box,
            flip=lesson.flip,
            size=spec.image_size,
            scale=(settings.crop_scale[0], settings.crop_scale[1]),
            augment=settings.randaugment or "",
            seed=words,
            backend=DECODER,
            count_fps=lesson.count_fps,
        )

    return make


def mixing(settings: Finetune, classes: int) -> Blend:
    """Return mixup, CutMix and label smoothing of class labels."""
    rule = Mixing(mixup=settings.mixup, cutmix=settings.cutmix, smoothing=settings.smoothing)

    def blend(clips: torch.Tensor, targets: torch.Tensor, words: Words) -> tuple[torch.Tensor, torch.Tensor]:
        return mix(clips, targets, classes, rule, words)

    return blend


def micro_batch(settings: Finetune, world: int) -> int:
    """Return the videos that a process takes at once: the greatest part of its share that is allowed.

    Raises:
        UserError: The global batch cannot be met by so many processes, or clips could not be mixed in pairs.
    """
    share = distributed.micro_batch(settings.global_batch, None, world, "finetune")
    most = settings.micro_batch or share
    paired = [n for n in range(1, share + 1) if not settings.mixes or n * settings.repeats % 2 == 0]
    fitting = [n for n in paired if share % n == 0 and n <= most]
    if not fitting:
        raise UserError(
            f"mixup and CutMix mix pairs, but the {share} videos that each of {world} processes takes of "
            f"finetune.global_batch {settings.global_batch} cannot be cut into even parts of at most {most}; start "
            "fewer processes, or raise finetune.micro_batch"
        )
    return fitting[-1]


def parts(
    lesson: Lesson, model: VideoClassifier, pool: DecodePool, processes: Processes, seed: int
) -> tuple[Supervised, torch.optim.Optimizer, Plan]:
    """Return objective, optimiser and plan of a training.

    Raises:
        UserError: The global batch cannot be met, or the encoder does not tell the depth of its parameters.
    """
    s = lesson.settings
    micro = micro_batch(s, processes.world)
    loader = TrainingLoader(
        lesson.index,
        pool,
        requests(lesson, model.encoder.spec),
        batch=micro * s.repeats,
        global_batch=s.global_batch * s.repeats,
        size=model.encoder.spec.image_size,
        seed=seed,
        repeats=s.repeats,
        rank=processes.rank,
        world=processes.world,
        device=processes.device,
        on_broken=lambda broken, reason: say(f"replaced: {broken}: {reason}"),
    )
    objective = Supervised(
        model,
        loader,
        lesson.targets or labels(lesson.index.labels),
        lesson.loss,
        processes=processes,
        erasing=Erasing(probability=s.erasing) if s.erasing else None,
        blend=lesson.blend or (mixing(s, model.head.out_features) if lesson.targets is None else None),
        average=s.ema,
    )
    optimizer = optimiser(s, model)
    objective.averages(optimizer)
    return objective, optimizer, plan(lesson, loader.steps_per_epoch, s.global_batch // (micro * processes.world))


def optimiser(settings: Finetune, model: VideoClassifier) -> torch.optim.Optimizer:
    """Return the optimiser of a classifier.

    Raises:
        UserError: Rates are layer-wise, and the encoder does not tell the depth of its parameters.
    """
    s = settings
    if s.momentum is not None:
        return optim.sgd(optim.norms_apart(model, s.weight_decay), s.lr, s.momentum)
    layer_of = model.layer_of if s.layer_decay < 1 else lambda _: model.last_layer
    groups = optim.finetuning_groups(model, s.weight_decay, s.layer_decay, layer_of, model.last_layer)
    return optim.adamw(groups, s.lr, s.betas)


def plan(lesson: Lesson, steps_per_epoch: int, accumulation: int) -> Plan:
    """Return rates and portions: linear warm-up from 0, then a cosine or steps."""
    s = lesson.settings
    return Plan(
        lrs=rates(s, steps_per_epoch),
        steps_per_epoch=steps_per_epoch,
        accumulation=accumulation,
        global_batch=s.global_batch * s.repeats,
        precision=s.precision,
        log_every=s.log_every,
        save_every=s.save_every,
        save_epochs=s.select != "last",
    )


def rates(s: Finetune, steps_per_epoch: int) -> np.ndarray:
    """Return the rate of every optimiser step."""
    total, warmup = s.epochs * steps_per_epoch, s.warmup_epochs * steps_per_epoch
    if s.steps is None:
        return schedule.cosine_with_warmup(s.lr, s.min_lr * s.global_batch / s.lr_per, total, warmup)
    factors = [s.gamma**number for number in range(1, len(s.steps) + 1)]
    moments = np.arange(total) // steps_per_epoch if warmup == 0 else np.arange(total) / steps_per_epoch
    start = s.warmup_lr * s.global_batch / s.lr_per
    return schedule.stepped_with_warmup(moments.astype(np.float64), s.lr, s.steps, factors, s.warmup_epochs, start)


def train(
    lesson: Lesson,
    model: VideoClassifier,
    run: Run,
    processes: Processes,
    folder: Path,
    start: Path | None,
    *,
    extra: Mapping[str, Any] | None = None,
    epochs: Epochs | None = None,
    undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> tuple[Supervised, dict[str, Any]]:
    """Train a classifier in `folder`, from the checkpoint `start` on; every process calls this.

    Args:
        lesson: What is taught.
        model: The classifier, on the device of the processes.
        run: Seed, decoding processes.
        processes: Those that train together.
        folder: Where log and checkpoints are written.
        start: Checkpoint to go on from, None to begin.
        extra: Plain values stored with every checkpoint.
        epochs: Judges the end of every epoch.
        undisturbed: A context in which this process is not ended for the loss of another one while it saves.

    Returns:
        The objective, whose `weights` are those of the last step, and what was not decoded, and how the rest was.

    Raises:
        UserError: What `parts` and `loop.fit` raise.
        Stopped: A signal asked for the end; a checkpoint of the last step is saved.
    """
    with pooled(run) as pool:
        objective, optimizer, planned = parts(lesson, model, pool, processes, run.seed)
        on_save: loop.OnSave | None = None
        if epochs is not None:
            on_save = _judging(epochs, objective)
            if start is not None and processes.leader:
                _catch_up(epochs, objective, start)
        loop.fit(
            objective,
            optimizer,
            planned,
            folder,
            extra or {},
            processes,
            resume=start,
            title=lesson.title,
            on_save=on_save,
            undisturbed=undisturbed,
            again=AGAIN,
        )
        return objective, objective.merge(processes.gather(objective.state_dict()))


def _judging(epochs: Epochs, objective: Supervised) -> loop.OnSave:
    return lambda _, step: epochs.judge(objective.weights, step)


def _catch_up(epochs: Epochs, objective: Supervised, start: Path) -> None:
    """Judge the epoch that ends with a checkpoint, if the training was ended before that."""
    saved = states.load(start)
    if not epochs.judged(saved["step"]):
        objective.module.load_state_dict(saved["model"])
        epochs.judge(objective.weights, saved["step"])


def pooled(run: Run) -> AbstractContextManager[DecodePool]:
    """Return the decoding processes of a run, or some of its own."""
    if run.pool is not None:
        return nullcontext(run.pool)
    return DecodePool("sigma_bench.data.load:load_clips", workers=run.workers)
