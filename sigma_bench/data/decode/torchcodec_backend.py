"""torchcodec: PyTorch's decoder, over the FFmpeg libraries of the system."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.interface import Frames, Seconds, ascending
from sigma_bench.data.decode.scan import Scan, failure, scan

REMEDY = "install FFmpeg's shared libraries, version 4 to 8 (Debian, Ubuntu: `apt-get install ffmpeg`; conda: `ffmpeg`)"


class Backend:
    """The torchcodec decoder. torch is imported when it is first used, not before."""

    name = "torchcodec"

    def version(self) -> str:
        """Return the versions of torchcodec and of the FFmpeg it found."""
        from torchcodec import ffmpeg_major_version

        return f"{metadata.version('torchcodec')} (FFmpeg {ffmpeg_major_version})"

    def unavailable(self) -> str | None:
        """Return why torchcodec cannot be used here, with the remedy; None where it can."""
        if importlib.util.find_spec("torchcodec") is None:
            return "torchcodec is not installed: `pip install torchcodec`"
        try:
            from torchcodec.decoders import VideoDecoder
        except (ImportError, OSError, RuntimeError):
            return f"torchcodec finds no FFmpeg: {REMEDY}"
        try:
            VideoDecoder(b"no video")
        except (RuntimeError, ValueError) as error:
            if "libtorchcodec" in str(error):
                return f"torchcodec finds no FFmpeg: {REMEDY}"
        return None

    def open(self, path: str | os.PathLike[str]) -> TorchcodecReader:
        """Open a file.

        Raises:
            DecodeError: torchcodec cannot read it.
        """
        return TorchcodecReader(path)


class TorchcodecReader:
    """A file open in torchcodec, which scans it too and seeks by time stamps."""

    backend = "torchcodec"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._scan: Scan = scan(path)
        self.count, self.height, self.width = self._scan.count, self._scan.height, self._scan.width
        if not self._scan.times:
            raise DecodeError(
                path,
                "torchcodec finds frames by their time stamps alone, and this container (AVI, MPEG streams) keeps none "
                "that can be relied on; the decoders pyav and decord count",
            )
        self._video: Any = self._open()
        if len(self._video) != self.count:
            raise DecodeError(path, f"torchcodec finds {len(self._video)} frames, the file holds {self.count}")

    @property
    def times(self) -> Seconds | None:
        """When each frame is shown, seconds after the first."""
        return self._scan.seconds

    def frames(self, indices: Sequence[int]) -> Frames:
        """Return the frames at `indices` as uint8 RGB (N, H, W, 3).

        Raises:
            DecodeError: A frame that is needed cannot be decoded.
            IndexError: An index is not in 0..count-1.
        """
        return ascending(indices, self.count, self._ascending)

    def close(self) -> None:
        """Release the file."""
        self._video = None

    def _open(self) -> Any:
        from torchcodec.decoders import VideoDecoder

        try:
            return VideoDecoder(
                self._scan.path,
                stream_index=self._scan.stream,
                dimension_order="NHWC",
                num_ffmpeg_threads=1,
                seek_mode="exact",
            )
        except (RuntimeError, ValueError) as error:
            raise DecodeError(self._path, f"torchcodec cannot open it ({_first_words(error)})") from error

    def _ascending(self, indices: list[int]) -> Frames:
        try:
            frames: Frames = self._video.get_frames_at(indices=indices).data.numpy()
        except (RuntimeError, ValueError, IndexError) as error:
            raise failure(self._path, self.count, self.backend, _first_words(error)) from error
        if frames.shape != (len(indices), self.height, self.width, 3):
            given = "x".join(str(n) for n in frames.shape[1:])
            raise failure(self._path, self.count, self.backend, f"gives {given}, not {self.height}x{self.width}x3")
        return frames


def _first_words(error: BaseException) -> str:
    """Return torchcodec's message without the place in its source."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line.rsplit(".cpp:", maxsplit=1)[-1].split(", ", maxsplit=1)[-1][:160]
