"""What a linear probe costs: features once against the backbone in every epoch, and extraction against its forward.

    python benchmarks/linear_probe.py [--size small] [--videos 16] [--device cpu]

1. `once` is our protocol `linear`: four views of each training video through the frozen encoder, then the whole grid
   of probes and the refit. `every epoch` is the released recipe (`linear_released`): two augmented clips of each video
   go through the frozen encoder in every epoch; its epoch is half the difference between trainings of one and three.
   Both decode the same videos of the UCF101 miniature, the tests that follow are left out.
2. `extraction` is `features.extract` on clips that are decoded already, with cache and journal; `forward` is the
   encoder alone on the same clips, in the same batches, normalised before. They take turns; medians are compared.

Each part runs in a process of its own, so that peak memory (resident on CPUs, allocated on GPUs) is that of the part.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sigma_bench.contracts import Run
from sigma_bench.data import transforms
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.views import requests, sample_views
from sigma_bench.encoding import batch_size
from sigma_bench.evaluators import finetune, frozen, linear, samples
from sigma_bench.features import extract
from sigma_bench.runs.data import miniature
from sigma_bench.runs.systems import candidate
from sigma_bench.spec import load

TASK, EPOCHS = "linear/ucf101", 30
TURNS = 3


class Decoded:
    """Decoding processes whose work is done: gives what was decoded before."""

    def __init__(self, results: list[Any]) -> None:
        self.results = results

    def map(self, asked: Any, ahead: int) -> Iterator[Any]:
        """Yield the results in their order."""
        return (result for result, _ in zip(self.results, asked, strict=True)) if ahead else iter(())


def settle(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def seconds(job: Callable[[], object], device: str) -> float:
    settle(device)
    began = time.perf_counter()
    job()
    settle(device)
    return time.perf_counter() - began


def peak(device: str) -> float:
    """Return the most memory this process has held, in GB."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def begin(asked: argparse.Namespace, root: Path, out: Path) -> tuple[Any, Run]:
    torch.set_num_threads(asked.threads)
    encoder = candidate(f"random:{asked.size}", None, None, None, None).encoder(asked.device)
    precision = "fp32" if asked.device == "cpu" else "bf16"
    return encoder, Run(asked.device, 0, root, out, limit=asked.videos, precision=precision, workers=asked.workers)


def task(profile: str | None = None, *sets: str) -> Any:
    whole = ("views.augment=random_resized", "views.test_clips=1", "views.test_crops=1", "clips.frames=16")
    return load.task(TASK, data="miniature", profile=profile, sets=[*whole, *sets])


def once(asked: argparse.Namespace, root: Path, out: Path) -> dict[str, float]:
    """Features of four views, then the official grid for as many epochs as the backbone is compared over."""
    encoder, run = begin(asked, root, out)
    wanted = task(None, "views.train=4", f"probe.epochs={EPOCHS}")
    seen = frozen.features(encoder, wanted, run)
    probe = seconds(lambda: linear.probe_once(seen, 0, wanted, run), asked.device)
    return {"features": seen.train.origin["seconds"], "probe": probe, "peak": peak(asked.device)}


def every_epoch(asked: argparse.Namespace, root: Path, out: Path) -> dict[str, float]:
    """The released recipe, one epoch of it."""
    encoder, run = begin(asked, root, out)
    took = {}
    for epochs in (1, 3):
        wanted = task(
            "released", f"finetune.epochs={epochs}", "finetune.warmup_epochs=0", "finetune.repeats=2",
            "finetune.global_batch=8", "finetune.micro_batch=8", f"finetune.precision={run.precision}",
        )  # fmt: skip
        took[epochs] = seconds(partial(finetune.evaluate, encoder, wanted, run), asked.device)
    return {"epoch": (took[3] - took[1]) / 2, "peak": peak(asked.device)}


def extraction(asked: argparse.Namespace, root: Path, out: Path) -> dict[str, float]:
    """Clips a second of `extract` and of the bare forward on decoded clips."""
    encoder, run = begin(asked, root, out)
    wanted = task(None, "views.train=4")
    whole, spec = samples.read(wanted, run).train, encoder.spec
    index = whole.select(range(whole.count // 2))
    views, _ = frozen.views_of(wanted, frozen.stride_of(encoder, wanted), 0)
    rows = list(range(index.count))
    with DecodePool("sigma_bench.data.load:load_clips", workers=asked.workers) as pool:
        decoded = list(pool.map(requests(index, views, spec, rows), ahead=16))
    clips = [clip for found in decoded for clip in sample_views(found, views, spec, run.device)]
    size = batch_size(views) * views.count
    cut = [torch.stack(clips[first : first + size]) for first in range(0, len(clips), size)]
    ready = [transforms.normalize(batch, spec.mean, spec.std) for batch in cut]
    encoder.eval()

    @torch.inference_mode()
    def forward() -> None:
        with torch.autocast(asked.device, dtype=torch.bfloat16, enabled=run.precision == "bf16"):
            for batch in ready:
                encoder.tokens(batch, layer=-1, norm=True)

    def extracted(turn: int) -> None:
        place = out / f"turn{turn}"
        extract(encoder, index, views, replace(run, folder=place, pool=Decoded(decoded)))

    forward()
    turns = [(seconds(forward, asked.device), seconds(partial(extracted, turn), asked.device)) for turn in range(TURNS)]
    bare, whole = (statistics.median(column) for column in zip(*turns, strict=True))
    return {"forward": len(clips) / bare, "extraction": len(clips) / whole, "peak": peak(asked.device)}


def apart(part: Callable[..., dict[str, float]], *arguments: Any) -> dict[str, float]:
    """Return what a part says in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(part, *arguments).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="small")
    parser.add_argument("--videos", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data = miniature("ucf101", root / "data", 0).parent
        a, b, c = (apart(part, asked, data, root / part.__name__) for part in (once, every_epoch, extraction))
    ours, theirs = a["features"] + a["probe"], EPOCHS * b["epoch"]
    print(f"ViT {asked.size}, {asked.videos} videos, 16 frames, {asked.device}")
    print(f"once: features {a['features']:.1f} s, grid and refit {a['probe']:.1f} s; peak {a['peak']:.2f} GB")
    print(f"every epoch: {b['epoch']:.1f} s an epoch, {theirs:.0f} s for {EPOCHS}; peak {b['peak']:.2f} GB")
    print(f"every epoch / once: {theirs / ours:.1f}; / features alone: {theirs / a['features']:.1f}")
    print(
        f"extraction {c['extraction']:.2f} clips/s, bare forward {c['forward']:.2f}: "
        f"{100 * c['extraction'] / c['forward']:.0f} %; peak {c['peak']:.2f} GB"
    )


if __name__ == "__main__":
    main()
