"""Where a probe gets all tokens of a view from: from the cache, or from the encoder anew each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from sigma_bench.contracts import Encoder, Run
from sigma_bench.data.index import Index
from sigma_bench.encoding import Asked, batches


class Tokens(NamedTuple):
    """All tokens of some views.

    Attributes:
        places: Which of the rows asked for these are.
        values: (n, V, N, D) float16; V is 1 where one view of each was asked for.
    """

    places: list[int]
    values: np.ndarray


class Source(Protocol):
    """Tokens of the samples of an index."""

    @property
    def views(self) -> int:
        """Views of each sample."""
        ...

    def read(self, rows: np.ndarray, size: int, shown: np.ndarray | None = None) -> Iterator[Tokens]:
        """Yield the tokens of rows in their order, `size` rows at a time.

        Args:
            rows: Samples; those that cannot be decoded are left out.
            size: Rows at a time, of which less may be yielded.
            shown: The one view of each that is wanted; None gives all.
        """
        ...


@dataclass(frozen=True)
class Stored:
    """Tokens that were computed once, mapped to memory."""

    values_NVTD: np.ndarray

    @property
    def views(self) -> int:
        """Views of each sample."""
        return int(self.values_NVTD.shape[1])

    def read(self, rows: np.ndarray, size: int, shown: np.ndarray | None = None) -> Iterator[Tokens]:
        """Yield tokens, see `Source`."""
        for start in range(0, len(rows), size):
            places = range(start, min(start + size, len(rows)))
            picked = rows[places.start : places.stop]
            if shown is None:
                values = self.values_NVTD[picked]
            else:
                values = self.values_NVTD[picked, shown[places.start : places.stop]][:, None]
            yield Tokens(list(places), values)


@dataclass
class Streamed:
    """Tokens that are computed each time they are read. What could not be decoded is taken down."""

    encoder: Encoder
    index: Index
    asked: Asked
    run: Run
    errors: dict[str, str] = field(default_factory=dict)
    decoders: dict[str, int] = field(default_factory=dict)

    @property
    def views(self) -> int:
        """Views of each sample."""
        return self.asked.views.count

    def read(self, rows: np.ndarray, size: int, shown: np.ndarray | None = None) -> Iterator[Tokens]:
        """Yield tokens, see `Source`."""
        places: list[int] = []
        parts: list[np.ndarray] = []
        listed, views = rows.tolist(), None if shown is None else shown.tolist()
        end = size
        for batch in batches(self.encoder, self.index, self.asked, self.run, listed, shown=views):
            self._note(batch.errors, listed)
            for name, count in batch.decoders.items():
                self.decoders[name] = self.decoders.get(name, 0) + count
            for place, values in zip(batch.done, batch.values[0] if batch.done else (), strict=True):
                if place >= end:
                    yield from _joined(places, parts)
                    places, parts, end = [], [], (place // size + 1) * size
                places.append(place)
                parts.append(values)
        yield from _joined(places, parts)

    def _note(self, errors: dict[int, str], rows: Sequence[int]) -> None:
        for place, reason in errors.items():
            self.errors[self.index.ids[rows[place]]] = reason


def _joined(places: list[int], parts: list[np.ndarray]) -> Iterator[Tokens]:
    if places:
        yield Tokens(places, np.stack(parts))
