"""Pixel and feature regression: `videomae_pixel_*.pt`, `l2_dino.pt`, `l2_mlp_derived.pt`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from sigma_bench.models.masked import MaskedVideoModel
from sigma_bench.pretrain.forward import feature_l2_forward, pixel_forward
from sigma_bench.runs.verify.teacher import compare_features, targets_of, teacher_of
from sigma_bench.runs.verify.vectors import Golden, clips_of, gradient_norms, load, masked_model_of, steps_of
from sigma_bench.train.optim import adamw, pretraining_groups

STEP, LOSS, GRADIENT, LATER = 1e-5, 1e-5, 1e-4, 1e-3
WEIGHT_DECAY = 0.05
SIBLING = "videomae_pixel_norm.pt"

Forward = Callable[[MaskedVideoModel, torch.Tensor, torch.Tensor], Mapping[str, torch.Tensor]]


def check_pixels(golden: Golden) -> None:
    """Run the steps of VideoMAE; the initial weights of the raw variant are those of its normalised sibling."""
    config, state = golden.values["config"], golden.values.get("state_dict")
    if state is None:
        sibling = golden.path.with_name(SIBLING)
        if not sibling.is_file():
            golden.into.skipped("loss_steps", f"holds no weights, and {SIBLING}, which has them, is not beside it")
            return
        state = load(sibling)["state_dict"]
    normalize = golden.values.get("normalize_target", True)
    _steps(golden, config, state, lambda model, clips, mask: pixel_forward(model, clips, mask, normalize))


def check_teacher(golden: Golden) -> None:
    """Run the steps of regression to the standardised features of a frozen teacher."""
    values = golden.values
    teacher = teacher_of(golden)
    compare_features(golden, teacher, clips_of(values["video_u8"][0], golden.device))

    def forward(model: MaskedVideoModel, clips: torch.Tensor, mask: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return feature_l2_forward(model, clips, mask, targets_of(teacher, clips, mask))

    _steps(golden, values["config"], values["state_dict"], forward)


def check_learned_features(golden: Golden) -> None:
    """Compare MSE(decoder, phi) and its gradients."""
    values = golden.values
    model = masked_model_of(values["config"], values["state_dict"], golden.device)
    out = feature_l2_forward(model, clips_of(values["video_u8"], golden.device), values["mask"])
    torch.autograd.backward(out["loss"])
    golden.into.close("proj", out["projected"], values["proj"], STEP)
    golden.into.close("decoder_out", out["decoded"], values["decoder_out"], STEP)
    golden.into.number("loss", out["loss"].item(), values["loss"], LOSS)
    golden.into.norms("grad_norms", gradient_norms(model), values["grad_norms"], GRADIENT)


def _steps(golden: Golden, config: Mapping[str, Any], state: Mapping[str, torch.Tensor], forward: Forward) -> None:
    """Take the optimiser steps of a file and compare all it holds of them."""
    values, into = golden.values, golden.into
    model = masked_model_of(config, state, golden.device)
    optimizer = adamw(pretraining_groups(model, config.get("weight_decay", WEIGHT_DECAY)), 0.0)
    for step, (rate, loss) in enumerate(steps_of(values)):
        clips = clips_of(values["video_u8"][step], golden.device)
        out = forward(model, clips, values["mask"][step])
        optimizer.zero_grad()
        torch.autograd.backward(out["loss"])
        if step == 0:
            _first_step(golden, model, out)
        into.number(f"loss_steps[{step}]", out["loss"].item(), loss, LATER if step else LOSS, relative=step > 0)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    if "param_norms_after" in values:
        after = {name: float(parameter.detach().norm()) for name, parameter in model.named_parameters()}
        into.norms("param_norms_after", after, values["param_norms_after"], LATER)


def _first_step(golden: Golden, model: MaskedVideoModel, out: Mapping[str, torch.Tensor]) -> None:
    values, into = golden.values, golden.into
    for key, part in (("labels_step0", "targets"), ("decoder_out_step0", "decoded")):
        if key in values:
            into.close(key, out[part], values[key], STEP)
    norms = gradient_norms(model)
    into.norms("grad_norms", norms, values["grad_norms"], GRADIENT)
    if "grad_norm_total" in values:
        total = math.sqrt(sum(norm**2 for norm in norms.values()))
        into.number("grad_norm_total", total, values["grad_norm_total"], GRADIENT, relative=True)
    if "no_grad_params" in values:
        without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
        into.names("no_grad_params", without, values["no_grad_params"])
    if "grad_mask_token" in values:
        gradient = model.mask_token.grad
        ours = torch.zeros(0) if gradient is None else gradient
        into.close("grad_mask_token", ours, values["grad_mask_token"], STEP)
