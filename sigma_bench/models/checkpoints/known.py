"""The families that are known: their adapters in the order in which a file is told."""

from __future__ import annotations

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints.adapter import Adapter, State
from sigma_bench.models.checkpoints.finetuned import Finetuned
from sigma_bench.models.checkpoints.run import OwnRun
from sigma_bench.models.checkpoints.sigma import Sigma
from sigma_bench.models.checkpoints.svt import DIVIDED
from sigma_bench.models.checkpoints.videomae import VideoMAE

ADAPTERS: tuple[Adapter, ...] = (
    Sigma(),
    VideoMAE(),
    *DIVIDED,
    Finetuned(),
)
"""The first one that recognises a file is it, unless it cannot be told by names and another fits the named family."""
OWN = OwnRun()
FOREIGN = {
    "Hugging Face VideoMAE": ("embeddings.patch_embeddings.projection.",),
    "MVD": ("decoder_img.", "mask_token_vid", "pos_embed_vid"),
    "MME": ("decoder.0.", "encoder_to_decoder.0."),
}
"""Families without an adapter, told by parts of names: refused rather than loaded wrongly."""


def families() -> tuple[str, ...]:
    """Return the names of the families that can be asked for."""
    return tuple(dict.fromkeys(name for adapter in (*ADAPTERS, OWN) for name in adapter.names))


def choose(state: State, family: str | None, path: object) -> tuple[Adapter, str, bool]:
    """Return the adapter of a file that is not one of our own, the name of its family and whether it was guessed.

    Raises:
        UserError: No family fits, the family has to be named, or another was named.
    """
    if family is not None and family not in families():
        raise UserError(f"unknown checkpoint family '{family}'; known: {', '.join(families())}")
    for name, parts in FOREIGN.items():
        if any(part in key for key in state for part in parts):
            raise UserError(f"{path}: is a checkpoint of {name}, which cannot be loaded yet; known: {families()}")
    fitting = [adapter for adapter in ADAPTERS if adapter.recognises(state)]
    if not fitting:
        sample = ", ".join(list(state)[:5])
        raise UserError(
            f"{path}: no known encoder in it; its tensors are {sample}, ...; known families: {', '.join(families())}"
        )
    possible = fitting[:1] if fitting[0].by_keys else [adapter for adapter in fitting if not adapter.by_keys]
    if family is None:
        if not fitting[0].by_keys:
            names = ", ".join(dict.fromkeys(name for adapter in possible for name in adapter.names))
            raise UserError(
                f"{path}: a file without a decoder does not show whose encoder it is, and position tables differ; "
                f"name the family (one of {names})"
            )
        return fitting[0], fitting[0].names[0], True
    named = [adapter for adapter in possible if family in adapter.names]
    if not named:
        names = ", ".join(dict.fromkeys(name for adapter in possible for name in adapter.names))
        raise UserError(f"{path}: family '{family}' asked for, but its tensors are those of {names}")
    return named[0], family, False
