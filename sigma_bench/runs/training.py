"""The training of a recipe: pool, loader, objective, optimiser and loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.index import Index
from sigma_bench.data.load import ClipRequest, where
from sigma_bench.data.loader import TrainingLoader
from sigma_bench.models.flops import clip_flops
from sigma_bench.progress import say
from sigma_bench.runs.data import TRAINING_DECODER
from sigma_bench.runs.machine import set_threads
from sigma_bench.runs.observers import Observers
from sigma_bench.spec import load
from sigma_bench.spec.recipe import Recipe
from sigma_bench.train import distributed, loop, optim, schedule
from sigma_bench.train import folder as folders
from sigma_bench.train.distributed import Processes
from sigma_bench.train.plan import Plan
from sigma_bench.train.snapshot import digests


def train(
    recipe: Recipe,
    index: Index,
    folder: Path,
    start: Path | None,
    system: dict[str, Any],
    processes: Processes,
    workers: int,
    data: Mapping[str, Any],
    observers: Observers | None = None,
    undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> tuple[Path, dict[str, Any]]:
    """Train on `index` and return the last checkpoint and the state of the objective: what was not decoded, and how.

    Every process of a run calls this; the first prints and writes.

    Args:
        recipe: The resolved recipe, saved in `folder`.
        index: The clips.
        folder: The run folder.
        start: Checkpoint to go on from.
        system: Description stored with every checkpoint.
        processes: Those that train together.
        workers: Decoding processes of each of them.
        data: What is trained on, saved in `folder` before the first step.
        observers: Look on, in the first process.
        undisturbed: A context in which this process is not ended for the loss of another one while it saves.

    Raises:
        UserError: The global batch cannot be met by these processes, or what `loop.fit` raises.
    """
    t = recipe.train
    micro = distributed.micro_batch(t.global_batch, t.micro_batch, processes.world)
    threads = set_threads(t.threads, workers)
    tell = say if processes.leader else _silent
    with DecodePool("sigma_bench.data.load:load_clips", workers=workers) as pool:
        loader = TrainingLoader(
            index,
            pool,
            requests(recipe, index),
            batch=micro,
            global_batch=t.global_batch,
            size=recipe.model.image_size,
            seed=t.seed,
            rank=processes.rank,
            world=processes.world,
            device=processes.device,
            repeats=recipe.clips.repeats,
            on_broken=lambda broken, reason: say(f"replaced: {broken}: {reason}"),
        )
        if index.count < loader.draws.videos_per_step:
            tell(
                f"{index.count} videos are fewer than a step of {t.global_batch} clips takes: they are drawn repeatedly"
            )
        objective = registry.get("objectives", recipe.objective)(recipe, loader, processes)
        plan = _plan(recipe, loader, micro * processes.world)
        numbers = _numbers(recipe, plan, micro, processes.world)
        frozen = objective.described
        _same_frozen(processes.gather(frozen))
        for what in (text for name, text in frozen.items() if not name.endswith("digest")):
            tell(f"frozen: {what}")
        tell(_announcement(recipe, index, numbers, processes.device, threads, start))
        optimizer = optim.adamw(optim.pretraining_groups(objective.module, t.weight_decay), t.lr, t.betas)
        if start is None and processes.leader:
            folders.write_json(folder / "data.json", data)
            folders.write_text(folder / "recipe.yaml", load.dump(recipe))
        observers = observers or Observers(recipe, folder)
        observers.begin(plan, int(start.stem.removeprefix("step-")) if start else 0)
        extra = {
            "encoder": _encoder(objective.module),
            "system": system,
            "numbers": numbers,
            "frozen": frozen,
            "warnings": observers.marks,
        }
        on_save = observers.on_save if t.eval_every else None
        with closing(observers):
            last = loop.fit(
                objective,
                optimizer,
                plan,
                folder,
                extra,
                processes,
                resume=start,
                title=recipe.name,
                on_log=observers.on_log,
                on_save=on_save,
                undisturbed=undisturbed,
            )
        counts = objective.merge(processes.gather(objective.state_dict()))
    return last, counts


def _same_frozen(described: Sequence[Mapping[str, str]]) -> None:
    """Refuse to train with other frozen weights in another process; all of them come to the same judgement."""
    for rank, found in enumerate(described):
        if digests(found) != digests(described[0]):
            raise UserError(
                f"process {rank} has the frozen weights {found}, process 0 has {described[0]}; all machines "
                "need the same files (target.weights, mask.weights)"
            )


def _silent(text: str) -> None:
    """Say nothing: another process says it."""


def _numbers(recipe: Recipe, plan: Plan, micro: int, world: int) -> dict[str, Any]:
    """Return the sizes and rates that a run comes to on so many processes; they are printed and stored."""
    t, c = recipe.train, recipe.clustering
    numbers: dict[str, Any] = {
        "global_batch": t.global_batch,
        "processes": world,
        "micro_batch": micro,
        "accumulation": plan.accumulation,
        "base_lr": t.base_lr,
        "lr": t.lr,
        "steps": plan.steps,
        "steps_per_epoch": plan.steps_per_epoch,
        "gflop_per_clip": round(clip_flops(recipe).total / 1e9, 3),
    }
    if c is not None:
        sizes = {"step": t.global_batch, "micro": micro * world, "local": micro}
        numbers["assignment_batch"] = sizes[c.balance]
    return numbers


def _announcement(
    recipe: Recipe, index: Index, n: Mapping[str, Any], device: str, threads: int, start: Path | None
) -> str:
    t = recipe.train
    parts = [
        f"{index.count} clips, {n['steps']} steps of {n['global_batch']} clips "
        f"({n['processes']} process{'es' if n['processes'] > 1 else ''} x {n['accumulation']} x {n['micro_batch']})",
        f"peak rate {t.lr:.3g} = {t.base_lr:.3g} x {t.global_batch}/{t.lr_per}",
        f"{n['gflop_per_clip']:.3g} GFLOP a clip",
        *([f"assignments balanced over {n['assignment_batch']} clips"] if "assignment_batch" in n else []),
        t.precision,
        device,
        f"{threads} thread{'s' if threads > 1 else ''}",
        *([f"from {start.name}"] if start else []),
    ]
    return ", ".join(parts)


def requests(recipe: Recipe, index: Index) -> Any:
    """Return the function from a row of the index and seed words to the request of a training clip."""
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


def _plan(recipe: Recipe, loader: TrainingLoader, at_once: int) -> Plan:
    t, per_epoch = recipe.train, loader.steps_per_epoch
    steps = t.steps if t.steps is not None else (t.epochs or 0) * per_epoch
    warmup = t.warmup_steps if t.warmup_steps is not None else (t.warmup_epochs or 0) * per_epoch
    final = t.min_lr * t.global_batch / t.lr_per
    return Plan(
        lrs=schedule.cosine_with_warmup(t.lr, final, steps, warmup),
        steps_per_epoch=per_epoch,
        accumulation=t.global_batch // at_once,
        global_batch=t.global_batch,
        precision=t.precision,
        log_every=t.log_every,
        save_every=t.save_every,
        keep=t.keep,
        keep_every=t.keep_every,
    )


def _encoder(module: Any) -> dict[str, Any]:
    spec = asdict(module.encoder.spec)
    names = ("image_size", "patch", "frames", "tubelet", "depth", "heads")
    return {"dim": spec["embed_dim"], **{name: spec[name] for name in names}}
