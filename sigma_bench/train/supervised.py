"""Supervised training: labelled clips -> losses of a classifier. What the targets and the loss are is handed in.

What is random of a clip (frames, RandAugment, crop, erasing) depends on its seed words alone; what is drawn for a
micro-batch (which clips are mixed and how, stochastic depth, dropout) on the words of its first clip. So a training
goes on exactly, and micro-batches of one size are the same ones on any number of processes; another size of
micro-batch has other partners of mixing and other draws of depth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from sigma_bench.data import transforms
from sigma_bench.data.draws import Words
from sigma_bench.data.erase import Erasing, erase
from sigma_bench.data.loader import Batch, TrainingLoader
from sigma_bench.losses.soft_targets import soft_cross_entropy
from sigma_bench.models.classifier import VideoClassifier
from sigma_bench.train import decoded
from sigma_bench.train.average import averaged
from sigma_bench.train.distributed import Processes

Losses = Mapping[str, torch.Tensor]
Targets = Callable[[Batch], torch.Tensor]
"""A micro-batch (its rows, seed words and what was decoded) -> the target of each clip, on the CPU."""
Loss = Callable[[torch.Tensor, torch.Tensor], Losses]
"""(logits, targets) -> losses; `loss` is the one that is minimised, the others are logged."""
Blend = Callable[[torch.Tensor, torch.Tensor, Words], tuple[torch.Tensor, torch.Tensor]]
"""(normalised clips, targets, seed words of the micro-batch) -> what the model is shown instead."""

STREAM = 0x44455054
"""Last seed word: keeps the draws of stochastic depth and dropout apart from all others."""


class Supervised:
    """Trains a classifier on the clips of a loader; a `contracts.Objective`.

    Args:
        model: The classifier; what of it requires a gradient is trained.
        loader: Yields the micro-batches. Clips of one frame (pictures) are shown in every frame of the encoder.
        targets: What is to be predicted of the clips.
        loss: Losses of a micro-batch.
        processes: Those that train together.
        erasing: Boxes of noise, put into the normalised clips.
        blend: Mixes clips and targets of a micro-batch, after erasing.
        average: Decay of a running average of the weights, which is trained beside the model; None for none.

    Attributes:
        model: The classifier.
        average: The running average, None where there is none; call `averages(optimizer)` to keep it.
    """

    surveys = False

    def __init__(
        self,
        model: VideoClassifier,
        loader: TrainingLoader,
        targets: Targets,
        loss: Loss,
        *,
        processes: Processes | None = None,
        erasing: Erasing | None = None,
        blend: Blend | None = None,
        average: float | None = None,
    ) -> None:
        self.model, self.loader = model, loader
        self.targets, self.loss, self.erasing, self.blend = targets, loss, erasing, blend
        self.processes = processes or Processes()
        self.average = None if average is None else averaged(model, average)
        parts = {"classifier": model} if self.average is None else {"classifier": model, "average": self.average}
        self.module: nn.Module = nn.ModuleDict(parts)
        self.net: nn.Module = _Net(model, loss)
        self.watch = False

    @property
    def weights(self) -> VideoClassifier:
        """The classifier that is tested: the running average where there is one."""
        found: VideoClassifier = self.model if self.average is None else self.average.module  # type: ignore[assignment]
        return found

    def averages(self, optimizer: torch.optim.Optimizer) -> None:
        """Have the running average follow the steps of an optimiser, if there is one."""
        average = self.average
        if average is not None:
            optimizer.register_step_post_hook(lambda *_: average.update_parameters(self.model))

    def batches(self, epoch: int, offset: int) -> Iterator[Batch]:
        """Yield the micro-batches of an epoch, the first `offset` left out."""
        return self.loader.epoch(epoch, offset)

    def survey(self, batches: Sequence[Batch]) -> None:
        """Do nothing: a clip's loss depends on its micro-batch alone."""

    def origin(self, batch: Batch) -> dict[str, Any]:
        """Return which clips a micro-batch shows: their ids, rows of the index and seed words."""
        return {"ids": batch.ids, "rows": batch.rows, "seeds": [list(words) for words in batch.seeds]}

    def prepare(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the clips (B, 3, T, H, W) as the model is shown them, and their targets."""
        spec = self.model.encoder.spec
        clips = transforms.normalize(batch.clips, spec.mean, spec.std)
        if clips.shape[2] == 1 < spec.frames:
            clips = clips.repeat(1, 1, spec.frames, 1, 1)
        if self.erasing is not None:
            clips = erase(clips, batch.seeds, self.erasing)
        targets = self.targets(batch).to(clips.device, non_blocking=True)
        return (clips, targets) if self.blend is None else self.blend(clips, targets, batch.seeds[0])

    def step(self, batch: Batch) -> Losses:
        """Return the losses of a micro-batch."""
        clips, targets = self.prepare(batch)
        state = np.random.SeedSequence((*batch.seeds[0], STREAM)).generate_state(1, np.uint64)
        torch.manual_seed(int(state[0] >> np.uint64(1)))
        found: Losses = self.net(clips, targets)
        return found

    def watched(self) -> dict[str, float]:
        """Return nothing beside the losses."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return what this process could not decode, and with what it decoded the rest."""
        return decoded.state_of(self.loader)

    def merge(self, states: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return these counts over all processes."""
        return decoded.merged(states)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back the counts of the run."""
        decoded.take_back(self.loader, state, self.processes.leader)


class _Net(nn.Module):
    """The way from clips to losses as one module, so that gradients can be averaged over processes."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model = model
        self._loss = loss

    def forward(self, clips: torch.Tensor, targets: torch.Tensor) -> Losses:
        return self._loss(self.model(clips), targets)


def labels(index_labels: np.ndarray) -> Targets:
    """Return targets that are the class of each clip's sample, int64 (B,)."""
    every = torch.from_numpy(np.ascontiguousarray(index_labels, dtype=np.int64))
    return lambda batch: every[torch.tensor(batch.rows)]


def classification(logits_BC: torch.Tensor, targets_BC: torch.Tensor) -> Losses:
    """Return the soft-target cross entropy, and the share of clips whose largest target is predicted (`train_top1`).

    With mixed clips that is the class of the larger share.
    """
    right = logits_BC.detach().argmax(1) == targets_BC.argmax(1)
    return {"loss": soft_cross_entropy(logits_BC, targets_BC), "train_top1": 100 * right.float().mean()}
