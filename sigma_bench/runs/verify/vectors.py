"""Reading golden files, and the models and clips that are in them."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints.read import read
from sigma_bench.models.masked import MaskedVideoModel
from sigma_bench.models.vit import IMAGENET_MEAN, IMAGENET_STD, VideoViT
from sigma_bench.pretrain.projector import MlpProjector
from sigma_bench.runs.verify.record import Comparison


@dataclass(frozen=True)
class Golden:
    """A golden file that was read, the device to compute on, and the records to fill."""

    path: Path
    values: dict[str, Any]
    device: str
    into: Comparison


def load(path: Path) -> dict[str, Any]:
    """Read a golden `.pt`, `.json` or `.npz` file; of the last, arrays by name, and never an object.

    Raises:
        UserError: The file is damaged, or holds no dictionary.
    """
    if path.suffix == ".npz":
        return _arrays(path)
    if path.suffix == ".json":
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"{path}: is not a readable JSON file ({error})") from error
        if not isinstance(values, dict):
            raise UserError(f"{path}: holds a {type(values).__name__}; expected an object")
        return values
    return read(path).content


def _arrays(path: Path) -> dict[str, Any]:
    try:
        if not zipfile.is_zipfile(path):
            raise UserError(f"{path}: is no npz file (a zip archive of arrays), or one cut short; fetch it again")
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, MemoryError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: is not a readable file of arrays ({reason})") from error


def clips_of(video_u8: torch.Tensor, device: str) -> torch.Tensor:
    """Normalise uint8 clips (B, 3, T, H, W) with ImageNet's mean and deviation, in float32."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return ((video_u8.float() / 255 - mean) / std).to(device)


def steps_of(values: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Return rate and loss of each step that was taken; the rates of a file may go on further.

    Raises:
        ValueError: A step has no rate.
    """
    rates, losses = values["lr_steps"], values["loss_steps"]
    return list(zip(rates[: len(losses)], losses, strict=True))


def masked_model_of(config: Mapping[str, Any], state: Mapping[str, torch.Tensor], device: str) -> MaskedVideoModel:
    """Build a model of the sizes in `config` and in the shapes of `state`, and fill it; every key must fit.

    Raises:
        KeyError: A size is in neither.
        RuntimeError: The keys or shapes do not fit.
    """
    weight = state["encoder.patch_embed.proj.weight"]
    dim, _, tubelet, patch, _ = weight.shape
    encoder = VideoViT(
        config["img"], patch, config["frames"], tubelet, dim, _depth(state, "encoder.blocks."), config["heads"]
    )
    decoder_heads = config["dheads"] if "dheads" in config else config["decoder_num_heads"]
    out_dim, decoder_dim = state["decoder.head.weight"].shape
    layers = sorted(int(name.split(".")[1]) for name in state if name.startswith("head.") and name.endswith(".weight"))
    head = None
    if layers:
        shapes = [state[f"head.{index}.weight"].shape for index in layers]
        head = MlpProjector(shapes[0][1], [shape[0] for shape in shapes[:-1]], shapes[-1][0])
    prototypes = len(state["prototypes"]) if "prototypes" in state else 0
    depth = _depth(state, "decoder.blocks.")
    model = MaskedVideoModel(encoder, decoder_dim, depth, decoder_heads, out_dim, head, prototypes)
    model.load_state_dict(dict(state))
    return model.to(device)


def _depth(state: Mapping[str, torch.Tensor], prefix: str) -> int:
    return len({name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)})


def gradient_norms(model: torch.nn.Module) -> dict[str, float]:
    """Return the norm of each parameter's gradient, by name; parameters without one are left out."""
    return {name: float(p.grad.norm()) for name, p in model.named_parameters() if p.grad is not None}
