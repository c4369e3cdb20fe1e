"""A pretraining recipe: the schema of `pretrain/*.yaml` after its overlays were applied."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from sigma_bench.spec.base import Count, Counts, NonNegative, Positive, Resolved, Spec, Text, Texts


class Model(Spec):
    """The masked autoencoder: encoder size, geometry of the clip and of its tubes, depth of the decoder."""

    size: Literal["nano", "small", "base", "large", "huge"]
    image_size: Count
    frames: Count
    tubelet: Count
    patch: Count
    decoder_depth: Count

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tubes along time, height and width."""
        side = self.image_size // self.patch
        return self.frames // self.tubelet, side, side

    @model_validator(mode="after")
    def _tubes_fill_the_clip(self) -> Model:
        if self.image_size % self.patch:
            raise ValueError(f"image_size {self.image_size} is not a multiple of patch {self.patch}")
        if self.frames % self.tubelet:
            raise ValueError(f"frames {self.frames} is not a multiple of tubelet {self.tubelet}")
        return self


class Mask(Spec):
    """Which tubes the encoder does not see. `tube`: the same positions in every slice of a clip."""

    kind: Literal["tube"]
    ratio: Annotated[float, Field(gt=0, lt=1)]


class PixelTarget(Spec):
    """Predict the pixels of the masked tubes."""

    kind: Literal["pixels"]
    normalize: bool
    """Standardise every tube and colour channel."""


class MlpTarget(Spec):
    """Predict what a learned projection network makes of the pixels of the masked tubes."""

    kind: Literal["mlp"]
    normalize: bool
    """Standardise every tube and colour channel before the network."""
    widths: Counts
    """Widths of the hidden layers; a GELU follows each."""
    dim: Count
    """Width of the output."""


class Clustering(Spec):
    """Prototypes and the Sinkhorn assignment to them (section 3.3, Eq. 4 to 7 of the paper)."""

    prototypes: Count
    epsilon: Positive
    iterations: Count
    temperature: Positive
    assignments: Literal["hard", "soft"]


class Clips(Spec):
    """How a training clip is cut out of a video."""

    stride: Count
    """Frames of the video between two frames of the clip."""
    crop: Literal["multi_scale", "none", "resize"]


class Train(Spec):
    """Optimisation. Learning rates are per `lr_per` clips of the global batch."""

    global_batch: Count
    micro_batch: Count | None = None
    """Clips in one forward pass of one process; null divides the global batch among the processes."""
    base_lr: Positive
    min_lr: NonNegative
    lr_per: Count = 256
    epochs: Count | None = None
    steps: Count | None = None
    warmup_epochs: Annotated[int, Field(ge=0)] | None = None
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    weight_decay: NonNegative
    betas: Annotated[tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]], Strict(False)]
    precision: Literal["fp32", "bf16"]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    log_every: Count
    save_every: Count
    threads: Count | None = None
    """CPU threads of the training process; null: the cores that its decoding processes leave."""

    @property
    def lr(self) -> float:
        """Peak learning rate of the run."""
        return self.base_lr * self.global_batch / self.lr_per

    @model_validator(mode="after")
    def _one_length(self) -> Train:
        lengths = (("epochs", "warmup_epochs"), ("steps", "warmup_steps"))
        given = [pair for pair in lengths if getattr(self, pair[0]) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of epochs and steps; set the other to null")
        unit, warmup = given[0]
        other = lengths[1 - lengths.index(given[0])][1]
        if getattr(self, warmup) is None or getattr(self, other) is not None:
            raise ValueError(f"the length is in {unit}, so give {warmup} and set {other} to null")
        if getattr(self, warmup) >= getattr(self, unit):
            raise ValueError(f"{warmup} {getattr(self, warmup)} is not below {unit} {getattr(self, unit)}")
        if self.micro_batch and self.global_batch % self.micro_batch:
            raise ValueError(f"global_batch {self.global_batch} is not a multiple of micro_batch {self.micro_batch}")
        if self.min_lr > self.base_lr:
            raise ValueError(f"min_lr {self.min_lr} is above base_lr {self.base_lr}")
        return self


class PublishedRow(Spec):
    """A row of `results/published/published.csv` that this recipe reproduces."""

    table: Text
    row: Count


class Recipe(Spec):
    """A pretraining run, fully stated."""

    name: Text
    title: Text
    version: Count
    method: Text
    """Method as the published tables spell it (`SIGMA-MLP`)."""
    variant: str = ""
    """Departure from the method's default, as the published tables spell it (`loss=L2`); empty: none."""
    objective: Literal["sigma", "pixels", "feature_l2"]
    model: Model
    mask: Mask
    target: Annotated[PixelTarget | MlpTarget, Field(discriminator="kind")]
    clustering: Clustering | None = None
    clips: Clips
    train: Train
    published: Annotated[tuple[PublishedRow, ...], Strict(False)] = ()
    cost: Text
    notes: Texts = ()
    resolved: Resolved

    @model_validator(mode="after")
    def _parts_fit(self) -> Recipe:
        wanted = {"sigma": "mlp", "pixels": "pixels", "feature_l2": "mlp"}[self.objective]
        if self.target.kind != wanted:
            raise ValueError(f"objective {self.objective} needs target.kind {wanted}, found {self.target.kind}")
        if (self.clustering is not None) != (self.objective == "sigma"):
            need = "needs a clustering block" if self.objective == "sigma" else "has no use for a clustering block"
            raise ValueError(f"objective {self.objective} {need}")
        slots = self.model.grid[1] * self.model.grid[2]
        if not 0 < int(self.mask.ratio * slots) < slots:
            raise ValueError(f"mask.ratio {self.mask.ratio} of {slots} positions leaves nothing to predict or to see")
        return self
