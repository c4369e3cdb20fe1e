"""The frames of annotated stretches: each decoded once and kept on the device, or beside it, while there is room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from sigma_bench.contracts import UserError
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.index import Index
from sigma_bench.data.load import where
from sigma_bench.data.stretch import StretchRequest
from sigma_bench.data.views import DECODER
from sigma_bench.progress import Reporter

MEMORY = 8 << 30
"""Bytes of frames that one list keeps beside the device. UCFRep's training list has 2.7 GB at 112 pixels. What has no
room anywhere is decoded whenever it is needed."""
FREE = 0.6
"""Share of a GPU's memory that frames leave free."""
JOB = "sigma_bench.data.stretch:load_stretch"
DEADLINE_S = 300.0
"""Seconds that decoding one stretch may take."""
GIVEN_UP = "given up: "
"""Begins the error of a file that another attempt might decode."""


class Stretches:
    """The stretches of an index, letterboxed; `read` has to be called before anything else.

    Args:
        index: The samples; `start` and `end` say where a stretch lies.
        size: Side of the frames, pixels.
        pool: Decoding processes of the job `JOB`.
        device: Where frames are kept first, if it is a GPU.
        memory: Bytes of frames that are kept beside it.

    Attributes:
        counts: Row -> frames of its stretch, of those that can be decoded.
        cut: Rows whose file ends before the stretch does.
        errors: Row -> why it cannot be decoded.
        decoders: How many files each decoder read.
    """

    def __init__(self, index: Index, size: int, pool: DecodePool, device: str = "cpu", memory: int = MEMORY) -> None:
        self.index, self.size = index, size
        self._pool, self._device, self._memory = pool, device, memory
        self.counts: dict[int, int] = {}
        self.cut: list[int] = []
        self.errors: dict[int, str] = {}
        self.decoders: Counter[str] = Counter()
        self._kept: dict[int, torch.Tensor] = {}
        self._bytes = 0
        self._where = where(index)

    @property
    def first_error(self) -> str:
        """The first video that cannot be decoded, and why."""
        row, reason = next(iter(self.errors.items()), (None, "none has two repetitions"))
        return reason if row is None else f"{self.index.ids[row]}: {reason}"

    def read(self, rows: Sequence[int] | None = None, silent: bool = False) -> None:
        """Decode stretches once, and keep the first of them, as many as there is memory for.

        Args:
            rows: Which ones; None: all.
            silent: Say nothing of the progress.
        """
        wanted, title = range(self.index.count) if rows is None else rows, f"frames of {self.index.name}"
        with Reporter(f"{title} {self.index.split}", len(wanted), "video", silent=silent) as reporter:
            for done, (row, frames) in enumerate(self._decoded(wanted), 1):
                if frames is not None:
                    self._keep(row, frames)
                reporter.update(done)

    def told(self) -> dict[str, Any]:
        """Return what is known of the files, as plain values."""
        return {
            "counts": list(self.counts.items()),
            "cut": self.cut,
            "errors": list(self.errors.items()),
            "decoders": dict(self.decoders),
        }

    def take(self, told: Sequence[Mapping[str, Any]]) -> None:
        """Know of the files what each of several processes knows of its own ones."""
        self.counts = {row: frames for part in told for row, frames in part["counts"]}
        self.cut = sorted(row for part in told for row in part["cut"])
        self.errors = dict(sorted((row, reason) for part in told for row, reason in part["errors"]))
        self.decoders = sum((Counter(part["decoders"]) for part in told), Counter())

    def of(self, rows: Sequence[int]) -> dict[int, torch.Tensor]:
        """Return row -> frames (n, S, S, 3) of some stretches that can be decoded.

        Raises:
            UserError: One cannot be decoded any more.
        """
        wanted = sorted(set(rows))
        found = {row: self._kept[row] for row in wanted if row in self._kept}
        for row, frames in self._decoded([row for row in wanted if row not in found]):
            if frames is None or len(frames) != self.counts[row]:
                reason = self.errors.get(row, "it has another number of frames")
                raise UserError(f"{self.index.path(row)}: could be decoded before, and cannot any more: {reason}")
            found[row] = frames
        return found

    def _keep(self, row: int, frames: torch.Tensor) -> None:
        if torch.device(self._device).type == "cuda":
            free, total = torch.cuda.mem_get_info(self._device)
            if free - frames.nbytes >= FREE * total:
                self._kept[row] = frames.to(self._device)
                return
        if self._bytes + frames.nbytes <= self._memory:
            self._kept[row] = frames
            self._bytes += frames.nbytes

    def _decoded(self, rows: Sequence[int]) -> Iterator[tuple[int, torch.Tensor | None]]:
        for row, result in zip(rows, self._pool.map(map(self._request, rows)), strict=True):
            if result.arrays is None:
                self.errors[row] = f"{GIVEN_UP if result.transient else ''}{result.error}"
                yield row, None
                continue
            frames = torch.from_numpy(result.arrays[0])
            if row not in self.counts:
                self.counts[row] = len(frames)
                self.decoders[str(result.info["backend"])] += 1
                if result.info["cut"]:
                    self.cut.append(row)
            yield row, frames

    def _request(self, row: int) -> StretchRequest:
        sample = self._where(row)
        return StretchRequest(sample["path"], self.size, sample["start"], sample["end"], DECODER)
