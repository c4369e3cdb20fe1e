"""The scores of a trained classifier: the fixed views of every sample, put together, on one or several processes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sigma_bench.contracts import EncoderSpec, Run
from sigma_bench.data import transforms
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.index import Index
from sigma_bench.data.ranks import Ranks, share
from sigma_bench.data.views import Views, requests, sample_views
from sigma_bench.encoding import GIVEN_UP, batch_size
from sigma_bench.metrics.views import by_row, mean_softmax
from sigma_bench.models.classifier import VideoClassifier
from sigma_bench.progress import Reporter
from sigma_bench.train.loop import autocast

Aggregate = Callable[[np.ndarray], np.ndarray]
"""Logits (N, V, C) float32 -> scores (N, C)."""


@dataclass
class Scores:
    """Scores (N, C) in the order of the index, NaN for samples that were not decoded, and what was decoded how."""

    values_NC: np.ndarray
    ok_N: np.ndarray
    errors: dict[str, str] = field(default_factory=dict)
    decoders: dict[str, int] = field(default_factory=dict)


def scores(
    model: VideoClassifier,
    index: Index,
    views: Views,
    run: Run,
    precision: str,
    *,
    ranks: Ranks | None = None,
    folder: Path | None = None,
    aggregate: Aggregate = mean_softmax,
) -> Scores:
    """Return the scores of every sample of `index`; every process calls this, and gets those of all.

    Samples are known by their row in the index. Whole batches are dealt out, so that on a CPU the numbers are the same
    bit by bit on any number of processes. What cannot be decoded has an error and is never replaced.

    Args:
        model: The classifier, put in evaluation mode.
        index: The samples.
        views: Their views.
        run: Device, decoding processes.
        precision: Autocast of the classifier.
        ranks: The processes.
        folder: Where several processes leave their parts, a folder that all see.
        aggregate: Puts the logits of a sample's views together.

    Raises:
        FloatingPointError: Logits are not finite.
    """
    ranks = ranks or Ranks()
    if ranks.world == 1:
        return _merged(index, [_part(model, index, views, run, precision, ranks, aggregate)])
    assert folder is not None

    def work() -> None:
        rows, values, errors, decoders = _part(model, index, views, run, precision, ranks, aggregate)
        told = np.frombuffer(json.dumps([errors, decoders]).encode(), np.uint8)
        with (folder / f"scores.{ranks.rank}.npz").open("wb") as file:
            np.savez(file, rows=rows, values=values, told=told)

    ranks.together(work)
    parts = []
    for rank in range(ranks.world):
        with np.load(folder / f"scores.{rank}.npz") as found:
            errors, decoders = json.loads(found["told"].tobytes())
            parts.append((found["rows"], found["values"], errors, decoders))
    merged = _merged(index, parts)
    ranks.barrier()  # all have read what is now deleted
    (folder / f"scores.{ranks.rank}.npz").unlink()
    return merged


Part = tuple[np.ndarray, np.ndarray, dict[str, str], dict[str, int]]
"""Rows, their scores, errors of samples without, decoders."""


def _part(
    model: VideoClassifier,
    index: Index,
    views: Views,
    run: Run,
    precision: str,
    ranks: Ranks,
    aggregate: Aggregate,
) -> Part:
    """Return what this process's share of the samples gives."""
    spec: EncoderSpec = model.encoder.spec
    size = batch_size(views)
    batches = [range(first, min(first + size, index.count)) for first in range(0, index.count, size)]
    mine = [row for number in share(len(batches), ranks.rank, ranks.world) for row in batches[number]]
    rows: list[int] = []
    values: list[np.ndarray] = []
    errors: dict[str, str] = {}
    decoders: Counter[str] = Counter()
    training = model.training
    model.eval()
    own = DecodePool("sigma_bench.data.load:load_clips", workers=run.workers) if run.pool is None else None
    pool: DecodePool = own or run.pool
    title = f"test on {index.name} {index.split}"
    try:
        with Reporter(title, len(mine), "video", silent=ranks.rank > 0) as reporter:
            results = pool.map(requests(index, views, spec, mine), ahead=max(8, 2 * size))
            for first in range(0, len(mine), size):
                there: list[int] = []
                clips: list[torch.Tensor] = []
                for row, result in zip(mine[first : first + size], results, strict=False):
                    if result.arrays is None:
                        errors[index.ids[row]] = f"{GIVEN_UP if result.transient else ''}{result.error}"
                        continue
                    decoders[str(result.info.get("backend"))] += 1
                    there.append(row)
                    clips += sample_views(result, views, spec, run.device)
                if there:
                    logits = _logits(model, torch.stack(clips), run.device, precision)
                    logits = logits.reshape(len(there), views.count, -1)
                    _check_numbers(logits, [index.ids[row] for row in there], precision)
                    values.append(aggregate(logits))
                    rows += there
                reporter.update(min(first + size, len(mine)))
    finally:
        model.train(training)
        if own is not None:
            own.close()
    classes = model.head.out_features
    found = np.concatenate(values) if values else np.zeros((0, classes))
    return np.array(rows, np.int64), found, errors, dict(decoders)


def _check_numbers(logits_NVC: np.ndarray, names: list[str], precision: str) -> None:
    good_N = np.isfinite(logits_NVC).all((1, 2))
    if not good_N.all():
        first = names[int(np.argmin(good_N))]
        raise FloatingPointError(
            f"the classifier gives NaN or infinite logits for {int((~good_N).sum())} of {len(names)} samples of a "
            f"batch, the first {first}; its weights are damaged, or the precision {precision} is too low for it"
        )


def _merged(index: Index, parts: list[Part]) -> Scores:
    values_NC, ok_N = by_row(index.count, [part[:2] for part in parts])
    errors = {name: reason for part in parts for name, reason in part[2].items()}
    decoders: Counter[str] = sum((Counter(part[3]) for part in parts), Counter())
    return Scores(values_NC, ok_N, errors, dict(sorted(decoders.items())))


@torch.inference_mode()
def _logits(model: VideoClassifier, clips_u8: torch.Tensor, device: str, precision: str) -> np.ndarray:
    spec: EncoderSpec = model.encoder.spec
    clips = transforms.normalize(clips_u8, spec.mean, spec.std)
    with autocast(device, precision):
        logits: torch.Tensor = model(clips)
    found: Any = logits.float().cpu().numpy()
    return np.asarray(found)
