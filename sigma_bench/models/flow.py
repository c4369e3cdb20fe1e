"""Optical flow between frames of a clip: RAFT-small, or a method of OpenCV that needs no weights.

The flow of a pair (a, b) says where a pixel of frame a lies in frame b: what is at (x, y) in a is at
(x, y) + flow in b.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from sigma_bench.contracts import UserError

Pair = tuple[int, int]
Method = Literal["raft_small", "dis", "farneback"]
OpenCvMethod = Literal["dis", "farneback"]
FARNEBACK: dict[str, float | int] = {
    **{"pyr_scale": 0.5, "levels": 5, "winsize": 15},
    **{"iterations": 3, "poly_n": 5, "poly_sigma": 1.2, "flags": 0},
}
"""Settings of Farneback's method: five octaves, for the large motions between frames that are some frames apart."""


class FlowEstimator(Protocol):
    """Estimates the flow of pairs of frames; the flow of a clip does not depend on the others in the batch."""

    def __call__(self, clips_u8: torch.Tensor, pairs: Sequence[Pair]) -> torch.Tensor:
        """Return the flow of `pairs` of every clip.

        Args:
            clips_u8: uint8 RGB clips (B, 3, T, H, W).
            pairs: Numbers (a, b) of frames; the flow goes from a to b. List a pair both ways for both directions.

        Returns:
            float32 (B, P, 2, H, W) in pixels; channel 0 to the right, channel 1 down.
        """
        ...


def estimator(
    method: Method,
    device: torch.device | str = "cpu",
    weights: Path | None = None,
    iterations: int = 6,
    threads: int | None = None,
) -> FlowEstimator:
    """Return the estimator of that name.

    Args:
        method: raft_small, dis (Kroeger et al., ECCV 2016) or farneback (SCIA 2003).
        device: Where RAFT runs; the others run on the CPU.
        weights: File of RAFT's weights; None: torchvision's file in torch's hub cache.
        iterations: Refinements of RAFT.
        threads: Threads of OpenCV's methods; None: this process's share of the cores.

    Raises:
        UserError: RAFT's weights are missing, damaged or do not fit, or OpenCV is not installed.
    """
    if method == "raft_small":
        from sigma_bench.models.flow_raft import RaftSmall

        return RaftSmall(device, weights, iterations)
    return OpenCvFlow(method, threads)


class OpenCvFlow:
    """Flow by a method of OpenCV on grey frames, one pair a task of a pool of threads.

    OpenCV works outside Python's lock, so the threads run at once. It is told to use one thread for each pair: DIS
    divides a frame by the number of threads, and its result would depend on that number.

    Args:
        method: dis (preset medium) or farneback.
        threads: Threads of the pool; None: this process's share of the cores.

    Raises:
        UserError: OpenCV is not installed.
    """

    def __init__(self, method: OpenCvMethod, threads: int | None = None) -> None:
        try:
            import cv2
        except ImportError as error:
            raise UserError(
                f"optical flow by '{method}' needs OpenCV, which cannot be imported ({error}); "
                "pip install opencv-python-headless"
            ) from error
        self._cv2: Any = cv2
        self.method = method
        self.threads = threads or _share_of_cores()
        self._pool: ThreadPoolExecutor | None = None

    def __call__(self, clips_u8: torch.Tensor, pairs: Sequence[Pair]) -> torch.Tensor:
        """Return the flow of `pairs` (B, P, 2, H, W); see `FlowEstimator`."""
        check_clips(clips_u8)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="flow")
        frames = clips_u8.permute(0, 2, 3, 4, 1).contiguous().cpu().numpy()
        used = sorted({number for pair in pairs for number in pair})
        self._cv2.setNumThreads(1)
        grey = [
            {number: self._cv2.cvtColor(clip[number], self._cv2.COLOR_RGB2GRAY) for number in used} for clip in frames
        ]
        flow = np.empty((len(frames), len(pairs), *frames.shape[2:4], 2), np.float32)
        tasks = [(row, column) for row in range(len(frames)) for column in range(len(pairs))]

        def fill(task: tuple[int, int]) -> None:
            row, column = task
            first, second = pairs[column]
            flow[row, column] = self._between(grey[row][first], grey[row][second])

        list(self._pool.map(fill, tasks))
        return torch.from_numpy(flow).permute(0, 1, 4, 2, 3).contiguous()

    def _between(self, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._cv2.setNumThreads(1)
        if self.method == "farneback":
            found: NDArray[np.float32] = self._cv2.calcOpticalFlowFarneback(first, second, None, **FARNEBACK)
        else:
            # an object of its own for each pair: it holds buffers, and would start from the flow of the pair before
            found = self._cv2.DISOpticalFlow_create(self._cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(first, second, None)
        return found


def check_clips(clips_u8: torch.Tensor) -> None:
    """Raise a ValueError unless these are uint8 clips (B, 3, T, H, W)."""
    if clips_u8.dtype != torch.uint8 or clips_u8.ndim != 5 or clips_u8.shape[1] != 3:
        raise ValueError(f"expected uint8 clips (B, 3, T, H, W), found {clips_u8.dtype} {tuple(clips_u8.shape)}")


def _share_of_cores() -> int:
    """Return the cores this process may use, divided among the processes that a launcher started on this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    local = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, cores // max(1, int(local) if local.isdecimal() else 1))
