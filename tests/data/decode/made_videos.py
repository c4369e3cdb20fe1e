"""Small videos written by the tests, each with a trait that decoders stumble over."""

from pathlib import Path

import av
import numpy as np

FRAMES = 40


def picture(index, height=48, width=64):
    """A picture that no other index has."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 3 + 5 * index, y * 4 + 3 * index, np.full_like(x, index * 6)], axis=-1).astype(np.uint8)


def write(
    path: Path, codec, options=None, *, pix_fmt="yuv420p", rotation=None, size=(48, 64), frames=FRAMES, gop=12
) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.gop_size = gop
        if rotation:
            stream.set_display_rotation(rotation)
        for index in range(frames):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index, *size), format="rgb24")))
        out.mux(stream.encode(None))
    return path


def hide(source: Path, path: Path, count: int) -> Path:
    """Copy a video so that an edit list hides its first `count` frames."""
    with av.open(str(source)) as given, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as out:
        stream = out.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                shift = round(count / 25 / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                out.mux(packet)
    return path


def sequential(path) -> np.ndarray:
    """All frames as plain decoding gives them, turned by their display matrix."""
    with av.open(str(path)) as given:
        stream = given.streams.best("video")
        return np.stack([np.rot90(f.to_ndarray(format="rgb24"), round(f.rotation / 90)) for f in given.decode(stream)])
