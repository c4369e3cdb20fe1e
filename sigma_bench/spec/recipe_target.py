"""What is predicted of the hidden tubes, and how predictions are clustered."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sigma_bench.spec.base import Count, Counts, Positive, Spec, Text


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


class TeacherTarget(Spec):
    """Predict the patch features of a frozen image ViT, taken of the first frame of each tubelet."""

    kind: Literal["teacher"]
    model: Text
    """Name in timm: vit_base_patch16_224.dino"""
    weights: Text | None = None
    """File of its weights, `random` for an untrained one; null: those of the name, from the hub's cache."""
    normalize: bool
    """Standardise every channel over all tokens of a clip."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Autocast of the teacher; the released code runs it in fp32."""


AnyTarget = Annotated[PixelTarget | MlpTarget | TeacherTarget, Field(discriminator="kind")]


class Clustering(Spec):
    """Prototypes and the Sinkhorn assignment to them (section 3.3, Eq. 4 to 7 of the paper)."""

    prototypes: Count
    epsilon: Positive
    iterations: Count
    temperature: Positive
    assignments: Literal["hard", "soft"]
    """Each token's class is its likeliest prototype (the released code), or the whole distribution (the equations)."""
    balance: Literal["step", "micro", "local"] = "step"
    """What prototypes are spread over evenly: all clips of an optimiser step, whatever the number of processes and of
    micro-batches (which costs a second forward pass where there are several micro-batches); the micro-batches that all
    processes compute at once; or the micro-batch of each process by itself."""
    scores: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Type of the similarities to the prototypes."""
