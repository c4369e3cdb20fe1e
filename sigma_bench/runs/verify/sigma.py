"""SIGMA's forward pass and optimiser steps: `sigma_{mlp,dino,dinov2}.pt`; its projector at full width."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from sigma_bench.losses.clustering import ClusteringSettings, clustering_loss
from sigma_bench.losses.sinkhorn import sinkhorn
from sigma_bench.models.masked import MaskedVideoModel
from sigma_bench.pretrain.forward import sigma_forward
from sigma_bench.pretrain.projector import MlpProjector
from sigma_bench.pretrain.teacher import FrozenTeacher
from sigma_bench.runs.verify.teacher import compare_features, targets_of, teacher_of
from sigma_bench.runs.verify.vectors import Golden, clips_of, gradient_norms, masked_model_of, steps_of
from sigma_bench.train.optim import adamw, pretraining_groups

STEP, ASSIGNMENT, LOSS, GRADIENT, LATER = 1e-5, 1e-4, 1e-5, 1e-4, 1e-3
WEIGHT_DECAY = 0.05
SHAPE = re.compile(r"(\d+)\.(weight|bias):\((\d+),(?: (\d+))?\)")


TIES = 2
"""Tokens of `sigma_dinov2.pt` that may be assigned otherwise: its two likeliest prototypes come within 2.6e-5."""


def check(golden: Golden) -> None:
    """Run the steps of a file whose targets are projected pixels, and compare all it holds of them."""
    _steps(golden, None, 0)


def check_teacher(golden: Golden, ties: int = 0) -> None:
    """Run the steps of a file whose targets are features of a frozen teacher, and compare all it holds of them."""
    _steps(golden, teacher_of(golden), ties)


def _steps(golden: Golden, teacher: FrozenTeacher | None, ties: int) -> None:
    values = golden.values
    config = values["config"]
    model = masked_model_of(config, values["state_dict"], golden.device)
    settings = ClusteringSettings(config["eps"], config["it"], config["tau"], hard=True)
    optimizer = adamw(pretraining_groups(model, config.get("weight_decay", WEIGHT_DECAY)), 0.0)
    for step, (rate, loss) in enumerate(steps_of(values)):
        clips, mask = clips_of(values["video_u8"][step], golden.device), values["mask"][step]
        targets = None if teacher is None else targets_of(teacher, clips, mask)
        out = sigma_forward(model, clips, mask, settings, targets)
        optimizer.zero_grad()
        torch.autograd.backward(out["loss"])
        if step == 0:
            if teacher is not None:
                compare_features(golden, teacher, clips)
            _first_step(golden, model, out, settings, ties)
        ours = out["loss"].item()
        golden.into.number(f"loss_steps[{step}]", ours, loss, LATER if step else LOSS, relative=step > 0)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    after = {name: float(parameter.detach().norm()) for name, parameter in model.named_parameters()}
    golden.into.norms("param_norms_after", after, values["param_norms_after"], LATER)
    assert model.prototypes is not None
    golden.into.close("prototypes_after", model.prototypes, values["prototypes_after"], LATER, relative=True)


def _first_step(
    golden: Golden, model: MaskedVideoModel, out: dict[str, torch.Tensor], settings: ClusteringSettings, ties: int
) -> None:
    values: dict[str, Any] = golden.values
    into = golden.into
    assert model.prototypes is not None
    into.close("labels_step0", out["targets"], values["labels_step0"], STEP)
    into.close("decoder_out_step0", out["decoded"], values["decoder_out_step0"], STEP)
    into.close("prototypes_normalised_step0", model.prototypes, values["prototypes_normalised_step0"], STEP)
    sides = {"1": out["projected"].flatten(0, 1).detach(), "2": out["decoded"].flatten(0, 1).detach()}
    prototypes = model.prototypes.detach()
    for branch, side in sides.items():
        wanted, wanted_q = values[f"scores{branch}"], values[f"q{branch}"]
        scores = F.normalize(side, dim=-1) @ prototypes.t()
        into.close(f"scores{branch}", scores.view(wanted.shape), wanted, STEP)
        q = sinkhorn(scores, settings.epsilon, settings.iterations)
        into.close(f"q{branch}", q.view(wanted_q.shape), wanted_q, ASSIGNMENT)
        labels = out[f"labels{branch}"].view(wanted_q.shape[:-1])
        into.exact(f"q{branch}_argmax", labels, values[f"q{branch}_argmax"], ties)
        into.number(f"loss{branch}_step0", out[f"loss{branch}"].item(), values[f"loss{branch}_step0"], LOSS)
    soft = clustering_loss(sides["1"], sides["2"], prototypes, replace(settings, hard=False))
    into.number("derived_soft_loss_step0", soft.total.item(), values["derived_soft_loss_step0"], LOSS)
    norms = gradient_norms(model)
    into.norms("grad_norms", norms, values["grad_norms"], GRADIENT)
    total = math.sqrt(sum(norm**2 for norm in norms.values()))
    into.number("grad_norm_total", total, values["grad_norm_total"], GRADIENT, relative=True)
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    into.names("no_grad_params", without, values["no_grad_params"])
    for key, parameter in (("grad_prototypes", model.prototypes), ("grad_mask_token", model.mask_token)):
        into.close(key, torch.zeros(0) if parameter.grad is None else parameter.grad, values[key], STEP)


def check_full_head(golden: Golden) -> None:
    """Compare the projector of the released widths, its weights made by the formula of the file."""
    values = golden.values
    shapes: dict[str, tuple[int, ...]] = {}
    for text in values["layers"]:
        match = SHAPE.fullmatch(text)
        if match is None:
            golden.into.failed("layers", f"{text!r} is not INDEX.weight:(OUT, IN) or INDEX.bias:(OUT,)")
            return
        shapes[f"{match[1]}.{match[2]}"] = tuple(int(n) for n in match.groups()[2:] if n)
    weights = [shape for shape in shapes.values() if len(shape) == 2]
    projector = MlpProjector(weights[0][1], [shape[0] for shape in weights[:-1]], weights[-1][0])
    state = {}
    for index, (name, shape) in enumerate(shapes.items()):
        scale = math.sqrt(2 / shape[1]) if len(shape) == 2 else 0.1
        wave = torch.cos(torch.arange(math.prod(shape), dtype=torch.float64) * 0.7390851332 + index)
        state[name] = (wave * scale).float().view(shape)
    projector.load_state_dict(state)
    with torch.no_grad():
        output = projector.to(golden.device)(values["input"].to(golden.device))
    golden.into.close("output", output, values["output"], 1e-4)
