"""The families that are known: their adapters in the order in which a file is told."""

from __future__ import annotations

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints.adapter import Adapter, State
from sigma_bench.models.checkpoints.finetuned import FINETUNED
from sigma_bench.models.checkpoints.hf import HuggingFace
from sigma_bench.models.checkpoints.mme import Mme
from sigma_bench.models.checkpoints.mvd import Mvd
from sigma_bench.models.checkpoints.omnimae import OmniMAE
from sigma_bench.models.checkpoints.run import OwnRun
from sigma_bench.models.checkpoints.sigma import Sigma
from sigma_bench.models.checkpoints.svt import DIVIDED
from sigma_bench.models.checkpoints.videomae import LOOKALIKES
from sigma_bench.models.checkpoints.vjepa import VJepa
from sigma_bench.models.checkpoints.vjepa_hf import HuggingFaceVJepa2

ADAPTERS: tuple[Adapter, ...] = (
    *DIVIDED,
    OmniMAE(),
    HuggingFaceVJepa2(),
    HuggingFace(),
    Mvd(),
    Mme(),
    Sigma(),
    *LOOKALIKES,
    *FINETUNED,
    VJepa(),
)
"""In the order in which a file is told. One whose tensors suffice to tell it (`by_keys`) comes before the others."""
OWN = OwnRun()


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
    fitting = [adapter for adapter in ADAPTERS if adapter.recognises(state)]
    if not fitting:
        sample = ", ".join(list(state)[:5])
        raise UserError(
            f"{path}: no known encoder in it; its tensors are {sample}, ...; known families: {', '.join(families())}"
        )
    by_keys = fitting[0].by_keys
    possible = [adapter for adapter in fitting if adapter.by_keys == by_keys]
    names = ", ".join(dict.fromkeys(name for adapter in possible for name in adapter.names))
    if family is None and not by_keys:
        raise UserError(
            f"{path}: a file without a decoder does not show whose encoder it is, and position tables differ; "
            f"name the family (one of {names})"
        )
    if family is None:
        return fitting[0], fitting[0].names[0], True
    named = [adapter for adapter in possible if family in adapter.names]
    if not named:
        raise UserError(f"{path}: family '{family}' asked for, but its tensors are those of {names}")
    return named[0], family, False
