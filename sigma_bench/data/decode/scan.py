"""What is really in a file: one pass over its packets, of which only the first frame is decoded."""

from __future__ import annotations

import os
from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from sigma_bench.data.decode import h264
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.interface import Seconds

SEEKABLE = frozenset({"mov", "mp4", "matroska", "webm"})
"""Containers whose time stamps and key frames are stored, not guessed: only in these is a frame sought by its time."""
NOT_VIDEO = frozenset({"hls", "dash", "concat", "tty", "lavfi"})
"""Playlists, which name other files, and text drawn as video."""
ATTACHED_PICTURE = 0x400


@dataclass(frozen=True)
class Key:
    """A point decoding can start at: the index of its frame as shown, and its time stamp."""

    index: int
    time: int


@dataclass(frozen=True)
class Scan:
    """A file's video stream as measured.

    Attributes:
        path: The file, absolute.
        stream: Index of the stream taken.
        count: Frames that are shown.
        hidden: Packets that are decoded but never shown (before the start of an edit list).
        height: Of a shown frame, pixels, after rotation.
        width: Of a shown frame, pixels, after rotation.
        turn: Degrees by which a decoded picture is turned counter-clockwise to be shown: 0, 90, 180 or 270.
        times: Time stamps of the shown frames, ascending; empty where the container does not keep them reliably.
        keys: Where decoding can start, ascending.
        splits: Frames at which decoding starts anew (of H.264 only an IDR) and with which a part of the file begins
            whichever way it is ordered: all that is decoded before is shown before, all after is shown after.
        time_base: Seconds of a unit of `times`.
        rate: Average frames a second as the file states them; None where it does not.
    """

    path: str
    stream: int
    count: int
    hidden: int
    height: int
    width: int
    turn: int
    times: tuple[int, ...]
    keys: tuple[Key, ...]
    splits: frozenset[int]
    time_base: Fraction
    rate: Fraction | None

    @cached_property
    def seconds(self) -> Seconds | None:
        """When each shown frame is shown, seconds after the first; without time stamps from `rate`."""
        if self.times:
            units = np.asarray(self.times, np.int64) - self.times[0]
            return units * self.time_base.numerator / self.time_base.denominator
        if self.rate:
            return np.arange(self.count) * self.rate.denominator / self.rate.numerator
        return None


def open_video(path: str | os.PathLike[str]) -> tuple[Any, Any]:
    """Open a file with FFmpeg and return (container, video stream), one decoding thread.

    Raises:
        DecodeError: No such file, an empty one, not media, or without video.
    """
    file = Path(os.path.abspath(path))
    if not file.is_file():
        raise DecodeError(path, "is a folder, not a file" if file.is_dir() else "no such file")
    try:
        if file.stat().st_size == 0:
            raise DecodeError(path, "the file is empty (zero bytes)")
        container: Any = av.open(str(file), options={"protocol_whitelist": "file"}, metadata_errors="ignore")
    except PermissionError as error:
        raise DecodeError(path, "no permission to read the file") from error
    except (FFmpegError, OSError) as error:
        raise DecodeError(path, f"not a media file, or its header is damaged ({_words(error)})") from error
    try:
        return container, _video_stream(path, container)
    except DecodeError:
        container.close()
        raise


