"""The log of a run: JSON lines that read as one run, however often it was resumed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from errno import ENOSPC
from pathlib import Path
from typing import Any

from sigma_bench.progress import say

NAME = "log.jsonl"
"""Of the log in a run folder."""


@dataclass
class Log:
    """What a log holds: its records in order, and the numbers (from 1) of the lines that are none."""

    records: list[dict[str, Any]] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)


def read(path: Path) -> Log:
    """Return the records of a log; lines that a kill or an editor left damaged are told, not raised.

    A record has a whole number under `step`. Where a step was written twice by a run that did not rewind its log, the
    records stay as they are.
    """
    log = Log()
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict) and type(record.get("step")) is int:
            log.records.append(record)
        else:
            log.damaged.append(number)
    return log


class JsonLines:
    """An append-only log of one JSON object a line, one writer at a time.

    On a resume the lines after the step that is resumed from are dropped, so that the file reads like one run. A number
    that is not finite is written as null, since JSON has no name for it.
    """

    def __init__(self, path: Path, resume_step: int | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        if resume_step is not None and path.exists():
            self._rewind(resume_step)
        self._file = path.open("ab", buffering=0)
        self._size = path.stat().st_size
        self._waiting: list[bytes] = []
        self._refused = False

    def _rewind(self, step: int) -> None:
        kept = [json.dumps(record) + "\n" for record in read(self.path).records if record["step"] <= step]
        partial = self.path.with_name(f".{self.path.name}.partial")
        partial.write_text("".join(kept), encoding="utf-8")
        os.replace(partial, self.path)

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record and hand it to the operating system.

        Where the storage takes none, it is said once, and records wait in memory for one that it takes.
        """
        plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
        self._waiting.append(json.dumps(plain).encode() + b"\n")
        self._flush()

    def close(self) -> None:
        """Close the file. What the storage does not take now either is lost, which is said."""
        self._flush()
        if self._waiting:
            say(f"{self.path}: {len(self._waiting)} records could not be written")
        self._file.close()

    def _flush(self) -> None:
        try:
            while self._waiting:
                written = self._file.write(self._waiting[0])
                if written < len(self._waiting[0]):
                    raise OSError(ENOSPC, os.strerror(ENOSPC))
                self._size += written
                del self._waiting[0]
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._size)  # no half lines
            if not self._refused:
                say(f"{self.path} takes no records ({error}); training goes on, and they wait for room")
        self._refused = bool(self._waiting)
