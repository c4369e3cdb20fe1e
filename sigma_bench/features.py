"""Features of a frozen encoder: computed once, cached on disk, shared by every task that asks for the same ones."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from sigma_bench import feature_cache
from sigma_bench.contracts import Encoder, Run, UserError
from sigma_bench.data import files, transforms
from sigma_bench.data.decode import stills
from sigma_bench.data.decode.backends import pick
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.index import Index
from sigma_bench.data.load import WHERE
from sigma_bench.data.ranks import Ranks, share
from sigma_bench.data.views import DECODER, Views, requests, sample_views
from sigma_bench.models.fingerprint import fingerprint
from sigma_bench.models.pooling import pool_tokens
from sigma_bench.progress import Reporter

GIVEN_UP = "given up: "
"""Begins the error of a file that another attempt might decode."""
VERSION = 2
"""Raised when the same request would give other numbers: part of the key of the cache."""
VIEWS_AT_A_TIME = 64
"""About so many views are encoded in one batch."""
SAMPLES = "samples.arrow"
"""The rows of the index, for other processes."""

__all__ = ["Asked", "Features", "Helpers", "Views", "contribute", "extract", "pool_tokens"]


@dataclass(frozen=True)
class Asked:
    """What is computed of every sample: see `extract`."""

    views: Views
    layer: int
    norm: bool
    pool: str


@dataclass(frozen=True)
class Helpers:
    """Other processes that hold an encoder with these weights and take a share of its features: see `contribute`."""

    ranks: Ranks
    weights: str


@dataclass
class Features:
    """Pooled features (N, V, D) float32 in the order of the index, what could not be decoded, and where they came from.

    Rows of samples with an error are zero and not to be used: see `ok`.
    """

    values_NVD: np.ndarray
    ok_N: np.ndarray
    errors: dict[str, str]
    origin: dict[str, Any]


def content_sha256(index: Index) -> str:
    """Return the SHA-256 of what is decoded: ids, paths, spans, rates, and the stamp of every file (0 where absent).

    Labels change no feature, and are left out.
    """
    columns = {name: index.table[name].to_pylist() for name in ("id", *WHERE)}
    stamps = {path: files.stamp(index.root / path) for path in dict.fromkeys(columns["path"])}
    return hashlib.sha256(json.dumps([columns, stamps]).encode()).hexdigest()


def extract(
    encoder: Encoder, index: Index, views: Views, run: Run, *, layer: int = -1, norm: bool = True, pool: str = "mean"
) -> Features:
    """Return the pooled features of every sample of `index`, from the cache where they have been computed before.

    Two processes that ask for the same features compute them once: the second waits. A run with `limit` has an entry
    of its own. What was not used for longest is deleted beyond a bound (`feature_cache`). Values are mapped to memory,
    which so does not grow with the data. Files that cannot be decoded are samples with an error, never replaced. With
    `run.helpers` the work is shared with other processes; on a CPU the values are the same bit by bit.

    Args:
        encoder: The frozen encoder, put in eval mode.
        index: The samples.
        views: The views of each.
        run: Device, precision, cache folder (`run.folder / "features"`), other processes.
        layer: Block whose tokens are pooled.
        norm: Apply the pretraining norm.
        pool: "mean" or "cls".
    """
    asked = Asked(views, layer, norm, pool)
    wanted = _wanted(encoder, index, asked, run)
    key = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    place = run.folder / "features" / key[:2] / key
    with feature_cache.alone(place):
        cached = feature_cache.settled(place, wanted)
        if not cached:
            _compute(encoder, index, asked, run, place, wanted)
        feature_cache.used(place)
        origin = json.loads((place / feature_cache.ORIGIN).read_text(encoding="utf-8"))
        values = np.load(place / "values.npy", mmap_mode="r")
        return Features(values, np.load(place / "ok.npy"), origin["errors"], {**origin, "cached": cached})


def _wanted(encoder: Encoder, index: Index, asked: Asked, run: Run) -> dict[str, Any]:
    """Return, as JSON holds it, all that the numbers depend on."""
    decoder = pick(DECODER)
    wanted: dict[str, Any] = {
        "version": VERSION,
        "weights": fingerprint(encoder),
        "spec": asdict(encoder.spec),
        "index": content_sha256(index),
        "root": str(index.root.resolve()),
        **asdict(asked),
        "decoder": f"{decoder.name} {decoder.version()}",
        "pictures": f"{stills.Still.backend} {stills.version()}",
        "torch": str(torch.__version__),
        "precision": run.precision,
        "device": torch.device(run.device).type,
    }
    if asked.views.count_fps is None:
        wanted["views"].pop("count_fps")  # entries are older than this setting
    return dict(json.loads(json.dumps(wanted)))


def _compute(encoder: Encoder, index: Index, asked: Asked, run: Run, place: Path, wanted: dict[str, Any]) -> None:
    """Fill a folder beside `place` and rename it, so that an entry is either whole or absent."""
    partial = place.with_name(f"{place.name}{feature_cache.PARTIAL}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    helped = run.helpers is not None and run.helpers.weights == wanted["weights"]
    ranks = run.helpers.ranks if helped else Ranks()
    shape = (index.count, asked.views.count, encoder.spec.embed_dim)
    size = 4 * math.prod(shape)
    feature_cache.make_room(place.parent.parent, size, keep=place)
    feature_cache.check_room(partial, (2 if ranks.world > 1 else 1) * size)
    began = time.perf_counter()
    if ranks.world > 1:
        _call(ranks, index, partial, wanted)
    parts = ranks.together(lambda: _part(encoder, index, asked, run, partial, ranks))
    _merge(partial, index, asked, shape, ranks.world)
    errors = {name: reason for part in parts for name, reason in part["errors"].items()}
    decoders: Counter[str] = sum((Counter(part["decoders"]) for part in parts), Counter())
    np.save(partial / "ok.npy", np.array([name not in errors for name in index.ids], bool))
    origin = {
        **wanted,
        "errors": {name: errors[name] for name in index.ids if name in errors},
        "given_up": sorted(name for name, reason in errors.items() if reason.startswith(GIVEN_UP)),
        "decoders": dict(sorted(decoders.items())),
        "seconds": round(time.perf_counter() - began, 3),
    }
    (partial / feature_cache.ORIGIN).write_text(json.dumps(origin, indent=1), encoding="utf-8")
    shutil.rmtree(place, ignore_errors=True)  # what a kill left incomplete
    partial.rename(place)


def _call(ranks: Ranks, index: Index, partial: Path, wanted: dict[str, Any]) -> None:
    """Tell the helpers what to do; the samples lie in the folder that the parts go to."""
    with pa.ipc.new_file(partial / SAMPLES, index.table.schema) as file:
        file.write_table(index.table)
    ranks.send(
        {
            "do": "features",
            "folder": str(partial.resolve()),
            "root": str(index.root.absolute()),
            "wanted": wanted,
        }
    )


def contribute(encoder: Encoder, message: dict[str, Any], run: Run, ranks: Ranks) -> dict[str, Any]:
    """Compute this process's share of what rank 0 asks for, into a file; return what `_part` returns.

    Raises:
        UserError: This process would compute other numbers than rank 0: other weights, files, versions or device.
    """
    folder, theirs = Path(message["folder"]), message["wanted"]
    try:
        with pa.ipc.open_file(folder / SAMPLES) as file:
            index = Index("", "", Path(message["root"]), (), file.read_all())
    except FileNotFoundError as error:
        raise UserError(f"{folder}: not seen by this process; --out must be a folder that all see") from error
    asked = Asked(Views(**theirs["views"]), theirs["layer"], theirs["norm"], theirs["pool"])
    mine = _wanted(encoder, index, asked, run)
    if mine != theirs:
        other = [f"{name} {mine.get(name)} (process 0: {theirs.get(name)})" for name in sorted({*mine, *theirs})
                 if mine.get(name) != theirs.get(name)]  # fmt: skip
        raise UserError(
            f"not what process 0 has: {'; '.join(other)}. All need the same checkpoint, data, versions and settings"
        )
    return _part(encoder, index, asked, run, folder, ranks)


def _part(encoder: Encoder, index: Index, asked: Asked, run: Run, folder: Path, ranks: Ranks) -> dict[str, Any]:
    """Write the features of this process's rows to a file of its own; return its `errors` and `decoders`.

    What stands in a batch with what does not depend on the number of processes: whole batches are dealt out.
    """
    spec, views = encoder.spec, asked.views
    rows = _rows(index.count, views, ranks.rank, ranks.world)
    size = _batch(views)
    shape = (len(rows), views.count, spec.embed_dim)
    values = np.lib.format.open_memmap(folder / f"values.{ranks.rank}.npy", mode="w+", dtype=np.float32, shape=shape)
    errors: dict[str, str] = {}
    decoders: Counter[str] = Counter()
    with _decoders(run) as workers, _reporter(index, len(rows), ranks) as reporter:
        results = workers.map(requests(index, views, spec, rows), ahead=max(8, 2 * size))
        for first in range(0, len(rows), size):
            places: list[int] = []
            clips: list[torch.Tensor] = []
            for place, result in zip(range(first, min(first + size, len(rows))), results, strict=False):
                if result.arrays is None:
                    errors[index.ids[rows[place]]] = f"{GIVEN_UP if result.transient else ''}{result.error}"
                    continue
                decoders[str(result.info.get("backend"))] += 1
                places.append(place)
                clips += sample_views(result, views, spec, run.device)
            if places:
                found = _encode(encoder, torch.stack(clips), run, asked.layer, asked.norm, asked.pool)
                values[places] = _finite(found.reshape(len(places), views.count, -1), [rows[p] for p in places], index)
            reporter.update(min(first + size, len(rows)))
    values.flush()
    return {"errors": errors, "decoders": decoders}


def _finite(found: np.ndarray, rows: list[int], index: Index) -> np.ndarray:
    """Return features as they are; a probe would make a number of NaN too."""
    bad = [index.ids[row] for row, sample in zip(rows, found, strict=True) if not np.isfinite(sample).all()]
    if bad:
        raise FloatingPointError(
            f"the encoder gives NaN or infinite features for {len(bad)} of {len(rows)} samples of a batch, the first "
            f"{bad[0]}; its weights are damaged, or --precision is too low for it"
        )
    return found


def _batch(views: Views) -> int:
    """Return how many samples are encoded at a time."""
    return -(-VIEWS_AT_A_TIME // views.count)


def _rows(count: int, views: Views, rank: int, world: int) -> list[int]:
    """Return which rows of an index a process encodes, ascending."""
    size = _batch(views)
    batches = share(-(-count // size), rank, world)
    return [row for batch in batches for row in range(batch * size, min((batch + 1) * size, count))]


def _merge(folder: Path, index: Index, asked: Asked, shape: tuple[int, ...], world: int) -> None:
    """Make one `values.npy` of the parts of all processes."""
    if world == 1:
        (folder / "values.0.npy").rename(folder / "values.npy")
        return
    values = np.lib.format.open_memmap(folder / "values.npy", mode="w+", dtype=np.float32, shape=shape)
    for rank in range(world):
        rows = _rows(index.count, asked.views, rank, world)
        if rows:
            values[rows] = np.load(folder / f"values.{rank}.npy", mmap_mode="r")
    values.flush()
    for name in (*(f"values.{rank}.npy" for rank in range(world)), SAMPLES):
        (folder / name).unlink()


def _decoders(run: Run) -> AbstractContextManager[DecodePool]:
    if run.pool is not None:
        return nullcontext(run.pool)
    return DecodePool("sigma_bench.data.load:load_clips", workers=run.workers)


def _reporter(index: Index, count: int, ranks: Ranks) -> Reporter:
    title = f"features of {index.name} {index.split}"
    if ranks.world > 1:
        title += f", process {ranks.rank} of {ranks.world}"
    return Reporter(title, count, "video", silent=ranks.rank > 0)


@torch.inference_mode()
def _encode(encoder: Encoder, clips_u8: torch.Tensor, run: Run, layer: int, norm: bool, pool: str) -> np.ndarray:
    spec = encoder.spec
    clips = transforms.normalize(clips_u8, spec.mean, spec.std)
    with torch.autocast(torch.device(run.device).type, dtype=torch.bfloat16, enabled=run.precision == "bf16"):
        pooled = pool_tokens(encoder.tokens(clips, layer=layer, norm=norm), pool)
    return pooled.float().cpu().numpy()
