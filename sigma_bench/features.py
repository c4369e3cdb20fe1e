"""Features of a frozen encoder: computed once, cached on disk, shared by every task that asks for the same ones."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from sigma_bench import feature_cache
from sigma_bench.contracts import Encoder, Run, UserError
from sigma_bench.data import files
from sigma_bench.data.decode import stills
from sigma_bench.data.decode.backends import pick
from sigma_bench.data.index import Index
from sigma_bench.data.load import WHERE
from sigma_bench.data.ranks import Ranks, share
from sigma_bench.data.views import DECODER, Views
from sigma_bench.encoding import GIVEN_UP, Asked, Kind, batch_size, batches, settled
from sigma_bench.feature_journal import Journal
from sigma_bench.models.fingerprint import fingerprint
from sigma_bench.models.pooling import pool_tokens
from sigma_bench.models.shortened import shortened
from sigma_bench.progress import Reporter

VERSION = 3
"""Raised when the same request would give other numbers: part of the key of the cache."""
SAMPLES = "samples.arrow"
"""The rows of the index, for other processes."""

__all__ = ["Features", "Helpers", "Kind", "Views", "contribute", "extract", "extract_all", "pool_tokens"]


@dataclass(frozen=True)
class Helpers:
    """Other processes that hold an encoder with these weights and take a share of its features: see `contribute`.

    With `called`, this process is one of them, and all do the same work (`evaluators.together`).
    """

    ranks: Ranks
    weights: str
    called: bool = False


@dataclass
class Features:
    """Features of the samples of an index, in its order, what could not be decoded, and where they came from.

    Pooled ones are (N, V, D) float32, all tokens (N, V, tokens, D) float16 or float32. Rows of samples with an error
    are zero and not to be used: see `ok_N`.
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

    Args:
        encoder: The frozen encoder, put in eval mode.
        index: The samples.
        views: The views of each.
        run: Device, precision, cache folder (`run.folder / "features"`), other processes.
        layer: Block whose tokens are pooled.
        norm: Apply the pretraining norm.
        pool: "mean" or "cls"; "tokens" and "tokens_fp32" keep all of them.
    """
    return extract_all(encoder, index, views, run, [Kind(layer, pool)], norm=norm)[0]


def extract_all(
    encoder: Encoder, index: Index, views: Views, run: Run, kinds: Sequence[Kind], *, norm: bool = True
) -> list[Features]:
    """Return features of several layers and poolings; those not in the cache are computed in one pass.

    Each kind has an entry of its own, whatever it was computed with. Two processes that ask for the same features
    compute them once: the second waits. A pass that was killed is gone on with where it was. A run with `limit` has an
    entry of its own. What was not used for longest is deleted beyond a bound (`feature_cache`). Values are mapped to
    memory, which so does not grow with the data. Files that cannot be decoded are samples with an error, never
    replaced. With `run.helpers` the work is shared with other processes; on a CPU the values are the same bit by bit.

    Args:
        encoder: The frozen encoder, put in eval mode. Where the views give fewer frames than it takes, it is shortened.
        index: The samples.
        views: The views of each.
        run: Device, precision, cache folder (`run.folder / "features"`), other processes.
        kinds: Layers and poolings.
        norm: Apply the pretraining norm.

    Raises:
        UserError: The encoder has no such layer, cannot be shown clips of this length, or the disk is too small.
        FloatingPointError: The encoder gives something that is no number.
    """
    kinds = [settled(kind, encoder.spec) for kind in kinds]
    common = _common(encoder, index, Asked(views, norm, tuple(kinds)), run)
    encoder = _for(encoder, views)
    wanted = {kind: _of(common, kind) for kind in dict.fromkeys(kinds)}
    places = {kind: _place(run, want) for kind, want in wanted.items()}
    held: dict[str, Features] = run.held if run.held is not None else {}
    with ExitStack() as locks:
        absent = [kind for kind in wanted if places[kind].name not in held]
        for place in sorted(places[kind] for kind in absent):
            locks.enter_context(feature_cache.alone(place))
        cached = {kind: feature_cache.settled(places[kind], wanted[kind]) for kind in absent}
        missing = tuple(kind for kind in absent if not cached[kind])
        if missing:
            lacking = {kind: wanted[kind] for kind in missing}
            _compute(encoder, index, Asked(views, norm, missing), run, places, lacking)
        found = {kind: held.get(place.name) or _opened(place, cached[kind]) for kind, place in places.items()}
    if run.held is not None:
        run.held.update({places[kind].name: features for kind, features in found.items()})
    return [found[kind] for kind in kinds]


def _opened(place: Path, cached: bool) -> Features:
    """Return an entry, whose lock is held."""
    feature_cache.used(place)
    origin = json.loads((place / feature_cache.ORIGIN).read_text(encoding="utf-8"))
    values = np.load(place / "values.npy", mmap_mode="r")
    return Features(values, np.load(place / "ok.npy"), origin["errors"], {**origin, "cached": cached})


def _common(encoder: Encoder, index: Index, asked: Asked, run: Run) -> dict[str, Any]:
    """Return, as JSON holds it, all that the numbers of every kind depend on."""
    decoder = pick(DECODER)
    common: dict[str, Any] = {
        "version": VERSION,
        "weights": fingerprint(encoder),
        "spec": asdict(encoder.spec),
        "index": content_sha256(index),
        "root": str(index.root.resolve()),
        "views": asdict(asked.views),
        "norm": asked.norm,
        "decoder": f"{decoder.name} {decoder.version()}",
        "pictures": f"{stills.Still.backend} {stills.version()}",
        "torch": str(torch.__version__),
        "precision": run.precision,
        "device": torch.device(run.device).type,
    }
    younger = {"count_fps": None, "order": "natural", "frames": ()}  # settings that entries are older than
    common["views"] = {k: v for k, v in common["views"].items() if k not in younger or v != younger[k]}
    return dict(json.loads(json.dumps(common)))


def _of(common: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """Return all that the numbers of one kind depend on; whatever else was computed in the same pass does not count."""
    return {**common, "layer": kind.layer, "pool": kind.pool}


def _place(run: Run, wanted: dict[str, Any]) -> Path:
    key = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    return run.folder / "features" / key[:2] / key


def _compute(
    encoder: Encoder,
    index: Index,
    asked: Asked,
    run: Run,
    places: dict[Kind, Path],
    wanted: dict[Kind, dict[str, Any]],
) -> None:
    """Fill a folder beside each place and rename it, so that an entry is either whole or absent."""
    partial = [feature_cache.partial(places[kind]) for kind in asked.kinds]
    helped = run.helpers is not None and run.helpers.weights == wanted[asked.kinds[0]]["weights"]
    ranks = run.helpers.ranks if helped else Ranks()
    shapes = [(index.count, asked.views.count, *kind.shape(encoder.spec)) for kind in asked.kinds]
    size = index.count * asked.views.count * sum(kind.bytes(encoder.spec) for kind in asked.kinds)
    feature_cache.make_room(run.folder / "features", size, keep=list(places.values()))
    feature_cache.check_room(run.folder / "features", partial, (2 if ranks.world > 1 else 1) * size)
    began = time.perf_counter()
    for folder in partial:
        folder.mkdir(parents=True, exist_ok=True)
    if ranks.world > 1:
        _call(ranks, index, partial, asked, wanted[asked.kinds[0]])
    parts = ranks.together(lambda: _part(encoder, index, asked, run, partial, ranks))
    errors = {name: reason for part in parts for name, reason in part["errors"].items()}
    decoders: Counter[str] = sum((Counter(part["decoders"]) for part in parts), Counter())
    for kind, folder, shape in zip(asked.kinds, partial, shapes, strict=True):
        _merge(folder, index, asked, shape, kind, ranks.world)
        np.save(folder / "ok.npy", np.array([name not in errors for name in index.ids], bool))
        origin = {
            **wanted[kind],
            "errors": {name: errors[name] for name in index.ids if name in errors},
            "given_up": sorted(name for name, reason in errors.items() if reason.startswith(GIVEN_UP)),
            "decoders": dict(sorted(decoders.items())),
            "seconds": round(time.perf_counter() - began, 3),
        }
        (folder / feature_cache.ORIGIN).write_text(json.dumps(origin, indent=1), encoding="utf-8")
        shutil.rmtree(places[kind], ignore_errors=True)  # what a kill left incomplete
        folder.rename(places[kind])


def _call(ranks: Ranks, index: Index, partial: Sequence[Path], asked: Asked, wanted: dict[str, Any]) -> None:
    """Tell the helpers what to do; the samples lie in the first of the folders that the parts go to."""
    with pa.ipc.new_file(partial[0] / SAMPLES, index.table.schema) as file:
        file.write_table(index.table)
    ranks.send(
        {
            "do": "features",
            "folders": [str(folder.resolve()) for folder in partial],
            "kinds": [asdict(kind) for kind in asked.kinds],
            "root": str(index.root.absolute()),
            "wanted": wanted,
        }
    )


def contribute(encoder: Encoder, message: dict[str, Any], run: Run, ranks: Ranks) -> dict[str, Any]:
    """Compute this process's share of what rank 0 asks for, into a file; return what `_part` returns.

    Raises:
        UserError: This process would compute other numbers than rank 0: other weights, files, versions or device.
    """
    folders, theirs = [Path(folder) for folder in message["folders"]], message["wanted"]
    try:
        with pa.ipc.open_file(folders[0] / SAMPLES) as file:
            index = Index("", "", Path(message["root"]), (), file.read_all())
    except FileNotFoundError as error:
        raise UserError(f"{folders[0]}: not seen by this process; --out must be a folder that all see") from error
    kinds = tuple(Kind(**kind) for kind in message["kinds"])
    asked = Asked(Views(**theirs["views"]), theirs["norm"], kinds)
    mine = _of(_common(encoder, index, asked, run), kinds[0])
    if mine != theirs:
        other = [f"{name} {mine.get(name)} (process 0: {theirs.get(name)})" for name in sorted({*mine, *theirs})
                 if mine.get(name) != theirs.get(name)]  # fmt: skip
        raise UserError(
            f"not what process 0 has: {'; '.join(other)}. All need the same checkpoint, data, versions and settings"
        )
    return _part(_for(encoder, asked.views), index, asked, run, folders, ranks)


def _for(encoder: Encoder, views: Views) -> Encoder:
    """Return the encoder for clips as long as the views give; they are known by the one it is made of."""
    return shortened(encoder, len(views.frames[0])) if views.frames else encoder


def _part(
    encoder: Encoder, index: Index, asked: Asked, run: Run, folders: Sequence[Path], ranks: Ranks
) -> dict[str, Any]:
    """Write the features of this process's rows to files of its own; return its `errors` and `decoders`.

    What stands in a batch with what does not depend on the number of processes: whole batches are dealt out.
    """
    rows = _rows(index.count, asked.views, ranks.rank, ranks.world)
    shapes = [(len(rows), asked.views.count, *kind.shape(encoder.spec)) for kind in asked.kinds]
    types = [kind.dtype for kind in asked.kinds]
    with Journal(folders, shapes, types, ranks.rank, ranks.world) as journal, _reporter(
        index, len(rows), ranks, journal.samples
    ) as reporter:  # fmt: skip
        for batch in batches(encoder, index, asked, run, rows, skip=frozenset(journal.done)):
            for values, found in zip(journal.values, batch.values, strict=False):
                values[batch.done] = found
            journal.note(batch, {index.ids[rows[place]]: reason for place, reason in batch.errors.items()})
            reporter.update(journal.samples)
        return {"errors": journal.errors, "decoders": journal.decoders}


def _rows(count: int, views: Views, rank: int, world: int) -> list[int]:
    """Return which rows of an index a process encodes, ascending."""
    size = batch_size(views)
    mine = share(-(-count // size), rank, world)
    return [row for batch in mine for row in range(batch * size, min((batch + 1) * size, count))]


def _merge(folder: Path, index: Index, asked: Asked, shape: tuple[int, ...], kind: Kind, world: int) -> None:
    """Make one `values.npy` of the parts of all processes."""
    if world == 1:
        (folder / "values.0.npy").rename(folder / "values.npy")
    else:
        values = np.lib.format.open_memmap(folder / "values.npy", mode="w+", dtype=kind.dtype, shape=shape)
        for rank in range(world):
            rows = _rows(index.count, asked.views, rank, world)
            part = np.load(folder / f"values.{rank}.npy", mmap_mode="r") if rows else None
            for first in range(0, len(rows), 4096):
                some = slice(first, first + 4096)
                assert part is not None
                values[rows[some]] = part[some]
        values.flush()
    for file in (*folder.glob("values.*.npy"), *folder.glob("journal.*"), folder / SAMPLES):
        file.unlink(missing_ok=True)


def _reporter(index: Index, count: int, ranks: Ranks, start: int) -> Reporter:
    title = f"features of {index.name} {index.split}"
    if ranks.world > 1:
        title += f", process {ranks.rank} of {ranks.world}"
    return Reporter(title, count, "video", start, silent=ranks.rank > 0)
