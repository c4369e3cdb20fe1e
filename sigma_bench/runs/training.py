"""The training of a recipe: pool, loader, objective, optimiser and loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sigma_bench import registry
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.index import Index
from sigma_bench.data.load import ClipRequest, where
from sigma_bench.data.loader import TrainingLoader
from sigma_bench.progress import say
from sigma_bench.runs.data import TRAINING_DECODER
from sigma_bench.runs.machine import set_threads
from sigma_bench.spec import load
from sigma_bench.spec.recipe import Recipe
from sigma_bench.train import folder as folders
from sigma_bench.train import loop, optim, schedule


def train(
    recipe: Recipe,
    index: Index,
    folder: Path,
    start: Path | None,
    system: dict[str, Any],
    device: str,
    workers: int,
    data: Mapping[str, Any],
) -> tuple[Path, TrainingLoader]:
    """Train on `index` and return the last checkpoint and the loader, which knows what it could not decode.

    Args:
        recipe: The resolved recipe, saved in `folder`.
        index: The clips.
        folder: The run folder.
        start: Checkpoint to go on from.
        system: Description stored with every checkpoint.
        device: Torch device.
        workers: Decoding processes.
        data: What is trained on, saved in `folder` before the first step.
    """
    t = recipe.train
    threads = set_threads(t.threads, workers)
    micro = t.micro_batch or t.global_batch
    with DecodePool("sigma_bench.data.load:load_clips", workers=workers) as pool:
        loader = TrainingLoader(
            index,
            pool,
            _requests(recipe, index),
            batch=micro,
            global_batch=t.global_batch,
            size=recipe.model.image_size,
            seed=t.seed,
            device=device,
            on_broken=lambda broken, reason: say(f"replaced: {broken}: {reason}"),
        )
        if index.count < t.global_batch:
            say(f"{index.count} clips are fewer than the global batch of {t.global_batch}: they are sampled repeatedly")
        objective = registry.get("objectives", recipe.objective)(recipe, loader, device)
        plan = _plan(recipe, loader)
        say(
            f"{index.count} clips, {plan.steps} steps of {t.global_batch} clips ({plan.accumulation} x {micro}), "
            f"peak rate {t.lr:.3g} = {t.base_lr:.3g} x {t.global_batch}/{t.lr_per}, {t.precision}, "
            f"{device}, {threads} thread{'s' if threads > 1 else ''}" + (f", from {start.name}" if start else "")
        )
        optimizer = optim.adamw(optim.pretraining_groups(objective.module, t.weight_decay), t.lr, t.betas)
        if start is None:
            folders.write_json(folder / "data.json", data)
            folders.write_text(folder / "recipe.yaml", load.dump(recipe))
        last = loop.fit(
            objective,
            objective.module,
            optimizer,
            plan,
            folder,
            {"encoder": _encoder(objective.module), "system": system},
            device,
            resume=start,
            title=recipe.name,
            on_log=lambda record: record.update(objective.monitors),
        )
    return last, loader


def _requests(recipe: Recipe, index: Index) -> Any:
    sample = where(index)
    box = {"multi_scale": "multi_scale", "none": "center", "resize": "full"}[recipe.clips.crop]

    def make(row: int, seed: tuple[int, ...]) -> ClipRequest:
        return ClipRequest(
            **sample(row),
            sampling="pretraining",
            frames=recipe.model.frames,
            stride=recipe.clips.stride,
            box=box,
            size=recipe.model.image_size,
            seed=seed,
            backend=TRAINING_DECODER,
        )

    return make


def _plan(recipe: Recipe, loader: TrainingLoader) -> loop.Plan:
    t, per_epoch = recipe.train, loader.steps_per_epoch
    steps = t.steps if t.steps is not None else (t.epochs or 0) * per_epoch
    warmup = t.warmup_steps if t.warmup_steps is not None else (t.warmup_epochs or 0) * per_epoch
    final = t.min_lr * t.global_batch / t.lr_per
    return loop.Plan(
        lrs=schedule.cosine_with_warmup(t.lr, final, steps, warmup),
        steps_per_epoch=per_epoch,
        accumulation=t.global_batch // (t.micro_batch or t.global_batch),
        global_batch=t.global_batch,
        precision=t.precision,
        log_every=t.log_every,
        save_every=t.save_every,
    )


def _encoder(module: Any) -> dict[str, Any]:
    spec = asdict(module.encoder.spec)
    names = ("image_size", "patch", "frames", "tubelet", "depth", "heads")
    return {"dim": spec["embed_dim"], **{name: spec[name] for name in names}}
