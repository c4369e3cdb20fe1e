"""What a clip of a video costs to decode, against the same clip of another file that shows the same frames."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import numpy as np

from sigma_bench.data import spans
from sigma_bench.data.decode.backends import pick
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.interface import Reader
from sigma_bench.data.decode.media import open_media

FRAMES, STRIDE = 16, 4
REPEATS = 3


def compare(request: tuple[str, str, float | None, float | None, int]) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Read a clip from two files in turns; a job of decoding processes.

    Args:
        request: The two files, the seconds of the first between which the second lies (None: all of it), and a seed
            of the clip's start.

    Returns:
        No arrays, and the record: `first_s` and `second_s`, processor time of opening, decoding and closing, the least
        of the repetitions; `decoder`, the default one with its version.

    Raises:
        DecodeError: One of the two cannot be read by the default decoder.
    """
    first, second, start_s, end_s, seed = request
    backend = pick()
    offset = _first_frame(first, start_s, end_s)
    with _opened(second) as reader:
        count = reader.count
    start = int(np.random.default_rng(seed).integers(max(1, count - (FRAMES - 1) * STRIDE)))
    indices = np.minimum(start + STRIDE * np.arange(FRAMES), count - 1)
    ways = ((first, (indices + offset).tolist()), (second, indices.tolist()))
    taken: list[list[float]] = [[], []]
    for _ in range(REPEATS + 1):  # the first of each fills the caches
        for spent, (path, wanted) in zip(taken, ways, strict=True):
            began = time.process_time()
            with _opened(path) as reader:
                reader.frames(wanted)
            spent.append(time.process_time() - began)
    best = [min(spent[1:]) for spent in taken]
    return [], {"first_s": best[0], "second_s": best[1], "decoder": f"{backend.name} {backend.version()}"}


def _first_frame(path: str, start_s: float | None, end_s: float | None) -> int:
    if start_s is None and end_s is None:
        return 0
    with _opened(path) as reader:
        times = reader.times
    if times is None:
        raise DecodeError(path, "has neither time stamps nor a rate")
    return spans.in_seconds(path, times, start_s, end_s).start


def _opened(path: str) -> closing[Reader]:
    return closing(open_media(pick(), path))
