"""Features of loaded checkpoints: `feat_NAME.pt`, each with the checkpoint file it names beside it."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from sigma_bench.models.checkpoints import families, load_encoder
from sigma_bench.models.checkpoints.container import unwrap
from sigma_bench.models.checkpoints.read import read
from sigma_bench.models.vit import EPS
from sigma_bench.runs.verify.vectors import Golden, clips_of

TOLERANCE, HALF_TOLERANCE = 2e-5, 1e-4
LAYOUT = {"sigma_dino": "sigma"}
"""Families of golden files that share the loader of another."""


def check(golden: Golden) -> None:
    """Load the checkpoint as the file's family and compare tokens, pooled features, logits, positions and key names."""
    values, into = golden.values, golden.into
    named = values.get("family", "a Hugging Face folder")
    family = LAYOUT.get(named, named)
    if family not in families():
        into.unknown("family", f"no loader for checkpoints of family {named!r}")
        return
    config = values["config"]
    path = golden.path.with_name(values["checkpoint"])
    if path.parent != golden.path.parent or not path.is_file():
        into.skipped("checkpoint", f"{values['checkpoint']} is not beside the file")
        return
    loaded, _ = load_encoder(
        path, family=family, heads=config["heads"], frames=config["frames"], image_size=config["img"]
    )
    encoder: Any = loaded
    encoder.to(golden.device)
    state = unwrap(read(path).content, path).state
    tolerance = HALF_TOLERANCE if any(t.dtype == torch.float16 for t in state.values()) else TOLERANCE
    clips = clips_of(values["video_u8"], golden.device)
    ours: dict[str, torch.Tensor] = {"pos_embed": encoder.positions}
    with torch.no_grad():
        ours["tokens_last_block"] = encoder.tokens(clips, norm=False).patch_BTHWD.flatten(1, 3)
        pooled = ours["tokens_last_block"].mean(1)
        ours["pooled_mean_plain"] = pooled
        head = {name: values[name] if name in values else state[name.replace("_w", ".w").replace("_b", ".b")]
                for name in ("fc_norm_weight", "fc_norm_bias", "head_weight", "head_bias")}  # fmt: skip
        head = {name: tensor.float().to(golden.device) for name, tensor in head.items()}
        normed = F.layer_norm(pooled, pooled.shape[-1:], head["fc_norm_weight"], head["fc_norm_bias"], EPS)
        ours["pooled_mean_fcnorm"] = normed
        ours["logits"] = F.linear(normed, head["head_weight"], head["head_bias"])
        if encoder.spec.has_norm:
            ours["tokens_after_pretrain_norm"] = encoder(clips)
        if encoder.spec.has_norm and "mask" in values:
            ours["visible_tokens_after_pretrain_norm"] = encoder.forward_visible(clips, values["mask"])
    for key, tensor in ours.items():
        if key in values:
            into.close(key, tensor, values[key], 1e-6 if key == "pos_embed" else tolerance)
    if "loaded_keys" in values:
        names = [name for name in encoder.state_dict() if not name.startswith("norm.")]
        into.names("loaded_keys", names, [name for name in values["loaded_keys"] if not name.startswith("norm.")])
