"""Weighted nearest neighbours on frozen features: nothing is trained, so there is no setting to choose.

Protocol `knn`, after DINO (arXiv 2104.14294, section 4.1 and its appendix on k-NN): the k training samples of largest
cosine similarity vote for their class with weight exp(similarity / temperature). A sample is the mean of the features
of its views; they are those the linear probe is trained on, from the same cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from sigma_bench.contracts import Encoder, Evaluation, Run, UserError
from sigma_bench.evaluators import frozen

METRIC = "knn_top1"
"""Not `top1`, which is the name of the published cells: these are of linear probes."""


def evaluate(encoder: Encoder, task: Any, run: Run) -> Evaluation:
    """Return the accuracy (percent) of the vote of nearest neighbours and one record a test sample.

    Args:
        encoder: Stays frozen, in eval mode.
        task: A task with `evaluator: knn`; of its `probe` block the layer, norm and pooling are used.
        run: Seed of views and label draws.

    Raises:
        UserError: The lists are missing, damaged or leave nothing to vote, or fewer samples than neighbours.
    """
    seen = frozen.features(encoder, task, run)
    queries_MD = _units(seen.test.values_NVD, np.arange(seen.lists.test.count), "cpu")
    draws = []
    for draw in range(task.dataset.draws or 1):
        _, rows = frozen.labelled(seen, task, run.seed * 1000 + draw)
        if len(rows) < task.knn.k:
            raise UserError(f"{task.id}: knn.k is {task.knn.k}, but {len(rows)} training samples are left; lower it")
        draws.append(
            vote(
                queries_MD,
                seen.train.values_NVD,
                seen.lists.train.labels,
                rows,
                classes=len(seen.lists.train.classes),
                k=task.knn.k,
                temperature=task.knn.temperature,
                device=run.device,
            )
        )
    settings = {"k": task.knn.k, "temperature": task.knn.temperature}
    return frozen.evaluation(seen, METRIC, draws, [settings] * len(draws))


@torch.inference_mode()
def vote(
    queries_MD: torch.Tensor,
    bank_NVD: np.ndarray,
    labels_N: np.ndarray,
    rows: np.ndarray,
    *,
    classes: int,
    k: int,
    temperature: float,
    device: str = "cpu",
    chunk: int = 16384,
) -> np.ndarray:
    """Return each class's share of the votes (M, C) of the k nearest neighbours by cosine.

    The weights exp(similarity / temperature) are divided by their sum, which changes no order of classes. Memory does
    not grow with the bank, which may be a file mapped to memory.

    Args:
        queries_MD: Features of the samples to classify, of length 1.
        bank_NVD: Features of N labelled samples in V views; the mean over the views is compared.
        labels_N: Their classes.
        rows: The samples that vote, at least `k`.
        classes: Number of classes.
        k: Neighbours.
        temperature: Similarity by which a weight grows e-fold.
        device: Torch device.
        chunk: Samples of the bank that are compared at a time.
    """
    near_MK = torch.full((len(queries_MD), k), -torch.inf)
    label_MK = torch.zeros((len(queries_MD), k), dtype=torch.int64)
    for start in range(0, len(rows), chunk):
        picked = rows[start : start + chunk]
        bank_ND = _units(bank_NVD, picked, device)
        labels = torch.from_numpy(labels_N[picked]).to(device)
        for first in range(0, len(queries_MD), 1024):
            some = slice(first, first + 1024)
            queries = queries_MD[some].to(device)
            near = torch.cat([near_MK[some].to(device), queries @ bank_ND.T], dim=1)
            voters = torch.cat([label_MK[some].to(device), labels.expand(len(queries), -1)], dim=1)
            best, place = near.topk(k, dim=1)
            near_MK[some], label_MK[some] = best.cpu(), voters.gather(1, place).cpu()
    weights = (near_MK / temperature).softmax(dim=1)
    return torch.zeros(len(queries_MD), classes).scatter_add_(1, label_MK, weights).numpy()


def _units(features_NVD: np.ndarray, rows: np.ndarray, device: str, chunk: int = 16384) -> torch.Tensor:
    """Return the mean over the views of some samples, scaled to length 1; a zero vector stays one."""
    means = [features_NVD[rows[i : i + chunk]].mean(1) for i in range(0, len(rows), chunk)]
    mean_ND = np.concatenate(means) if means else np.zeros((0, features_NVD.shape[-1]), np.float32)
    return F.normalize(torch.from_numpy(mean_ND.astype(np.float32)).to(device), dim=1)
