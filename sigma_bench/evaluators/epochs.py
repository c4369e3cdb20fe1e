"""Which epoch's weights are tested, where it is not the last: each is judged on samples, and the best are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sigma_bench.contracts import UserError
from sigma_bench.models.classifier import VideoClassifier
from sigma_bench.progress import say
from sigma_bench.train import folder as folders
from sigma_bench.train import state as states

SCORES = "epochs.json"
BEST = "best.pt"


class Epochs:
    """Judges the weights at the end of every epoch; one process does, the others wait.

    Of equal epochs the first is the best. What was judged stands in `epochs.json` before the next checkpoint is
    written, so a training that goes on judges each epoch once, that of the checkpoint it goes on from among them.

    Args:
        folder: The folder of the training.
        steps_per_epoch: Optimiser steps of an epoch.
        judge: Returns the score of a classifier; greater is better.
    """

    def __init__(self, folder: Path, steps_per_epoch: int, judge: Callable[[VideoClassifier], float]) -> None:
        self._folder, self._per_epoch, self._judge = folder, steps_per_epoch, judge

    @property
    def scores(self) -> list[dict[str, Any]]:
        """What was judged so far: `epoch`, counted from 1, and `score`.

        Raises:
            UserError: The file is damaged.
        """
        file = self._folder / SCORES
        if not file.exists():
            return []
        try:
            found = json.loads(file.read_text(encoding="utf-8"))["epochs"]
            return [{"epoch": int(one["epoch"]), "score": float(one["score"])} for one in found]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{file}: damaged ({error}); move {self._folder} away to begin the training anew"
            ) from error

    def judged(self, step: int) -> bool:
        """Return whether there is nothing left to judge after a step."""
        return step % self._per_epoch != 0 or any(one["epoch"] == step // self._per_epoch for one in self.scores)

    def judge(self, weights: VideoClassifier, step: int) -> dict[str, Any] | None:
        """Judge the weights after a step, if an epoch ends with it; return what is logged."""
        if self.judged(step):
            return None
        epoch, before = step // self._per_epoch, self.scores
        score = self._judge(weights)
        if all(score > one["score"] for one in before):
            states.save(self._folder / BEST, {"model": weights.state_dict(), "epoch": epoch})
        folders.write_json(self._folder / SCORES, {"epochs": [*before, {"epoch": epoch, "score": score}]})
        say(f"epoch {epoch}: {score:.2f}")
        return {"epoch_score": score}

    def best(self) -> tuple[int, dict[str, Any]]:
        """Return the number of the best epoch, and its weights.

        Raises:
            UserError: The weights are damaged, or not those of the best epoch.
        """
        epoch = best_of(self.scores)
        kept = states.load(self._folder / BEST)
        if kept["epoch"] != epoch:
            raise UserError(
                f"{self._folder / BEST}: holds epoch {kept['epoch']}, the best is {epoch}; move {self._folder} away to "
                "begin the training anew"
            )
        return epoch, dict(kept["model"])


def best_of(scores: Sequence[dict[str, Any]]) -> int:
    """Return the epoch of the greatest score, the first of equal ones."""
    return int(max(scores, key=lambda one: (one["score"], -one["epoch"]))["epoch"])
