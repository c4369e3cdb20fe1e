"""Pretrain by a recipe: put data, objective and loop together in a run folder."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sigma_bench.contracts import Stopped, UserError
from sigma_bench.data.index import Index
from sigma_bench.data.miniatures.publish import generated
from sigma_bench.data.ranks import Ranks, joined
from sigma_bench.progress import say
from sigma_bench.runs import data as places
from sigma_bench.runs.description import ENOUGH, description, run_name, without_name
from sigma_bench.runs.helping import device_of
from sigma_bench.runs.machine import git_commit
from sigma_bench.runs.observers import Observers
from sigma_bench.spec import load, roots
from sigma_bench.spec.recipe import Recipe
from sigma_bench.train import folder as folders
from sigma_bench.train.folder import write_json
from sigma_bench.train.heartbeat import Heartbeat
from sigma_bench.train.signals import Noticed, ends_at_once

SHOWN = 20
"""Broken files named on the screen."""


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
    boards: Sequence[str] = ("tensorboard",)
    sets: Sequence[str] = ()
    specs: Path | None = None

    @property
    def kind(self) -> str:
        """The overlay of the recipe that the data take."""
        return "folder" if self.data.startswith("folder:") else self.data


def pretrain(request: Request) -> Path:
    """Train by a recipe and return the last checkpoint.

    Of several processes (see `data.ranks`) the first looks at the run folder and the data, tells the others what it
    found, prints and writes; all of them train. The loss of one ends all.

    Raises:
        UserError: A wrong recipe or setting, no data, a run folder that is in use for something else, or a training
            that cannot go on.
        Stopped: A signal asked for the end; a checkpoint of the last step is saved, and before the first and after
            the last step there is nothing to save.
    """
    from sigma_bench.train.incident import TrainingStopped
    from sigma_bench.train.loop import Unsaved

    recipe = load.recipe(
        request.name,
        data=request.kind,
        size=request.size,
        profile=request.profile,
        sets=request.sets,
        specs=request.specs,
    )
    folder = request.out or Path("runs") / f"{run_name(recipe)}.{request.kind}.{request.size}.seed{recipe.train.seed}"
    rank, agreed = 0, (Stopped, TrainingStopped, Unsaved)
    try:
        with joined() as ranks, Heartbeat(ranks, agreed=agreed) as beating, ends_at_once():
            rank = ranks.rank
            device = device_of(request.device, ranks)
            if rank > 0:
                return _follow(request, recipe, folder, ranks, device)
            say(_headline(recipe, request.data, request.size, folder))
            with _alone(folder):
                return _lead(request, recipe, folder, ranks, device, beating)
    except agreed as error:
        if rank == 0:
            raise
        # all come here together, and the first says why
        raise SystemExit(Stopped.code if isinstance(error, Stopped) else 2) from error
    except Noticed as notice:
        if rank == 0:
            raise Stopped(f"{folder}: stopped outside of its steps ({notice}); go on with --resume") from None
        raise SystemExit(notice.code) from None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second process out of a run folder, and leave none behind that nothing was written to."""
    made, lock = not folder.exists(), folder / ".lock"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout as error:
        raise UserError(f"{folder}: another process trains in it; wait for it, or give another --out") from error
    except UserError:
        if made and [*folder.iterdir()] == [lock]:
            lock.unlink()
            folder.rmdir()
        raise


def _lead(request: Request, recipe: Recipe, folder: Path, ranks: Ranks, device: str, beating: Heartbeat) -> Path:
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
    system = _described(recipe, request.kind, own, index, listed)
    if start is not None:
        _same_data(folder, index)
    content = _data(listed, index, reasons)
    observers = _observers(request, recipe, folder, device)
    ranks.send(
        {
            "do": "train",
            "recipe": load.dump(recipe),
            "start": start and start.name,
            "left_out": sorted(reasons),
            "sha256": index.sha256,
        }
    )
    from sigma_bench.runs.training import train
    from sigma_bench.train.distributed import together

    with together(ranks, device) as processes:
        last, counts = train(
            recipe, index, folder, start, system, processes, request.workers, content, observers, beating.undisturbed
        )
    replaced = {"replaced": counts["replaced"], "replaced_draws": counts["draws"], "decoders": counts["decoders"]}
    write_json(folder / "data.json", {**content, **replaced})
    say(str(last))
    return last


