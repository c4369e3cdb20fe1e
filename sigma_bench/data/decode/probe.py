"""Which files of a list can be decoded, and why the others cannot."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sigma_bench.data.decode.backends import pick
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.media import open_media
from sigma_bench.data.decode.pool import DecodePool

WHOLE_LIMIT = 200
"""Of a list of at most so many files every frame is decoded; of a longer one the first, middle and last."""
AT_A_TIME = 16


@dataclass(frozen=True)
class ProbeRecord:
    """What was found of a file.

    Attributes:
        path: The file.
        ok: Every frame that was decoded came out.
        count: Frames, measured; 0 where the file could not be opened.
        height: Pixels after rotation.
        width: Pixels after rotation.
        reason: Why not ok; empty where it is.
        backend: The decoder that read it.
        whole: All frames were decoded, not three of them.
        last_s: When the last frame is shown, seconds after the first; None where the file does not say.
    """

    path: str
    ok: bool
    count: int
    height: int
    width: int
    reason: str
    backend: str
    whole: bool
    last_s: float | None = None


def probe(
    paths: Sequence[str | os.PathLike[str]],
    backend: str = "auto",
    workers: int = 2,
    deadline_s: float = 60.0,
    whole: bool | None = None,
) -> list[ProbeRecord]:
    """Decode files, in processes of their own, and return one record each, in order.

    Args:
        paths: The files.
        backend: A decoder or policy, see `backends`.
        workers: Number of processes.
        deadline_s: Seconds for one file.
        whole: Decode every frame (True), or the first, middle and last (False); None: every frame of at most
            `WHOLE_LIMIT` files.

    Raises:
        UserError: The decoder cannot be used here.
    """
    return list(stream(paths, backend, workers, deadline_s, whole))


def stream(
    paths: Sequence[str | os.PathLike[str]],
    backend: str = "auto",
    workers: int = 2,
    deadline_s: float = 60.0,
    whole: bool | None = None,
) -> Iterator[ProbeRecord]:
    """Yield what `probe` returns, each record as soon as it and those before it are there.

    Raises:
        UserError: The decoder cannot be used here.
    """
    name = pick(backend).name
    whole = len(paths) <= WHOLE_LIMIT if whole is None else whole
    with DecodePool("sigma_bench.data.decode.probe:decode_file", workers, deadline_s=deadline_s) as pool:
        for result in pool.map((str(path), name, whole) for path in paths):
            reason = result.error or str(result.info["reason"])
            found = {"count": 0, "height": 0, "width": 0, "backend": name, "last_s": None, **result.info}
            yield ProbeRecord(
                path=str(paths[result.index]),
                ok=not reason,
                count=found["count"],
                height=found["height"],
                width=found["width"],
                reason=reason,
                backend=found["backend"],
                whole=whole,
                last_s=found["last_s"],
            )


def decode_file(request: tuple[str, str, bool]) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Decode (path, decoder, every frame or three) and return no arrays, only what was found. The job of `probe`."""
    path, backend, whole = request
    reader = open_media(pick(backend), path)
    info: dict[str, Any] = {"count": reader.count, "height": reader.height, "width": reader.width}
    if reader.times is not None and reader.count:
        info["last_s"] = float(reader.times[-1])
    step = range(reader.count) if whole else sorted({0, reader.count // 2, reader.count - 1})
    try:
        for first in range(0, len(step), AT_A_TIME):
            reader.frames(step[first : first + AT_A_TIME])
    except DecodeError as error:
        return [], {**info, "backend": reader.backend, "reason": error.reason}
    finally:
        reader.close()
    return [], {**info, "backend": reader.backend, "reason": ""}
