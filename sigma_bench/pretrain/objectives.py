"""The objectives of pretraining: each builds its model by the recipe and turns a batch into losses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from sigma_bench.data import transforms
from sigma_bench.data.loader import Batch, TrainingLoader
from sigma_bench.models.masked import MaskedVideoModel, masked_model
from sigma_bench.models.vit import IMAGENET_MEAN, IMAGENET_STD
from sigma_bench.pretrain import forward, monitor
from sigma_bench.pretrain.masking import tube_mask
from sigma_bench.pretrain.projector import MlpProjector
from sigma_bench.spec.recipe import Recipe
from sigma_bench.spec.recipe_target import MlpTarget, PixelTarget

MASK_STREAM = 1
"""Last seed word of the masks, apart from the crops of the same draw."""


class MaskedObjective:
    """What all objectives share: the data, the masks, the monitors of the last step.

    Args:
        recipe: The resolved recipe.
        loader: Yields the micro-batches.
        device: Torch device.
    """

    def __init__(self, recipe: Recipe, loader: TrainingLoader, device: str) -> None:
        self.recipe, self.loader, self.device = recipe, loader, device
        torch.manual_seed(recipe.train.seed)
        self.module = self.build().to(device)
        self.monitors: dict[str, float] = {}
        self._micro = 0

    def build(self) -> MaskedVideoModel:
        """Return the untrained model."""
        raise NotImplementedError

    def losses(self, clips: torch.Tensor, mask: torch.Tensor, watch: bool) -> Mapping[str, torch.Tensor]:
        """Return the losses of normalised clips (B, 3, T, H, W) and masks (B, N); `watch` also sets `monitors`."""
        raise NotImplementedError

    def batches(self, epoch: int, offset: int) -> Iterator[Batch]:
        """Yield the micro-batches of an epoch, the first `offset` left out."""
        return self.loader.epoch(epoch, offset)

    def step(self, batch: Batch) -> Mapping[str, torch.Tensor]:
        """Return the losses of a micro-batch. Masks depend on the seed words of each draw alone."""
        clips = transforms.normalize(batch.clips, IMAGENET_MEAN, IMAGENET_STD)
        watch = (self._micro + 1) % self.recipe.train.log_every == 0
        self._micro += 1
        return self.losses(clips, self.masks(batch.seeds), watch)

    def masks(self, seeds: list[tuple[int, ...]]) -> torch.Tensor:
        """Return one tube mask a draw, boolean (B, N)."""
        grid, ratio = self.recipe.model.grid, self.recipe.mask.ratio
        drawn = [tube_mask(grid, ratio, np.random.default_rng((*words, MASK_STREAM))) for words in seeds]
        return torch.from_numpy(np.stack(drawn))

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs beside weights and optimiser."""
        return {
            "micro": self._micro,
            "replaced": dict(self.loader.replaced.reasons),
            "draws": self.loader.replaced.draws,
            "decoders": dict(self.loader.decoders),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self._micro = state["micro"]
        self.loader.replaced.reasons = dict(state["replaced"])
        self.loader.replaced.draws = state["draws"]
        self.loader.decoders = Counter(state.get("decoders", {}))  # what an earlier version began did not keep them

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


class Pixels(MaskedObjective):
    """VideoMAE: the pixels of the masked tubes."""

    def build(self) -> MaskedVideoModel:
        """Return a model that predicts the values of a tube."""
        return self._model(self.tube_values)

    def losses(self, clips: torch.Tensor, mask: torch.Tensor, watch: bool) -> Mapping[str, torch.Tensor]:  # noqa: ARG002
        """Return the mean squared error."""
        assert isinstance(self.recipe.target, PixelTarget)
        found = forward.pixel_forward(self.module, clips, mask, self.recipe.target.normalize)
        return {"loss": found["loss"]}


class _Projected(MaskedObjective):
    """Objectives whose target is the output of the learned projection network."""

    prototypes = 0

    def build(self) -> MaskedVideoModel:
        """Return a model with the projection network phi."""
        target = self.recipe.target
        assert isinstance(target, MlpTarget)
        clustering = self.recipe.clustering
        head = MlpProjector(self.tube_values, target.widths, target.dim)
        return self._model(target.dim, head=head, prototypes=clustering.prototypes if clustering else 0)

    @property
    def normalized(self) -> bool:
        """Whether the network sees standardised tubes."""
        assert isinstance(self.recipe.target, MlpTarget)
        return self.recipe.target.normalize


class Sigma(_Projected):
    """SIGMA: each branch predicts the other's Sinkhorn assignment to the prototypes."""

    def losses(self, clips: torch.Tensor, mask: torch.Tensor, watch: bool) -> Mapping[str, torch.Tensor]:
        """Return the symmetric loss and its two halves."""
        c = self.recipe.clustering
        assert c is not None
        settings = forward.Clustering(c.epsilon, c.iterations, c.temperature, c.assignments == "hard")
        found = forward.sigma_forward(self.module, clips, mask, settings, normalize=self.normalized)
        if watch:
            self.monitors = {
                "used_prototypes": monitor.used_prototypes(found["q1"]),
                "usage_entropy": monitor.usage_entropy(found["q1"]),
                "assignment_entropy": monitor.assignment_entropy(found["q1"]),
                "target_std": monitor.target_std(found["projected"].detach()),
                "from_uniform": monitor.distance_from_uniform(float(found["loss"].detach()), c.prototypes),
            }
        return {name: found[name] for name in ("loss", "loss1", "loss2")}


class FeatureL2(_Projected):
    """L2 to the output of the learned projection network: it collapses (Table 7)."""

    def losses(self, clips: torch.Tensor, mask: torch.Tensor, watch: bool) -> Mapping[str, torch.Tensor]:
        """Return the mean squared error between decoder and projection, both trained."""
        found = forward.feature_l2_forward(self.module, clips, mask, normalize=self.normalized)
        if watch:
            projected = found["projected"].detach()
            self.monitors = {
                "target_std": monitor.target_std(projected),
                "target_std_raw": float(projected.flatten(0, 1).std(0).mean()),
            }
        return {"loss": found["loss"]}
