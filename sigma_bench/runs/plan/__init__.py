"""`sigma-bench plan`: hours, disk and what binds, of a pretraining or of tasks, from a short measurement here."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from sigma_bench.contracts import Encoder, UserError
from sigma_bench.progress import say
from sigma_bench.runs import data as places
from sigma_bench.runs.machine import described, set_threads, torch_device
from sigma_bench.runs.plan import demands, pretraining
from sigma_bench.runs.plan.estimate import Cost, costs
from sigma_bench.runs.plan.rates import STAND_IN, Rates, as_many
from sigma_bench.runs.plan.sizes import Size, notes
from sigma_bench.runs.reading import Reading
from sigma_bench.runs.systems import candidate
from sigma_bench.spec import load

ASSUMED = (
    "Measured here for some seconds, then multiplied; decoding and the network go on side by side, so the slower one "
    "counts. Several GPUs are taken to share the clips evenly."
)


@dataclass(frozen=True)
class Request:
    """What is planned, and on what."""

    recipe: str | None = None
    suite: str | None = None
    tasks: Sequence[str] = ()
    checkpoint: str = "random:base"
    data: str = "official"
    size: str = "base"
    profile: str | None = None
    data_root: Path | None = None
    limit: int | None = None
    family: str | None = None
    heads: int | None = None
    device: str = "auto"
    precision: str = "fp32"
    gpus: int = 1
    workers: int | None = None
    seconds: float = 60.0
    sets: Sequence[str] = ()
    specs: Path | None = None
    as_json: bool = False


def plan(request: Request) -> list[str]:
    """Return the plan as a table, or as JSON.

    Raises:
        UserError: Nothing or several things are named, or what is named cannot be planned.
    """
    named = [request.recipe is not None, request.suite is not None, bool(request.tasks)]
    if sum(named) != 1:
        raise UserError("plan: name one recipe, one --suite, or tasks with --task; found " + f"{sum(named)} of them")
    device = torch_device(request.device)
    workers = request.workers or os.cpu_count() or 1
    set_threads(None, 0)  # decoding is measured by itself
    busy = _busy(os.getloadavg()[0], os.cpu_count() or 1)
    record = (_tasks if request.recipe is None else _pretraining)(request, device, workers)
    record |= {"device": described(device)["device"], "gpus": request.gpus, "workers": workers, "assumed": ASSUMED}
    record["notes"] = [*record["notes"], *busy]
    return [json.dumps(record, indent=1)] if request.as_json else _table(record)


def _pretraining(request: Request, device: str, workers: int) -> dict[str, Any]:
    kind = "folder" if request.data.startswith("folder:") else request.data
    recipe = load.recipe(
        str(request.recipe), data=kind, size=request.size, profile=request.profile, sets=request.sets,
        specs=request.specs,
    )  # fmt: skip
    videos = pretraining.length(request.data, request.data_root)
    many = as_many(recipe.model.frames, recipe.model.image_size)
    batch = min(recipe.train.global_batch, (2 if device == "cpu" else 64) * many)
    say(f"measuring {recipe.name}, size {request.size}, on {device}")
    shown, parameters = pretraining.step_rate(recipe, device, batch, request.seconds / 2)
    (stage,) = (job := pretraining.job(recipe, request.data, videos, parameters)).stages
    rates = Rates(_no_encoder, device, recipe.train.precision, workers, request.seconds / 2)
    m = recipe.model
    spec = candidate("random:nano", None, None, None, None).encoder("cpu").spec
    decoded = rates.decode(videos.index, stage.views, replace(spec, frames=m.frames, image_size=m.image_size))
    cost = Cost(
        stage.what,
        stage.videos,
        stage.shown,
        stage.videos / decoded / 3600,
        stage.shown / shown / request.gpus / 3600,
        stage.written,
    )
    return {
        "of": f"{recipe.name} on {request.data}, size {request.size}",
        "precision": recipe.train.precision,
        "jobs": [_job(job.name, [cost])],
        "notes": _notes(job.sizes),
        "miniature": request.data == "miniature" or request.size == "nano",
    }


def _no_encoder(frames: int, size: int) -> Encoder:
    raise UserError(f"no encoder of {frames} frames of {size} pixels is run in this plan")


def _tasks(request: Request, device: str, workers: int) -> dict[str, Any]:
    if request.data not in ("official", "miniature"):
        raise UserError(f"--data {request.data}: expected official or miniature")
    ids, name = list(request.tasks), ", ".join(request.tasks)
    if request.suite is not None:
        suite = load.suite(request.suite, specs=request.specs)
        ids, name = list(suite.tasks), f"suite {suite.name}"
    tasks = [
        load.task(i, data=request.data, profile=request.profile, sets=request.sets, specs=request.specs) for i in ids
    ]
    root = request.data_root
    if request.data == "miniature":
        for data_set in sorted({task.dataset.name for task in tasks}):
            root = places.miniature(data_set, request.data_root).parent

    @cache
    def encoder(frames: int | None = None, size: int | None = None) -> Encoder:
        reading = Reading(frames, size)
        return candidate(request.checkpoint, request.family, request.heads, None, request.specs, reading).encoder(
            device
        )

    own = encoder().spec

    def of(frames: int, size: int) -> Encoder:
        return encoder(None if frames == own.frames else frames, None if size == own.image_size else size)

    jobs, refused = [], []
    for task in tasks:
        try:
            jobs.append(demands.job(task, encoder(), root, request.limit))
        except UserError as error:
            refused.append(f"not planned: {error}")
    if not jobs:
        raise UserError("; ".join(refused))
    jobs = demands.shared(jobs)
    forms = len({(s.dataset, s.split, s.views) for j in jobs for s in j.stages}) + len(
        {(s.trains, s.frames, s.size) for j in jobs for s in j.stages}
    )
    rates = Rates(of, device, request.precision, workers, max(0.5, request.seconds / max(1, forms)))
    records = []
    for job in jobs:
        say(f"measuring {job.name}")
        found = costs(job, rates, own, request.gpus, root)
        records.append(_job(job.name, found))
    return {
        "of": f"{name} for {request.checkpoint} ({own.backbone}, {own.frames} frames of {own.image_size} pixels)",
        "precision": request.precision,
        "jobs": records,
        "notes": [*refused, *_notes({name: size for job in jobs for name, size in job.sizes.items()})],
        "miniature": request.data == "miniature",
    }


def _busy(load: float, cores: int) -> list[str]:
    """Return what must be said where other processes compute beside the measurement."""
    if load < max(1, cores / 4):
        return []
    return [
        f"the machine is busy (load {load:.1f} on {cores} cores): what was measured is slower than it would be alone, "
        "on few cores many times; plan again when it is free"
    ]


def _notes(sizes: dict[str, Size]) -> list[str]:
    """Return what must be said of the lists: which are not here, and what was decoded in their place."""
    found = notes(sizes)
    return [*found, f"their decoding was measured on {STAND_IN}"] if found else []


def _job(name: str, found: list[Cost]) -> dict[str, Any]:
    return {
        "name": name,
        "stages": [cost.record() for cost in found],
        "hours": sum(cost.hours for cost in found),
        "written": sum(cost.written for cost in found),
    }


def _table(record: dict[str, Any]) -> list[str]:
    lines = [
        f"plan of {record['of']}: {record['gpus']} x {record['device']}, {record['precision']}, {record['workers']} "
        f"decoding process{'es' * (record['workers'] > 1)}"
        + (" (miniature: synthetic data, not the paper's)" if record["miniature"] else ""),
        f"{'':<58}{'videos':>13}{'clips':>15}{'decode h':>12}{'network h':>12}{'hours':>12}{'disk GB':>9}  binds",
    ]
    for job in record["jobs"]:
        lines.append(_line(job["name"], None, None, None, None, job["hours"], job["written"], ""))
        lines += [
            _line(f"  {s['what']}", s["videos"], s["shown"], s["decode_hours"], s["network_hours"], s["hours"],
                  s["written"], s["binds"])
            for s in job["stages"]
        ]  # fmt: skip
    hours, written = (sum(job[key] for job in record["jobs"]) for key in ("hours", "written"))
    lines.append(_line("all", None, None, None, None, hours, written, ""))
    return [*lines, *(f"note: {note}" for note in record["notes"]), f"note: {record['assumed']}"]


def _line(
    what: str,
    videos: int | None,
    shown: int | None,
    decode: float | None,
    network: float | None,
    hours: float,
    written: int,
    binds: str,
) -> str:
    counts = "".join(f"{'' if n is None else f'{n:,}':>{w}}" for n, w in ((videos, 13), (shown, 15)))
    times = "".join(f"{'' if h is None else _hours(h):>{w}}" for h, w in ((decode, 12), (network, 12), (hours, 12)))
    return f"{what[:57]:<58}{counts}{times}{written / 1e9:>9.2f}  {binds}".rstrip()


def _hours(hours: float) -> str:
    return f"{hours:.3f}" if hours < 10 else f"{hours:,.0f}"
