"""Processor time of a 16-frame clip in every decoder, relative to decord, and the cost of the process pool.

    python benchmarks/decode.py ../shared/real/videos

All figures of a file come from one run, the decoders taking turns, so that a busy machine slows them alike. A clip is
opened, scanned, decoded (16 frames, stride 4, from a start drawn for each repetition) and closed, as in training.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np

from sigma_bench.data.decode import backends
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.decode.scan import scan

FRAMES, STRIDE = 16, 4


def plain_decord(path: Path, indices: list[int]) -> None:
    """Use decord as a script would: no scan, no check, seeks everywhere."""
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    decord.VideoReader(str(path), num_threads=1).get_batch(indices).asnumpy()


def clip(name: str, path: Path, indices: list[int]) -> None:
    reader = backends.pick(name).open(path)
    reader.frames(indices)
    reader.close()


def only_scan(path: Path) -> None:
    scan(path)


def refusals() -> tuple[type[Exception], ...]:
    import decord

    return DecodeError, decord.DECORDError


def job(request: tuple[str, str, list[int]]) -> tuple[list[np.ndarray], dict[str, Any]]:
    name, path, indices = request
    reader = backends.pick(name).open(path)
    return [reader.frames(indices)], {}


def miniature(folder: Path) -> Path:
    """Write a clip like those of the miniatures: MPEG-4 in AVI, 32x32, 24 frames."""
    path = folder / "mini_mpeg4_32x32.avi"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        base = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
        for t in range(24):
            picture = np.ascontiguousarray(base[t // 4 : t // 4 + 32, :32])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def draw(count: int, rng: np.random.Generator) -> list[int]:
    start = rng.integers(0, max(1, count - (FRAMES - 1) * STRIDE))
    return np.minimum(start + STRIDE * np.arange(FRAMES), count - 1).tolist()


def milliseconds(call: Callable[[], None]) -> float:
    began = time.process_time()
    call()
    return 1000 * (time.process_time() - began)


def compare(path: Path, repeats: int) -> str:
    """Return a table line: medians of processor time relative to decord through its backend."""
    count = scan(path).count
    ways: dict[str, Callable[[list[int]], None]] = {
        "decord": lambda i: clip("decord", path, i),
        "pyav": lambda i: clip("pyav", path, i),
        "plain": lambda i: plain_decord(path, i),
        "scan": lambda _: only_scan(path),
    }
    if not _unavailable("torchcodec"):
        ways["torchcodec"] = lambda i: clip("torchcodec", path, i)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    refused: set[str] = set()
    rng = np.random.default_rng(0)
    for repeat in range(repeats + 1):
        indices = draw(count, rng)
        for name, way in ways.items():
            try:
                spent = milliseconds(lambda way=way, indices=indices: way(indices))
            except refusals():
                refused.add(name)
                continue
            if repeat:
                taken[name].append(spent)
    unit = statistics.median(taken["decord"]) if "decord" not in refused else None
    cells = []
    for name in ("decord", "pyav", "torchcodec", "plain", "scan"):
        if name in refused or not taken.get(name):
            cells.append("refused" if name in refused else "-")
        elif unit is None or name == "decord":
            cells.append(f"{statistics.median(taken[name]):.1f} ms")
        else:
            cells.append(f"{statistics.median(taken[name]) / unit:.2f}")
    return f"| {path.name} | {count} | " + " | ".join(cells) + " |"


def _unavailable(name: str) -> bool:
    return next(one for one in backends.listing() if one.name == name).unavailable is not None


def pool_cost(path: Path, repeats: int) -> str:
    """Return lines about the pool: start-up, and wall time of clips in it against the same clips in this process."""
    rng = np.random.default_rng(0)
    count = scan(path).count
    requests = [("decord", str(path), draw(count, rng)) for _ in range(repeats)]
    sys.path.insert(0, str(Path(__file__).parent))
    lines = []
    began = time.perf_counter()
    for request in requests:
        job(request)
    alone = time.perf_counter() - began
    for workers in (1, 2):
        began = time.perf_counter()
        with DecodePool("decode:job", workers) as pool:
            next(pool.map(requests[:1]))
            start = time.perf_counter() - began
            began = time.perf_counter()
            for _ in pool.map(requests):
                pass
            spent = time.perf_counter() - began
        lines.append(
            f"{workers} worker(s): first result after {start:.2f} s; {repeats} clips in {spent / alone:.2f} of the "
            "wall time they take in this process"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of videos")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    print(*backends.listing(), sep="\n")
    print("| file | frames | decord | pyav | torchcodec | decord without scan or check | scan alone |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as made:
        for path in [*sorted(options.folder.iterdir()), miniature(Path(made))]:
            print(compare(path, options.repeats), flush=True)
    print(pool_cost(options.folder / "demo_h264_340x256.mp4", 60))


if __name__ == "__main__":
    main()
