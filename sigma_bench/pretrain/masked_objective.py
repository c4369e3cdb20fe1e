"""What all objectives of pretraining share: the way from decoded clips to what the networks take."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn

from sigma_bench.data import transforms
from sigma_bench.data.loader import Batch, TrainingLoader
from sigma_bench.models.flow_raft import RaftSmall
from sigma_bench.models.masked import MaskedVideoModel, masked_model
from sigma_bench.models.vit import IMAGENET_MEAN, IMAGENET_STD
from sigma_bench.pretrain.masking import masking
from sigma_bench.pretrain.monitor import Spread, deviation
from sigma_bench.pretrain.targets import teacher_targets
from sigma_bench.pretrain.teacher import FrozenTeacher, frozen_teacher
from sigma_bench.spec.recipe import Recipe
from sigma_bench.spec.recipe_mask import MotionMask
from sigma_bench.spec.recipe_target import TeacherTarget
from sigma_bench.train import decoded
from sigma_bench.train.distributed import Processes

Losses = Mapping[str, torch.Tensor]


class Prepared(NamedTuple):
    """A micro-batch with all that is drawn or computed of it beforehand.

    Attributes:
        clips_u8: Clips (B, 3, T, H, W), bytes: those of a whole optimiser step may have to be kept.
        mask: Boolean (B, N), True = masked.
        targets: Features of a teacher, or None.
    """

    clips_u8: torch.Tensor
    mask: torch.Tensor
    targets: torch.Tensor | None

    @property
    def clips(self) -> torch.Tensor:
        """The clips as the networks take them, float32."""
        return transforms.normalize(self.clips_u8, IMAGENET_MEAN, IMAGENET_STD)


@dataclass
class MaskedBatch(Batch):
    """A micro-batch whose masks (B, N) are drawn already."""

    mask: torch.Tensor = field(kw_only=True)


class MaskedObjective:
    """What all objectives share: the data, the masks, the teacher, the monitors of a watched step.

    Args:
        recipe: The resolved recipe.
        loader: Yields the micro-batches.
        processes: Those that train together.
    """

    surveys = False

    def __init__(self, recipe: Recipe, loader: TrainingLoader, processes: Processes | None = None) -> None:
        self.recipe, self.loader, self.processes = recipe, loader, processes or Processes()
        device = self.processes.device
        self.masking = masking(recipe.mask, recipe.model, device)
        target = recipe.target
        self.teacher = _teacher(target, recipe, device) if isinstance(target, TeacherTarget) else None
        torch.manual_seed(recipe.train.seed)
        self.module = self.build().to(device)
        if recipe.train.checkpointing:
            self.module.recompute_activations()
        if recipe.train.compile:
            self.module.compile_blocks()
        self.net: nn.Module = _Net(self.module, self.losses)
        self.watch = False
        self._noted: list[dict[str, float | Spread]] = []
        self._surveyed: deque[Prepared] = deque()

    def build(self) -> MaskedVideoModel:
        """Return the untrained model."""
        raise NotImplementedError

    def losses(self, prepared: Prepared) -> Losses:
        """Return the losses of a micro-batch; where `watch` is set, also keep what is watched."""
        raise NotImplementedError

    def batches(self, epoch: int, offset: int) -> Iterator[Batch]:
        """Yield the micro-batches of an epoch, the first `offset` left out."""
        mask = self.recipe.mask
        # OpenCV computes flow in threads of its own: beside the training on the batch before
        beside = isinstance(mask, MotionMask) and mask.flow != "raft_small"
        return self.loader.epoch(epoch, offset, self._masked if beside else None)

    def _masked(self, batch: Batch) -> MaskedBatch:
        return MaskedBatch(**vars(batch), mask=self.masking(batch.clips, batch.seeds))

    def prepare(self, batch: Batch) -> Prepared:
        """Return the clips, their masks and the teacher's features."""
        mask = batch.mask if isinstance(batch, MaskedBatch) else self.masking(batch.clips, batch.seeds)
        prepared = Prepared(batch.clips, mask, None)
        if self.teacher is None:
            return prepared
        assert isinstance(self.recipe.target, TeacherTarget)
        features = self.teacher.features(prepared.clips, IMAGENET_MEAN, IMAGENET_STD)
        return prepared._replace(targets=teacher_targets(features, mask, self.recipe.target.normalize))

    @property
    def described(self) -> dict[str, str]:
        """What a checkpoint says of the networks that are not in it: those of a teacher and of optical flow."""
        found = {}
        if self.teacher is not None:
            found = {"teacher": self.teacher.source, "teacher_digest": self.teacher.digest}
        flow = getattr(self.masking, "flow", None)
        if isinstance(flow, RaftSmall):
            found |= {"flow": f"RAFT-small, {flow.file.name}", "flow_digest": flow.sha256}
        return found

    def survey(self, batches: Sequence[Batch]) -> None:
        """Prepare all micro-batches of an optimiser step; only objectives that need them together are asked to."""
        raise NotImplementedError

    def origin(self, batch: Batch) -> dict[str, Any]:
        """Return which clips a micro-batch shows: their ids, rows of the index and seed words."""
        return {"ids": batch.ids, "rows": batch.rows, "seeds": [list(words) for words in batch.seeds]}

    def step(self, batch: Batch) -> Losses:
        """Return the losses of a micro-batch."""
        prepared = self._surveyed.popleft() if self._surveyed else self.prepare(batch)
        found: Losses = self.net(prepared)
        return found

    def watched(self) -> dict[str, float]:
        """Return the monitors of the watched step, over its micro-batches and the processes: of features the spread
        of all tokens together, of all else the mean.
        """
        noted, self._noted = self._noted, []
        if not noted:
            return {}
        numbers = [{name: v for name, v in one.items() if not isinstance(v, Spread)} for one in noted]
        means = {name: sum(one[name] for one in numbers) / len(noted) for name in numbers[0]}
        spreads = [{name: v for name, v in one.items() if isinstance(v, Spread)} for one in noted]
        every = [one for parts in self.processes.gather(spreads) for one in parts]
        return {**self.processes.mean(means), **{name: deviation([one[name] for one in every]) for name in every[0]}}

    def state_dict(self) -> dict[str, Any]:
        """Return what this process could not decode, and with what it decoded the rest."""
        return decoded.state_of(self.loader)

    def merge(self, states: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return these counts over all processes."""
        return decoded.merged(states)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back the counts of the run: the first process goes on with them, the others begin anew."""
        decoded.take_back(self.loader, state, self.processes.leader)

    def _model(self, out_dim: int, **parts: Any) -> MaskedVideoModel:
        m = self.recipe.model
        return masked_model(
            m.size,
            out_dim=out_dim,
            image_size=m.image_size,
            frames=m.frames,
            tubelet=m.tubelet,
            patch=m.patch,
            decoder_depth=m.decoder_depth,
            **parts,
        )

    @property
    def tube_values(self) -> int:
        """Values of a tube: tubelet x patch x patch x 3 colours."""
        return self.recipe.model.tubelet * self.recipe.model.patch**2 * 3


def _teacher(target: TeacherTarget, recipe: Recipe, device: str) -> FrozenTeacher:
    autocast = torch.bfloat16 if target.precision == "bf16" else None
    return frozen_teacher(target, recipe.model, device, autocast=autocast, compiled=recipe.train.compile)


class _Net(nn.Module):
    """The way from a micro-batch to its losses as one module, so that gradients can be averaged over processes."""

    def __init__(self, module: nn.Module, losses: Callable[[Prepared], Losses]) -> None:
        super().__init__()
        self.module = module
        self._losses = losses

    def forward(self, prepared: Prepared) -> Losses:
        return self._losses(prepared)
