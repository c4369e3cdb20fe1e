"""How well a small supervised encoder learns each miniature, beside what can be had without looking.

    python benchmarks/learnable.py --data-root data [--only gym99 davis] [--seeds 3]

A miniature whose labels cannot be learned measures nothing. The encoder is the nano video ViT from random weights, a
linear layer on its mean token (on every token for masks), AdamW, 600 steps (300 where a clip has four times the
tokens), the same rate for every set; the whole train list, one clip spread over each sample, no augmentation. Nothing
is chosen on the test list. The floor is the best that a constant answer reaches there: the most frequent class, the
classes' shares, the median count.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score

from sigma_bench import registry
from sigma_bench.data import masks, transforms
from sigma_bench.data.index import Index
from sigma_bench.data.load import ClipRequest, load_clips, where
from sigma_bench.models.vit import SIZES, VideoViT

BATCH, RATE, DECAY = 64, 1e-3, 0.05
ANY_OBJECT = masks.lookup({0: 0}, others=1)


@dataclass(frozen=True)
class Set:
    """A data set as it is learned here.

    Attributes:
        train: Split that is trained on.
        test: Split that is measured.
        target: What is predicted: class, labels, count or masks.
        frames: Frames of a clip, spread over the sample.
        size: Side of the frames, pixels.
        steps: Optimiser steps.
    """

    train: str
    test: str
    target: str = "class"
    frames: int = 8
    size: int = 32
    steps: int = 600


SETS = {
    "ucf101": Set("train", "test"),
    "hmdb51": Set("train", "test"),
    "ssv2": Set("train", "val"),
    "k400": Set("train", "val"),
    "gym99": Set("train", "val"),
    "gym288": Set("train", "val"),
    "fx_s1": Set("train", "val"),
    "ub_s1": Set("train", "val"),
    "in1k": Set("train", "val"),
    "cifar100": Set("train", "test"),
    "charades": Set("train", "test", "labels", frames=16),
    "ucfrep": Set("train", "val", "count", frames=32, steps=300),
    "davis": Set("train", "val", "masks", size=64, steps=300),
    "ytvos": Set("train", "train20", "masks", size=64, steps=300),
}


def clips_of(index: Index, kind: Set) -> torch.Tensor:
    """Return one clip spread over every sample, uint8 (N, 3, T, S, S)."""
    place = where(index)
    loaded = (load_clips(request_of(place(row), kind))[0][0] for row in range(index.count))
    return torch.stack([transforms.to_clip(torch.from_numpy(frames), kind.size) for frames in loaded])


def request_of(place: dict[str, Any], kind: Set) -> ClipRequest:
    """Return the request of a clip spread over the sample that lies at `place`."""
    return ClipRequest(**place, sampling="segments_test", frames=kind.frames, size=kind.size)


def targets_of(index: Index, kind: Set, grid: tuple[int, int, int]) -> torch.Tensor:
    """Return what is predicted: (N,) classes or log counts, (N, C) labels, (N, tokens) classes of the masks."""
    samples = [index.sample(row) for row in range(index.count)]
    if kind.target == "class":
        return torch.tensor([s.label for s in samples])
    if kind.target == "labels":
        return torch.tensor([[float(c in (s.labels or ())) for c in range(len(index.classes))] for s in samples])
    if kind.target == "count":
        return torch.tensor([float(len(s.boundaries or ()) - 1) for s in samples]).log()
    return torch.stack([_token_classes(index, row, kind, grid) for row in range(index.count)])


def _token_classes(index: Index, row: int, kind: Set, grid: tuple[int, int, int]) -> torch.Tensor:
    """Return the most frequent class under every token: object or not where objects have no category."""
    objects = index.sample(row).objects
    table = masks.category_lookup(objects) if objects else ANY_OBJECT
    files = {annotated.position: annotated.mask for annotated in masks.mask_paths(index, row)}
    chosen = load_clips(request_of(where(index)(row), kind))[1]["indices"][0]
    maps = np.stack([masks.remap(masks.read_mask(files[k], void=None), table) for k in chosen])
    small = F.interpolate(torch.from_numpy(maps)[None].float(), (kind.size, kind.size), mode="nearest")[0].long()
    t, h, w = grid
    classes = len(index.classes) + 1 if index.classes else 2
    share = F.one_hot(small, classes).float().reshape(t, -1, h, kind.size // h, w, kind.size // w, classes)
    return share.mean((1, 3, 5)).argmax(-1).flatten()


def measure(name: str, kind: Set, root: Path, seeds: int) -> dict[str, Any]:
    """Train and test on one set; return the figures of a line of the table."""
    folder = root / name if (root / name).is_dir() else root / registry.DRAWN_FROM.get(name, name)
    reader = registry.get("datasets", name)
    train, test = (reader(folder, split) for split in (kind.train, kind.test))
    held = set(test.ids)  # the test part of YouTube-VOS is drawn from its training list
    parts = [train.select([row for row, name in enumerate(train.ids) if name not in held]), test]
    vit = encoder(kind)
    clips = [clips_of(index, kind) for index in parts]
    wanted = [targets_of(index, kind, vit.grid) for index in parts]
    outputs = {"class": len(parts[0].classes), "labels": len(parts[0].classes), "count": 1}
    out = outputs.get(kind.target, int(max(t.max() for t in wanted)) + 1)
    began = time.perf_counter()
    scores = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        scores.append(score(kind, fit(kind, clips, wanted, out), wanted[1]))
    return {
        "set": name,
        "train": parts[0].count,
        "test": parts[1].count,
        "metric": {"class": "top-1", "labels": "mAP", "count": "count error", "masks": "mIoU"}[kind.target],
        "floor": floor(kind, wanted, out),
        "score": statistics.mean(scores),
        "spread": statistics.stdev(scores) if seeds > 1 else 0.0,
        "seconds": (time.perf_counter() - began) / seeds,
    }


def encoder(kind: Set) -> VideoViT:
    """Return the nano ViT for these clips."""
    size = SIZES["nano"]
    return VideoViT(kind.size, 8, kind.frames, 2, size.dim, size.depth, size.heads)


def fit(kind: Set, clips: list[torch.Tensor], wanted: list[torch.Tensor], out: int) -> torch.Tensor:
    """Train on the first part and return the outputs on the second."""
    vit = encoder(kind)
    head = torch.nn.Linear(vit.spec.embed_dim, out)
    optimizer = torch.optim.AdamW([*vit.parameters(), *head.parameters()], RATE, weight_decay=DECAY)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, kind.steps, pct_start=0.1)

    def outputs(batch: torch.Tensor) -> torch.Tensor:
        tokens = vit(transforms.normalize(batch, vit.spec.mean, vit.spec.std))
        return head(tokens if kind.target == "masks" else tokens.mean(1))

    for _ in range(kind.steps):
        rows = torch.randint(len(clips[0]), (BATCH,))
        loss = loss_of(kind, outputs(clips[0][rows]), wanted[0][rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
    with torch.inference_mode():
        return torch.cat([outputs(part) for part in clips[1].split(BATCH)])


def loss_of(kind: Set, given: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return the loss of a batch."""
    if kind.target == "labels":
        return F.binary_cross_entropy_with_logits(given, wanted)
    if kind.target == "count":
        return F.smooth_l1_loss(given[:, 0], wanted)
    return F.cross_entropy(given.flatten(0, -2), wanted.flatten())


