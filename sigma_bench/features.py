"""Features of a frozen encoder: computed once, cached on disk, shared by every task that asks for the same ones."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import nn

from sigma_bench.contracts import Encoder, Run, Tokens, UserError
from sigma_bench.data import files, transforms
from sigma_bench.data.decode import stills
from sigma_bench.data.decode.backends import pick
from sigma_bench.data.decode.pool import DecodePool, Result
from sigma_bench.data.index import Index
from sigma_bench.data.load import WHERE, ClipRequest, where
from sigma_bench.progress import Reporter, say

DECODER = "auto"
"""Decoder of evaluations: one for every file alike, see `data.decode.backends`."""
GIVEN_UP = "given up: "
"""Begins the error of a file that another attempt might decode."""
VERSION = 1
"""Raised when the same request would give other numbers: part of the key of the cache."""


@dataclass(frozen=True)
class Views:
    """Which views of each sample are encoded.

    Attributes:
        sampling: Temporal rule, a name of `data.clips`.
        clips: Temporal clips of a sample.
        crops: Spatial crops of a clip: 1 or 3, or 1 random crop with `box` "random_resized".
        stride: Frames between two frames of a clip.
        box: Spatial rule, a name of `data.boxes`.
        flip: Mirror a view with probability one half (training views).
        seed: Seed of what is random.
    """

    sampling: str
    clips: int
    crops: int
    stride: int
    box: str
    flip: bool
    seed: int

    @property
    def count(self) -> int:
        """Views of a sample."""
        return self.clips * self.crops


@dataclass
class Features:
    """Pooled features (N, V, D) float32 in the order of the index, what could not be decoded, and where they came from.

    Rows of samples with an error are zero and not to be used: see `ok`.
    """

    values_NVD: np.ndarray
    ok_N: np.ndarray
    errors: dict[str, str]
    origin: dict[str, Any]


def fingerprint(encoder: Encoder) -> str:
    """Return the SHA-256 over all weights of an encoder, whatever file they came from."""
    if not isinstance(encoder, nn.Module):
        raise UserError("the encoder is not a torch module: its weights cannot be identified, so nothing can be cached")
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def pool_tokens(tokens: Tokens, pool: str) -> torch.Tensor:
    """Return one vector a clip (B, D): the mean over all tokens, or the class token."""
    if pool == "cls":
        if tokens.cls_BD is None:
            raise UserError("pool: cls asked of an encoder without a class token; use pool: mean")
        return tokens.cls_BD
    return tokens.patch_BTHWD.flatten(1, 3).mean(1)


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
    of its own. Files that cannot be decoded are samples with an error, never replaced.

    Args:
        encoder: The frozen encoder, put in eval mode.
        index: The samples.
        views: The views of each.
        run: Device, precision, cache folder (`run.folder / "features"`).
        layer: Block whose tokens are pooled.
        norm: Apply the pretraining norm.
        pool: "mean" or "cls".
    """
    decoder = pick(DECODER)
    wanted = {
        "version": VERSION,
        "weights": fingerprint(encoder),
        "spec": asdict(encoder.spec),
        "index": content_sha256(index),
        "root": str(index.root.resolve()),
        "views": asdict(views),
        "layer": layer,
        "norm": norm,
        "pool": pool,
        "decoder": f"{decoder.name} {decoder.version()}",
        "pictures": f"{stills.Still.backend} {stills.version()}",
        "precision": run.precision,
        "device": torch.device(run.device).type,
    }
    key = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    place = run.folder / "features" / key[:2] / key
    place.parent.mkdir(parents=True, exist_ok=True)
    with _alone(place):
        cached = _settled(place)
        if not cached:
            _compute(encoder, index, views, run, layer, norm, pool, place, wanted)
    origin = json.loads((place / "origin.json").read_text(encoding="utf-8"))
    values = np.load(place / "values.npy", mmap_mode="r")
    return Features(values, np.load(place / "ok.npy"), origin["errors"], {**origin, "cached": cached})


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Hold the lock of an entry; say so where another process holds it."""
    lock = FileLock(f"{place}.lock")
    try:
        lock.acquire(timeout=1)
    except Timeout:
        say(f"another process computes the same features ({place.name[:12]}); waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _settled(place: Path) -> bool:
    """Tell whether an entry is whole and would come out the same again: a file given up for its time might not."""
    try:
        origin = json.loads((place / "origin.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    return not origin["given_up"]


def _compute(
    encoder: Encoder,
    index: Index,
    views: Views,
    run: Run,
    layer: int,
    norm: bool,
    pool: str,
    place: Path,
    wanted: dict[str, Any],
) -> None:
    """Fill a folder beside `place` and rename it, so that an entry is either whole or absent."""
    partial = place.with_name(f"{place.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    shape = (index.count, views.count, encoder.spec.embed_dim)
    wanted_bytes, free = 4 * math.prod(shape), shutil.disk_usage(partial).free
    if wanted_bytes > free:
        raise UserError(
            f"{partial.parent}: the features need {wanted_bytes / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; name "
            "another --out"
        )
    values = np.lib.format.open_memmap(partial / "values.npy", mode="w+", dtype=np.float32, shape=shape)
    ok = np.zeros(index.count, bool)
    errors: dict[str, str] = {}
    decoders: dict[str, int] = {}
    ids = index.table["id"].to_pylist()
    began = time.perf_counter()
    with (
        _decoders(run) as workers,
        Reporter(f"features of {index.name} {index.split}", index.count, "video") as reporter,
    ):
        for rows, clips in _chunks(workers, index, views, encoder, run, ids, errors, decoders):
            values[rows] = _encode(encoder, clips, run, layer, norm, pool).reshape(len(rows), views.count, -1)
            ok[rows] = True
            reporter.update(rows[-1] + 1)
    values.flush()
    np.save(partial / "ok.npy", ok)
    given_up = sorted(i for i in errors if errors[i].startswith(GIVEN_UP))
    origin = {
        **wanted,
        "errors": errors,
        "given_up": given_up,
        "decoders": decoders,
        "seconds": round(time.perf_counter() - began, 3),
    }
    (partial / "origin.json").write_text(json.dumps(origin, indent=1), encoding="utf-8")
    shutil.rmtree(place, ignore_errors=True)  # what a kill left incomplete
    partial.rename(place)


def _decoders(run: Run) -> AbstractContextManager[DecodePool]:
    if run.pool is not None:
        return nullcontext(run.pool)
    return DecodePool("sigma_bench.data.load:load_clips", workers=run.workers)


def _chunks(
    workers: DecodePool,
    index: Index,
    views: Views,
    encoder: Encoder,
    run: Run,
    ids: list[str],
    errors: dict[str, str],
    decoders: dict[str, int],
    size: int = 64,
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Yield (rows, uint8 views (len(rows) * V, 3, T, S, S)) in the order of the index, about `size` views at a time."""
    rows: list[int] = []
    clips: list[torch.Tensor] = []
    for result in workers.map(requests(index, views, encoder), ahead=max(8, 2 * size // views.count)):
        if result.arrays is None:
            errors[ids[result.index]] = f"{GIVEN_UP if result.transient else ''}{result.error}"
            continue
        decoder = str(result.info.get("backend"))
        decoders[decoder] = decoders.get(decoder, 0) + 1
        rows.append(result.index)
        clips += sample_views(result, views, encoder.spec.image_size, run.device)
        if len(clips) >= size:
            yield rows, torch.stack(clips)
            rows, clips = [], []
    if rows:
        yield rows, torch.stack(clips)


def requests(index: Index, views: Views, encoder: Encoder) -> Iterator[ClipRequest]:
    """Yield the request of every sample of `index`, in order."""
    sample = where(index)
    for row in range(index.count):
        yield ClipRequest(
            **sample(row),
            sampling=views.sampling,
            frames=encoder.spec.frames,
            stride=views.stride,
            clips=views.clips,
            box=views.box,
            flip=views.flip,
            size=encoder.spec.image_size,
            seed=(views.seed, row),
            backend=DECODER,
        )


def sample_views(result: Result, views: Views, size: int, device: str) -> list[torch.Tensor]:
    """Return the V views uint8 (3, T, S, S) of one decoded sample: clip by clip, crop by crop."""
    assert result.arrays is not None
    flips = result.info.get("flips") or [False] * len(result.arrays)
    made: list[torch.Tensor] = []
    for array, flip in zip(result.arrays, flips, strict=True):
        frames = torch.from_numpy(array).to(device)
        if views.box == "full":
            made += transforms.test_crops(frames, size, views.crops)
        else:
            made.append(transforms.to_clip(frames, size, bool(flip)))
    return made


@torch.inference_mode()
def _encode(encoder: Encoder, clips_u8: torch.Tensor, run: Run, layer: int, norm: bool, pool: str) -> np.ndarray:
    spec = encoder.spec
    clips = transforms.normalize(clips_u8, spec.mean, spec.std)
    with torch.autocast(torch.device(run.device).type, dtype=torch.bfloat16, enabled=run.precision == "bf16"):
        pooled = pool_tokens(encoder.tokens(clips, layer=layer, norm=norm), pool)
    return pooled.float().cpu().numpy()
