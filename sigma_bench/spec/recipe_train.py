"""How a pretraining run is optimised, and on what clips."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from sigma_bench.spec.base import Count, NonNegative, Positive, Spec, Texts

Beta = Annotated[float, Field(ge=0, lt=1)]


class Clips(Spec):
    """How a training clip is cut out of a video."""

    stride: Count
    """Frames of the video between two frames of the clip."""
    crop: Literal["multi_scale", "none", "resize"]
    repeats: Count = 1
    """Crops and masks of each decoded clip (repeated sampling); all of them count as clips of the global batch."""


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
    betas: Annotated[tuple[Beta, Beta], Strict(False)]
    precision: Literal["fp32", "bf16", "fp16"]
    """Autocast of the networks; fp16 with a loss scaler."""
    compile: bool = False
    """Compile the transformer blocks with torch.compile."""
    checkpointing: bool = False
    """Compute the activations of each block again in the backward pass instead of keeping them."""
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    log_every: Count
    save_every: Count
    """Steps between two checkpoints."""
    keep: Count = 2
    """Newest checkpoints that stay."""
    keep_every: Count | None = None
    """Checkpoints at multiples of so many steps stay too, for a curve over the run."""
    eval_every: Count | None = None
    """Steps between two evaluations during the run; null: none."""
    eval_tasks: Texts = ()
    """Tasks of these evaluations."""
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
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> Train:
        if self.micro_batch and self.global_batch % self.micro_batch:
            raise ValueError(f"global_batch {self.global_batch} is not a multiple of micro_batch {self.micro_batch}")
        if self.min_lr > self.base_lr:
            raise ValueError(f"min_lr {self.min_lr} is above base_lr {self.base_lr}")
        if self.keep_every and self.keep_every % self.save_every:
            raise ValueError(f"keep_every {self.keep_every} is not a multiple of save_every {self.save_every}")
        if (self.eval_every is None) != (not self.eval_tasks):
            raise ValueError("eval_every and eval_tasks belong together: give both, or neither")
        if self.eval_every and self.eval_every % self.save_every:
            raise ValueError(
                f"eval_every {self.eval_every} is not a multiple of save_every {self.save_every}; what is evaluated is "
                "a saved checkpoint"
            )
        return self
