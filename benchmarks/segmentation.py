"""What a clip of unsupervised segmentation costs: k-means, matching, and everything behind the encoder.

    python benchmarks/segmentation.py [--clips 30] [--threads 1]

A clip has the size of DAVIS with ViT-S: 8 x 14 x 14 tokens of 384 dimensions, 28 x 28 maps, hence 6,272 points; 5
starts of at most 50 rounds. Its features are smooth noise over moving groups. Times are seconds of this process (not of
the clock), so that other jobs on the machine count less; each is the median of three. The references are named where
they stand: faiss with all points, which the released code calls with a subsample; scikit-learn; and, for matching, a
loop over pairs of labels, which is how the released code fills its matrix of IoUs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from sigma_bench.evaluators.segmentation import maps
from sigma_bench.evaluators.segmentation.scores import compared, diagnostics
from sigma_bench.metrics import cluster_maps, kmeans, kmeans_faiss
from sigma_bench.metrics.matching import match
from sigma_bench.metrics.resampling import nearest, upsampled
from sigma_bench.spec import load

STEPS, GRID, SIZE, DIMS, STARTS, ROUNDS = 8, 14, 28, 384, 5, 50


def seconds(call: Callable[[], Any], repeats: int = 3) -> float:
    took = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        took.append(time.process_time() - began)
    return statistics.median(took)


def clip(seed: int, objects: int = 3) -> tuple[torch.Tensor, np.ndarray]:
    """Return tokens (8, 14, 14, 384) and masks (16, 224, 224) of a made-up clip."""
    rng = np.random.default_rng(seed)
    ids = np.zeros((2 * STEPS, 224, 224), np.uint8)
    for number in range(1, objects + 1):
        y, x, side = *rng.integers(0, 150, 2), int(rng.integers(40, 90))
        for frame in range(2 * STEPS):
            ids[frame, y : y + side, x + 3 * frame : x + 3 * frame + side] = number
    groups = nearest(ids[::2], GRID, "nearest")
    means = rng.normal(size=(objects + 1, DIMS)).astype(np.float32)
    noise = torch.from_numpy(rng.normal(size=(STEPS, DIMS, 7, 7)).astype(np.float32))
    smooth = torch.nn.functional.interpolate(noise, (GRID, GRID), mode="bilinear").permute(0, 2, 3, 1)
    fine = torch.from_numpy(rng.normal(size=(STEPS, GRID, GRID, DIMS)).astype(np.float32))
    return torch.from_numpy(means[groups]) + smooth + 0.5 * fine, ids


def by_pairs(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the IoU of every pair of labels, each from the pixels."""
    ious = [
        [((predicted == c) & (truth == g)).sum() / ((predicted == c) | (truth == g)).sum() for g in np.unique(truth)]
        for c in np.unique(predicted)
    ]
    return np.array(ious)


def plainly(tokens: torch.Tensor, ids: np.ndarray, k: int) -> None:
    """Measure a clip with scikit-learn and the loop over pairs, once for a reduction."""
    flat = tokens.reshape(-1, DIMS).numpy()
    points = torch.from_numpy(PCA(50).fit_transform(StandardScaler().fit_transform(flat)).astype(np.float32))
    points = upsampled(points.view(STEPS, GRID, GRID, -1), SIZE).reshape(-1, 50).numpy()
    labels = KMeans(k, n_init=STARTS, max_iter=ROUNDS, init="random", random_state=0).fit_predict(points)
    by_pairs(np.repeat(labels.reshape(STEPS, SIZE, SIZE), 2, axis=0), nearest(ids, SIZE, "nearest"))


def ours(clips: list[tuple[torch.Tensor, np.ndarray]], settings: Any, *, told: bool = True) -> list[float]:
    """Measure clips as the evaluator does behind the encoder, with the first reduction."""
    tokens = maps.reduced([one for one, _ in clips], "pca50", settings)
    truths = [ids for _, ids in clips]
    made = maps.clustered(tokens, truths, settings.clusters[0], settings, seed=0, void=255)
    values = []
    for one, ids in zip(made, truths, strict=True):
        values.append(compared(one, ids, settings.match, settings, 255).miou)
        if told:
            diagnostics(one, ids, settings.match, settings, 255)
    return values


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--clips", type=int, default=30, help="Clips of the whole evaluation; DAVIS has 30")
    options.add_argument("--threads", type=int, default=1)
    asked = options.parse_args()
    torch.set_num_threads(asked.threads)
    faiss.omp_set_num_threads(asked.threads)
    tokens, ids = clip(0)
    reduced = cluster_maps.reduced([tokens], 50)[0]
    for name, features in (("384 dimensions", tokens), ("50 components", reduced)):
        points = upsampled(features, SIZE).reshape(-1, features.shape[-1]).contiguous()
        for k in (5, 10):
            found = kmeans.kmeans(points[None], [k], seeds=[1], restarts=STARTS, iterations=ROUNDS)
            theirs = kmeans_faiss.kmeans(points.numpy(), k, seed=1, restarts=STARTS, iterations=ROUNDS)
            sk = KMeans(k, n_init=STARTS, max_iter=ROUNDS, init="random", random_state=0).fit(points.numpy())
            torch_s = seconds(lambda p=points, k=k: kmeans.kmeans(p[None], [k], seeds=[1]))
            faiss_s = seconds(lambda p=points.numpy(), k=k: kmeans_faiss.kmeans(p, k, seed=1))
            sk_s = seconds(
                lambda p=points.numpy(), k=k: KMeans(k, n_init=STARTS, max_iter=ROUNDS, init="random").fit(p)
            )
            print(
                f"k-means, {name}, K = {k}: torch {1e3 * torch_s:.0f} ms; faiss all points {faiss_s / torch_s:.2f} "
                f"times that, scikit-learn {sk_s / torch_s:.2f}; inertia over torch's: faiss "
                f"{theirs.inertia / float(found.inertia_B[0]):.4f}, scikit-learn "
                f"{sk.inertia_ / float(found.inertia_B[0]):.4f}"
            )
    predicted = np.repeat(found.labels_BN[0].numpy().reshape(STEPS, SIZE, SIZE), 2, axis=0).astype(np.int16)
    truth = nearest(ids, SIZE, "nearest")
    table_s = seconds(lambda: match(predicted, truth, "hungarian"), 20)
    loop_s = seconds(lambda: by_pairs(predicted, truth), 5)
    print(f"matching of {predicted.size} pixels, 10 clusters, 4 ids: {1e3 * table_s:.2f} ms; the loop over pairs "
          f"{loop_s / table_s:.0f} times that")  # fmt: skip
    clips = [clip(seed, objects=1 + seed % 3) for seed in range(asked.clips)]
    plain_s = seconds(lambda: plainly(*clips[0], 3), 1)
    for backend in ("faiss", "torch"):
        settings = load.task("seg/davis/clustering", sets=[f"segmentation.kmeans.backend={backend}"]).segmentation
        began, cpu = time.perf_counter(), time.process_time()
        values = ours(clips, settings)
        clock, cpu = time.perf_counter() - began, time.process_time() - cpu
        print(
            f"{asked.clips} clips from features to values, clustering, {backend}: {cpu:.1f} s of the process, "
            f"{clock:.1f} s by the clock (mIoU {np.mean(values):.1f}); scikit-learn and the loop "
            f"{plain_s * asked.clips / cpu:.1f} times that"
        )


if __name__ == "__main__":
    main()
