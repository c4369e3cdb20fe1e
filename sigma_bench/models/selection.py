"""Which tokens of a clip are computed, and after which block: from masks and layer numbers to indices."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sigma_bench.contracts import UserError


def block_of(layer: int, depth: int) -> int:
    """Return the index of the block that `layer` names; negative numbers count from the last.

    Raises:
        UserError: The encoder has no such block.
    """
    if not -depth <= layer < depth:
        raise UserError(f"layer {layer} asked of an encoder with {depth} blocks; expected {-depth} to {depth - 1}")
    return layer % depth


def ascending(layers: Sequence[int], depth: int) -> tuple[int, ...]:
    """Return block indices as they are.

    Raises:
        ValueError: One is no index of a block, or they do not ascend.
    """
    if not layers or list(layers) != sorted(set(layers)) or not 0 <= layers[0] <= layers[-1] < depth:
        raise ValueError(f"layers {list(layers)}: expected ascending indices of {depth} blocks")
    return tuple(layers)


def check_clips(clips: torch.Tensor, shape: tuple[int, ...]) -> None:
    """Refuse clips that are not (B, *shape), `shape` being (3, T, H, W).

    Raises:
        UserError: They are of another shape.
    """
    if clips.ndim != 5 or tuple(clips.shape[1:]) != shape:
        raise UserError(f"clips of shape {tuple(clips.shape)} given; this encoder takes (B, *{shape})")


def token_ids(chosen_BN: torch.Tensor) -> torch.Tensor:
    """Return the ascending positions of the chosen tokens of each sample, (B, n) int64.

    Args:
        chosen_BN: Boolean (B, N), the same number of True in each row. A mask on the CPU costs no device wait.

    Raises:
        ValueError: The mask is not a boolean matrix, or its rows choose different numbers of tokens.
    """
    if chosen_BN.dtype != torch.bool or chosen_BN.ndim != 2:
        raise ValueError(f"a token mask is boolean (B, N), not {chosen_BN.dtype} {tuple(chosen_BN.shape)}")
    counts = chosen_BN.sum(1).tolist()
    if not counts or min(counts) != max(counts):
        raise ValueError(f"every sample must choose the same number of tokens; found {sorted(set(counts))}")
    return chosen_BN.nonzero()[:, 1].view(chosen_BN.shape[0], counts[0])


def take(values_BND: torch.Tensor, ids_Bn: torch.Tensor) -> torch.Tensor:
    """Return the rows `ids_Bn` of each sample: (B, n, D)."""
    # whole rows are copied, several times quicker than `gather`, which takes an index for each value
    B, N, D = values_BND.shape
    rows = ids_Bn + N * torch.arange(B, device=ids_Bn.device).unsqueeze(1)
    return values_BND.flatten(0, 1).index_select(0, rows.flatten()).view(*ids_Bn.shape, D)
