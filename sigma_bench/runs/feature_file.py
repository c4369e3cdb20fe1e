"""Features of one's own videos as a Parquet file: one row a video."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sigma_bench.contracts import Run, UserError
from sigma_bench.data.datasets import folder, own_lists
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.index import Index
from sigma_bench.data.views import Views
from sigma_bench.encoding import settled
from sigma_bench.features import Features, Kind, extract_all
from sigma_bench.progress import say
from sigma_bench.runs.machine import decoder_versions, described, set_threads, torch_device
from sigma_bench.runs.reading import AS_STORED, Reading
from sigma_bench.runs.systems import candidate

ROWS = 1024
"""Videos that are written at a time."""
POOLS = ("mean", "cls")
KEY = b"sigma_bench"
"""Entry of the file's metadata that says, as JSON, how its features were made."""


@dataclass(frozen=True)
class Request:
    """What is asked for."""

    checkpoint: str
    videos: Path
    out: Path
    layers: tuple[int, ...] = (-1,)
    pools: tuple[str, ...] = ()
    norm: bool = True
    clips: int = 1
    crops: int = 1
    stride: int = 4
    force: bool = False
    cache: Path = Path("runs/eval")
    family: str | None = None
    heads: int | None = None
    reading: Reading = AS_STORED
    device: str = "auto"
    precision: str = "fp32"
    workers: int = 2
    specs: Path | None = None


def write(request: Request) -> int:
    """Write the features of every video; return the exit code: 0, or 1 where no video could be decoded.

    A vector is the mean over the clips and crops of a video. Columns: `id`, `path`, `feature` (or, of several layers
    and poolings, `feature_layer11_mean` and so on; null where the video could not be decoded) and `error`.

    Raises:
        UserError: The file is there already, no such videos, or the checkpoint cannot be read.
    """
    _check(request)
    index = videos(request.videos)
    system = candidate(request.checkpoint, request.family, request.heads, None, request.specs, request.reading)
    say(system.headline)
    set_threads(None, request.workers)
    device = torch_device(request.device)
    encoder = system.encoder(device)
    views = Views("dense_test", request.clips, request.crops, request.stride, "full", False, 0)
    pools = request.pools or (encoder.spec.default_pool,)
    kinds = list(dict.fromkeys(settled(Kind(layer, pool), encoder.spec) for layer in request.layers for pool in pools))
    with DecodePool("sigma_bench.data.load:load_clips", workers=request.workers) as pool:
        run = Run(device, 0, None, request.cache, None, request.precision, request.workers, pool)
        found = extract_all(encoder, index, views, run, kinds, norm=request.norm)
    about = {
        "system": system.description["system"],
        "checkpoint_sha256": system.sha256,
        "layers_and_pools": [asdict(kind) for kind in kinds],
        "norm": request.norm,
        "frames": encoder.spec.frames,
        "views": asdict(views),
        "precision": request.precision,
        "decoder": decoder_versions(found[0].origin["decoders"]),
        **described(device),
    }
    _save(request.out, index, dict(zip(names(kinds), found, strict=True)), about)
    good = int(found[0].ok_N.sum())
    errors = list(found[0].errors.items())
    say(f"{request.out}: {good} of {index.count} videos, {', '.join(names(kinds))} of {encoder.spec.embed_dim} numbers")
    for name, reason in errors[:5]:
        say(f"  not decoded: {name}: {reason}")
    if len(errors) > 5:
        say(f"  and {len(errors) - 5} more; see the column error")
    return 0 if good else 1


def videos(place: Path) -> Index:
    """Return the videos of a folder, or of a list.

    Raises:
        UserError: There are none.
    """
    if place.is_dir():
        return folder.read(place)
    return own_lists.listed(place)


def names(kinds: Sequence[Kind]) -> list[str]:
    """Return the columns of features."""
    return ["feature"] if len(kinds) == 1 else [f"feature_layer{kind.layer}_{kind.pool}" for kind in kinds]


def _check(request: Request) -> None:
    if request.out.suffix != ".parquet":
        raise UserError(f"--out {request.out}: expected the name of a Parquet file, such as features.parquet")
    if request.out.exists() and not request.force:
        raise UserError(f"--out {request.out}: there already; name another, or --force to write it anew")
    if unknown := [pool for pool in request.pools if pool not in POOLS]:
        raise UserError(f"--pool {unknown[0]}: expected {' or '.join(POOLS)}")
    if request.precision not in ("fp32", "bf16"):
        raise UserError(f"--precision {request.precision}: expected fp32 or bf16")
    if request.crops not in (1, 3):
        raise UserError(f"--crops {request.crops}: expected 1 or 3")


def _save(out: Path, index: Index, found: dict[str, Features], about: dict[str, Any]) -> None:
    """Write the file whole or not at all."""
    schema = pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("path", pa.string(), nullable=False),
            *(pa.field(name, pa.list_(pa.float32())) for name in found),
            pa.field("error", pa.string()),
        ],
        metadata={KEY: json.dumps(about).encode()},
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.{uuid.uuid4().hex}")
    try:
        with pq.ParquetWriter(draft, schema) as writer:
            for batch in _batches(index, found, schema):
                writer.write_batch(batch)
        os.replace(draft, out)
    finally:
        draft.unlink(missing_ok=True)


def _batches(index: Index, found: dict[str, Features], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    first = next(iter(found.values()))
    for start in range(0, index.count, ROWS):
        some = slice(start, min(start + ROWS, index.count))
        ids = index.ids[some]
        columns: list[pa.Array] = [
            pa.array(ids),
            pa.array([str(index.path(row)) for row in range(some.start, some.stop)]),
        ]
        for features in found.values():
            means = np.asarray(features.values_NVD[some]).mean(1)
            good = features.ok_N[some]
            columns.append(
                pa.array([row if ok else None for row, ok in zip(means, good, strict=True)], schema.field(2).type)
            )
        columns.append(pa.array([first.errors.get(name) for name in ids], pa.string()))
        yield pa.record_batch(columns, schema=schema)
