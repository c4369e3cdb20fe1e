"""Everything that a training is at one moment: what a checkpoint holds, and what a resume takes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sigma_bench.contracts import Objective, UserError
from sigma_bench.train import state as states
from sigma_bench.train.again import Again
from sigma_bench.train.distributed import Processes
from sigma_bench.train.plan import Place, Plan


def digests(frozen: Mapping[str, str]) -> dict[str, str]:
    """Return what tells frozen weights apart: their digests, not the places they were read from."""
    return {name: text for name, text in frozen.items() if name.endswith("digest")}


@dataclass
class Training:
    """The parts of a training that change from step to step, and what they belong to.

    Attributes:
        objective: Its `module` is trained.
        optimizer: Steps the module.
        plan: Rates and portions.
        processes: Those that train together.
        extra: Plain values stored with every checkpoint.
        again: What the user is told to do where the training ends early.
        scaler: Of the losses, for fp16.
        place: How far it has come.
    """

    objective: Objective
    optimizer: torch.optim.Optimizer
    plan: Plan
    processes: Processes
    extra: Mapping[str, Any]
    again: Again = field(default_factory=Again)
    scaler: torch.amp.GradScaler = field(init=False)
    place: Place = field(default_factory=Place)

    def __post_init__(self) -> None:
        kind = torch.device(self.processes.device).type
        self.scaler = torch.amp.GradScaler(kind, enabled=self.plan.precision == "fp16")

    def weights(self) -> dict[str, Any]:
        """Return model, optimiser and scaler."""
        return {
            "model": self.objective.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def state(self) -> dict[str, Any]:
        """Return what a resumed run needs; every process calls this."""
        parts = self.processes.gather((self.objective.state_dict(), states.rng_state()))
        return {
            **self.weights(),
            "objective": self.objective.merge([part[0] for part in parts]),
            "step": self.place.step,
            "epoch": self.place.epoch,
            "into_epoch": self.place.into_epoch,
            "rng": [part[1] for part in parts],
            **self.extra,
        }

    def restore(self, path: Path) -> None:
        """Take everything back from a checkpoint. Global generators go on where the same process left them.

        Raises:
            UserError: It cannot be read, holds something else, or the run was begun with other frozen parts.
        """
        processes = self.processes
        saved = states.load(path, processes.device)
        kept, now = saved.get("frozen", {}), self.extra.get("frozen", {})
        if digests(kept) != digests(now):
            raise UserError(f"{path}: the run was begun with {kept}, now there is {now}; a resume needs the same files")
        try:
            self._take(saved)
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise UserError(
                f"{path}: does not hold a training of this model ({type(error).__name__}: {error}); put back the "
                "checkpoint of this run, or move it away to go on from the one before it"
            ) from error

    def _take(self, saved: Mapping[str, Any]) -> None:
        processes = self.processes
        self.objective.module.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved.get("scaler") or {})
        self.objective.load_state_dict(saved["objective"])
        rng = saved["rng"] if isinstance(saved["rng"], list) else [saved["rng"]]
        if len(rng) == processes.world:
            states.set_rng_state(rng[processes.rank])
        else:  # other processes than those of the checkpoint: they cannot repeat its draws, only make their own
            torch.manual_seed(saved["step"] * processes.world + processes.rank)
        into_epoch = saved["into_epoch"] if "into_epoch" in saved else saved["offset"] // self.plan.accumulation
        self.place = Place(saved["step"], saved["epoch"], into_epoch)
