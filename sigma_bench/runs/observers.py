"""What looks on while a run trains: the watch for a collapse, the boards, the evaluation of checkpoints."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sigma_bench.contracts import UserError
from sigma_bench.pretrain.collapse import CollapseWatch
from sigma_bench.progress import say
from sigma_bench.spec.recipe import Recipe
from sigma_bench.train import log
from sigma_bench.train.board import Board, boards, check
from sigma_bench.train.plan import Plan
from sigma_bench.train.quantities import EPOCHS, WARNING

Measure = Callable[[Path, int], dict[str, Any] | None]
"""(checkpoint, its step) -> metrics for the log, None where nothing is due."""


class Observers:
    """Sees every record and every checkpoint of a run, in the process that writes them.

    Args:
        recipe: The resolved recipe.
        folder: The run folder.
        shown: Names of boards.
        measure: Evaluates checkpoints; None: they are not evaluated.

    Attributes:
        marks: The collapses that were told, for checkpoints; the same list always.

    Raises:
        UserError: No such board.
    """

    def __init__(self, recipe: Recipe, folder: Path, shown: Iterable[str] = (), measure: Measure | None = None) -> None:
        self.recipe, self.folder, self.shown, self.measure = recipe, folder, tuple(shown), measure
        for name in self.shown:
            check(name)
        self.marks: list[str] = []
        self._watch = CollapseWatch(0)
        self._steps_per_pass = 1.0
        self._boards: list[Board] = []

    def begin(self, plan: Plan, start: int) -> None:
        """Get ready for the records after step `start` (0: the first); what the log says until then is known again.

        Raises:
            UserError: A board cannot be used here.
        """
        t, clustering = self.recipe.train, self.recipe.clustering
        warmup = t.warmup_steps if t.warmup_steps is not None else (t.warmup_epochs or 0) * plan.steps_per_epoch
        tokens = int(math.prod(self.recipe.model.grid) * self.recipe.mask.ratio) * plan.global_batch
        self._watch = CollapseWatch(warmup, clustering.prototypes if clustering else 0, tokens)
        self._watch.marks = self.marks
        self._steps_per_pass = plan.steps_per_epoch / self.recipe.clips.repeats
        file = self.folder / log.NAME
        if start and file.exists():
            self._watch.replay(record for record in log.read(file).records if record["step"] <= start)
        self._boards = boards(self.shown, self.folder, start, self.recipe.model_dump(mode="json", exclude={"resolved"}))

    def on_log(self, record: dict[str, Any]) -> None:
        """Look at a record before it is written; a warning is said and becomes part of it, as do the epochs."""
        record[EPOCHS] = self._epochs(record["step"])
        words = self._watch.check(record)
        if words is not None:
            record[WARNING] = words
            say(f"warning: step {record['step']}: {words}")
        self._show(record)

    def on_save(self, path: Path, step: int) -> dict[str, Any] | None:
        """Evaluate a checkpoint where that is due; return what is to be logged."""
        found = self.measure(path, step) if self.measure is not None else None
        if not found:
            return None
        found = {EPOCHS: self._epochs(step), **found}
        self._show({"step": step, **found})
        return found

    def close(self) -> None:
        """Let the boards write what they have not written yet."""
        for board in self._boards:
            board.close()

    def _epochs(self, step: int) -> float:
        """Return the passes over the data, each repeat of a video being one, as in the rows of an evaluation."""
        return round(step / self._steps_per_pass, 4)

    def _show(self, record: dict[str, Any]) -> None:
        """Show a record; a board that fails (a full disk, a lost connection) is left, the training is not."""
        for board in list(self._boards):
            try:
                board.write(record)
            except Exception as error:  # noqa: BLE001 - no view of the log may end the training
                self._boards.remove(board)
                say(f"warning: {type(board).__name__} shows nothing more ({type(error).__name__}: {error})")


def named(text: str) -> tuple[str, ...]:
    """Return the boards that `--log` names, with commas between them; `none` names none.

    Raises:
        UserError: No such board.
    """
    names = tuple(name for part in text.split(",") if (name := part.strip()) not in ("", "none"))
    for name in names:
        check(name)
    if not text.strip():
        raise UserError("--log: names no board; say none, tensorboard or wandb")
    return names
