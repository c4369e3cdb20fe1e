"""Pretrain by a recipe: put data, objective and loop together in a run folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sigma_bench.contracts import UserError
from sigma_bench.data.index import Index
from sigma_bench.data.ranks import Ranks, joined
from sigma_bench.progress import say
from sigma_bench.runs import data as places
from sigma_bench.runs.helping import device_of
from sigma_bench.runs.machine import git_commit
from sigma_bench.spec import load, roots
from sigma_bench.spec.recipe import Recipe
from sigma_bench.train.folder import newest as newest_checkpoint
from sigma_bench.train.folder import write_json

HARMLESS = {"train.seed", "train.micro_batch", "train.log_every", "train.save_every", "train.threads"}
"""Settings that may differ from the recipe's while the run still is the published system."""
REPORTED_EPOCHS = {801: 800, 1601: 1600, 2401: 2400}
"""The released schedules span one epoch more than the paper counts."""
SHOWN = 20
"""Broken files named on the screen."""
ENOUGH = 0.99
"""Share of the training list that a run of the published system needs."""
DATA_NAMES = {"k400": "K400", "ssv2": "SSv2"}


@dataclass(frozen=True)
class Request:
    """What is asked for on the command line of a training."""

    name: str
    data: str
    size: str
    profile: str | None = None
    out: Path | None = None
    resume: bool = False
    data_root: Path | None = None
    device: str = "auto"
    workers: int = 2
    sets: Sequence[str] = ()
    specs: Path | None = None

    @property
    def kind(self) -> str:
        """The overlay of the recipe that the data take."""
        return "folder" if self.data.startswith("folder:") else self.data


def pretrain(request: Request) -> Path:
    """Train by a recipe and return the last checkpoint.

    Of several processes (see `data.ranks`) the first looks at the run folder and the data, tells the others what it
    found, prints and writes; all of them train.

    Raises:
        UserError: A wrong recipe or setting, no data, or a run folder that is in use for something else.
    """
    recipe = load.recipe(
        request.name,
        data=request.kind,
        size=request.size,
        profile=request.profile,
        sets=request.sets,
        specs=request.specs,
    )
    folder = request.out or Path("runs") / f"{recipe.name}.{request.kind}.{request.size}.seed{recipe.train.seed}"
    with joined() as ranks:
        device = device_of(request.device, ranks)
        if ranks.rank > 0:
            return _follow(request, recipe, folder, ranks, device)
        say(_headline(recipe, request.data, request.size, folder))
        with _alone(folder):
            return _lead(request, recipe, folder, ranks, device)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second process out of a run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise UserError(f"{folder}: another process trains in it; wait for it, or give another --out") from error


def _lead(request: Request, recipe: Recipe, folder: Path, ranks: Ranks, device: str) -> Path:
    """Look at the run folder and the data, tell the other processes, and train with them."""
    start = _resumable(folder, load.dump(recipe), request.resume)
    if start is not None and int(start.stem.removeprefix("step-")) >= (recipe.train.steps or 10**12):
        say(f"{folder}: complete, nothing to do")
        ranks.send({"do": "end"})
        return start
    listed = places.pretraining_index(request.data, request.data_root)
    index, reasons = places.decodable(listed, request.workers, places.TRAINING_DECODER)
    for broken, reason in list(reasons.items())[:SHOWN]:
        say(f"left out: {broken}: {reason}")
    if reasons:
        if len(reasons) > SHOWN:
            say(f"left out: {len(reasons) - SHOWN} more, all named in {folder / 'data.json'}")
        say(f"{len(reasons)} of {listed.count} files cannot be decoded; training on the other {index.count}")
    own = (
        not roots.find("pretrain", request.name, specs=request.specs)
        .resolve()
        .is_relative_to(roots.shipped().resolve())
    )
    system = _without_name(_system(recipe, request.kind, own), index.count, listed.count)
    if start is not None:
        _same_data(folder, index)
    content = _data(listed, index, reasons)
    ranks.send({"do": "train", "start": start and start.name, "left_out": sorted(reasons), "sha256": index.sha256})
    from sigma_bench.runs.training import train
    from sigma_bench.train.distributed import together

    with together(ranks, device) as processes:
        last, counts = train(recipe, index, folder, start, system, processes, request.workers, content)
    replaced = {"replaced": counts["replaced"], "replaced_draws": counts["draws"], "decoders": counts["decoders"]}
    write_json(folder / "data.json", {**content, **replaced})
    say(str(last))
    return last


def _follow(request: Request, recipe: Recipe, folder: Path, ranks: Ranks, device: str) -> Path:
    """Train as the first process says, on the list that it found.

    Raises:
        UserError: The list of this machine is another one.
    """
    told = ranks.receive()
    if told["do"] == "end":
        return folder
    listed = places.pretraining_index(request.data, request.data_root)
    left_out = set(told["left_out"])
    index = listed.select([row for row, name in enumerate(listed.ids) if name not in left_out])
    if index.sha256 != told["sha256"]:
        raise UserError(
            f"{listed.root}: process {ranks.rank} finds {index.count} samples in the list of {listed.name} that are "
            "not those of process 0; all machines need the same lists and videos"
        )
    start = folder / "checkpoints" / told["start"] if told["start"] else None
    from sigma_bench.runs.training import train
    from sigma_bench.train.distributed import together

    with together(ranks, device) as processes:
        return train(recipe, index, folder, start, {}, processes, request.workers, {})[0]


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


def _system(recipe: Recipe, kind: str, own: bool) -> dict[str, Any]:
    """Return the description that rows take.

    Only official data, a recipe of this package (not an `own` file) and unchanged settings carry the names that join a
    published row.
    """
    # the assignments of SIGMA are balanced within a micro-batch: another size is another method
    harmless = HARMLESS - {"train.micro_batch"} if recipe.objective == "sigma" else HARMLESS
    changed = [s for s in recipe.resolved.sets if s.partition("=")[0] not in harmless]
    official = kind in DATA_NAMES and not changed and not own
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


def _without_name(system: dict[str, Any], there: int, listed: int) -> dict[str, Any]:
    """Return the description without the published method where too little of the training list is there."""
    if not system["method"] or there >= ENOUGH * listed:
        return system
    say(f"under {100 * ENOUGH:.0f} % of the list is there: the run does not carry the name of the published system")
    return {**system, "method": "", "variant": f"{there} of {listed} training videos"}


def _data(listed: Index, index: Index, reasons: dict[str, str]) -> dict[str, Any]:
    return {
        "list": {"name": listed.name, "root": str(listed.root), "count": listed.count, "sha256": listed.sha256},
        "trained_on": index.count,
        "trained_on_sha256": index.sha256,
        "miniature_sha256": places.generated(index.root),
        "left_out": reasons,
    }


def _same_data(folder: Path, index: Index) -> None:
    """Refuse to go on with other samples: order, steps of an epoch and rates would silently be another run's."""
    path = folder / "data.json"
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: missing or damaged ({error}); it says what the run was trained on") from error
    if saved.get("trained_on_sha256") != index.sha256:
        raise UserError(
            f"{path}: the run was begun on {saved.get('trained_on')} samples, now there are {index.count}, or others: "
            "an exact resume needs the same; restore the data, or begin another run with --out"
        )
    now = places.generated(index.root)
    if saved.get("miniature_sha256", now) != now:  # absent: begun by a version that did not keep it
        raise UserError(
            f"{path}: the run was begun on other generated videos than those in {index.root} now, under the same ids; "
            "write those again (sigma-bench data miniature), or begin another run with --out"
        )
