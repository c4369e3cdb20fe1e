"""One vector of the tokens of a clip."""

from __future__ import annotations

import torch

from sigma_bench.contracts import Tokens, UserError


def pool_tokens(tokens: Tokens, pool: str) -> torch.Tensor:
    """Return one vector a clip (B, D): the mean over all patches, the class token, or the first patch.

    Raises:
        UserError: The class token is asked for and there is none.
        ValueError: No such pooling.
    """
    if pool == "cls":
        if tokens.cls_BD is None:
            raise UserError("pool: cls asked of an encoder without a class token; use pool: mean")
        return tokens.cls_BD
    if pool == "first":
        return tokens.patch_BTHWD[:, 0, 0, 0]
    if pool != "mean":
        raise ValueError(f"pool '{pool}' is unknown; expected mean, cls or first")
    return tokens.patch_BTHWD.flatten(1, 3).mean(1)
