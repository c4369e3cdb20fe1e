"""Parameter groups and schedules: `optim_schedules.json`."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

from sigma_bench.models.classifier import VideoClassifier
from sigma_bench.models.masked import MaskedVideoModel
from sigma_bench.models.vit import VideoViT
from sigma_bench.pretrain.projector import MlpProjector
from sigma_bench.runs.verify.vectors import Golden
from sigma_bench.train.optim import finetuning_groups, pretraining_groups
from sigma_bench.train.schedule import cosine_with_warmup

TOLERANCE = 1e-12


def check(golden: Golden) -> None:
    """Compare the groups of pretraining and finetuning by name, and every schedule."""
    for key, entry in golden.values.items():
        if key == "pretrain_groups":
            _groups(golden, key, entry)
        elif key == "finetune_groups":
            for index, case in enumerate(entry):
                _finetuning(golden, f"{key}[{index}]", case)
        elif key == "schedules":
            for index, case in enumerate(entry):
                _schedule(golden, f"{key}[{index}]", case)
        else:
            golden.into.unknown(key, "no check for this key yet")


def _groups(golden: Golden, key: str, entry: dict[str, dict[str, float]]) -> None:
    encoder = VideoViT(16, 8, 2, 2, 12, _depth(entry, "encoder"), 2)
    head = MlpProjector(384, [8, 8, 8], 8)
    decay = max(group["weight_decay"] for group in entry.values())
    model = MaskedVideoModel(encoder, 12, _depth(entry, "decoder"), 2, 8, head, 5)
    ours = {name: group["weight_decay"] for group in pretraining_groups(model, decay) for name in group["names"]}
    golden.into.norms(key, ours, {name: group["weight_decay"] for name, group in entry.items()}, TOLERANCE)


def _finetuning(golden: Golden, key: str, case: dict[str, Any]) -> None:
    encoder = VideoViT(16, 8, 2, 2, 12, case["depth"], 2)
    if case["learnable_pos_emb"]:
        encoder.pos_embed = nn.Parameter(torch.zeros_like(encoder.positions))
    model = VideoClassifier(encoder, classes=3, pool="mean" if case["mean_pooling"] else "first")
    decay = max(group["weight_decay"] for group in case["params"].values())
    groups = finetuning_groups(model, decay, case["layer_decay"], model.layer_of, model.last_layer)
    for part in ("lr_scale", "weight_decay"):
        ours = {name.removeprefix("encoder."): group[part] for group in groups for name in group["names"]}
        golden.into.norms(f"{key}.{part}", ours, {n: group[part] for n, group in case["params"].items()}, TOLERANCE)


def _depth(entry: dict[str, dict[str, float]], part: str) -> int:
    found = [re.match(rf"{part}\.blocks\.(\d+)\.", name) for name in entry]
    return 1 + max(int(match[1]) for match in found if match)


def _schedule(golden: Golden, key: str, case: dict[str, Any]) -> None:
    per_epoch = case["niter_per_ep"]
    warmup = case["warmup_steps"] if case["warmup_steps"] > 0 else case["warmup_epochs"] * per_epoch
    total = case["epochs"] * per_epoch
    ours = cosine_with_warmup(case["base_value"], case["final_value"], total, warmup, case["start_warmup_value"])
    golden.into.close(
        key, torch.from_numpy(ours), torch.tensor(case["values"], dtype=torch.float64), TOLERANCE, relative=True
    )
