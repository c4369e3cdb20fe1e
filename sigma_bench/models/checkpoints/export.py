"""An encoder as others read it: what each format can hold, and the tensors and settings that are written for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import hf_keys
from sigma_bench.models.positions import sincos_1d
from sigma_bench.models.vit import EPS, IMAGENET_MEAN, IMAGENET_STD, VideoViT

FORMATS = ("safetensors", "videomae", "huggingface")
SAME = 1e-6
"""Largest difference of a position table from the computed one that rounding explains."""


def holdable(encoder: object, form: str) -> VideoViT:
    """Return the encoder as the `VideoViT` that it is, where a format can hold it.

    Args:
        encoder: Any encoder.
        form: One of `FORMATS`.

    Raises:
        UserError: Unknown format, or the format has no place for something that the encoder computes.
    """
    if form not in FORMATS:
        raise UserError(f"--format {form}: no such format; known: {', '.join(FORMATS)}")
    if not isinstance(encoder, VideoViT):
        raise _unfit(form, f"the encoder is a {type(encoder).__name__}, not the ViT of the VideoMAE family")
    wanted = hf_keys.names(encoder.spec.depth, encoder.spec.has_norm)
    state = encoder.state_dict()
    extra = sorted(set(state) - set(wanted))
    if extra or set(wanted) - set(state):
        raise _unfit(form, f"the encoder has other tensors than VideoMAE's ({', '.join(extra[:3]) or 'some lack'})")
    computed = sincos_1d(math.prod(encoder.grid), encoder.spec.embed_dim)
    table = encoder.positions.detach().float().cpu()
    if table.shape != computed.shape or not torch.allclose(table, computed, rtol=0, atol=SAME):
        raise _unfit(
            form,
            f"the position table of this {encoder.spec.family} encoder is not VideoMAE's flat sine-cosine table of its "
            "grid, which the format's readers compute themselves",
        )
    usual = (encoder.spec.mean, encoder.spec.std) == (IMAGENET_MEAN, IMAGENET_STD)
    if form == "videomae" and not usual:
        raise _unfit(form, "its clips are normalised with other numbers than ImageNet's, which that code always takes")
    return encoder


def losses(encoder: VideoViT, form: str) -> list[str]:
    """Return what readers of a format will compute in another way than this encoder, in words."""
    if form == "videomae" and encoder.eps != EPS:
        return [
            f"its norms have the epsilon {encoder.eps:g}; VideoMAE's code takes {EPS:g}, which changes features by "
            "some millionths"
        ]
    return []


def own(encoder: VideoViT) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors of an encoder, and the sizes and settings that our loader builds it from."""
    spec = encoder.spec
    entry = {
        "image_size": spec.image_size,
        "patch": spec.patch,
        "frames": spec.frames,
        "tubelet": spec.tubelet,
        "dim": spec.embed_dim,
        "depth": spec.depth,
        "heads": spec.heads,
        "norm": spec.has_norm,
        "eps": encoder.eps,
        "mean": list(spec.mean),
        "std": list(spec.std),
    }
    return _tensors(encoder), entry


def videomae(encoder: VideoViT) -> dict[str, Any]:
    """Return the content of a file that the finetuning code of VideoMAE and its relatives takes.

    It strips `encoder.` from the names under `model` (`run_class_finetuning.py`) and reads nothing else; `args` holds
    sizes under the names of that code's arguments, for our loader.
    """
    spec = encoder.spec
    args = {"num_frames": spec.frames, "input_size": spec.image_size, "num_heads": spec.heads}
    return {"model": {f"encoder.{name}": tensor for name, tensor in _tensors(encoder).items()}, "args": args}


def huggingface(encoder: VideoViT) -> tuple[dict[str, torch.Tensor], dict[str, Any], dict[str, Any]]:
    """Return the tensors, the `config.json` and the `preprocessor_config.json` of a `VideoMAEModel`."""
    spec = encoder.spec
    state = hf_keys.to_theirs(_tensors(encoder), spec.depth, spec.has_norm)
    config = {
        "architectures": ["VideoMAEModel"],
        "model_type": "videomae",
        "dtype": "float32",
        "image_size": spec.image_size,
        "patch_size": spec.patch,
        "num_channels": 3,
        "num_frames": spec.frames,
        "tubelet_size": spec.tubelet,
        "hidden_size": spec.embed_dim,
        "num_hidden_layers": spec.depth,
        "num_attention_heads": spec.heads,
        "intermediate_size": encoder.state_dict()["blocks.0.mlp.fc1.weight"].shape[0],
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "layer_norm_eps": encoder.eps,
        "qkv_bias": True,
        "use_mean_pooling": not spec.has_norm,
        "norm_pix_loss": True,
    }
    preprocessor = {
        "image_processor_type": "VideoMAEImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": spec.image_size},
        "resample": 2,
        "do_center_crop": True,
        "crop_size": {"height": spec.image_size, "width": spec.image_size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(spec.mean),
        "image_std": list(spec.std),
    }
    return state, config, preprocessor


def _tensors(encoder: VideoViT) -> dict[str, torch.Tensor]:
    state: Mapping[str, torch.Tensor] = encoder.state_dict()
    return {name: tensor.detach().cpu().float().contiguous().clone() for name, tensor in state.items()}


def _unfit(form: str, why: str) -> UserError:
    return UserError(f"--format {form}: {why}; the exported file would give other features, so none is written")
