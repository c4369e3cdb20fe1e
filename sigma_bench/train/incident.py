"""A step whose loss is not finite: all that is needed to repeat it is put into a file before training stops."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import torch

from sigma_bench.contracts import UserError
from sigma_bench.progress import say
from sigma_bench.train import state as states
from sigma_bench.train.again import Again
from sigma_bench.train.snapshot import Training

FOLDER = "incidents"
"""In the run folder."""
KIND = "incident"
LEAST_SCALE = 1e-4
"""Gradients that overflow at this scale of the loss are undefined, not large."""
TEXTS = ("recipe.yaml", "data.json")
"""Files of the run folder that say what is trained, and on what; an incident carries them along."""


class TrainingStopped(UserError):
    """All processes agree that training cannot go on; the last good checkpoint is kept."""


@dataclass
class Attempt:
    """An optimiser step in the making, in one process.

    Attributes:
        rng: Torch's generators before it.
        batches: Where each micro-batch came from, as `Objective.origin` tells it.
        losses: The losses of each.
    """

    rng: dict[str, Any] = field(default_factory=states.rng_state)
    batches: list[dict[str, Any]] = field(default_factory=list)
    losses: list[dict[str, torch.Tensor]] = field(default_factory=list)

    def plain(self, rank: int) -> dict[str, Any]:
        """Return it as plain values and CPU tensors."""
        losses = [{name: float(value) for name, value in found.items()} for found in self.losses]
        return {"rank": rank, "rng": self.rng, "batches": self.batches, "losses": losses}


def stop(
    training: Training, attempt: Attempt, folder: Path, what: str, last: Path | None, agreed: bool = True
) -> NoReturn:
    """Write the incident file of a step that was not taken, and stop.

    Its weights are those before the step, but for prototypes, which the forward pass has scaled to unit length.

    Args:
        training: Where the run stands.
        attempt: The step.
        folder: The run folder.
        what: What is wrong.
        last: The newest checkpoint.
        agreed: Whether all processes come here. If not, the file is named after this one and holds its micro-batches
            alone.

    Raises:
        TrainingStopped: Always; where the processes do not agree, a UserError of this one.
    """
    place, processes = training.place, training.processes
    alone = "" if agreed or processes.world == 1 else f".rank-{processes.rank}"
    path: Path | None = folder / FOLDER / f"step-{place.step + 1:07d}{alone}.pt"
    mine = attempt.plain(processes.rank)
    parts = processes.gather(mine) if agreed else [mine]
    if not any(part["batches"] for part in parts):
        path = None  # the data themselves gave up: there is nothing to repeat
    if path is not None and (processes.leader or not agreed):
        found = {name: _text(folder / name) for name in TEXTS}
        content = {
            "kind": KIND,
            **training.weights(),
            "step": place.step + 1,
            "epoch": place.epoch,
            "into_epoch": place.into_epoch,
            "world": processes.world,
            "message": what,
            "parts": parts,
            "texts": found,
            **training.extra,
        }
        try:
            states.save(path, content)
        except OSError as error:
            say(f"{path} could not be written: {error}")
            path = None
    raise (TrainingStopped if agreed else UserError)(_advice(place.step + 1, what, path, last, training.again))


def read(path: Path) -> dict[str, Any]:
    """Return what an incident file holds.

    Raises:
        UserError: It is none, or is damaged.
    """
    if not path.is_file():
        raise UserError(f"--replay {path}: no such file; they are in the folder {FOLDER}/ of a run")
    content = states.load(path)
    if content.get("kind") != KIND:
        raise UserError(f"--replay {path}: not an incident file of a run ({FOLDER}/step-N.pt)")
    return content


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _advice(step: int, what: str, incident: Path | None, good: Path | None, told: Again) -> str:
    """Return the message of a training that cannot go on; other settings are another run, so it names no --resume."""
    kept = f"The step can be repeated: {told.replay} {incident}. " if told.replay else f"{incident} keeps the step. "
    last = good or "none, none was due before"
    return f"step {step}: {what}; the last good checkpoint is {last}. {kept if incident else ''}{told.change}"


def not_finite(losses: Mapping[str, torch.Tensor], precision: str) -> str:
    """Return in words what is not finite of a step, empty where all is.

    Where losses are scaled (fp16) gradients overflow now and then: the scaler leaves out such a step and scales less.
    Those that still do at `LEAST_SCALE` would do so for ever, and no step would train.
    """
    loss, norm = torch.stack((losses["loss"].double(), losses["grad_norm"].double())).tolist()
    scale = float(losses.get("loss_scale", math.inf))
    if math.isfinite(loss) and (math.isfinite(norm) or (precision == "fp16" and scale >= LEAST_SCALE)):
        return ""
    at = f", at a loss scale of {scale:.2g}" if scale < LEAST_SCALE else ""
    return f"the loss is {loss} and the norm of the gradient {norm}{at}"