def scan(path: str | os.PathLike[str]) -> Scan:
    """Measure a file's video stream.

    Raises:
        DecodeError: The file cannot be opened, has no video, is cut short, or its first frame cannot be decoded.
    """
    container, stream = open_video(path)
    with container:
        shown: list[tuple[int | None, bool]] = []
        hidden: list[tuple[int | None, bool]] = []
        anew: list[bool] = []
        first = None
        codec, header = stream.codec_context.name, stream.codec_context.extradata
        try:
            for packet in container.demux(stream):
                if packet.is_corrupt:
                    named = f" of the {stream.frames} its header names" if stream.frames else ""
                    raise DecodeError(path, f"cut short or damaged: {decodable(path)} frames{named} are decodable")
                if packet.size:
                    (hidden if packet.is_discard else shown).append((packet.pts, packet.is_keyframe))
                    if not packet.is_discard:
                        anew.append(packet.is_keyframe and (codec != h264.NAME or h264.is_idr(bytes(packet), header)))
                if first is None:
                    first = next(iter(packet.decode()), None)
        except FFmpegError as error:
            found = f"{decodable(path)} of {len(shown)} frames decodable" if shown else "no frame is decodable"
            raise DecodeError(path, f"{found} ({_words(error)})") from error
        if not shown or first is None:
            raise DecodeError(path, f"0 of {len(shown)} frames decodable")
        turn = _turn(path, first.rotation)
        height, width = (first.width, first.height) if turn in (90, 270) else (first.height, first.width)
        times = _times([pts for pts, _ in shown]) if SEEKABLE & set(container.format.name.split(",")) else ()
        return Scan(
            path=os.path.abspath(path),
            stream=stream.index,
            count=len(shown),
            hidden=len(hidden),
            height=height,
            width=width,
            turn=turn,
            times=times,
            keys=_keys(hidden + shown, times),
            splits=_splits([(pts, new) for (pts, _), new in zip(shown, anew, strict=True)], times),
            time_base=stream.time_base,
            rate=stream.average_rate,
        )


def decodable(path: str | os.PathLike[str]) -> int:
    """Count the frames that come out when a file is decoded from its start to its end or first error."""
    container, stream = open_video(path)
    count = 0
    with container:
        try:
            for _ in container.decode(stream):
                count += 1
        except FFmpegError:
            return count
    return count


def failure(path: str | os.PathLike[str], count: int, decoder: str, words: str) -> DecodeError:
    """Return the error of a decoder that failed in a file of `count` frames; it says whether PyAV fails there too."""
    good = decodable(path)
    if good < count:
        return DecodeError(path, f"{good} of {count} frames decodable from the start ({decoder}: {words})")
    return DecodeError(
        path, f"{decoder} fails ({words}), though all {count} frames are decodable: use the pyav decoder"
    )


def _video_stream(path: str | os.PathLike[str], container: Any) -> Any:
    kinds = set(container.format.name.split(","))
    if kinds & NOT_VIDEO:
        raise DecodeError(path, f"is a {container.format.name} file, not a video")
    pictures = [s for s in container.streams.video if int(s.disposition) & ATTACHED_PICTURE]
    best = container.streams.best("video")
    if best is None or best in pictures:
        best = next((s for s in container.streams.video if s not in pictures), None)
    if best is None:
        there = ", ".join(sorted({"an attached picture" if s in pictures else s.type for s in container.streams}))
        raise DecodeError(path, f"no video stream (only {there})" if there else "no video stream")
    if best.codec_context is None:
        raise DecodeError(path, "FFmpeg has no decoder for its video stream")
    best.codec_context.thread_count = 1
    best.codec_context.thread_type = "NONE"
    return best


def _turn(path: str | os.PathLike[str], degrees: float) -> int:
    quarter = round(degrees / 90)
    if abs(degrees - 90 * quarter) > 1:
        raise DecodeError(path, f"its display matrix turns by {degrees:g} degrees; only multiples of 90 are shown")
    return 90 * (quarter % 4)


def _times(pts: list[int | None]) -> tuple[int, ...]:
    known = sorted(t for t in pts if t is not None)
    return tuple(known) if len(known) == len(pts) == len(set(known)) else ()


def _keys(packets: list[tuple[int | None, bool]], times: tuple[int, ...]) -> tuple[Key, ...]:
    """Return the points to start at; of several before the first shown frame the last."""
    starts = sorted(pts for pts, is_key in packets if is_key and times and pts is not None)
    keys = {(index := bisect_left(times, pts)): Key(index, pts) for pts in starts}
    return tuple(keys[index] for index in sorted(keys))


def _splits(packets: list[tuple[int | None, bool]], times: tuple[int, ...]) -> frozenset[int]:
    """Return the places of the frames that start anew before which the earliest, and only these, are decoded."""
    found, latest = set(), None
    for place, ((pts, anew), time) in enumerate(zip(packets, times, strict=False)):
        if anew and pts == time and (latest is None or latest < time):
            found.add(place)
        if pts is not None:
            latest = pts if latest is None else max(latest, pts)
    return frozenset(found)


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).strip()
