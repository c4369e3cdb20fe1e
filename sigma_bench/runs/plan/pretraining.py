"""The plan of a pretraining: its one stage, and how fast its steps are here."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import torch

from sigma_bench import registry
from sigma_bench.data.loader import Batch, Replaced, TrainingLoader
from sigma_bench.data.views import Views
from sigma_bench.runs import data as places
from sigma_bench.runs.plan.rates import rate
from sigma_bench.runs.plan.sizes import Size, size_of
from sigma_bench.runs.plan.stages import Job, Stage, checkpoints
from sigma_bench.spec.recipe import Recipe
from sigma_bench.train.distributed import Processes
from sigma_bench.train.loop import autocast


class _Repeated:
    """A loader of one micro-batch, again and again."""

    def __init__(self, batch: Batch) -> None:
        self.batch, self.replaced, self.decoders = batch, Replaced(), Counter[str]()

    def epoch(self, _epoch: int, offset: int = 0, _complete: object = None) -> Generator[Batch, None, None]:
        yield from (self.batch for _ in itertools.count(offset))


def length(data: str, root: Path | None) -> Size:
    """Return the length of the training list of pretraining data.

    Raises:
        UserError: It is not here, and its length is not known.
    """
    if data == "miniature" or data.startswith("folder:"):
        index = places.pretraining_index(data, root)
        return Size(index.count, index.present())
    return size_of(data, "train", 1, root, None)


def job(recipe: Recipe, data: str, videos: Size, parameters: int) -> Job:
    """Return the stage of a recipe on a list of so many videos."""
    train = recipe.train
    per_epoch = max(1, videos.count * recipe.clips.repeats // train.global_batch)
    shown = (train.steps or (train.epochs or 0) * per_epoch) * train.global_batch
    box = {"multi_scale": "multi_scale", "none": "center", "resize": "full"}[recipe.clips.crop]
    views = Views("pretraining", 1, 1, recipe.clips.stride, box, flip=False, seed=0)
    name = "ucf101" if data == "miniature" else data
    stage = Stage(
        f"{shown // train.global_batch} steps of {train.global_batch} clips",
        name,
        "train",
        shown // recipe.clips.repeats,
        views,
        shown,
        trains=True,
        written=checkpoints(parameters, train.keep),
        frames=recipe.model.frames,
        size=recipe.model.image_size,
    )
    return Job(f"pretrain {recipe.name}", (stage,), {f"{name}/train": videos})


def step_rate(recipe: Recipe, device: str, batch: int, seconds: float) -> tuple[float, int]:
    """Return the clips a second of training steps of a recipe's objective, and the trained parameters.

    Args:
        recipe: The resolved recipe.
        device: Where it trains.
        batch: Clips of a micro-batch.
        seconds: Time for the measurement.

    Raises:
        UserError: A teacher's weights are not here.
    """
    m = recipe.model
    clips = torch.randint(0, 256, (batch, 3, m.frames, m.image_size, m.image_size), dtype=torch.uint8).to(device)
    seeds: Any = [(0, 0, clip, 0) for clip in range(batch)]
    loader = _Repeated(Batch(clips, list(range(batch)), seeds, [str(clip) for clip in range(batch)]))
    make = registry.get("objectives", recipe.objective)
    objective = make(recipe, cast(TrainingLoader, loader), Processes(device=device))
    parameters = [p for p in objective.module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-6, fused=True)

    def step() -> int:
        optimizer.zero_grad(set_to_none=True)
        if objective.surveys:  # what a step of several micro-batches does first
            with autocast(device, recipe.train.precision), torch.no_grad():
                objective.survey([loader.batch])
        with autocast(device, recipe.train.precision):
            loss = objective.step(loader.batch)["loss"]
        loss.backward()
        optimizer.step()
        return batch

    return rate(step, seconds, device), sum(p.numel() for p in parameters)
