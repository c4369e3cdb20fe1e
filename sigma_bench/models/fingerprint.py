"""What tells two encoders apart that were read from whatever files."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

from sigma_bench.contracts import Encoder, UserError


def fingerprint(encoder: Encoder) -> str:
    """Return the SHA-256 over what an encoder computes with, whatever file it came from.

    That is every weight, every table that is no weight (positions may be fitted in several ways), the kind of every
    module (two activations have the same weights: none), and the epsilons of its norms.
    """
    if not isinstance(encoder, nn.Module):
        raise UserError("the encoder is not a torch module: its weights cannot be identified, so nothing can be cached")
    digest = hashlib.sha256()
    for name, part in encoder.named_modules():
        digest.update(f"{name}:{type(part).__qualname__};".encode())
        if isinstance(eps := getattr(part, "eps", None), float):
            digest.update(f"{name}.eps:{eps!r};".encode())
    for name, tensor in sorted((dict(encoder.named_buffers()) | encoder.state_dict()).items()):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
