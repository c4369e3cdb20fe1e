"""What the command `eval` does, from Python: one encoder, one task, its evaluation."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from sigma_bench.contracts import Encoder, Evaluation, Run, UserError
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.evaluators.samples import read as read_lists
from sigma_bench.results.store import Store
from sigma_bench.runs import own_videos
from sigma_bench.runs.done import done
from sigma_bench.runs.evaluate import lacks, root_of, tasks_of
from sigma_bench.runs.machine import set_threads, torch_device
from sigma_bench.runs.measure import evaluation_of, kept, key_of
from sigma_bench.runs.periodic import untouched
from sigma_bench.runs.reading import AS_STORED, Reading
from sigma_bench.runs.request import Request
from sigma_bench.runs.sized import sized
from sigma_bench.runs.systems import Candidate, candidate, of_encoder

SUITE = "tasks"
"""The file of rows, that of the command without a suite."""


def evaluate(
    encoder: Encoder | nn.Module | str | Path,
    task: str | Path,
    *,
    data_root: str | Path | None = None,
    data: str = "official",
    videos: Sequence[str | Path] = (),
    profile: str | None = None,
    sets: Sequence[str] = (),
    seed: int = 0,
    limit: int | None = None,
    device: str = "auto",
    precision: str = "fp32",
    workers: int = 2,
    out: str | Path = "runs/eval",
    results: str | Path | None = None,
    force: bool = False,
    name: str | None = None,
    family: str | None = None,
    heads: int | None = None,
    as_system: str | None = None,
    reading: Reading = AS_STORED,
    specs: str | Path | None = None,
) -> Evaluation:
    """Measure an encoder on a task, as `sigma-bench eval --task TASK --ckpt ENCODER` does.

    The features are cached in `out`, so a second task on the same videos is quick. The state of the random generators,
    the number of threads and the mode of the encoder are afterwards what they were.

    Args:
        encoder: A torch module with `spec` and `tokens` (`contracts.Encoder`), or what `--ckpt` takes: a file, a run
            folder, a name of the zoo, an address, `random:SIZE`, or `module:function`.
        task: Id of a task, such as "linear/ucf101", or the path of a task file.
        data_root: Folder with one folder a data set; None: where `sigma-bench data where` looks.
        data: "official" or "miniature", which is written where it is missing.
        videos: A training and a test list of one's own videos instead, with a task such as "linear".
        profile: A profile of the task, such as "knn".
        sets: Overridden settings, "probe.epochs=30".
        seed: Seed of the evaluation.
        limit: Use so many samples of each list.
        device: "auto": where a module lies, for others a GPU if there is one. Another one moves a module there.
        precision: "fp32" or "bf16".
        workers: Decoding processes.
        out: Folder of features and artifacts.
        results: Folder of row files; rows are stored where it is given, unless an equal measurement has them.
        force: Store rows that supersede an equal measurement.
        name: Name of the system in its rows; None: of a module its class.
        family: Family of the checkpoint where its keys cannot tell.
        heads: Attention heads where the shapes cannot tell.
        as_system: Zoo name whose description the rows take.
        reading: How the file is read (frames, image size, positions, weights).
        specs: Folder of own specs, tried first.

    Returns:
        Metric values, one record a test sample, counts and the settings that were chosen.

    Raises:
        UserError: There is no such encoder, task or data, or they do not fit each other.
    """
    request = Request(
        checkpoints=[encoder if isinstance(encoder, str) else str(encoder) if isinstance(encoder, Path) else "module:"],
        tasks=[str(task)],
        videos=tuple(map(Path, videos)),
        data=data,
        profile=profile,
        data_root=None if data_root is None else Path(data_root),
        out=Path(out),
        limit=limit,
        family=family,
        heads=heads,
        reading=reading,
        as_system=as_system,
        precision=precision,
        workers=workers,
        sets=list(sets),
        specs=None if specs is None else Path(specs),
    )
    _, (one,), _ = tasks_of(request)
    if one.probe is not None and one.probe.layers is not None:
        raise UserError(
            f"{one.id}: probe.layers is an evaluation for each layer; name one, sets=['probe.layer=3'], or use the "
            "command sigma-bench eval"
        )
    lists, root = own_videos.lists(request.videos), root_of([one], request)
    if lists is None and (lacking := lacks(one, root, data)):
        raise UserError(f"{one.id}: {lacking}")
    with untouched(), DecodePool("sigma_bench.data.load:load_clips", workers=workers) as pool:
        set_threads(None, workers)
        system, place = _system(encoder, request, name, device)
        run = Run(place, seed, root, request.out, limit, precision, workers, pool, lists=lists)
        began, listed = time.perf_counter(), read_lists(one, run)
        system, ready = sized(system, system.encoder(place), one, request, place)
        found = evaluation_of(ready, one, run)
        seconds = round(time.perf_counter() - began, 3)
    if results is not None:
        store = Store(Path(results))
        if force or done(store, key_of(system, one, run, request, listed), listed) is None:
            kept(found, seconds, system, one, run, SUITE, request, store, listed)
    return found


def _system(encoder: Any, request: Request, name: str | None, device: str) -> tuple[Candidate, str]:
    """Return what is evaluated, and on which device.

    Raises:
        UserError: It is no encoder.
    """
    if isinstance(encoder, str | Path):
        (asked,) = request.checkpoints
        found = candidate(asked, request.family, request.heads, request.as_system, request.specs, request.reading)
        if name is not None:
            found = replace(found, description={**found.description, "system": name})
        return found, torch_device(device)
    if (
        request.family is not None
        or request.heads is not None
        or request.as_system is not None
        or request.reading.asked
    ):
        raise UserError("a module says itself what it is; leave out family, heads, as_system and reading")
    known = name or f"{type(encoder).__module__}:{type(encoder).__qualname__}"
    here = (
        next((str(weight.device) for weight in encoder.parameters()), "cpu")
        if isinstance(encoder, nn.Module)
        else "cpu"
    )
    place = here if device == "auto" else torch_device(device)
    return of_encoder(encoder, known, lambda there: encoder.to(there)), place
