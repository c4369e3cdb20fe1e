"""The log of a run: JSON lines that read as one run, however often it was resumed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
        self._file = path.open("a", encoding="utf-8")

    def _rewind(self, step: int) -> None:
        kept = [json.dumps(record) + "\n" for record in read(self.path).records if record["step"] <= step]
        partial = self.path.with_name(f".{self.path.name}.partial")
        partial.write_text("".join(kept), encoding="utf-8")
        os.replace(partial, self.path)

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record and hand it to the operating system."""
        plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
        self._file.write(json.dumps(plain) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
