"""Where weights of timm lie on this machine: the caches of Hugging Face and of torch, looked at, never filled."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse

import torch

from sigma_bench.contracts import UserError

NAMES = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")
"""Files of a repository of weights, in the order in which timm looks for them."""


def weights(name: str, pretrained: Any) -> Path:
    """Return the file of the weights that timm calls `name`.

    Args:
        name: Name in timm, architecture and weights.
        pretrained: What timm says of them (`timm.models.get_pretrained_cfg`).

    Raises:
        UserError: Neither cache holds them; the message says what to fetch and how to name it.
    """
    from huggingface_hub import constants, try_to_load_from_cache

    repository, _, revision = str(pretrained.hf_hub_id or "").partition("@")
    files = (pretrained.hf_hub_filename,) if pretrained.hf_hub_filename else NAMES
    for file in files if repository else ():
        found = try_to_load_from_cache(repository, file, revision=revision or None)
        if isinstance(found, str):
            return Path(found)
    url = pretrained.url if isinstance(pretrained.url, str) else ""
    official = PurePosixPath(urlparse(url).path).name
    in_torch = Path(torch.hub.get_dir()) / "checkpoints" / (official or name)
    if official and in_torch.is_file():
        return in_torch
    places = [f"{files[0]} of https://huggingface.co/{repository}"] if repository else []
    places += [url] if url else []
    caches = [f"in {constants.HF_HUB_CACHE} (hf download {repository} {files[0]})"] if repository else []
    caches += [f"at {in_torch}"] if official else []
    raise UserError(
        f"timm:{name}: its weights are not on this machine, and nothing is downloaded; fetch "
        f"{' or '.join(places) or 'them (timm does not say from where)'} and name the file: timm:{name}:FILE, or "
        f"target.weights of a recipe{'; it is found unnamed ' if caches else ''}{' or '.join(caches)}"
    )
