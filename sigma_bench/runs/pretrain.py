"""Pretrain by a recipe: put data, objective and loop together in a run folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sigma_bench.contracts import UserError
from sigma_bench.data.index import Index
from sigma_bench.progress import say
from sigma_bench.runs import data as places
from sigma_bench.runs.machine import git_commit, torch_device
from sigma_bench.spec import load
from sigma_bench.spec.recipe import Recipe
from sigma_bench.train.folder import newest as newest_checkpoint

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
    index, reasons = places.decodable(listed, workers, places.TRAINING_DECODER)
    for broken, reason in reasons.items():
        say(f"left out: {broken}: {reason}")
    if reasons:
        say(f"{len(reasons)} of {listed.count} files cannot be decoded; training on the other {index.count}")
    from sigma_bench.runs.training import train

    last, loader = train(recipe, index, folder, start, _system(recipe, kind), torch_device(device), workers)
    _write_data(folder, listed, index, reasons, loader)
    say(str(last))
    return last


def _headline(recipe: Recipe, data: str, size: str, folder: Path) -> str:
    what = f"{recipe.name} on {data}, size {size}, in {folder}"
    if data == "miniature" or size == "nano":
        return f"{what}: a demonstration in miniature, not the paper's run (that is --data k400 --size base)"
    return what


def _resumable(folder: Path, resolved: str, resume: bool) -> Path | None:
    """Return the checkpoint to go on from; a folder that holds another run is refused."""
    saved = folder / "recipe.yaml"
    newest = newest_checkpoint(folder / "checkpoints")
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


def _write_data(folder: Path, listed: Index, index: Index, reasons: dict[str, str], loader: Any) -> None:
    content = {
        "list": {"name": listed.name, "root": str(listed.root), "count": listed.count, "sha256": listed.sha256},
        "trained_on": index.count,
        "left_out": reasons,
        "replaced": loader.replaced.reasons,
        "replaced_draws": loader.replaced.draws,
        "decoders": loader.decoders,
    }
    (folder / "data.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
