"""From a trained network to the counts of a test list, and from these to an evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from sigma_bench.contracts import Evaluation
from sigma_bench.data.cycle_windows import Windows
from sigma_bench.data.ranks import Ranks
from sigma_bench.evaluators import samples
from sigma_bench.evaluators.counting.clips import clips_of
from sigma_bench.evaluators.counting.frames import Stretches
from sigma_bench.evaluators.counting.inference import Count, Ints, Rule, Sides, count_videos
from sigma_bench.evaluators.counting.lessons import repetitions
from sigma_bench.evaluators.counting.objective import sides_of
from sigma_bench.evaluators.samples import Lists
from sigma_bench.metrics.counting import CountErrors, count_errors
from sigma_bench.models.cycle_net import CycleNet
from sigma_bench.progress import Reporter
from sigma_bench.train.loop import autocast

ERROR, OBO = "mean_count_error", "obo"
GUESS, BEST = "training_mean_error", f"{ERROR}_constant"
"""Metrics: the counting error, the share of counts at most one off, and the errors of always saying one number: the
mean of the training list, and the number whose error is least there, which large counts do not pull up."""
WINDOWS = 64
"""Windows of a forward pass."""
VIDEOS = 16
"""Videos that are counted together, and by the same process."""


def counted(
    net: CycleNet, stretches: Stretches, rule: Rule, device: str, precision: str, ranks: Ranks | None = None
) -> dict[int, Count]:
    """Return row -> count of every video of a list that can be decoded; every process calls this, and gets all.

    Whole groups of videos are dealt out, so that on a CPU the counts are the same on any number of processes. What is
    known of the files is known by `stretches` of all processes afterwards.

    Args:
        net: The network, put in evaluation mode.
        stretches: The list, not read yet.
        rule: What is particular to the data set.
        device: Where the network is.
        precision: Arithmetic of the network.
        ranks: The processes; None: this one.

    Raises:
        FloatingPointError: The network says something that is no number.
        OtherFailed: Another process could not do its part.
    """
    net.eval()
    ranks, count = ranks or Ranks(), stretches.index.count
    groups = [range(first, min(first + VIDEOS, count)) for first in range(0, count, VIDEOS)]
    mine = [groups[number] for number in ranks.share(len(groups))]

    def work() -> dict[str, Any]:
        stretches.read([row for group in mine for row in group], silent=ranks.rank > 0)
        found = _counts(net, stretches, mine, rule, device, precision, silent=ranks.rank > 0)
        return {"counts": [[row, *_plain(own)] for row, own in found.items()], "files": stretches.told()}

    said = ranks.together(work)
    stretches.take([part["files"] for part in said])
    return {row: _count(plain) for part in said for row, *plain in part["counts"]}


def _counts(
    net: CycleNet, stretches: Stretches, groups: list[range], rule: Rule, device: str, precision: str, silent: bool
) -> dict[int, Count]:
    found: dict[int, Count] = {}
    title, count = f"counts of {stretches.index.name} {stretches.index.split}", sum(map(len, groups))
    with Reporter(title, count, "video", silent=silent) as reporter:
        done = 0
        for group in groups:
            done += len(group)
            some = [row for row in group if row in stretches.counts]
            if not some:
                continue
            frames = stretches.of(some)
            parts = [frames[row] for row in some]
            counts = count_videos([len(part) for part in parts], _Predictor(net, parts, device, precision), rule)
            found.update(zip(some, counts, strict=True))
            reporter.update(done)
    return found


def _plain(count: Count) -> list[Any]:
    return [int(count.repetitions), int(count.first_estimate), count.inverse_lengths.tolist(), int(count.positions)]


def _count(plain: list[Any]) -> Count:
    repetitions, first, inverse_lengths, positions = plain
    return Count(repetitions, first, np.array(inverse_lengths, np.float64), positions)


class _Predictor:
    """Shows windows of some videos to a network."""

    def __init__(self, net: CycleNet, parts: list[torch.Tensor], device: str, precision: str) -> None:
        self._net, self._parts, self._device = net, parts, device
        self._cast = autocast(device, precision)

    @torch.inference_mode()
    def __call__(self, rows: Ints, windows: Windows) -> Sides:
        said = []
        for first in range(0, len(rows), WINDOWS):
            some = slice(first, first + WINDOWS)
            shown = [self._parts[row] for row in rows[some]]
            clips = clips_of(shown, windows[some], self._net.side, self._net.encoder.spec, self._device)
            with self._cast:
                said.append(sides_of(self._net(clips)))
        return Sides(*(np.concatenate(parts) for parts in zip(*said, strict=True)))


def evaluation(
    lists: Lists,
    stretches: Stretches,
    found: dict[int, Count],
    trained_counts: list[int],
    record: dict[str, Any],
    precision: str,
    marks: tuple[str, ...],
) -> Evaluation:
    """Return the errors over the videos that were counted, and one record a video.

    A video that could not be decoded, or has no repetition to be relative to, is a record with an error; where such
    ones count as wrong, their count is 0.

    Args:
        lists: The lists of the task.
        stretches: The test list as it was read.
        found: Row -> count.
        trained_counts: True numbers of the videos that were trained on.
        record: What is to be known of the training.
        precision: Arithmetic of the network.
        marks: What a reader must know of the training.
    """
    index, truth = lists.test, np.array(repetitions(lists.test))
    rows = [row for row in sorted(found) if truth[row]]
    guesses = {GUESS: round(float(np.mean(trained_counts))), BEST: best_constant(trained_counts)}
    metrics = {name: float("nan") for name in (ERROR, OBO, *guesses)}
    if rows:
        errors = count_errors([found[row].repetitions for row in rows], truth[rows])
        metrics = _metrics(errors, index.count)
        metrics |= {name: count_errors([guess] * len(rows), truth[rows]).mean for name, guess in guesses.items()}
        record = {**record, "errors": _further(errors)}
    return Evaluation(
        metrics=metrics,
        samples=_records(stretches, found, rows, truth, guesses),
        counts=samples.counts(index, len(rows)),
        selection={**record, "training_mean": guesses[GUESS], "best_constant": guesses[BEST]},
        views="74 windows a video, coarse to fine",
        marks=(*marks, *_marks(stretches, truth, rows)),
        train_index=lists.train,
        test_index=index,
        decoders=dict(stretches.decoders),
        precision=precision,
    )


def best_constant(counts: list[int]) -> int:
    """Return the number that is nearest to some positive counts on average, each error relative to its count."""
    return min(range(1, max(counts) + 1), key=lambda guess: count_errors([guess] * len(counts), counts).mean)


def _metrics(errors: CountErrors, expected: int) -> dict[str, float]:
    missing = expected - len(errors.relative_N)
    return {
        ERROR: errors.mean,
        f"{ERROR}_missing_wrong": (float(errors.relative_N.sum()) + missing) / expected,
        OBO: errors.obo,
        f"{OBO}_missing_wrong": float(errors.within_one_N.sum()) / expected,
    }


def _further(errors: CountErrors) -> dict[str, float]:
    """Return what the released code logs besides: of what is reported, only the mean is."""
    return {"deviation": errors.deviation, "mean_over": errors.mean_over, "mean_under": errors.mean_under}


def _records(
    stretches: Stretches, found: dict[int, Count], rows: list[int], truth: np.ndarray, guesses: dict[str, int]
) -> pd.DataFrame:
    index = stretches.index
    frame = pd.DataFrame(
        {
            "id": index.ids,
            "group": index.table["group"].to_pylist(),
            "label": truth,
            "prediction": pd.array(
                [found[row].repetitions if row in found else -1 for row in range(index.count)], "int64"
            ),
        }
    )
    counted_rows = np.isin(np.arange(index.count), rows)
    off = np.abs(frame["prediction"].to_numpy() - truth)
    safe = np.maximum(truth, 1)
    frame[ERROR] = np.where(counted_rows, off / safe, np.nan)
    frame[OBO] = np.where(counted_rows, off <= 1, np.nan)
    for name, guess in guesses.items():
        frame[name] = np.where(counted_rows, np.abs(guess - truth) / safe, np.nan)
    for name, read in (("first_estimate", "first_estimate"), ("positions", "positions")):
        frame[name] = pd.array([getattr(found[r], read) if r in found else -1 for r in range(index.count)], "int64")
    frame["frames"] = pd.array([stretches.counts.get(row, -1) for row in range(index.count)], "int64")
    frame["error"] = [_error(stretches, row, truth) for row in range(index.count)]
    return frame


def _error(stretches: Stretches, row: int, truth: np.ndarray) -> str | None:
    if row in stretches.errors:
        return stretches.errors[row]
    return None if truth[row] else "no repetition is annotated, so that no error is relative to it"


def _marks(stretches: Stretches, truth: np.ndarray, rows: list[int]) -> list[str]:
    count, marks = stretches.index.count, []
    if stretches.cut:
        marks.append(
            f"{len(stretches.cut)} of {count} test videos end before their annotation: counted on what is there"
        )
    single = int((truth[rows] == 1).sum())
    if single:
        marks.append(f"{single} of {count} test videos have one repetition; the released code leaves such out")
    return marks
