"""Floors: what knows nothing of objects and is measured on the same clips, by the same code, beside every encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sigma_bench.contracts import UserError
from sigma_bench.runs.reading import AS_STORED
from sigma_bench.runs.request import Request
from sigma_bench.runs.systems import Candidate
from sigma_bench.spec.task import Task


def beside(tasks: Sequence[Task]) -> list[tuple[Candidate, list[Task]]]:
    """Return the floors that some tasks name, each with those tasks."""
    named: dict[str, list[Task]] = {}
    for task in tasks:
        for kind in task.segmentation.floors if task.segmentation is not None else ():
            named.setdefault(kind, []).append(task)
    return [(floor(kind), of) for kind, of in named.items()]


def asked(request: Request) -> Request:
    """Return what was asked for without what concerns the files of checkpoints: floors are the same beside all."""
    return replace(request, heads=None, family=None, reading=AS_STORED)


def floor(kind: str) -> Candidate:
    """Return a floor as it is measured.

    Raises:
        UserError: There is none of this kind.
    """
    from sigma_bench.models.floors import FAMILY, KINDS, PREFIX, VERSION, Floor

    if kind not in KINDS:
        raise UserError(f"no floor '{kind}'; expected one of {', '.join(KINDS)}")

    def made(device: str) -> Any:
        return Floor(kind).to(device).eval()

    name = f"{PREFIX}{kind}"
    digest = hashlib.sha256(f"{name} version {VERSION}".encode()).hexdigest()
    description = {"system": name, "family": FAMILY, "frames": "any", "params_m": 0.0}
    return Candidate(description, digest, f"{name}: no encoder, measured beside them", made)
