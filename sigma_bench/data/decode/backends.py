"""Which decoder reads a file. The choice is always a name; nothing falls back to another decoder unasked.

Policies besides the names of the decoders:

- `auto`: decord where it is installed, otherwise PyAV, for every file alike. The default of evaluations: published
  protocols were measured with decord, and a file it cannot open is a sample that is counted as missing.
- `decord+pyav`: decord, and PyAV for a file that decord cannot read; PyAV alone where decord is not installed. The
  default of pretraining: no file that can be decoded is lost, and nothing published rests on which of the two read it.
  The reader says which one it was.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.interface import Backend, Frames, Reader, Seconds

CHAIN = "decord+pyav"


@dataclass(frozen=True)
class Listed:
    """A decoder as `listing` shows it: version where it can be used, otherwise the reason why not."""

    name: str
    version: str | None
    unavailable: str | None

    def __str__(self) -> str:
        return f"{self.name:<12} {self.version or 'unavailable: ' + str(self.unavailable)}"


class Chain:
    """One decoder, and another for a file that the first cannot read."""

    name = CHAIN

    def __init__(self, first: Backend, second: Backend) -> None:
        self._both = (first, second)

    def version(self) -> str:
        """Return both versions."""
        return "; ".join(f"{b.name} {b.version()}" for b in self._both)

    def unavailable(self) -> str | None:
        """Return why one of the two cannot be used; None where both can."""
        return next((reason for b in self._both if (reason := b.unavailable())), None)

    def open(self, path: str | os.PathLike[str]) -> Reader:
        """Open a file with the first that can; the reader's `backend` names it.

        Raises:
            DecodeError: Neither can.
        """
        first, second = self._both
        try:
            return ChainReader(path, first.open(path), second)
        except DecodeError:
            return second.open(path)


class ChainReader:
    """A file open in one decoder, which goes over to another when the first cannot give its frames."""

    def __init__(self, path: str | os.PathLike[str], reader: Reader, other: Backend) -> None:
        self._path, self._reader, self._other = path, reader, other
        self.count, self.height, self.width = reader.count, reader.height, reader.width

    @property
    def backend(self) -> str:
        """Name of the decoder that gave the last frames."""
        return self._reader.backend

    @property
    def times(self) -> Seconds | None:
        """When each frame is shown, seconds after the first."""
        return self._reader.times

    def frames(self, indices: Sequence[int]) -> Frames:
        """Return the frames at `indices` as uint8 RGB (N, H, W, 3).

        Raises:
            DecodeError: Neither decoder can.
            IndexError: An index is not in 0..count-1.
        """
        try:
            return self._reader.frames(indices)
        except DecodeError:
            if self._reader.backend == self._other.name:
                raise
        self._reader.close()
        self._reader = self._other.open(self._path)
        return self._reader.frames(indices)

    def close(self) -> None:
        """Release the file."""
        self._reader.close()


@cache
def pick(name: str = "auto") -> Backend:
    """Return the decoder or policy `name`.

    Raises:
        UserError: No such decoder, or it cannot be used here.
    """
    if name in ("auto", CHAIN) and _backend("decord").unavailable():
        return pick("pyav")
    if name == "auto":
        return pick("decord")
    backend: Backend = Chain(_backend("decord"), _backend("pyav")) if name == CHAIN else _backend(name)
    reason = backend.unavailable()
    if reason is not None:
        raise UserError(f"decoder '{name}' cannot be used here: {reason}")
    return backend


def listing() -> list[Listed]:
    """Return every decoder with its version, or why it cannot be used here."""
    found = []
    for name in sorted(registry.names("decoders")):
        backend = _backend(name)
        reason = backend.unavailable()
        found.append(Listed(name, None if reason else backend.version(), reason))
    return found


def _backend(name: str) -> Backend:
    made: Backend = registry.get("decoders", name)()
    return made
