"""Pretrain by a recipe: put data, objective and loop together in a run folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.index import Index
from sigma_bench.data.load import ClipRequest
from sigma_bench.data.loader import TrainingLoader
from sigma_bench.progress import say
from sigma_bench.runs import data as places
from sigma_bench.runs.evaluate import git_commit, torch_device
from sigma_bench.spec import load
from sigma_bench.spec.recipe import Recipe
from sigma_bench.train import loop, optim, schedule, state

DECODER = "decord+pyav"
"""Training takes every file that some decoder opens; which one it was is counted in data.json."""

HARMLESS = {"train.seed", "train.micro_batch", "train.log_every", "train.save_every", "train.threads"}
"""Settings that may differ from the recipe's while the run still is the published system."""
REPORTED_EPOCHS = {801: 800, 1601: 1600, 2401: 2400}
"""The released schedules span one epoch more than the paper counts."""
DATA_NAMES = {"k400": "K400", "ssv2": "SSv2"}


def pretrain(
    name: str,
    *,
    data: str,
    size: str,
    profile: str | None = None,
    out: Path | None = None,
    resume: bool = False,
    data_root: Path | None = None,
    device: str = "auto",
    workers: int = 2,
    sets: Sequence[str] = (),
    specs: Path | None = None,
) -> Path:
    """Train by recipe `name` and return the last checkpoint.

    Raises:
        UserError: A wrong recipe or setting, no data, or a run folder that is in use for something else.
    """
    kind = "folder" if data.startswith("folder:") else data
    recipe = load.recipe(name, data=kind, size=size, profile=profile, sets=sets, specs=specs)
    folder = out or Path("runs") / f"{recipe.name}.{kind}.{size}.seed{recipe.train.seed}"
    say(_headline(recipe, data, size, folder))
    resolved = load.dump(recipe)
    start = _resumable(folder, resolved, resume)
    if start is not None and int(start.stem.removeprefix("step-")) >= (recipe.train.steps or 10**12):
        say(f"{folder}: complete, nothing to do")
        return start
    listed = places.pretraining_index(data, data_root)
    index, reasons = places.decodable(listed, workers, DECODER)
    for broken, reason in reasons.items():
        say(f"left out: {broken}: {reason}")
    if reasons:
        say(f"{len(reasons)} of {listed.count} files cannot be decoded; training on the other {index.count}")
    return _train(recipe, resolved, folder, start, listed, index, reasons, torch_device(device), workers, kind)


def _headline(recipe: Recipe, data: str, size: str, folder: Path) -> str:
    what = f"{recipe.name} on {data}, size {size}, in {folder}"
    if data == "miniature" or size == "nano":
        return f"{what}: a demonstration in miniature, not the paper's run (that is --data k400 --size base)"
    return what


def _resumable(folder: Path, resolved: str, resume: bool) -> Path | None:
    """Return the checkpoint to go on from; a folder that holds another run is refused."""
    saved = folder / "recipe.yaml"
    newest = state.newest(folder / "checkpoints")
    if not resume:
        if saved.exists() or newest is not None:
            raise UserError(f"{folder} holds a run already: go on with --resume, or name another folder with --out")
        return None
    if saved.exists() and saved.read_text(encoding="utf-8") != resolved:
        raise UserError(
            f"{saved} differs from the recipe asked for now: a run goes on with the settings it began with; give the "
            "same --data, --size and --set, or another --out"
        )
    return newest


def _train(
    recipe: Recipe,
    resolved: str,
    folder: Path,
    start: Path | None,
    listed: Index,
    index: Index,
    reasons: dict[str, str],
    device: str,
    workers: int,
    kind: str,
) -> Path:
    import torch

    t = recipe.train
    if t.threads is not None:
        torch.set_num_threads(t.threads)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(resolved, encoding="utf-8")
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
            f"peak rate {t.lr:.3g} = {t.base_lr:.3g} x {t.global_batch}/{t.lr_per}, {t.precision}, {device}"
            + (f", from {start.name}" if start else "")
        )
        optimizer = optim.adamw(optim.pretraining_groups(objective.module, t.weight_decay), t.lr, t.betas)
        last = loop.fit(
            objective,
            objective.module,
            optimizer,
            plan,
            folder,
            {"encoder": _encoder(objective.module), "system": _system(recipe, kind)},
            device,
            resume=start,
            title=recipe.name,
            on_log=lambda record: record.update(objective.monitors),
        )
        _write_data(folder, listed, index, reasons, loader)
    say(f"{last}")
    return last


def _requests(recipe: Recipe, index: Index) -> Any:
    paths, starts, ends = (index.table[c].to_pylist() for c in ("path", "start", "end"))
    box = {"multi_scale": "multi_scale", "none": "center", "resize": "full"}[recipe.clips.crop]

    def make(row: int, seed: tuple[int, ...]) -> ClipRequest:
        return ClipRequest(
            path=str(index.root / paths[row]),
            sampling="pretraining",
            frames=recipe.model.frames,
            stride=recipe.clips.stride,
            box=box,
            size=recipe.model.image_size,
            seed=seed,
            backend=DECODER,
            start=starts[row],
            end=ends[row],
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


def _system(recipe: Recipe, kind: str) -> dict[str, Any]:
    """Return the description that rows take.

    Only official data and unchanged settings carry the names that join a published row.
    """
    changed = [s for s in recipe.resolved.sets if s.partition("=")[0] not in HARMLESS]
    official = kind in DATA_NAMES and not changed
    epochs = recipe.train.epochs
    return {
        "system": recipe.name,
        "method": recipe.method if official else "",
        "variant": recipe.variant if official else ", ".join(changed),
        "pretrain_data": DATA_NAMES.get(kind, kind),
        "epochs": str(REPORTED_EPOCHS.get(epochs, epochs)) if epochs else f"{recipe.train.steps} steps",
        "motion_guidance": "no",
        "pretrain_seed": recipe.train.seed,
        "git_commit": git_commit(),
    }


def _write_data(folder: Path, listed: Index, index: Index, reasons: dict[str, str], loader: TrainingLoader) -> None:
    content = {
        "list": {"name": listed.name, "root": str(listed.root), "count": listed.count, "sha256": listed.sha256},
        "trained_on": index.count,
        "left_out": reasons,
        "replaced": loader.replaced.reasons,
        "replaced_draws": loader.replaced.draws,
    }
    (folder / "data.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
