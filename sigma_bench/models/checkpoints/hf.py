"""VideoMAE as Hugging Face's transformers writes it: a folder, or its weights file with `config.json` beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from sigma_bench.contracts import UserError, Verified
from sigma_bench.models.checkpoints import hf_keys, tube_vit
from sigma_bench.models.checkpoints.adapter import Beside, Built, Split, State
from sigma_bench.models.checkpoints.config import NAME
from sigma_bench.models.checkpoints.geometry import Asked
from sigma_bench.models.checkpoints.hf_config import Config, config_of, normalisation

PATCH = "embeddings.patch_embeddings.projection.weight"
OF_ENCODER = ("embeddings.", "encoder.", "layernorm.")
DECODER = ("decoder.", "encoder_to_decoder.", "mask_token")


class HuggingFace:
    """`VideoMAEModel` (bare names), `VideoMAEForPreTraining` or `VideoMAEForVideoClassification` (`videomae.*`).

    Heads, frames, image size, epsilon and whether there is a last norm are what `config.json` says. It may say 16 heads
    for the small model, whose original has 6: its features are then those of transformers, not of the original.
    """

    names: tuple[str, ...] = ("videomae_hf",)
    by_keys = True
    verified: Verified = "golden"

    def recognises(self, state: State) -> bool:
        """Tell the layout by the name of the patch embedding."""
        return PATCH in state or hf_keys.PREFIX + PATCH in state

    def split(self, state: State) -> Split:
        """Keep the encoder under our names; what is no part of a whole tensor of ours keeps its own name."""
        split = Split()
        prefix = hf_keys.PREFIX if hf_keys.PREFIX + PATCH in state else ""
        parts: dict[str, torch.Tensor] = {}
        for name, tensor in state.items():
            if name.startswith(tuple(prefix + part for part in OF_ENCODER)):
                bare = name.removeprefix(prefix)
                file_name = hf_keys.as_in_files(bare)
                parts[bare if file_name in parts else file_name] = tensor
            elif name.startswith("fc_norm."):
                split.head[name] = tensor
            elif name.startswith("classifier."):
                split.head[name.replace("classifier.", "head.", 1)] = tensor
            elif name.startswith(DECODER):
                split.dropped[name] = tensor
            else:
                split.unexpected[name] = tensor
        split.encoder, rest = hf_keys.to_ours(parts)
        split.encoder |= rest
        return split

    def build(self, split: Split, beside: Beside, asked: Asked, family: str, path: Path) -> Built:
        """Build a `VideoViT` of the sizes in `config.json`; see `Adapter.build`."""
        config = config_of(beside.path)
        mean, std, origin = normalisation(beside.path)
        notes = [*config.notes, origin]
        if not config.norm and "norm.weight" in split.encoder:
            for name in ("norm.weight", "norm.bias"):
                if name in split.encoder:
                    split.dropped[name] = split.encoder.pop(name)
            notes.append("its last norm is not used: config.json says use_mean_pooling")
        _check_whole(split, config, path)
        hidden = next(iter(split.encoder["blocks.0.mlp.fc1.weight"].shape), 0)
        if hidden != config.mlp_hidden:
            raise UserError(
                f"{path}: {NAME} says intermediate_size = {config.mlp_hidden}, the tensors say {hidden}; fetch both "
                "from the same place"
            )
        built = tube_vit.build(
            split,
            replace(beside, stated=config.sizes, args={}),
            asked,
            family,
            path,
            verified=self.verified,
            needs_norm=config.norm,
            settings=tube_vit.Settings(config.eps, mean, std, NAME),
        )
        built.notes[:0] = notes
        return built


def _check_whole(split: Split, config: Config, path: Path) -> None:
    """Name what is wrong with the encoder in the file's own names, before the sizes are read from it."""
    depth = len({name.split(".")[1] for name in split.encoder if name.startswith("blocks.")})
    for ours, parts in hf_keys.names(min(config.depth, depth + 1), config.norm).items():
        if ours in split.encoder:
            continue
        missing = [part for part in parts if part not in split.encoder]
        if missing:
            raise UserError(
                f"{path}: the encoder's tensor {missing[0]} is missing; with another value in its place the features "
                "would be wrong, so fetch the whole file again"
            )
        raise UserError(f"{path}: {' and '.join(parts)} do not have one shape and kind; fetch the file again")
