"""Re-encoding one video so that clips of it decode fast: small pictures, few frames between key frames.

The output holds the frames of the source one to one, at the same times, as the readers of this package show them:
turned as the display matrix says, resized, without sound. There are no B-frames, so that frames are decoded in the
order they are shown, which every decoder and container counts alike.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from sigma_bench.data import spans
from sigma_bench.data.decode.backends import pick
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.interface import Frames, Reader
from sigma_bench.data.decode.media import open_media
from sigma_bench.data.decode.member import named
from sigma_bench.data.decode.scan import open_video

SOURCE_DECODER = "pyav"
"""Reads the sources: whatever FFmpeg opens, every frame exact."""
FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".avi": "avi"}
"""Ending -> container that can hold H.264 under it."""
COUNTED = ("avi",)
"""Containers that keep no time stamps: frames follow at one rate."""
AT_A_TIME = 16
SAMPLES = 3
"""Frames (first, middle, last) that are compared with the source."""
LEAST_PSNR = 20.0
"""dB of luma; below, another picture was written than the source's."""
DEFAULT_RATE = Fraction(25)
"""Frames a second where a source states none."""


@dataclass(frozen=True)
class Settings:
    """How videos are re-encoded.

    Attributes:
        short_side: Pixels of the short side; smaller sources keep their size. Sides are made even.
        gop: Frames from key frame to key frame.
        crf: Constant rate factor of x264; lower is better and larger.
    """

    short_side: int = 320
    gop: int = 12
    crf: int = 18


@dataclass(frozen=True)
class Request:
    """A video to write; `start_s` and `end_s` cut a stretch out of it (see `spans.in_seconds`)."""

    source: str
    target: str
    settings: Settings
    start_s: float | None = None
    end_s: float | None = None


def transcode(request: Request) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Re-encode a video; the job of decoding processes.

    The target appears whole or not at all, and only after its frames have been counted and compared.

    Returns:
        No arrays, and the record: `frames`, `height`, `width`, `psnr` (dB, least luma of the frames compared).

    Raises:
        DecodeError: The source cannot be decoded, or its container cannot hold what it must.
    """
    reader = open_media(pick(SOURCE_DECODER), request.source)
    unfinished = partial(request.target)
    try:
        span = _span(request, reader)
        height, width = size(reader.height, reader.width, request.settings.short_side)
        times = _times(request, reader)[span.start : span.end]
        kept = {0, (span.end - span.start) // 2, span.end - span.start - 1}
        shown = _encode(request, reader, span, times - times[0], (height, width), unfinished, kept)
        psnr = _verify(request, unfinished, times - times[0], shown)
        os.replace(unfinished, request.target)
    except FFmpegError as error:
        raise DecodeError(request.source, f"cannot be written as {request.target}: {error.strerror}") from error
    finally:
        reader.close()
        Path(unfinished).unlink(missing_ok=True)
    return [], {"frames": span.end - span.start, "height": height, "width": width, "psnr": round(psnr, 2)}


def partial(target: str) -> str:
    """Return the name under which a target is written before it is whole."""
    folder, name = os.path.split(target)
    return os.path.join(folder, f".{name}.partial")


def size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Return height and width of the output: the short side at most `short_side`, the aspect kept, both even.

    A side is never enlarged, but for a single pixel, of which H.264 needs two.
    """
    short = min(height, width)
    scale = min(1.0, short_side / short)
    return _even(height * scale), _even(width * scale)


def _even(side: float) -> int:
    return max(2, 2 * int(side / 2 + 1e-9))


def _span(request: Request, reader: Reader) -> spans.Span:
    if request.start_s is None and request.end_s is None:
        return spans.Span(0, reader.count, False)
    if reader.times is None:
        raise DecodeError(request.source, "has neither time stamps nor a rate, and a stretch in seconds is asked of it")
    return spans.in_seconds(request.source, reader.times, request.start_s, request.end_s)