def score(kind: Set, given: torch.Tensor, wanted: torch.Tensor) -> float:
    """Return the metric of the test outputs: percent, or the mean relative error of the count."""
    if kind.target == "labels":
        kept = wanted.sum(0) > 0
        return 100 * float(average_precision_score(wanted[:, kept], given[:, kept], average="macro"))
    if kind.target == "count":
        counts = wanted.exp()
        return float(((given[:, 0].exp().round() - counts).abs() / counts).mean())
    guess = given.argmax(-1)
    return 100 * (miou(guess, wanted) if kind.target == "masks" else float((guess == wanted).float().mean()))


def floor(kind: Set, wanted: list[torch.Tensor], out: int) -> float:
    """Return what the best constant answer of the training part reaches on the test part."""
    train, test = wanted
    if kind.target == "labels":
        return score(kind, train.mean(0).expand_as(test), test)
    if kind.target == "count":
        return score(kind, train.median().expand(len(test))[:, None], test)
    most = F.one_hot(torch.bincount(train.flatten(), minlength=out).argmax(), out).float()
    return score(kind, most.expand(*test.shape, out), test)


def miou(guess: torch.Tensor, truth: torch.Tensor) -> float:
    """Return the mean over the classes of the test part of intersection over union of the tokens."""
    classes = truth.unique().tolist()
    return statistics.mean(
        float(((guess == c) & (truth == c)).sum() / ((guess == c) | (truth == c)).sum()) for c in classes
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--only", nargs="*", default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(2)
    print("| set | train | test | metric | floor | supervised nano ViT | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in asked.only:
        r = measure(name, SETS[name], asked.data_root / "miniature", asked.seeds)
        digits = 2 if r["metric"] == "count error" else 1
        print(
            f"| {name} | {r['train']} | {r['test']} | {r['metric']} | {r['floor']:.{digits}f} | "
            f"{r['score']:.{digits}f} ± {r['spread']:.{digits}f} | {r['seconds']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
