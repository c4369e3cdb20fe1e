"""Linear probes on frozen features: a whole grid of rates and decays trained together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

LOGITS = 2**25
"""At most so many logits are held at a time in prediction."""


@dataclass(frozen=True)
class Setting:
    """One cell of the grid."""

    rate: float
    weight_decay: float


@dataclass
class Probes:
    """G probes that share their input: weights (G, C, D), biases (G, C) and the features' mean and deviation (D,)."""

    weight_GCD: torch.Tensor
    bias_GC: torch.Tensor
    mean_D: torch.Tensor
    std_D: torch.Tensor

    def probabilities(self, features_NVD: np.ndarray) -> np.ndarray:
        """Return the class probabilities (G, N, C), the mean of the softmax over the V views."""
        return np.concatenate(list(self._chunks(features_NVD, np.arange(len(features_NVD)))), axis=1)

    def predictions(self, features_NVD: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the most probable class (G, M) of M of the N samples, holding the probabilities of a few."""
        return np.concatenate([p.argmax(-1) for p in self._chunks(features_NVD, rows)], axis=1)

    def finite(self) -> list[bool]:
        """Tell of each probe whether it is made of numbers: a rate may be too large."""
        parts = (self.weight_GCD.flatten(1), self.bias_GC)
        good_G = torch.stack([torch.isfinite(part).all(1) for part in parts]).all(0)
        return [bool(good) for good in good_G.tolist()]

    def _chunks(self, features_NVD: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the probabilities of so many rows at a time that the logits stay below `LOGITS`; of none, one empty."""
        device, (settings, classes) = self.weight_GCD.device, self.bias_GC.shape
        size = max(1, LOGITS // (settings * classes * features_NVD.shape[1]))
        for start in range(0, max(1, len(rows)), size):
            x = torch.from_numpy(np.array(features_NVD[rows[start : start + size]], dtype=np.float32)).to(device)
            x = (x - self.mean_D) / self.std_D
            logits = torch.einsum("nvd,gcd->gnvc", x, self.weight_GCD) + self.bias_GC[:, None, None]
            yield logits.softmax(-1).mean(2).cpu().numpy()


def grid(rates: Sequence[float], weight_decays: Sequence[float]) -> list[Setting]:
    """Return every pair of a rate and a weight decay."""
    return [Setting(r, w) for r, w in product(rates, weight_decays)]


def moments(features_NVD: np.ndarray, rows: np.ndarray, chunk: int = 8192) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (D,) over the views of `rows`, in one pass and in float64."""
    dim = features_NVD.shape[-1]
    total, square, count = np.zeros(dim), np.zeros(dim), 0
    for start in range(0, len(rows), chunk):
        x = features_NVD[rows[start : start + chunk]].reshape(-1, dim).astype(np.float64)
        total, square, count = total + x.sum(0), square + (x * x).sum(0), count + len(x)
    mean = total / count
    return mean, np.sqrt(np.maximum(square / count - mean * mean, 0.0))


def fit(
    features_NVD: np.ndarray,
    labels_N: np.ndarray,
    rows: np.ndarray,
    settings: Sequence[Setting],
    *,
    classes: int,
    epochs: int,
    batch: int,
    seed: int,
    device: str = "cpu",
) -> Probes:
    """Train one linear classifier a setting on the same batches.

    The features are standardised with the statistics of the training rows (a BatchNorm without affine parameters).
    In each epoch every row is shown in one of its views, drawn at random. AdamW, cosine rate down to zero.

    Args:
        features_NVD: Features of N samples in V views.
        labels_N: Class of each sample.
        rows: The samples to train on.
        settings: Grid cells, trained together.
        classes: Number of classes.
        epochs: Passes over `rows`.
        batch: Samples of a step.
        seed: Seed of order and views.
        device: Torch device.
    """
    mean, std = moments(features_NVD, rows)
    mean_D = torch.from_numpy(mean).float().to(device)
    std_D = torch.from_numpy(std).float().to(device).clamp_min(1e-6)
    dim, views = features_NVD.shape[-1], features_NVD.shape[1]
    weights: list[torch.Tensor] = [nn.Parameter(torch.zeros(classes, dim, device=device)) for _ in settings]
    biases: list[torch.Tensor] = [nn.Parameter(torch.zeros(classes, device=device)) for _ in settings]
    groups = [
        {"params": [w], "weight_decay": s.weight_decay, "base": s.rate} for w, s in zip(weights, settings, strict=True)
    ] + [{"params": [b], "weight_decay": 0.0, "base": s.rate} for b, s in zip(biases, settings, strict=True)]
    optimizer = torch.optim.AdamW(groups, lr=0.0, foreach=True)
    rng = np.random.default_rng(seed)
    steps_per_epoch = -(-len(rows) // batch)
    steps, step = epochs * steps_per_epoch, 0
    for _ in range(epochs):
        order, shown = rng.permutation(rows), rng.integers(views, size=len(rows))
        for start in range(0, len(rows), batch):
            picked = order[start : start + batch]
            x = torch.from_numpy(features_NVD[picked, shown[start : start + batch]].astype(np.float32)).to(device)
            y = torch.from_numpy(labels_N[picked]).to(device)
            x = (x - mean_D) / std_D
            logits = torch.einsum("nd,gcd->gnc", x, torch.stack(weights)) + torch.stack(biases)[:, None]
            loss = F.cross_entropy(logits.flatten(0, 1), y.repeat(len(settings)), reduction="none")
            factor = 0.5 * (1 + np.cos(np.pi * step / steps))
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * factor
            optimizer.zero_grad(set_to_none=True)
            # the sum over the grid keeps the probes independent: each gets the gradient of its own mean loss
            loss.view(len(settings), -1).mean(1).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
    return Probes(torch.stack(weights).detach(), torch.stack(biases).detach(), mean_D, std_D)
