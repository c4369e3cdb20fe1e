"""What a pass over an index has written of its features, so that one that was killed is gone on with."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from sigma_bench.encoding import GIVEN_UP, Batch

EVERY_S = 15.0
"""Values are brought to the disk, and then noted, at most so often: what came after is computed again."""


class Journal:
    """The files that one process writes in a pass, and which batches of samples are in them.

    Values are on the disk before a line says so; a batch with a file that another attempt might decode is not noted.

    Args:
        folders: One for each kind of feature; a pass of more or fewer kinds may have begun it.
        shapes: Shape of the values of each.
        types: Their types.
        rank: Number of this process.
        world: Number of processes, which decides who takes which samples.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        shapes: Sequence[tuple[int, ...]],
        types: Sequence[type[np.floating]],
        rank: int,
        world: int,
    ) -> None:
        self._files = [folder / f"journal.{rank}.jsonl" for folder in folders]
        arrays = [folder / f"values.{rank}.npy" for folder in folders]
        head = {"world": world}
        found = [
            _lines(file, head) if _holds(array, shape, kind) else {}
            for file, array, shape, kind in zip(self._files, arrays, shapes, types, strict=True)
        ]
        both = set.intersection(*map(set, found))
        self.done = {first: line for first, line in found[0].items() if first in both}
        self.errors: dict[str, str] = {}
        self.decoders: Counter[str] = Counter()
        self.samples = 0
        for line in self.done.values():
            self._take(line)
        self.values = [
            np.lib.format.open_memmap(array, mode="r+")
            if self.done
            else np.lib.format.open_memmap(array, mode="w+", dtype=kind, shape=shape)
            for array, shape, kind in zip(arrays, shapes, types, strict=True)
        ]
        text = "".join(json.dumps(line) + "\n" for line in (head, *self.done.values()))
        for file in self._files:
            draft = file.with_suffix(".draft")
            draft.write_text(text, encoding="utf-8")
            draft.replace(file)
        self._pending: list[dict[str, Any]] = []
        self._last = time.monotonic()

    def note(self, batch: Batch, errors: dict[str, str]) -> None:
        """Take down that the values of a batch were written.

        Args:
            batch: Where it stands, and what read it.
            errors: Id -> why a sample of it has no values.
        """
        line = {
            "first": batch.places.start,
            "samples": len(batch.places),
            "errors": errors,
            "decoders": dict(batch.decoders),
        }
        self._take(line)
        if not any(reason.startswith(GIVEN_UP) for reason in errors.values()):
            self._pending.append(line)
        if time.monotonic() - self._last >= EVERY_S:
            self._settle()

    def _take(self, line: dict[str, Any]) -> None:
        self.errors |= line["errors"]
        self.decoders += Counter(line["decoders"])
        self.samples += line["samples"]

    def _settle(self) -> None:
        for values in self.values:
            values.flush()
        text = "".join(json.dumps(line) + "\n" for line in self._pending)
        for file in self._files:
            with file.open("a", encoding="utf-8") as stream:
                stream.write(text)
        self._pending, self._last = [], time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._settle()


def _holds(array: Path, shape: tuple[int, ...], kind: type[np.floating]) -> bool:
    """Tell whether a file is an array of a shape and type, and whole."""
    try:
        found = np.load(array, mmap_mode="r")
    except (OSError, ValueError):
        return False
    return bool(found.shape == shape and found.dtype == kind)


def _lines(file: Path, head: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Return the lines of a journal by the place of their first sample; none where it is of another `head`.

    A line that a kill left half written is not there.
    """
    try:
        first, *rest = file.read_text(encoding="utf-8").splitlines()
        if json.loads(first) != head:
            return {}
    except (OSError, ValueError):
        return {}
    lines = {}
    for text in rest:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        lines[int(line["first"])] = line
    return lines
