"""What a user is told to do after a training ended early."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Again:
    """Advice in words; the defaults are those of a pretraining.

    Attributes:
        resume: How the training goes on.
        change: Which settings to change where it cannot.
        replay: Command that repeats a step from its incident file; empty where there is none.
    """

    resume: str = "go on with --resume"
    change: str = (
        "Begin another run (--out) with a lower rate (--set train.base_lr=...) or in fp32 (--set train.precision=fp32)."
    )
    replay: str = "sigma-bench pretrain --replay"
