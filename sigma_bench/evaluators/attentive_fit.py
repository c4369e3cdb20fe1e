"""Training attentive heads, a whole grid of rates and decays on the same tokens; scoring samples with them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from sigma_bench.encoding import VIEWS_AT_A_TIME
from sigma_bench.evaluators.probes import Setting
from sigma_bench.evaluators.token_sources import Source
from sigma_bench.models.attentive import AttentiveHead
from sigma_bench.progress import Reporter

TOKEN_VALUES = 2**25
"""At most so many values of tokens are on the device at a time, as single precision."""


def fit(
    source: Source,
    labels_N: np.ndarray,
    rows: np.ndarray,
    settings: Sequence[Setting],
    *,
    dim: int,
    heads: int,
    classes: int,
    epochs: int,
    batch: int,
    seed: int,
    device: str = "cpu",
    title: str = "",
) -> list[AttentiveHead]:
    """Train one head a setting on the same batches; all begin with the same weights.

    In each epoch every row is shown in one of its views, drawn at random. AdamW, cosine rate down to zero, no decay of
    biases and norms, no warm-up. A batch that is too large for the device is gone through in parts, to the same
    gradient.

    Args:
        source: Tokens of N samples.
        labels_N: Class of each sample.
        rows: The samples to train on.
        settings: Grid cells.
        dim: Width of the tokens.
        heads: Attention heads.
        classes: Number of classes.
        epochs: Passes over `rows`.
        batch: Samples of a step.
        seed: Seed of weights, order and views.
        device: Torch device.
        title: What the progress says.
    """
    made = [_head(dim, heads, classes, seed, device) for _ in settings]
    groups = [group for head, setting in zip(made, settings, strict=True) for group in _groups(head, setting)]
    optimizer = torch.optim.AdamW(groups, lr=0.0)
    rng = np.random.default_rng(seed)
    views, steps_per_epoch = source.views, -(-len(rows) // batch)
    steps, step = epochs * steps_per_epoch, 0
    with Reporter(title, steps) as reporter:
        for _ in range(epochs):
            order, shown = rng.permutation(rows), rng.integers(views, size=len(rows))
            for places, values in source.read(order, batch, shown):
                labels = torch.from_numpy(labels_N[order[places]]).to(device)
                factor = 0.5 * (1 + np.cos(np.pi * step / steps))
                for group in optimizer.param_groups:
                    group["lr"] = group["base"] * factor
                optimizer.zero_grad(set_to_none=True)
                for part in _parts(len(places), values[0].size):
                    tokens = _on(values[part, 0], device)
                    for head in made:
                        loss = F.cross_entropy(head(tokens), labels[part], reduction="sum") / len(places)
                        loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                step += 1
                reporter.update(step)
    return made


@torch.inference_mode()
def probabilities(
    source: Source, rows: np.ndarray, heads: Sequence[AttentiveHead], classes: int, device: str, title: str = ""
) -> np.ndarray:
    """Return the class probabilities (G, M, C) of M samples, the mean of the softmax over all views of each.

    Those of samples that the source cannot decode are not numbers.
    """
    found = np.full((len(heads), len(rows), classes), np.nan, np.float32)
    with Reporter(title, len(rows), "video") as reporter:
        for places, values in source.read(rows, max(1, VIEWS_AT_A_TIME // source.views)):
            n, views = values.shape[:2]
            flat = values.reshape(n * views, *values.shape[2:])
            for number, head in enumerate(heads):
                parts = [head(_on(flat[part], device)).softmax(-1) for part in _parts(len(flat), flat[0].size)]
                found[number, places] = torch.cat(parts).view(n, views, -1).mean(1).cpu().numpy()
            reporter.update(places[-1] + 1)
    return found


def finite(head: nn.Module) -> bool:
    """Tell whether all weights are numbers: a rate may be too large."""
    return all(bool(torch.isfinite(weight).all()) for weight in head.parameters())


def _head(dim: int, heads: int, classes: int, seed: int, device: str) -> AttentiveHead:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AttentiveHead(dim, heads, classes).to(device)


def _groups(head: AttentiveHead, setting: Setting) -> list[dict[str, object]]:
    weights = [weight for weight in head.parameters() if weight.ndim > 1]
    others = [weight for weight in head.parameters() if weight.ndim <= 1]
    return [
        {"params": weights, "weight_decay": setting.weight_decay, "base": setting.rate},
        {"params": others, "weight_decay": 0.0, "base": setting.rate},
    ]


def _parts(count: int, values: int) -> list[slice]:
    """Return consecutive parts of `count` views of so many values each."""
    size = max(1, TOKEN_VALUES // values)
    return [slice(start, start + size) for start in range(0, count, size)]


def _on(values: np.ndarray, device: str) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(device).float()
