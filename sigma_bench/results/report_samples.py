"""Records of single samples, from `samples/*.parquet`: accuracy and confusion of classes, samples that failed.

Whatever columns an evaluator wrote are read: `label` and `prediction` make classes, `error` makes failures; where they
are absent it is said what is there instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sigma_bench.results.cells import first_line
from sigma_bench.results.row import Row

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLES: Final = "samples"
MOST_FILES: Final = 60
"""Files whose classes are shown, the newest of each task in turn."""
MOST_FAULTY: Final = 200
"""Files that are read for failed samples beside those."""
MOST_FAILED: Final = 2000
"""Failed samples that are named."""
MOST_PAIRS: Final = 400
"""Confused pairs of classes that are kept of a file, the most frequent ones."""
Z95: Final = 1.959963984540054
WANTED = ("id", "label", "label_name", "prediction", "right_draws", "draws", "error")


@dataclass
class Samples:
    """What the files of samples hold.

    Attributes:
        classes: A measurement each: number of its `row`, `names` of the classes, and of each `n` samples, `right`
            ones (a share where there are several draws of training labels), `low` and `high` of the 95 % interval,
            `hits` of the single prediction; `pairs` of (class, taken for, how often).
        failed: Samples: `id`, `reason`, `task`, `data` and numbers of the `rows`.
        failed_count: Of these, those left out included.
        notes: What is absent, and why.
    """

    classes: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    failed_count: int = 0
    notes: list[str] = field(default_factory=list)


class Unreadable(Exception):
    """Why a file of samples tells nothing."""


def read(folder: Path, rows: Sequence[Row], most_files: int = MOST_FILES) -> Samples:
    """Return what is known of single samples.

    Args:
        folder: That of the row files; `samples/` lies in it, and nothing outside it is read.
        rows: The latest rows; their numbers are those of the result.
        most_files: Of the files of which classes are shown.
    """
    found = Samples()
    by_file: dict[str, int] = {}
    for number, row in enumerate(rows):
        if SAMPLES in row.artifacts:
            by_file.setdefault(row.artifacts[SAMPLES], number)
    if not by_file:
        found.notes.append("No row names a file of its samples.")
        return found
    chosen = _in_turn(by_file.values(), rows)[:most_files]
    faulty = [n for n in by_file.values() if rows[n].n_decoded < rows[n].n_expected and n not in set(chosen)]
    if len(by_file) > len(chosen):
        found.notes.append(
            f"Classes of the newest {len(chosen)} of {len(by_file)} measurements; the page would grow too large."
        )
    if len(faulty) > MOST_FAULTY:
        found.notes.append(f"Failed samples of {MOST_FAULTY} of {len(faulty)} further incomplete measurements.")
    failed: dict[tuple[str, str, str, str], list[int]] = {}
    absent: dict[str, list[str]] = {}
    for number in [*chosen, *faulty[:MOST_FAULTY]]:
        row = rows[number]
        try:
            table = _table(folder, row.artifacts[SAMPLES])
            _failed(table, number, row, failed)
            if number in chosen:
                found.classes.append({"row": number, **classes(table)})
        except Unreadable as error:
            absent.setdefault(str(error), []).append(f"{row.system}, {row.task}")
    for reason, names in sorted(absent.items()):
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        found.notes.append(f"{'; '.join(names[:3])}{more}: {reason}.")
    found.failed_count = len(failed)
    for (data, task, sample, reason), numbers in list(failed.items())[:MOST_FAILED]:
        found.failed.append({"data": data, "task": task, "id": sample, "reason": reason, "rows": sorted(numbers)[:50]})
    if len(failed) > MOST_FAILED:
        found.notes.append(f"The first {MOST_FAILED} of {len(failed)} failed samples.")
    return found


def _in_turn(numbers: Iterable[int], rows: Sequence[Row]) -> list[int]:
    """Return row numbers, the newest first, the tasks in turn, so that none is crowded out."""
    by_task: dict[tuple[str, str], list[int]] = {}
    for number in sorted(numbers, key=lambda n: rows[n].measured_at, reverse=True):
        by_task.setdefault((rows[number].data, rows[number].task), []).append(number)
    ranked = [(place, order, n) for order, own in enumerate(by_task.values()) for place, n in enumerate(own)]
    return [number for _, _, number in sorted(ranked)]


def _table(folder: Path, name: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    file = folder / name
    try:
        if not file.resolve().is_relative_to(folder.resolve()):
            raise Unreadable("its samples lie outside the folder of rows, where nothing is read")
        there = parquet.read_schema(file).names
        table = parquet.read_table(file, columns=[column for column in WANTED if column in there])
    except FileNotFoundError:
        raise Unreadable("its file of samples is not there") from None
    except (OSError, RuntimeError, ValueError, pa.ArrowException) as error:
        raise Unreadable(f"its file of samples cannot be read ({first_line(str(error))})") from error
    return table.replace_schema_metadata({"columns": ", ".join(there)[:300]})


def _failed(table: pa.Table, number: int, row: Row, failed: dict[tuple[str, str, str, str], list[int]]) -> None:
    if "error" not in table.column_names:
        return
    errors = table["error"].to_pylist()
    if not any(errors):
        return
    ids = table["id"].to_pylist() if "id" in table.column_names else list(range(len(errors)))
    for sample, error in zip(ids, errors, strict=True):
        if error:
            key = (row.data, row.task, str(sample)[:300], first_line(str(error)))
            failed.setdefault(key, []).append(number)


def classes(table: pa.Table) -> dict[str, Any]:
    """Return accuracy and confusion of the classes in a table of samples.

    Raises:
        Unreadable: It has no integer labels and predictions, or no sample of them.
    """
    columns = table.column_names
    if not {"label", "prediction"} <= set(columns):
        there = (table.schema.metadata or {}).get(b"columns", b"").decode("utf-8", "replace")
        raise Unreadable(f"its samples have no label and prediction, but {there}")
    try:
        labels = table["label"].to_numpy().astype(np.int64, casting="same_kind")
        predictions = table["prediction"].to_numpy().astype(np.int64, casting="same_kind")
    except (TypeError, ValueError) as error:
        raise Unreadable("its labels or predictions are no whole numbers") from error
    failed = np.array([bool(error) for error in table["error"].to_pylist()]) if "error" in columns else labels < 0
    ok = ~failed & (labels >= 0) & (predictions >= 0)
    if not ok.any():
        raise Unreadable("it has no sample that was decoded and predicted")
    right = (labels == predictions).astype(np.float64)
    if {"right_draws", "draws"} <= set(columns):
        draws = table["draws"].to_numpy().astype(np.float64)
        right = table["right_draws"].to_numpy().astype(np.float64) / np.where(draws > 0, draws, 1)
    spelled = table["label_name"].to_pylist() if "label_name" in columns else [None] * len(labels)
    named = {label: str(name) for label, name in zip(labels.tolist(), spelled, strict=True) if name is not None}
    labels, predictions, right = labels[ok], predictions[ok], right[ok]
    known, place = np.unique(np.concatenate([labels, predictions]), return_inverse=True)
    truth, taken = place[: len(labels)], place[len(labels) :]
    n = np.bincount(truth, minlength=len(known))
    hits = np.bincount(truth[truth == taken], minlength=len(known))
    share = np.bincount(truth, weights=right, minlength=len(known)) / np.maximum(n, 1)
    intervals = [wilson(p, count) for p, count in zip(share.tolist(), n.tolist(), strict=True)]
    wrong, counts = np.unique(np.stack([truth, taken])[:, truth != taken], axis=1, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_PAIRS]
    return {
        "names": [named.get(label, f"class {label}")[:200] for label in known.tolist()],
        "n": n.tolist(),
        "right": [round(100 * p, 3) for p in share.tolist()],
        "low": [round(100 * low, 3) for low, _ in intervals],
        "high": [round(100 * high, 3) for _, high in intervals],
        "hits": hits.tolist(),
        "pairs": [[int(a), int(b), int(c)] for a, b, c in zip(*wrong[:, order], counts[order], strict=True)],
        "pairs_left_out": max(0, len(counts) - MOST_PAIRS),
    }


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a proportion over `count` samples (Wilson's score interval); (0, 1) without any."""
    if count == 0:
        return 0.0, 1.0
    scale = 1 + Z95**2 / count
    middle = (share + Z95**2 / (2 * count)) / scale
    half = Z95 * math.sqrt(share * (1 - share) / count + Z95**2 / (4 * count**2)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)
