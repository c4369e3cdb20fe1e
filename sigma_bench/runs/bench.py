"""`sigma-bench data bench`: what decoding, resizing and copying clips cost here, and how many processes pay."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.error import FFmpegError

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data import files, roots, transforms
from sigma_bench.data.bottleneck import Advice, Rates, advise
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.index import Index
from sigma_bench.data.load import ClipRequest, where
from sigma_bench.runs import data as places
from sigma_bench.runs.check.lists import read_all
from sigma_bench.runs.copies import FOLDER
from sigma_bench.runs.machine import torch_device

FRAMES, STRIDE, SIZE = 16, 4, 224
KEPT = 32
"""Decoded clips that are kept for timing what follows."""
REPEATS = 5
LIMIT = "PyAV, one process, every file read from its start to the last frame needed, nothing checked"


@dataclass(frozen=True)
class Decoded:
    """What a pass over the clips gave: clips a second, failures, frames chosen by path, some clips."""

    rate: float
    failed: int
    indices: dict[str, list[int]]
    clips: list[np.ndarray]


def bench(
    name: str,
    *,
    data: str,
    data_root: Path | None,
    clips: int,
    workers: Sequence[int],
    device: str,
    as_json: bool,
) -> list[str]:
    """Measure a data set and return a table, or JSON.

    Raises:
        UserError: There is no such data set, or none of its files can be decoded.
    """
    on = torch_device(device)
    index = _index(name, data, data_root).present()
    if not index.count:
        raise UserError(f"{name}: no file of its list is there; `sigma-bench data check {name}` names them")
    requests = _requests(index, clips)
    counts = sorted(set(workers)) or _counts(os.cpu_count() or 1)
    first = _decode(requests, 1)  # fills the system's cache; which frames it chose, the reference reads too
    reference = _sequential(first.indices)
    passes = {count: _decode(requests, count) for count in counts}
    kept = first.clips
    rates = Rates(
        {count: done.rate for count, done in passes.items()}, _transform_rate(kept, on), _transfer_rate(kept, on)
    )
    record = {
        "name": index.name,
        "split": index.split,
        "clips": len(requests),
        "failed": first.failed,
        "clip": f"{FRAMES} frames at stride {STRIDE}, multi-scale crop, resized to {SIZE}",
        "decoder": places.TRAINING_DECODER,
        "device": on,
        "cores": os.cpu_count(),
        "reference": LIMIT,
        "reference_clips_s": reference,
        **asdict(rates),
        "advice": asdict(advise(rates)),
    }
    return [json.dumps(record, indent=1)] if as_json else _table(record, rates, advise(rates))


def _index(name: str, data: str, given: Path | None) -> Index:
    if name.startswith(FOLDER):
        return places.pretraining_index(name, given)
    if data not in ("official", "miniature"):
        raise UserError(f"--data {data}: expected official or miniature")
    folder = places.miniature(name, given) if data == "miniature" else roots.folder(name, given)
    if data == "official" and name not in registry.names("datasets"):
        return places.pretraining_index(name, given)
    return read_all(name, folder, 1)[0][0].index


def _requests(index: Index, clips: int) -> list[ClipRequest]:
    """Return the requests of up to `clips` samples, drawn once: each file is met once in a pass."""
    rows = np.random.default_rng(0).permutation(index.count)[:clips]
    of = where(index)
    return [
        ClipRequest(
            **of(int(row)),
            sampling="pretraining",
            frames=FRAMES,
            stride=STRIDE,
            box="multi_scale",
            size=SIZE,
            seed=(0, int(row)),
            backend=places.TRAINING_DECODER,
        )
        for row in rows
    ]


def _counts(cores: int) -> list[int]:
    """Return 1, 2, 4, ... and the number of cores."""
    return sorted({*(1 << power for power in range(cores.bit_length()) if 1 << power <= cores), cores})


def _decode(requests: Sequence[ClipRequest], workers: int) -> Decoded:
    """Decode every request; the rate runs from the first result on, when all processes have started."""
    indices: dict[str, list[int]] = {}
    kept: list[np.ndarray] = []
    failed = 0
    with DecodePool("sigma_bench.data.load:load_clips", workers) as pool:
        for _ in pool.map(requests[:workers]):  # starts them
            pass
        began = time.perf_counter()
        for result in pool.map(requests):
            if result.arrays is None:
                failed += 1
                continue
            indices[requests[result.index].path] = sorted(set(result.info["indices"][0]))
            if len(kept) < KEPT:
                kept.append(result.arrays[0])
        spent = time.perf_counter() - began
    if not kept:
        raise UserError(f"none of {len(requests)} files can be decoded; `sigma-bench data check` says why")
    return Decoded((len(requests) - failed) / spent, failed, indices, kept)


def _sequential(indices: dict[str, list[int]]) -> float | None:
    """Return clips a second of the reference; None where no file is a video."""
    done, spent = 0, 0.0
    for path, wanted in indices.items():
        began = time.perf_counter()
        try:
            with files.open(Path(path)) as file, av.open(file) as video:
                stream: Any = video.streams.video[0]
                stream.thread_type, stream.codec_context.thread_count = "NONE", 1
                for number, frame in enumerate(video.decode(stream)):
                    if number in wanted:
                        frame.to_ndarray(format="rgb24")
                    if number >= wanted[-1]:
                        break
        except (FFmpegError, OSError, IndexError):
            continue
        spent += time.perf_counter() - began
        done += 1
    return done / spent if done else None


def _transform_rate(clips: Sequence[np.ndarray], device: str) -> float:
    there = [torch.from_numpy(clip).to(device) for clip in clips]
    return _rate(lambda: [transforms.to_clip(clip, SIZE) for clip in there], len(there), device)


def _transfer_rate(clips: Sequence[np.ndarray], device: str) -> float | None:
    if device == "cpu":
        return None
    return _rate(lambda: [torch.from_numpy(clip).to(device) for clip in clips], len(clips), device)


def _rate(work: Callable[[], object], clips: int, device: str) -> float:
    """Return clips a second, the median of some repetitions after one that is not counted."""
    taken = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - began)
    return clips / statistics.median(taken[1:])


def _table(record: dict[str, Any], rates: Rates, advice: Advice) -> list[str]:
    reference = record["reference_clips_s"]
    lines = [
        f"{record['name']} {record['split']}: {record['clips']} clips of {record['clip']}, {record['failed']} not "
        f"decodable; {record['decoder']}, device {record['device']}, {record['cores']} cores; files in the system's "
        "cache",
        f"{'stage':<22}{'clips/s':>10}{'x reference':>13}",
    ]
    if reference is not None:
        lines.append(_line("reference", reference, reference))
    lines += [_line(f"decode, {n} process{'es' * (n > 1)}", rate, reference) for n, rate in rates.decode.items()]
    lines.append(_line("transform", rates.transform, reference))
    if rates.transfer is None:
        lines.append(f"{'transfer':<22}{'-':>10}  not applicable: the device is the processor")
    else:
        lines.append(_line("transfer", rates.transfer, reference))
    if reference is not None:
        lines.append(f"reference: {LIMIT}")
    return [
        *lines,
        f"advice: --workers {advice.workers}, about {advice.clips_s:.0f} clips/s before the model; the bottleneck is "
        f"{advice.bottleneck}",
    ]


def _line(stage: str, rate: float, reference: float | None) -> str:
    return f"{stage:<22}{rate:>10.1f}" + ("" if reference is None else f"{rate / reference:>13.2f}")
