"""How repetitions are counted: the `counting` block of a task."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict, field_validator

from sigma_bench.spec.base import Count, NonNegative, Positive, Spec

Anchors = Annotated[tuple[Positive, ...], Strict(False), Field(min_length=1)]


class Counting(Spec):
    """A network of cycle lengths: how it is made, how it is trained, and how counts follow from what it says."""

    image_size: Count | None
    """Side of the square frames, pixels; null: the encoder's own. An encoder that cannot be read at it keeps its own,
    and the row says so."""
    positions: Literal["recompute", "interpolate", "slice"] | None = None
    """How a position table is fitted to that size; null: as the family's own code does. The row says it."""
    passes: Literal[1, 2]
    """Forward passes of a window: 2 shows its halves as clips of the encoder's own length, each with heads of its own;
    1 shows all of `clips.frames` as one clip."""
    pool: Literal["mean", "cls"]
    """What the heads read of the tokens."""
    anchors: Anchors
    """Multiples of a length that are judged and corrected; 1 must be one of them."""
    trainable: Literal["all", "head"] = "all"
    """What is trained: all, or the heads alone on a frozen encoder."""
    segments: Count
    """Parts of each training video, drawn once."""
    longest: Annotated[int, Field(ge=2)]
    """Frames of the longest part."""
    unroll: Count
    """Steps of a minibatch at most."""
    epochs: Count
    batch: Count
    """Parts of a minibatch, whatever the number of processes."""
    lr: Positive
    """Rate of Adam, the same in all steps."""
    weight_decay: NonNegative
    """Of Adam: added to the gradient, not decoupled as in AdamW; of all parameters."""
    precision: Literal["fp32", "bf16"]
    """Autocast of training and test."""
    minimum_cycles: Positive = 2
    """Fewest cycles of a video: 2 for UCFRep, 4 for the other sets of the protocol."""
    weight: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the new value when the test corrects a length; the released code has 0.1 for one set."""
    save_every: Count = 500
    """Steps between two checkpoints."""
    log_every: Count = 50

    @field_validator("anchors")
    @classmethod
    def _has_the_length_itself(cls, anchors: tuple[float, ...]) -> tuple[float, ...]:
        if 1.0 not in anchors or len(set(anchors)) < len(anchors):
            raise ValueError(f"found {anchors}, expected different numbers, 1 among them")
        return anchors
