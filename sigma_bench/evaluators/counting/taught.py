"""One network of cycle lengths taught in its folder, by all processes: begun, gone on with, or found to be over."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from sigma_bench.contracts import Run
from sigma_bench.evaluators import classifier_run
from sigma_bench.evaluators.counting import training
from sigma_bench.evaluators.counting.frames import Stretches
from sigma_bench.evaluators.counting.lessons import Lessons
from sigma_bench.evaluators.together import Joint
from sigma_bench.evaluators.trained_once import trained_once
from sigma_bench.models.cycle_net import CycleNet
from sigma_bench.progress import say
from sigma_bench.spec.task_counting import Counting as Settings
from sigma_bench.train.distributed import Processes


def taught(
    net: CycleNet,
    found: Lessons,
    train: Stretches,
    task: Any,
    run: Run,
    joint: Joint,
    folder: Path,
    content: dict[str, Any],
) -> dict[str, Any]:
    """Give a network the weights of its training, and return what is to be known of that.

    Every process calls this. What is over is not done again; what was begun is gone on with, on however many processes.

    Args:
        net: On the device of this process.
        found: What is trained on, the same in all processes.
        train: The frames.
        task: A task with a `counting` block.
        run: Seed, device.
        joint: The processes.
        folder: The folder of the training, which all see.
        content: All that the trained weights depend on.

    Raises:
        UserError: The folder is damaged, or the training cannot go on.
        Stopped: A signal asked for the end; what was trained is saved.
    """
    train_it = partial(_train, net, found, train, task, run, joint, folder)
    return trained_once(net, folder, content, joint.ranks, run.device, train_it)


def _train(
    net: CycleNet,
    found: Lessons,
    train: Stretches,
    task: Any,
    run: Run,
    joint: Joint,
    folder: Path,
    processes: Processes,
    start: Path | None,
) -> None:
    """Train, and keep the network."""
    settings: Settings = task.counting
    planned = training.plan(settings, -(-len(found.segments) // settings.batch))
    record = {
        "videos": len(found.counts),
        "segments": len(found.segments),
        "epochs": settings.epochs,
        "steps_at_most": planned.steps,
        "batch": settings.batch,
        "lr": settings.lr,
        "processes": processes.world,
    }
    if processes.leader:
        say(
            f"{task.id}: {record['segments']} segments of {record['videos']} videos, {settings.epochs} epochs of at "
            f"most {planned.steps_per_epoch} steps of {settings.batch}"
            + (f" on {processes.world} processes" if processes.world > 1 else "")
            + f", rate {settings.lr:.3g}, in {folder}"
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
        undisturbed=joint.undisturbed,
    )
    content = {"model": net.state_dict(), "record": record}
    joint.ranks.together(lambda: classifier_run.finish(folder, content) if processes.leader else None)
