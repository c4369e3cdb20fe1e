"""Pixel and feature regression: `videomae_pixel_*.pt`, `l2_mlp_derived.pt`."""

from __future__ import annotations

import torch

from sigma_bench.pretrain.forward import feature_l2_forward, pixel_forward
from sigma_bench.runs.verify.vectors import Golden, clips_of, gradient_norms, load, masked_model_of
from sigma_bench.train.optim import adamw, pretraining_groups

STEP, LOSS, GRADIENT, LATER = 1e-5, 1e-5, 1e-4, 1e-3
WEIGHT_DECAY = 0.05
SIBLING = "videomae_pixel_norm.pt"


def check_pixels(golden: Golden) -> None:
    """Run the steps of VideoMAE; the initial weights of the raw variant are those of its normalised sibling."""
    values = golden.values
    config = values["config"]
    state = values.get("state_dict")
    if state is None:
        sibling = golden.path.with_name(SIBLING)
        if not sibling.is_file():
            golden.into.skipped("loss_steps", f"holds no weights, and {SIBLING}, which has them, is not beside it")
            return
        state = load(sibling)["state_dict"]
    model = masked_model_of(config, state, golden.device)
    decay = config.get("weight_decay", WEIGHT_DECAY)
    optimizer = adamw(pretraining_groups(model, decay), 0.0)
    for step, (rate, loss) in enumerate(zip(values["lr_steps"], values["loss_steps"], strict=True)):
        clips = clips_of(values["video_u8"][step], golden.device)
        out = pixel_forward(model, clips, values["mask"][step], values.get("normalize_target", True))
        optimizer.zero_grad()
        torch.autograd.backward(out["loss"])
        if step == 0:
            for key, part in (("labels_step0", "targets"), ("decoder_out_step0", "decoded")):
                if key in values:
                    golden.into.close(key, out[part], values[key], STEP)
            golden.into.norms("grad_norms", gradient_norms(model), values["grad_norms"], GRADIENT)
        golden.into.number(f"loss_steps[{step}]", out["loss"].item(), loss, LATER if step else LOSS, relative=step > 0)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    if "param_norms_after" in values:
        after = {name: float(parameter.detach().norm()) for name, parameter in model.named_parameters()}
        golden.into.norms("param_norms_after", after, values["param_norms_after"], LATER)


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