def _observers(request: Request, recipe: Recipe, folder: Path, device: str) -> Observers:
    """Return what looks on; a board or a task that there is none of is found before the training."""
    measure = None
    if recipe.train.eval_every:
        from sigma_bench.runs.periodic import Periodic

        measure = Periodic(
            recipe.train.eval_tasks,
            recipe.train.eval_every,
            folder,
            request.data,
            request.data_root,
            device,
            request.workers,
            request.specs,
        )
    return Observers(recipe, folder, request.boards, measure)


def _follow(request: Request, recipe: Recipe, folder: Path, ranks: Ranks, device: str) -> Path:
    """Train as the first process says, on the list that it found.

    Raises:
        UserError: The recipe of this process, or the list of this machine, is another one.
    """
    told = ranks.receive()
    if told["do"] == "end":
        return folder
    _same_recipe(load.dump(recipe), told["recipe"], ranks.rank)
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


def _same_recipe(here: str, leading: str, rank: int) -> None:
    """Refuse to train by another recipe than the first process: their gradients would be averaged all the same."""
    if here != leading:
        pairs = itertools.zip_longest(here.splitlines(), leading.splitlines(), fillvalue="nothing")
        mine, first = next((a.strip(), b.strip()) for a, b in pairs if a != b)
        raise UserError(
            f"process {rank} trains by another recipe than process 0: found '{mine}', there '{first}'; give all "
            "processes the same recipe, --data, --size, --profile and --set"
        )


def _headline(recipe: Recipe, data: str, size: str, folder: Path) -> str:
    what = f"{run_name(recipe)} on {data}, size {size}, in {folder}"
    if data == "miniature" or size == "nano":
        return f"{what}: a demonstration in miniature, not the paper's run (official data, --size small or base)"
    return what


def _resumable(folder: Path, resolved: str, resume: bool) -> Path | None:
    """Return the checkpoint to go on from; a folder that holds another run is refused."""
    saved = folder / "recipe.yaml"
    checkpoints = folder / "checkpoints"
    if checkpoints.exists() and not checkpoints.is_dir():
        raise UserError(f"{checkpoints} is a file, and checkpoints need a folder there; move it away")
    folders.sweep(checkpoints)
    if not resume:
        if saved.exists() or folders.newest(checkpoints) is not None:
            raise UserError(f"{folder} holds a run already: go on with --resume, or name another folder with --out")
        return None
    if not saved.exists() and folders.newest(checkpoints) is not None:
        raise UserError(
            f"{saved}: missing, so the settings of the run in {folder} are not known; put it back, or begin another "
            "run with --out"
        )
    if saved.exists() and saved.read_text(encoding="utf-8", errors="replace") != resolved:
        raise UserError(
            f"{saved} differs from the recipe asked for now: a run goes on with the settings it began with; give the "
            "same --data, --size and --set, or another --out"
        )
    start = folders.newest_sound(checkpoints)
    if start is None:
        say(f"{checkpoints}: no checkpoint yet, the run begins at step 0")
    return start


def _described(recipe: Recipe, kind: str, own: bool, index: Index, listed: Index) -> dict[str, Any]:
    """Return the description that rows take, without a published name where too little of the list is there."""
    full = {**description(recipe, kind, own), "git_commit": git_commit()}
    kept = without_name(full, index.count, listed.count)
    if kept != full:
        say(f"under {100 * ENOUGH:.0f} % of the list is there: the run does not carry the name of the published system")
    return kept


def _data(listed: Index, index: Index, reasons: dict[str, str]) -> dict[str, Any]:
    return {
        "list": {"name": listed.name, "root": str(listed.root), "count": listed.count, "sha256": listed.sha256},
        "trained_on": index.count,
        "trained_on_sha256": index.sha256,
        "miniature_sha256": generated(index.root),
        "left_out": reasons,
    }


def _same_data(folder: Path, index: Index) -> None:
    """Refuse to go on with other samples: order, steps of an epoch and rates would silently be another run's."""
    path = folder / "data.json"
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        begun_on = saved["trained_on_sha256"]
    except (FileNotFoundError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: missing or damaged ({error}); it says what the run was trained on") from error
    if begun_on != index.sha256:
        raise UserError(
            f"{path}: the run was begun on {saved.get('trained_on')} samples, now there are {index.count}, or others: "
            "an exact resume needs the same; restore the data, or begin another run with --out"
        )
    now = generated(index.root)
    if saved.get("miniature_sha256", now) != now:  # absent: begun by a version that did not keep it
        raise UserError(
            f"{path}: the run was begun on other generated videos than those in {index.root} now, under the same ids; "
            "write those again (sigma-bench data miniature), or begin another run with --out"
        )
