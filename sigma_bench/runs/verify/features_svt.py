"""Features of a loaded SVT checkpoint: `feat_svt.pt`, with `ckpt_svt.pth` beside it."""

from __future__ import annotations

from typing import Any

import torch

from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.runs.verify.vectors import Golden, clips_of

TOLERANCE = 2e-5


def check(golden: Golden) -> None:
    """Compare the class token, all tokens after the last norm and the names of the encoder's tensors.

    The golden tokens are the class token, then the patches in (h, w, t) order with time fastest.
    """
    values, into = golden.values, golden.into
    video, heads = values["video_u8"], values["config"]["heads"]
    path = golden.path.with_name(f"ckpt_{golden.path.stem.removeprefix('feat_')}.pth")
    if not path.is_file():
        into.skipped("checkpoint", f"{path.name} is not beside the file")
        return
    loaded, _ = load_encoder(path, family="svt", heads=heads, frames=video.shape[2], image_size=video.shape[-1])
    encoder: Any = loaded
    encoder.to(golden.device)
    with torch.no_grad():
        patches, cls = encoder.tokens(clips_of(video, golden.device))
    into.close("cls_feature", cls, values["cls_feature"], TOLERANCE)
    tokens = torch.cat((cls[:, None], patches.permute(0, 2, 3, 1, 4).flatten(1, 3)), dim=1)
    into.close("tokens_normed", tokens, values["tokens_normed"], TOLERANCE)
    stored = [name for name in values["state_dict_keys"] if name.startswith("backbone.")]
    into.names("state_dict_keys", [f"backbone.{name}" for name in encoder.state_dict()], stored)
