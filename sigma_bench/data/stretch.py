"""Every frame of a stretch of a video, small and square: a job that decoding processes run, without torch.

A stretch is what clips of changing place and speed are cut from, so it is decoded once and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sigma_bench.data import spans
from sigma_bench.data.decode.interface import Frames
from sigma_bench.data.decode.recent import recent
from sigma_bench.data.decode.stills import unbroken

CHUNK = 64 << 20
"""Bytes of full-size frames that are decoded at a time."""


@dataclass(frozen=True)
class StretchRequest:
    """Which frames of which file are wanted; picklable, so that it can be sent to another process.

    Attributes:
        path: The file.
        size: Side of the square frames, pixels.
        start: First frame of the stretch; None is the file's first.
        end: First frame after it; None is after the file's last.
        backend: Name of the decoder, or auto.
    """

    path: str
    size: int
    start: int | None = None
    end: int | None = None
    backend: str = "auto"


def load_stretch(request: StretchRequest) -> tuple[list[Frames], dict[str, Any]]:
    """Return all frames of a stretch, letterboxed, and what was done.

    Returns:
        One uint8 array (n, S, S, 3), and the record: `count` (frames of the file), `cut` (the stretch goes on after
        the file's end, so that it has fewer frames than the list says), `backend` (that read the file).

    Raises:
        DecodeError: The file cannot be decoded, or frames of a folder are absent.
        UserError: No frame of the stretch is in the file.
    """
    if Path(request.path).is_dir() and (request.start, request.end) != (None, None):
        unbroken(Path(request.path))
    reader = recent(request.backend).open(Path(request.path))
    try:
        span = spans.in_frames(request.path, reader.count, request.start, request.end)
        frames = np.zeros((span.end - span.start, request.size, request.size, 3), np.uint8)
        step = max(1, CHUNK // (reader.height * reader.width * 3))
        for first in range(span.start, span.end, step):
            numbers = range(first, min(first + step, span.end))
            for place, frame in enumerate(reader.frames(list(numbers)), first - span.start):
                letterbox(frame, frames[place])
        return [frames], {"count": reader.count, "cut": span.cut, "backend": reader.backend}
    finally:
        reader.close()


def letterbox(frame: Frames, into: Frames) -> None:
    """Put a frame (h, w, 3), its longer side made as long as a black square's, into the middle of that (S, S, 3).

    The shorter side becomes int(S * short / long), but at least a pixel; the bars differ by one line at most, the
    upper or left one being the thinner. Bilinear with antialiasing, as Pillow does it.

    Source: `Scale_longerside` of the code of Zhang et al., CVPR 2020.
    """
    (height, width), size = frame.shape[:2], len(into)
    longer = max(height, width)
    inner = (max(1, int(size * height / longer)), max(1, int(size * width / longer)))
    top, left = ((size - side) // 2 for side in inner)
    if inner != (height, width):
        frame = np.asarray(Image.fromarray(frame).resize(inner[::-1], Image.Resampling.BILINEAR))
    into[top : top + inner[0], left : left + inner[1]] = frame
