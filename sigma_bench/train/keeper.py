"""The checkpoints that a run writes: a storage that refuses one costs that one, not the run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from sigma_bench.progress import say
from sigma_bench.train import folder as folders
from sigma_bench.train import state as states
from sigma_bench.train.log import JsonLines
from sigma_bench.train.quantities import WARNING
from sigma_bench.train.snapshot import Training


class Keeper:
    """Writes checkpoints and deletes old ones. Every process has one; the first writes.

    Args:
        training: What is saved.
        folder: The run folder.
        log: Where failures are told; None in all processes but the first.
        last: The checkpoint that the run goes on from.
        undisturbed: A context in which writing is not cut short by the end of another process.

    Attributes:
        last: The newest checkpoint that was written.
    """

    def __init__(
        self,
        training: Training,
        folder: Path,
        log: JsonLines | None,
        last: Path | None = None,
        undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._training, self._log, self._undisturbed = training, log, undisturbed
        self._folder = folder / "checkpoints"
        self._saved_step = training.place.step if last is not None else -1
        self.last = last
        self._failure = ""

    @property
    def current(self) -> bool:
        """Whether the newest checkpoint holds the step that training has come to."""
        return self._saved_step == self._training.place.step

    def save(self) -> bool:
        """Write a checkpoint and return whether it was written; every process calls this.

        Where the storage refuses, training can go on: it is said and logged, older checkpoints stay, and nothing is
        left of what was begun. The next call tries again.
        """
        step = self._training.place.step
        path = self._folder / f"step-{step:07d}.pt"
        state = self._training.state()
        if self._training.processes.leader:
            self._failure = self._write(path, state)
            if self._failure:
                self._complain(path)
        (failed,) = self._training.processes.any(bool(self._failure))
        if not failed:
            self.last, self._saved_step = path, step
        return not failed

    def refusal(self) -> str:
        """Return the message of a run that ends without a checkpoint of its last step."""
        last = f"the newest one is {self.last.name}" if self.last else "there is none"
        return (
            f"{self._folder}: the checkpoint of step {self._training.place.step} could not be written"
            f"{f' ({self._failure})' if self._failure else ''}; {last}. Make room there, or mend the storage, and "
            f"{self._training.again.resume}"
        )

    def _write(self, path: Path, state: dict[str, object]) -> str:
        plan = self._training.plan
        with self._undisturbed():
            try:
                states.save(path, state)
            except OSError as error:
                return str(error)
            try:
                folders.prune(path.parent, plan.keep, plan.keep_every)
            except OSError as error:  # the new one is there
                say(f"{path.parent}: old checkpoints could not be deleted: {error}")
        return "" if path.exists() else "it was damaged when it was read back"

    def _complain(self, path: Path) -> None:
        last = f"{self.last.name} stays" if self.last else "there is none yet"
        say(f"{path} could not be written: {self._failure}; {last}, training goes on and tries again at the next one")
        if self._log is not None:
            place = self._training.place
            warning = f"checkpoint not written: {self._failure}"
            self._log.write({"step": place.step, "epoch": place.epoch, WARNING: warning})
