"""An encoder at the sizes that a task states."""

from __future__ import annotations

from dataclasses import replace

from sigma_bench.contracts import Encoder
from sigma_bench.runs.request import Request
from sigma_bench.runs.systems import Candidate, candidate
from sigma_bench.spec.task import Task


def sized(system: Candidate, encoder: Encoder, task: Task, request: Request, device: str) -> tuple[Candidate, Encoder]:
    """Return a system, and its encoder, read for the clips of a task.

    What the command line says goes before what the task states. An encoder that has the sizes, or cannot be read at
    others (a module of one's own), is returned as it is.

    Args:
        system: The system as it was loaded.
        encoder: Its encoder.
        task: The task; see `Task.sizes`.
        request: What the command line asked for.
        device: Device of the encoder.

    Raises:
        UserError: The checkpoint cannot be read so.
    """
    stated = {name: value for name, value in task.sizes.items() if getattr(request.reading, name) is None}
    departs = any(getattr(encoder.spec, name) != stated[name] for name in ("frames", "image_size") if name in stated)
    if not departs or not system.resizable:
        return system, encoder
    reading = replace(request.reading, **stated)
    found = candidate(system.name, request.family, request.heads, request.as_system, request.specs, reading)
    return replace(found, description=system.description), found.encoder(device)
