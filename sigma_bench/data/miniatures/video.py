"""Small clips as real video files: what the decoders are given to read."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from sigma_bench.contracts import UserError

H264 = {"crf": "12", "preset": "veryfast", "bf": "0", "tune": "zerolatency"}
VP9 = {"crf": "10", "b": "0", "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
CODECS = {".avi": ("libx264", H264), ".mp4": ("libx264", H264), ".webm": ("libvpx-vp9", VP9)}
"""Ending of the file -> encoder and its options."""
FRAMES_PER_SECOND = 10


def encode(path: Path, frames: NDArray[np.uint8], fps: int = FRAMES_PER_SECOND) -> None:
    """Write a clip as a video file of the kind its ending names, the same bytes for the same frames.

    Colour is kept at full resolution (4:4:4) and the rate factor is low: on frames this small the usual subsampling
    costs more of the per-patch normalised targets (mean squared error 0.08) than all else (0.02).

    Args:
        path: File to write: .avi and .mp4 hold H.264, .webm VP9.
        frames: uint8 (T, H, W, 3), H and W even.
        fps: Frames a second.

    Raises:
        UserError: The installed PyAV cannot encode this.
    """
    codec, tuning = CODECS[path.suffix]
    if codec not in av.codecs_available:
        raise UserError(
            f"the installed PyAV {av.__version__} has no {codec} encoder, which miniatures are written with; "
            "install the wheel: pip install --force-reinstall --only-binary av av"
        )
    # bitexact leaves version and date out; the small index space saves 4 kB of padding a file
    options = {"fflags": "+bitexact", **({"reserve_index_space": "256"} if path.suffix == ".avi" else {})}
    with av.open(str(path), "w", format=path.suffix[1:], options=options) as container:
        stream = container.add_stream(codec, rate=fps, options=tuning)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv444p"
        stream.thread_count = 1
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
