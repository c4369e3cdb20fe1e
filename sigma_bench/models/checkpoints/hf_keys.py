"""The names of an encoder's tensors in Hugging Face VideoMAE files and in ours, both ways; and those of a decoder.

The encoder's are those of `VideoMAEModel`, without the prefix `videomae.` of the models around it; the decoder's are
those of `VideoMAEForPreTraining` and of our `MaskedVideoModel`. Source:
transformers/models/videomae/modeling_videomae.py and convert_videomae_to_pytorch.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

State = Mapping[str, torch.Tensor]

PREFIX = "videomae."
LAYER = "encoder.layer."
DECODER_LAYER = "decoder.decoder_layers."
OUTSIDE = {"patch_embed.proj": "embeddings.patch_embeddings.projection", "norm": "layernorm"}
INSIDE = {
    "norm1": "layernorm_before",
    "attn.proj": "attention.output.dense",
    "norm2": "layernorm_after",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
"""Layers with a weight and a bias, ours to theirs: outside the blocks and in each one."""
JOINED = "attn.qkv.weight"
PARTS = tuple(f"attention.attention.{part}.weight" for part in ("query", "key", "value"))
"""Theirs, stacked along the rows in this order, are our `attn.qkv.weight`."""
BIASES = {f"attn.{part}_bias": f"attention.attention.{part}_bias" for part in "qv"}
SPELLINGS = {f"attention.attention.{word}.bias": f"attention.attention.{word[0]}_bias" for word in ("query", "value")}
"""How transformers from version 5 on names the two biases in memory, to how they are named in files."""
END = (".weight", ".bias")
AROUND_DECODER = (
    "encoder_to_decoder.weight",
    "mask_token",
    *(f"decoder.{part}{end}" for part in ("norm", "head") for end in END),
)
"""Tensors outside the decoder's blocks: the same names in both."""


def _block_names() -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {JOINED: PARTS}
    table |= {ours + end: (theirs + end,) for ours, theirs in INSIDE.items() for end in END}
    return table | {ours: (theirs,) for ours, theirs in BIASES.items()}


def names(depth: int, norm: bool) -> dict[str, tuple[str, ...]]:
    """Return our name of each tensor of an encoder with `depth` blocks, and the one or three of theirs it is made of.

    Args:
        depth: Number of blocks.
        norm: Whether there is a LayerNorm after the last block.
    """
    kept = {ours: theirs for ours, theirs in OUTSIDE.items() if norm or ours != "norm"}
    table: dict[str, tuple[str, ...]] = {ours + end: (theirs + end,) for ours, theirs in kept.items() for end in END}
    for index in range(depth):
        for ours, parts in _block_names().items():
            table[f"blocks.{index}.{ours}"] = tuple(f"{LAYER}{index}.{part}" for part in parts)
    return table


def decoder_names(depth: int) -> dict[str, tuple[str, ...]]:
    """Return our name of each tensor of a decoder with `depth` blocks, and the one or three of theirs it is made of."""
    table: dict[str, tuple[str, ...]] = {name: (name,) for name in AROUND_DECODER}
    for index in range(depth):
        for ours, parts in _block_names().items():
            table[f"decoder.blocks.{index}.{ours}"] = tuple(f"{DECODER_LAYER}{index}.{part}" for part in parts)
    return table


def depth_of(state: State, layer: str = LAYER) -> int:
    """Return the number of blocks that the names beginning with `layer` speak of."""
    found = {name.removeprefix(layer).split(".")[0] for name in state if name.startswith(layer)}
    return len(found)


def as_in_files(name: str) -> str:
    """Return the spelling in files of a name as it may be in memory."""
    for memory, file in SPELLINGS.items():
        if name.startswith((LAYER, DECODER_LAYER)) and name.endswith(memory):
            return name.removesuffix(memory) + file
    return name


def to_ours(state: State) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the tensors under our names, and those that are no part of a whole one under theirs.

    Args:
        state: Tensors under the names of `VideoMAEModel` files.
    """
    return _gather(state, names(depth_of(state), norm=True))


def decoder_to_ours(state: State) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return a decoder's tensors under our names, and those that are no part of a whole one under theirs.

    Args:
        state: Tensors under the names of `VideoMAEForPreTraining` files, without those of the encoder.
    """
    return _gather(state, decoder_names(depth_of(state, DECODER_LAYER)))


def _gather(
    state: State, table: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    rest = dict(state)
    whole: dict[str, torch.Tensor] = {}
    for ours, parts in table.items():
        if len(parts) == 1 and parts[0] in rest:
            whole[ours] = rest.pop(parts[0])
        elif all(part in rest for part in parts) and _stack([rest[part] for part in parts]):
            whole[ours] = torch.cat([rest.pop(part) for part in parts])
    return whole, rest


def _stack(tensors: list[torch.Tensor]) -> bool:
    return tensors[0].ndim > 0 and len({(tensor.shape, tensor.dtype) for tensor in tensors}) == 1


def to_theirs(encoder: State, depth: int, norm: bool) -> dict[str, torch.Tensor]:
    """Return the tensors under the names of `VideoMAEModel` files.

    Args:
        encoder: Tensors under our names; exactly those of `names(depth, norm)`.
        depth: Number of blocks.
        norm: Whether there is a LayerNorm after the last block.

    Raises:
        KeyError: A tensor is missing.
    """
    state: dict[str, torch.Tensor] = {}
    for ours, parts in names(depth, norm).items():
        for part, tensor in zip(parts, encoder[ours].chunk(len(parts)), strict=True):
            state[part] = tensor.contiguous()
    return state
