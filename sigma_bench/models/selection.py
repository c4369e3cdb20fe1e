"""Which tokens of a clip are computed: from boolean masks to indices and back."""

from __future__ import annotations

import torch


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
    return values_BND.gather(1, ids_Bn.unsqueeze(-1).expand(-1, -1, values_BND.shape[-1]))
