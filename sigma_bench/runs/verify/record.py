"""One comparison with a golden vector."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

Status = Literal["ok", "failed", "unknown", "skipped"]


@dataclass(frozen=True)
class Record:
    """What came of one key of one golden file.

    `error` is the largest difference found and `tolerance` the largest allowed; both None where nothing was compared,
    the second where any is allowed.
    `unknown` means that there is no check for the file or key, `skipped` that something it needs is absent. An advisory
    record does not count towards the exit code.
    """

    file: str
    key: str
    error: float | None
    tolerance: float | None
    status: Status
    reason: str = ""
    advisory: bool = False


def exit_code(records: Iterable[Record]) -> int:
    """Return 1 if a record that counts failed or nothing was compared at all, else 0."""
    compared = [record for record in records if record.status in ("ok", "failed")]
    failed = any(record.status == "failed" and not record.advisory for record in compared)
    return 1 if failed or not compared else 0


class Comparison:
    """Collects the records of one golden file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.records: list[Record] = []

    def close(
        self, key: str, ours: torch.Tensor, golden: torch.Tensor, tolerance: float, *, relative: bool = False
    ) -> None:
        """Compare tensors by their largest difference, over the largest golden value where `relative`."""
        ours, golden = ours.detach().double().cpu(), golden.detach().double().cpu()
        if ours.shape != golden.shape:
            self.failed(key, f"shape {tuple(ours.shape)}, expected {tuple(golden.shape)}")
            return
        error = float((ours - golden).abs().max()) if golden.numel() else 0.0
        if relative and golden.numel():
            error /= max(float(golden.abs().max()), 1e-30)
        self._add(key, error, tolerance)

    def defined(self, key: str, ours: np.ndarray | float, golden: np.ndarray | float, tolerance: float) -> None:
        """Compare arrays or numbers of which some may be NaN: ours must be so in the same places."""
        pair = [np.asarray(values, np.float64) for values in (ours, golden)]
        undefined = [np.isnan(values) for values in pair]
        if pair[0].shape == pair[1].shape and (undefined[0] != undefined[1]).any():
            self.failed(key, f"{int(undefined[0].sum())} values are NaN, expected {int(undefined[1].sum())}")
            return
        mine, theirs = (torch.from_numpy(np.where(gone, 0.0, v)) for gone, v in zip(undefined, pair, strict=True))
        self.close(key, mine, theirs, tolerance)

    def number(self, key: str, ours: float, golden: float, tolerance: float, *, relative: bool = False) -> None:
        """Compare two numbers."""
        scale = max(abs(golden), 1e-30) if relative else 1.0
        self._add(key, abs(ours - golden) / scale, tolerance)

    def told(self, key: str, error: float, reason: str) -> None:
        """Record how far two numbers are apart that need not agree: it has no tolerance and never fails."""
        self.records.append(Record(self.file, key, error, None, "ok", reason, advisory=True))

    def exact(self, key: str, ours: torch.Tensor, golden: torch.Tensor, allowed: int = 0) -> None:
        """Compare whole numbers or booleans; the error is the number of entries that differ, `allowed` of which may."""
        ours, golden = ours.detach().cpu(), golden.detach().cpu()
        if ours.shape != golden.shape:
            self.failed(key, f"shape {tuple(ours.shape)}, expected {tuple(golden.shape)}")
        else:
            self._add(key, float((ours != golden).sum()), float(allowed))

    def names(self, key: str, ours: Iterable[str], golden: Iterable[str]) -> None:
        """Compare two sets of names; the error is the number that only one of them holds."""
        differing = sorted(set(ours) ^ set(golden))
        self._add(key, float(len(differing)), 0.0, f"differing: {', '.join(differing[:4])}" if differing else "")

    def norms(self, key: str, ours: Mapping[str, float], golden: Mapping[str, float], tolerance: float) -> None:
        """Compare numbers by name, relatively; the reason names the worst one."""
        if set(ours) != set(golden):
            self.names(key, ours, golden)
            return
        floor = 1e-6 * max((abs(v) for v in golden.values()), default=0.0) + 1e-30
        errors = {name: abs(ours[name] - value) / max(abs(value), floor) for name, value in golden.items()}
        worst = max(errors, key=lambda name: errors[name])
        self._add(key, errors[worst], tolerance, f"{len(errors)} values, worst {worst}")

    def failed(self, key: str, reason: str) -> None:
        """Record a failure that has no size."""
        self.records.append(Record(self.file, key, None, None, "failed", reason))

    def unknown(self, key: str, reason: str) -> None:
        """Record a key nothing is known about."""
        self.records.append(Record(self.file, key, None, None, "unknown", reason))

    def skipped(self, key: str, reason: str) -> None:
        """Record what could not be compared for want of something."""
        self.records.append(Record(self.file, key, None, None, "skipped", reason))

    def _add(self, key: str, error: float, tolerance: float, reason: str = "") -> None:
        if not math.isfinite(error):
            reason = reason or "the difference is infinite or undefined"
        status: Status = "ok" if error <= tolerance else "failed"  # an undefined error compares as false
        self.records.append(Record(self.file, key, error, tolerance, status, reason))
