"""Whether the torch k-means may stand for faiss: inertia and mIoU of both on the same clips, over seeds.

    python benchmarks/segmentation_backends.py DATA_ROOT [--ckpt random:small floor:pixel_colours] [--seeds 10]

DATA_ROOT holds DAVIS, or sequences in its layout. Both see the same features and frames and start at random; the torch
path is fit to be the default where its mean inertia is at most 1 % above that of faiss and its mIoU differs by no more
than faiss differs from seed to seed.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from sigma_bench.contracts import Encoder, Run
from sigma_bench.evaluators import samples
from sigma_bench.evaluators.segmentation import clips_of, maps
from sigma_bench.evaluators.segmentation.clips import void_of
from sigma_bench.evaluators.segmentation.dense import dense, shown_frames
from sigma_bench.evaluators.segmentation.scores import compared
from sigma_bench.models.floors import KINDS, PREFIX, Floor
from sigma_bench.runs.systems import candidate
from sigma_bench.spec import load

BACKENDS = ("faiss", "torch")


def encoder_of(name: str) -> Encoder:
    for kind in KINDS:
        if name == PREFIX + kind:
            return Floor(kind)
    return candidate(name, None, None, None, None).encoder("cpu")


def measure(encoder: Encoder, task: Any, run: Run, seeds: range) -> dict[str, np.ndarray]:
    """Return, for "inertia" and "miou" of each backend, an array (seeds, clips)."""
    index, found = samples.read(task, run).test, defaultdict(list)
    for seed in seeds:
        shown = shown_frames(encoder, task.clips.frames)
        good = [clip for clip in clips_of(index, task, shown=shown, seed=seed) if clip.error is None]
        frames = {clip.row: clip.drawn.positions for clip in good if clip.drawn is not None}
        features = dense(encoder, index, frames, task.segmentation, run)
        truths = [clip.ids for clip in good if clip.ids is not None]
        void = void_of(index, task.segmentation)
        tokens = maps.reduced([features.tokens(clip.row, "cpu") for clip in good], "pca50", task.segmentation)
        for backend in BACKENDS:
            settings = task.segmentation.model_copy(
                update={"kmeans": task.segmentation.kmeans.model_copy(update={"backend": backend})}
            )
            made = maps.clustered(tokens, truths, settings.clusters[0], settings, seed=seed, void=void)
            scores = [
                compared(one, ids, settings.match, settings, void).miou for one, ids in zip(made, truths, strict=True)
            ]
            found[f"miou {backend}"].append(scores)
            found[f"inertia {backend}"].append([one.inertia for one in made])
    return {name: np.array(values) for name, values in found.items()}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("data_root", type=Path)
    options.add_argument("--ckpt", nargs="+", default=["random:small", PREFIX + "pixel_colours"])
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--set", nargs="*", default=[], dest="sets")
    asked = options.parse_args()
    for kind in ("clustering", "overclustering"):
        task = load.task(f"seg/davis/{kind}", sets=asked.sets)
        for name in asked.ckpt:
            with tempfile.TemporaryDirectory() as folder:
                run = Run("cpu", 0, asked.data_root, Path(folder), workers=1)
                found = measure(encoder_of(name), task, run, range(asked.seeds))
            more = found["inertia torch"] / found["inertia faiss"]
            ours, theirs = (found[f"miou {backend}"].mean(1) for backend in ("torch", "faiss"))
            print(
                f"{kind}, {name}, {more.shape[1]} clips, {asked.seeds} seeds: inertia torch / faiss {more.mean():.4f} "
                f"(a clip {more.min():.3f} to {more.max():.3f}); mIoU torch {ours.mean():.2f}, "
                f"faiss {theirs.mean():.2f}, whose deviation over seeds is {theirs.std(ddof=1):.2f}"
            )


if __name__ == "__main__":
    main()
