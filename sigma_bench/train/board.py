"""Boards that show a training while it runs: TensorBoard, and Weights & Biases where it is asked for.

They are shown the records of the log, and are views of it: `log.jsonl` is what counts. One process writes them.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from sigma_bench.contracts import UserError
from sigma_bench.train.quantities import WARNING, numbers, tag

NAMES = ("tensorboard", "wandb")
"""What `--log` can name."""
FOLDER = "tensorboard"
"""Of the TensorBoard files in a run folder."""
PROJECT = "sigma-bench"
"""Under which Weights & Biases shows the runs; WANDB_PROJECT names another."""


class Board(Protocol):
    """Where records are shown."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Show a record of the log."""
        ...

    def close(self) -> None:
        """Write what is not written yet."""
        ...


class TensorBoard:
    """TensorBoard files; of a resumed run the points after the step it goes on from are struck out.

    Args:
        folder: The run folder; the files lie in `tensorboard/`.
        start: Step that the run goes on from.
    """

    def __init__(self, folder: Path, start: int) -> None:
        self.folder, self.start = folder / FOLDER, start
        self._writer: Any = None

    def write(self, record: Mapping[str, Any]) -> None:
        """Add a point to the curve of each number, and a warning as text."""
        if self._writer is None:  # the first record comes late enough for the import, and tells that there is a run
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.folder), purge_step=self.start + 1, flush_secs=30)
        for name, value in numbers(record).items():
            self._writer.add_scalar(tag(name), value, record["step"])
        if record.get(WARNING):
            self._writer.add_text(WARNING, str(record[WARNING]), record["step"])

    def close(self) -> None:
        """Write what is not written yet."""
        if self._writer is not None:
            self._writer.close()


class WeightsAndBiases:
    """Weights & Biases: each start of a run is one of its runs, those of a run folder are one group.

    So points of a stretch that was repeated after a resume are never mixed. WANDB_MODE=offline keeps everything in the
    run folder, without an account.

    Args:
        folder: The run folder.
        start: Step that the run goes on from.
        config: The resolved recipe.

    Raises:
        UserError: The package is not installed, or it does not let a run begin.
    """

    def __init__(self, folder: Path, start: int, config: Mapping[str, Any]) -> None:
        try:
            wandb: Any = importlib.import_module("wandb")
        except ImportError as error:
            raise UserError("--log wandb: the package wandb is not installed (pip install wandb)") from error
        name = folder.resolve().name
        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT") or PROJECT,
                dir=str(folder),
                group=name,
                name=f"{name} from step {start}" if start else name,
                config=dict(config),
                reinit="create_new",
            )
        except Exception as error:
            raise UserError(
                f"--log wandb: no run could be begun ({type(error).__name__}: {error}); log in with `wandb login`, or "
                "set WANDB_MODE=offline"
            ) from error
        self._run.define_metric("*", step_metric="step")

    def write(self, record: Mapping[str, Any]) -> None:
        """Add a point to the curve of each number, and a warning as an alert."""
        self._run.log({"step": record["step"], **{tag(name): value for name, value in numbers(record).items()}})
        if record.get(WARNING):
            self._run.alert(title=f"step {record['step']}", text=str(record[WARNING]))

    def close(self) -> None:
        """Write what is not written yet."""
        self._run.finish()


def boards(names: Iterable[str], folder: Path, start: int, config: Mapping[str, Any]) -> list[Board]:
    """Return the boards of these names.

    Args:
        names: Of `NAMES`.
        folder: The run folder.
        start: Step that the run goes on from, 0 at the beginning.
        config: The resolved recipe, for boards that show it.

    Raises:
        UserError: No such board, or one that cannot be used here.
    """
    found: list[Board] = []
    for name in dict.fromkeys(names):
        check(name)
        found.append(TensorBoard(folder, start) if name == "tensorboard" else WeightsAndBiases(folder, start, config))
    return found


def check(name: str) -> None:
    """Raise a UserError where there is no board of this name."""
    if name not in NAMES:
        raise UserError(f"--log {name}: expected {' or '.join(NAMES)}, several with commas, or none")
