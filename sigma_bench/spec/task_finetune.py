"""How a classifier is trained end to end: the `finetune` block of a task."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

from pydantic import Field, Strict, StringConstraints, model_validator

from sigma_bench.spec.base import Count, Counts, NonNegative, Positive, Spec

Share = Annotated[float, Field(ge=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]


class Finetune(Spec):
    """Supervised training of an encoder and a linear head. Rates are per `lr_per` videos of the global batch."""

    epochs: Count
    global_batch: Count
    """Videos of an optimiser step, whatever the number of processes."""
    micro_batch: Count | None = None
    """Most videos in one forward pass of one process, which takes a divisor of its share; null: the whole share. Clips
    are mixed with others of their micro-batch."""
    base_lr: Positive
    lr_per: Count = 256
    min_lr: NonNegative
    """Rate at the end, scaled as `base_lr` is."""
    warmup_epochs: Annotated[int, Field(ge=0)]
    steps: Counts | None = None
    """Epochs from which on the rate is `gamma` times what it was, instead of the cosine that null stands for."""
    gamma: Share = 0.1
    warmup_lr: NonNegative = 0.0
    """Rate at the beginning of the warm-up to `steps`, scaled as `base_lr` is."""
    momentum: BelowOne | None = None
    """Of SGD with Nesterov's momentum, whose decay spares norms alone, instead of the AdamW that null stands for."""
    betas: Annotated[tuple[BelowOne, BelowOne], Strict(False)]
    weight_decay: NonNegative
    layer_decay: Annotated[float, Field(gt=0, le=1)]
    """Ratio of the rates of neighbouring layers; 1: one rate for all."""
    drop_path: BelowOne
    """Stochastic depth of the last block; it grows linearly from 0 with depth."""
    dropout: BelowOne
    """Before the head."""
    init_scale: Positive
    """Factor on the drawn weights of the head."""
    randaugment: Annotated[str, StringConstraints(pattern=r"^rand(-(m|n|mstd|p|inc)\d+(\.\d+)?)+$")] | None
    """In timm's short form (rand-m9-n4-mstd0.5-inc1); null for none."""
    erasing: Share
    """Share of the clips in which a box is erased."""
    crop_scale: Annotated[tuple[Share, Share], Strict(False)]
    """Least and greatest share of the frame of a random resized crop (`views.augment`)."""
    mixup: NonNegative
    """Parameter of the beta distribution of mixup; 0 for none."""
    cutmix: NonNegative
    """The same of CutMix; with both, each micro-batch takes one of them."""
    smoothing: BelowOne
    """Share of a target that is spread over all classes."""
    repeats: Count = 1
    """Clips of each video that is drawn (repeated augmentation); not counted in the global batch and the rate."""
    ema: BelowOne | None = None
    """Decay of a running average of the weights, which is tested; null tests the weights themselves."""
    trainable: Literal["all", "head"] = "all"
    """What is trained: all, or the head and the norm before it alone."""
    pool: Literal["mean", "cls"] | None = None
    """What the head reads; null: as the encoder was made for."""
    select: Literal["last", "held_out", "paper_compat"] = "last"
    """Whose weights are tested: of the last epoch, of the best one on `holdout` of the training list, which is then not
    trained on, or of the best one on the test list itself."""
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.1
    precision: Literal["fp32", "bf16", "fp16"]
    """Autocast of training and test; fp16 with a loss scaler."""
    save_every: Count = 1000
    """Steps between two checkpoints; the end of an epoch that is judged has one too."""
    log_every: Count = 50

    @property
    def lr(self) -> float:
        """Peak learning rate of the training."""
        return self.base_lr * self.global_batch / self.lr_per

    @property
    def mixes(self) -> bool:
        """Whether clips are mixed."""
        return self.mixup > 0 or self.cutmix > 0

    @model_validator(mode="after")
    def _parts_fit(self) -> Finetune:
        if self.warmup_epochs > self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} is above epochs {self.epochs}")
        if self.steps is not None and any(b <= a for a, b in itertools.pairwise((self.warmup_epochs, *self.steps))):
            raise ValueError(f"steps {list(self.steps)}: expected ascending epochs after warmup_epochs")
        if self.steps is None and self.warmup_lr:
            raise ValueError(f"warmup_lr {self.warmup_lr} is for rates in steps; the cosine begins at 0")
        if self.momentum is not None and self.layer_decay < 1:
            raise ValueError(f"layer_decay {self.layer_decay} is for AdamW; with momentum set it to 1")
        if self.steps is not None and self.steps[-1:] >= (self.epochs,):
            raise ValueError(f"steps {list(self.steps)}: the last one is not reached in {self.epochs} epochs")
        if self.min_lr > self.base_lr:
            raise ValueError(f"min_lr {self.min_lr} is above base_lr {self.base_lr}")
        if not 0 < self.crop_scale[0] <= self.crop_scale[1]:
            raise ValueError(f"crop_scale {self.crop_scale}: expected 0 < least <= greatest")
        return self
