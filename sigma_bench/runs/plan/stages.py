"""What a measurement or a training asks of a machine: videos to decode, clips through the network, bytes on disk."""

from __future__ import annotations

from dataclasses import dataclass

from sigma_bench.data.views import Views
from sigma_bench.runs.plan.sizes import Size

FLOAT = 4


@dataclass(frozen=True)
class Stage:
    """One pass, or several equal ones, over a list.

    Attributes:
        what: What it is, for the user.
        dataset: Data set whose files are decoded.
        split: List of it.
        videos: Samples that are decoded, over all passes.
        views: What is decoded of each.
        shown: Clips through the network, over all passes.
        trains: Forward and backward, or forward only.
        written: Bytes that stay on disk.
        frames: Frames of a clip that the network is shown; None: the encoder's own number.
        size: Side of the frames; None: the encoder's own.
    """

    what: str
    dataset: str
    split: str
    videos: int
    views: Views
    shown: int
    trains: bool = False
    written: int = 0
    frames: int | None = None
    size: int | None = None


@dataclass(frozen=True)
class Job:
    """What is planned: its stages, and the lists they go over, by name."""

    name: str
    stages: tuple[Stage, ...]
    sizes: dict[str, Size]


def checkpoints(parameters: int, kept: int = 2, average: bool = False) -> int:
    """Return the bytes of the checkpoints of an AdamW training: weights and two moments each, and a running average."""
    return kept * parameters * FLOAT * (3 + average)