def _times(request: Request, reader: Reader) -> np.ndarray:
    """Return when the frames are shown, seconds; at one rate where the target's container keeps no times."""
    container = FORMATS[os.path.splitext(request.target)[1].lower()]
    if reader.times is None:
        return np.arange(reader.count) / float(DEFAULT_RATE)
    if container in COUNTED and len(reader.times) > 1:
        steps = np.diff(reader.times)
        if steps.max() > 1.01 * steps.min() + 1e-3:
            raise DecodeError(
                request.source,
                f"its frames follow at a changing rate, which {os.path.basename(request.target)} cannot keep; list it "
                "under a name that ends in .mp4",
            )
        return np.arange(reader.count) * float(steps.mean())
    return np.asarray(reader.times)


def _encode(
    request: Request,
    reader: Reader,
    span: spans.Span,
    seconds: np.ndarray,
    shape: tuple[int, int],
    unfinished: str,
    kept: set[int],
) -> dict[int, Frames]:
    """Write the frames and return those of `kept`, resized, as they should come out."""
    container = FORMATS[os.path.splitext(request.target)[1].lower()]
    rate, base, colours = _clock(request.source, reader, seconds, container)
    settings = request.settings
    options = {"crf": str(settings.crf), "preset": "medium", "bf": "0", "sc_threshold": "0", "threads": "1"}
    shown: dict[int, Frames] = {}
    with av.open(unfinished, "w", format=container, options={"fflags": "+bitexact"}) as out:
        stream: Any = out.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width = shape
        stream.pix_fmt = colours
        stream.gop_size = settings.gop
        stream.thread_count = 1
        stream.codec_context.time_base = base
        stream.time_base = base
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for place, picture in _resized(reader, span, shape):
            if place in kept:
                shown[place] = picture.to_ndarray(format="rgb24")
            frame = picture.reformat(format=colours)
            frame.pts = place if container in COUNTED else round(seconds[place] / base)
            frame.time_base = base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return shown


def _resized(reader: Reader, span: spans.Span, shape: tuple[int, int]) -> Iterator[tuple[int, Any]]:
    for first in range(span.start, span.end, AT_A_TIME):
        frames = reader.frames(range(first, min(first + AT_A_TIME, span.end)))
        for place, frame in enumerate(frames, first - span.start):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            if frame.shape[:2] != shape:
                picture = picture.reformat(width=shape[1], height=shape[0], format="rgb24", interpolation="BICUBIC")
            yield place, picture


def _clock(source: str, reader: Reader, seconds: np.ndarray, container: str) -> tuple[Fraction, Fraction, str]:
    """Return nominal rate, time base that holds every time stamp, and pixel format (4:4:4 stays 4:4:4)."""
    gap = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1 / float(DEFAULT_RATE)
    rate = Fraction(1 / gap).limit_denominator(1001)
    colours, base = "yuv420p", Fraction(1, 90000)
    if not os.path.isdir(source):
        with named(source) as name:
            opened, stream = open_video(name)
        with opened:
            colours = "yuv444p" if "444" in str(stream.codec_context.pix_fmt) else colours
            base = Fraction(1, stream.time_base.denominator) if reader.times is not None else base
    return rate, (1 / rate if container in COUNTED else base), colours


def _verify(request: Request, unfinished: str, seconds: np.ndarray, shown: dict[int, Frames]) -> float:
    """Return the least PSNR of the frames compared.

    Raises:
        DecodeError: Other frames, at other times, or other pictures were written.
    """
    reader = pick(SOURCE_DECODER).open(unfinished)
    try:
        if reader.count != len(seconds):
            raise DecodeError(request.source, f"{reader.count} frames were written of {len(seconds)}")
        if reader.times is None or np.abs(reader.times - seconds).max() > 1e-3:
            raise DecodeError(request.source, "its time stamps could not be kept")
        found = [psnr(reader.frames([place])[0], picture) for place, picture in sorted(shown.items())]
    finally:
        reader.close()
    if min(found) < LEAST_PSNR:
        raise DecodeError(
            request.source, f"the pictures written differ from its own (PSNR {min(found):.1f} dB); name a lower --crf"
        )
    return min(found)


def psnr(one: Frames, other: Frames) -> float:
    """Return the peak signal-to-noise ratio of the luma of two RGB pictures (H, W, 3), dB; 99 where they are equal."""
    weights = np.array([0.299, 0.587, 0.114])
    error = float(np.mean((one @ weights - other @ weights) ** 2))
    return 99.0 if error == 0 else min(99.0, 10 * float(np.log10(255**2 / error)))
