"""How long a run trains and in what portions, and where in that it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Plan:
    """How long and in what portions a run trains.

    Attributes:
        lrs: Learning rate of every optimiser step.
        steps_per_epoch: Optimiser steps in one pass of the data order.
        accumulation: Micro-batches of one optimiser step in each process.
        global_batch: Clips of one optimiser step.
        precision: Autocast of the forward pass: fp32 (none), bf16, or fp16 with a loss scaler.
        log_every: Steps between two records of the log.
        save_every: Steps between two checkpoints.
        keep: Newest checkpoints that stay.
        keep_every: Checkpoints at multiples of so many steps stay too.
        save_epochs: The end of every epoch has a checkpoint too.
        epochs: The run ends with this epoch, also where epochs were shorter than `steps_per_epoch`; None: with the last
            of `lrs`.
    """

    lrs: np.ndarray
    steps_per_epoch: int
    accumulation: int
    global_batch: int
    precision: str = "fp32"
    log_every: int = 10
    save_every: int = 100
    keep: int = 2
    keep_every: int | None = None
    save_epochs: bool = False
    epochs: int | None = None

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return len(self.lrs)

    def over(self, place: Place) -> bool:
        """Return whether nothing is left to be done."""
        return place.step >= self.steps or (self.epochs is not None and place.epoch >= self.epochs)

    def logs(self, step: int) -> bool:
        """Return whether the numbers of a step are logged."""
        return step % self.log_every == 0 or step == self.steps

    def saves(self, step: int) -> bool:
        """Return whether a checkpoint is due after a step."""
        ends = self.save_epochs and step % self.steps_per_epoch == 0
        return ends or step % self.save_every == 0 or step == self.steps


@dataclass
class Place:
    """Where a run is: optimiser steps done, and where the data order goes on."""

    step: int = 0
    epoch: int = 0
    into_epoch: int = 0
    """Optimiser steps done of the epoch."""

    def advance(self, plan: Plan) -> None:
        """Go on by one optimiser step; the data order may go on with the next epoch."""
        self.step += 1
        self.into_epoch += 1
        if self.into_epoch == plan.steps_per_epoch:
            self.next_epoch()

    def next_epoch(self) -> None:
        """Go on with the beginning of the next epoch."""
        self.epoch, self.into_epoch = self.epoch + 1, 0
