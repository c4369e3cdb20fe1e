"""Stages and rates -> hours, bytes, and what binds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sigma_bench.contracts import EncoderSpec
from sigma_bench.runs.plan.rates import Rates, sized
from sigma_bench.runs.plan.sizes import size_of
from sigma_bench.runs.plan.stages import Job, Stage


@dataclass(frozen=True)
class Cost:
    """What a stage costs.

    Attributes:
        what: The stage.
        videos: Samples decoded.
        shown: Clips through the network.
        decode_hours: Were decoding alone to do.
        network_hours: Were the network alone to run.
        written: Bytes that stay on disk.
    """

    what: str
    videos: int
    shown: int
    decode_hours: float
    network_hours: float
    written: int

    @property
    def hours(self) -> float:
        """Decoding goes on beside the network, so the slower of the two decides."""
        return max(self.decode_hours, self.network_hours)

    @property
    def binds(self) -> str:
        """What the hours are spent on."""
        return "decoding" if self.decode_hours > self.network_hours else "network"

    def record(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {**asdict(self), "hours": self.hours, "binds": self.binds}


def costs(job: Job, rates: Rates, spec: EncoderSpec, gpus: int, root: Any) -> list[Cost]:
    """Return what each stage of a job costs.

    Args:
        job: Its stages.
        rates: Of this machine.
        spec: The encoder's.
        gpus: Devices that share the clips; each runs as fast as the one that is measured.
        root: Data root, for the files that are decoded.
    """
    return [_cost(stage, rates, spec, gpus, root) for stage in job.stages]


def _cost(stage: Stage, rates: Rates, spec: EncoderSpec, gpus: int, root: Any) -> Cost:
    wanted = sized(spec, stage.frames, stage.size)
    index = size_of(stage.dataset, stage.split, 1, root, None).index if stage.videos else None
    decoded = rates.decode(index, stage.views, wanted) if stage.videos else float("inf")
    shown = rates.network(stage.trains, wanted.frames, wanted.image_size) * gpus
    return Cost(
        stage.what,
        stage.videos,
        stage.shown,
        stage.videos / decoded / 3600,
        stage.shown / shown / 3600,
        stage.written,
    )
