"""What this machine gives: videos decoded and clips through the network, a second."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from sigma_bench.contracts import Encoder, EncoderSpec, UserError
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.index import Index, Sample
from sigma_bench.data.views import STILL, Views, requests
from sigma_bench.train.loop import autocast

STAND_IN = "a made-up ten-second H.264 video of 340 x 256 pixels"
FILES = 512
"""Most files that a rate is measured on."""
BATCHES = {"cpu": (1, 8), "cuda": (8, 64)}
"""Clips of a batch in training and in the forward pass, where a clip has the usual number of pixels."""
USUAL, MORE = 16 * 224**2, 16
"""That number, and how many times as many smaller clips a batch has at most."""


@dataclass
class Rates:
    """Measures what is asked for once, within a time for each.

    Args:
        encoder: Frames and size -> the encoder that is run with clips of them.
        device: Where.
        precision: fp32 or bf16.
        workers: Decoding processes.
        seconds: Time for each number; the first pass through the network is counted in, where it takes as long.
    """

    encoder: Callable[[int, int], Encoder]
    device: str
    precision: str
    workers: int
    seconds: float
    _decode: dict[Any, float] = field(default_factory=dict)
    _network: dict[Any, float] = field(default_factory=dict)

    def decode(self, index: Index | None, views: Views, spec: EncoderSpec) -> float:
        """Return the samples decoded a second by all processes, of files of `index` or of a stand-in.

        Raises:
            UserError: None of the files can be decoded.
        """
        key = (str(index.root) if index else "", index.split if index else "", views, spec.frames, spec.image_size)
        if key not in self._decode:
            with _files(index, views) as there:
                self._decode[key] = _decoded(there, views, spec, self.workers, self.seconds)
        return self._decode[key]

    def network(self, trains: bool, frames: int, size: int) -> float:
        """Return the clips a second through the encoder, forward and backward where it trains."""
        key = (trains, frames, size)
        if key not in self._network:
            self._network[key] = _shown(
                self.encoder(frames, size), self.device, self.precision, trains, frames, size, self.seconds
            )
        return self._network[key]


def flops(encoder: Encoder, frames: int, size: int) -> float:
    """Return the operations of matrix products of one clip's forward pass, as torch counts them.

    Args:
        encoder: Made for clips of these frames and this size.
        frames: Frames of a clip.
        size: Side of the frames.
    """
    clips = torch.zeros(1, 3, frames, size, size, device=_device(encoder))
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        encoder.tokens(clips)
    return float(counter.get_total_flops())


def _device(encoder: Any) -> torch.device:
    return next((p.device for p in encoder.parameters()), torch.device("cpu"))


def rate(work: Callable[[], int], seconds: float, device: str = "cpu") -> float:
    """Return how much a second `work` does, of repetitions that fill the time; the first is left out if it is short."""
    done, spent, first = 0, 0.0, True
    while spent < seconds:
        began = time.perf_counter()
        count = work()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        took = time.perf_counter() - began
        if first and took < seconds / 2:  # it fills caches and allocates
            first = False
            continue
        done, spent, first = done + count, spent + took, False
    return done / spent


def as_many(frames: int, size: int) -> int:
    """Return how many clips stand for one of the usual size: small ones fill no device one by one."""
    return min(MORE, max(1, USUAL // (frames * size**2)))


def _shown(encoder: Any, device: str, precision: str, trains: bool, frames: int, size: int, seconds: float) -> float:
    batch = BATCHES[torch.device(device).type][not trains] * as_many(frames, size)
    clips = torch.randn(batch, 3, frames, size, size, device=device)
    parameters = list(encoder.parameters())

    def forward() -> int:
        with torch.inference_mode(), autocast(device, precision):
            encoder.tokens(clips)
        return batch

    def both() -> int:
        with autocast(device, precision):
            loss = encoder.tokens(clips).patch_BTHWD.float().square().mean()
        loss.backward()
        for parameter in parameters:
            parameter.grad = None
        return batch

    wanted = [parameter.requires_grad for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.requires_grad_(trains)
        return rate(both if trains else forward, seconds, device)
    finally:
        for parameter, before in zip(parameters, wanted, strict=True):
            parameter.requires_grad_(before)


def _decoded(index: Index, views: Views, spec: EncoderSpec, workers: int, seconds: float) -> float:
    rows = np.random.default_rng(0).permutation(index.count)[:FILES].tolist()
    with DecodePool("sigma_bench.data.load:load_clips", workers) as pool:
        results = pool.map(request for _ in iter(int, 1) for request in requests(index, views, spec, rows))
        failed = 0
        for _ in range(workers):  # starts the processes
            failed += next(results).arrays is None
        began, done = time.perf_counter(), 0
        while (spent := time.perf_counter() - began) < seconds or not done:
            result = next(results)
            done += result.arrays is not None
            failed += result.arrays is None
            if failed > len(rows) + workers and not done:
                raise UserError(f"{index.root}: none of {len(rows)} files of {index.name} can be decoded")
    return done / spent


@contextmanager
def _files(index: Index | None, views: Views) -> Iterator[Index]:
    if index is not None:
        yield index
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("still.mp4" if views.sampling == STILL else "video.mp4")
        _encode(path, 1 if views.sampling == STILL else 300)
        yield Index.build("stand-in", "train", Path(folder), ("0",), [Sample("0", path.name, 0, "0")])


def _encode(path: Path, frames: int) -> None:
    """Write a video of soft blobs that drift: it compresses about as a filmed scene does."""
    rng = np.random.default_rng(0)
    field_ = rng.normal(size=(18, 24, 3)).cumsum(0).cumsum(1)
    field_ = np.kron(field_, np.ones((32, 32, 1)))
    field_ = 128 + 60 * (field_ - field_.mean()) / field_.std()
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=30, options={"crf": "23", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 340, 256, "yuv420p"
        for number in range(frames):
            y, x = number % 256, number % 340
            noise = rng.normal(0, 3, (256, 340, 3))
            picture = np.clip(field_[y : y + 256, x : x + 340] + noise, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode(None))


def sized(spec: EncoderSpec, frames: int | None, size: int | None) -> EncoderSpec:
    """Return the spec with other frames or another size, where a stage has its own."""
    return replace(spec, frames=frames or spec.frames, image_size=size or spec.image_size)
