"""The objectives of pretraining: each builds its model by the recipe and turns a batch into losses."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import torch

from sigma_bench.data.loader import Batch, TrainingLoader
from sigma_bench.losses.clustering import ClusteringSettings
from sigma_bench.models.masked import MaskedVideoModel
from sigma_bench.pretrain import forward, monitor
from sigma_bench.pretrain.masked_objective import Losses, MaskedObjective, Prepared
from sigma_bench.pretrain.projector import MlpProjector
from sigma_bench.spec.recipe import Recipe
from sigma_bench.spec.recipe_target import MlpTarget, PixelTarget
from sigma_bench.train.distributed import Processes

SCORES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Pixels(MaskedObjective):
    """VideoMAE: the pixels of the masked tubes."""

    def build(self) -> MaskedVideoModel:
        """Return a model that predicts the values of a tube."""
        return self._model(self.tube_values)

    def losses(self, prepared: Prepared) -> Losses:
        """Return the mean squared error."""
        assert isinstance(self.recipe.target, PixelTarget)
        found = forward.pixel_forward(self.module, prepared.clips, prepared.mask, self.recipe.target.normalize)
        if self.watch:
            self._noted.append(
                {
                    "target_std": monitor.spread(found["targets"]),
                    "prediction_std": monitor.spread(found["decoded"]),
                }
            )
        return {"loss": found["loss"]}


class _Featured(MaskedObjective):
    """Objectives whose target is a feature: of the learned projection network, or of a frozen teacher."""

    def build(self) -> MaskedVideoModel:
        """Return a model, with the projection network phi where it is learned."""
        target, clustering = self.recipe.target, self.recipe.clustering
        prototypes = clustering.prototypes if clustering else 0
        if self.teacher is not None:
            return self._model(self.teacher.dim, prototypes=prototypes)
        assert isinstance(target, MlpTarget)
        head = MlpProjector(self.tube_values, target.widths, target.dim)
        return self._model(target.dim, head=head, prototypes=prototypes)

    @property
    def normalized(self) -> bool:
        """Whether phi sees standardised tubes."""
        return isinstance(self.recipe.target, MlpTarget) and self.recipe.target.normalize


class Sigma(_Featured):
    """SIGMA: each branch predicts the other's Sinkhorn assignment to the prototypes."""

    def __init__(self, recipe: Recipe, loader: TrainingLoader, processes: Processes | None = None) -> None:
        super().__init__(recipe, loader, processes)
        c = recipe.clustering
        assert c is not None
        self.settings = ClusteringSettings(
            c.epsilon, c.iterations, c.temperature, c.assignments == "hard", SCORES[c.scores]
        )
        self.surveys = c.balance == "step"
        self.group = None if c.balance == "local" else self.processes.group
        self.prototypes = c.prototypes
        self._balance: tuple[torch.Tensor, torch.Tensor] | None = None
        self._labels: torch.Tensor | None = None

    def survey(self, batches: Sequence[Batch]) -> None:
        """Balance the assignments over all micro-batches of an optimiser step and over all processes."""
        self._surveyed = deque(self.prepare(batch) for batch in batches)
        parts = ((part.clips, part.mask, part.targets) for part in self._surveyed)
        self._balance = forward.sigma_balance(self.module, parts, self.settings, self.normalized, self.group)

    def losses(self, prepared: Prepared) -> Losses:
        """Return the symmetric loss and its two halves."""
        found = forward.sigma_forward(
            self.module,
            prepared.clips,
            prepared.mask,
            self.settings,
            prepared.targets,
            self.normalized,
            self.group,
            self._balance,
            self.watch,
        )
        if self.watch:
            counts = monitor.label_counts(found["labels1"], self.prototypes)
            self._labels = counts if self._labels is None else self._labels + counts
            self._noted.append(
                {
                    "from_uniform": monitor.distance_from_uniform(float(found["loss"].detach()), self.prototypes),
                    "assignment_entropy": monitor.relative_entropy(float(found["entropy1"]), self.prototypes),
                    "target_std": monitor.spread(found["projected"]),
                    "prediction_std": monitor.spread(found["decoded"]),
                }
            )
        return {name: found[name] for name in ("loss", "loss1", "loss2")}

    def watched(self) -> dict[str, float]:
        """Return the monitors of the watched step; prototypes are counted over all its tokens."""
        assert self._labels is not None
        counts, self._labels = self.processes.total(self._labels), None
        used = {"used_prototypes": monitor.used_prototypes(counts), "usage_entropy": monitor.usage_entropy(counts)}
        return {**used, **super().watched()}


class FeatureL2(_Featured):
    """L2 to features: to those of the learned projection network it collapses (Table 7)."""

    def losses(self, prepared: Prepared) -> Losses:
        """Return the mean squared error between decoder and feature; a learned one is trained too."""
        found = forward.feature_l2_forward(
            self.module, prepared.clips, prepared.mask, prepared.targets, self.normalized
        )
        if self.watch:
            self._noted.append(
                {
                    "target_std": monitor.spread(found["projected"]),
                    "prediction_std": monitor.spread(found["decoded"]),
                    "target_std_raw": monitor.spread(found["projected"], unit=False),
                }
            )
        return {"loss": found["loss"]}
