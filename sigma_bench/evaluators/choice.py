"""How a probe's setting is chosen: on whole groups held out of the training list; the test list takes no part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from sigma_bench.contracts import UserError
from sigma_bench.data import subsets
from sigma_bench.evaluators import frozen
from sigma_bench.evaluators.frozen import Frozen
from sigma_bench.evaluators.probes import Setting
from sigma_bench.metrics.accuracy import top1

F = TypeVar("F")
NOT_SEEN = -1
"""Prediction of a sample that could not be looked at."""


def chosen(
    seen: Frozen,
    draw: int,
    task: Any,
    run_seed: int,
    grid: Sequence[Setting],
    *,
    fit: Callable[[np.ndarray, Sequence[Setting], int], F],
    predict: Callable[[F, np.ndarray], np.ndarray],
    finite: Callable[[F], Sequence[bool]],
) -> tuple[F, dict[str, Any]]:
    """Return the probe of the best setting, trained on all labelled samples of a draw, and how it was chosen.

    The whole grid is trained on the list without a tenth (`probe.holdout`) held out by group; the setting of highest
    accuracy there, of several the first, is trained on the whole list. A single setting needs no choice.

    Args:
        seen: Lists and features.
        draw: Number of the draw of training labels.
        task: Its `probe.holdout` and labels.
        run_seed: Seed of the measurement.
        grid: The settings.
        fit: (rows, settings, seed) -> the probes of these settings, trained on these rows.
        predict: (probes, rows) -> the class of each row by each probe (G, M), `NOT_SEEN` where there is none.
        finite: Tells of each probe whether it is made of numbers.

    Raises:
        FloatingPointError: A rate was so large that no probe, or the chosen one in its second training, is.
        UserError: Nothing can be held out.
    """
    seed, labels = run_seed * 1000 + draw, seen.lists.train.labels
    usable, rows = frozen.labelled(seen, task, seed)
    scores: list[float | None] = [None] * len(grid)
    best, held_rows = 0, np.empty(0, dtype=np.int64)
    if len(grid) > 1:
        kept, held = subsets.holdout(usable, task.probe.holdout, seed)
        row_of = dict(zip(usable.ids, rows.tolist(), strict=True))
        kept_rows, held_rows = (np.array([row_of[name] for name in part.ids]) for part in (kept, held))
        tried = fit(kept_rows, grid, seed)
        guessed = predict(tried, held_rows)
        if (guessed == NOT_SEEN).all():
            raise UserError(
                f"{task.id}: none of the {len(held_rows)} held-out samples could be read, so no setting can be chosen"
            )
        guesses = zip(guessed, finite(tried), strict=True)
        scores = [_score(guess, labels[held_rows]) if good else None for guess, good in guesses]
        best = int(np.argmax([-1.0 if score is None else score for score in scores]))
    final = fit(rows, [grid[best]], seed)
    if not all(finite(final)):
        raise FloatingPointError(
            f"{task.id}: at rate {grid[best].rate} the probe is no number after training; lower the rates of the grid"
        )
    return final, {
        "rate": grid[best].rate,
        "weight_decay": grid[best].weight_decay,
        "held_out": len(held_rows),
        "grid": [[s.rate, s.weight_decay, v] for s, v in zip(grid, scores, strict=True)],
    }


def _score(guess: np.ndarray, truth: np.ndarray) -> float:
    there = guess != NOT_SEEN
    return round(top1(guess[there], truth[there]), 3)
