"""Features of Hugging Face folders: `feat_hf_NAME.pt`, with the folder `hf_*NAME` beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.models.checkpoints.adapter import State
from sigma_bench.models.checkpoints.hf_keys import DECODER_LAYER, PREFIX, decoder_names, depth_of, names
from sigma_bench.models.checkpoints.shards import WHOLE
from sigma_bench.models.checkpoints.source import open_source
from sigma_bench.models.vit import VideoViT
from sigma_bench.pretrain.forward import pixel_forward
from sigma_bench.runs.verify.decoder_hf import holds_decoder, pixel_model
from sigma_bench.runs.verify.vectors import Golden, clips_of

FEATURES, FOLDERS = "feat_hf_", "hf_"
TOLERANCE = 2e-5
BEFORE_NORM = ("last_block_output", "tokens_no_final_norm")
HEAD = ("fc_norm.weight", "fc_norm.bias", "classifier.weight", "classifier.bias")
HEAD_EPS = 1e-5
"""Epsilon of `fc_norm`, which is PyTorch's own whatever the configuration says."""


def folder_of(features: Path) -> Path | None:
    """Return the folder beside a file of features that they were computed from, None where there is not just one."""
    tail = features.stem.removeprefix(FEATURES)
    found = [p for p in features.parent.glob(f"{FOLDERS}*") if p.is_dir() and p.name.endswith(tail)]
    return found[0] if len(found) == 1 else None


def is_covered(path: Path) -> bool:
    """Tell whether a file lies in a folder that features beside it cover."""
    return any(folder_of(p) == path.parent for p in path.parent.parent.glob(f"{FEATURES}*.pt"))


def check(golden: Golden) -> None:
    """Load every weights file of the folder and compare tokens, pooled features, logits, pixel loss and names."""
    needed = [name for name in ("video_u8_btchw", "file_keys") if name not in golden.values]
    if needed:
        raise KeyError(needed[0])
    folder = folder_of(golden.path)
    if folder is None:
        golden.into.skipped("checkpoint", f"no folder {FOLDERS}*{golden.path.stem.removeprefix(FEATURES)} beside it")
        return
    _compare(golden, folder, "")
    for name in WHOLE[1:]:
        if (folder / name).is_file():
            _compare(golden, folder / name, f"{name}: ")


def _compare(golden: Golden, path: Path, where: str) -> None:
    values, into = golden.values, golden.into
    loaded, _ = load_encoder(path)
    state = open_source(path).content
    encoder: Any = loaded
    encoder.to(golden.device)
    clips = clips_of(values["video_u8_btchw"].transpose(1, 2), golden.device)
    ours: dict[str, torch.Tensor] = {}
    around: list[str] = []
    with torch.no_grad():
        tokens = encoder.tokens(clips, norm=False).patch_BTHWD.flatten(1, 3)
        ours |= dict.fromkeys(BEFORE_NORM, tokens)
        if encoder.spec.has_norm:
            ours["last_hidden_state"] = encoder(clips)
            if "mask" in values:
                ours["visible_last_hidden_state"] = encoder.forward_visible(clips, values["mask"])
        if holds_decoder(state):
            around = [name for parts in decoder_names(depth_of(state, DECODER_LAYER)).values() for name in parts]
            if "mask" in values:
                ours |= _reconstructed(encoder, state, path, clips, values["mask"])
        elif not encoder.spec.has_norm:
            around = list(HEAD)
            ours |= _classified(tokens, state)
    for key, tensor in ours.items():
        if key in values:
            into.close(where + key, tensor, torch.as_tensor(values[key]), TOLERANCE)
    for key in ("loss", "logits"):
        if key in values and key not in ours:
            into.skipped(where + key, "needs a decoder or a classifier in the file, and a mask for a decoder")
    encoder_names = names(encoder.spec.depth, encoder.spec.has_norm).values()
    into.names(
        where + "file_keys", [PREFIX + n for parts in encoder_names for n in parts] + around, values["file_keys"]
    )


def _reconstructed(
    encoder: VideoViT, state: State, path: Path, clips: torch.Tensor, mask: torch.Tensor
) -> dict[str, torch.Tensor]:
    model, normalized = pixel_model(encoder, state, path)
    out = pixel_forward(model, clips, mask, normalized)
    return {"loss": out["loss"], "logits": out["decoded"]}


def _classified(tokens: torch.Tensor, state: State) -> dict[str, torch.Tensor]:
    head = {name: state[name].float().to(tokens.device) for name in HEAD}
    mean = tokens.mean(1)
    pooled = F.layer_norm(mean, mean.shape[-1:], head["fc_norm.weight"], head["fc_norm.bias"], HEAD_EPS)
    return {"pooled": pooled, "logits": F.linear(pooled, head["classifier.weight"], head["classifier.bias"])}
