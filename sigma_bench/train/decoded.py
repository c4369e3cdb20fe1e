"""What a training could not decode, and with what it decoded the rest: a part of the state of its objective."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sigma_bench.data.loader import TrainingLoader


def state_of(loader: TrainingLoader) -> dict[str, Any]:
    """Return what this process replaced (id -> reason, and so many draws), and how often each decoder was used."""
    replaced = loader.replaced
    return {"replaced": dict(replaced.reasons), "draws": replaced.draws, "decoders": dict(loader.decoders)}


def merged(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return these counts over all processes."""
    decoders = sum((Counter(state["decoders"]) for state in states), Counter())
    replaced = {name: reason for state in states for name, reason in state["replaced"].items()}
    return {"replaced": replaced, "draws": sum(state["draws"] for state in states), "decoders": dict(decoders)}


def take_back(loader: TrainingLoader, state: Mapping[str, Any], leader: bool) -> None:
    """Give the counts of a run back: the first process goes on with them, the others begin anew."""
    if leader:
        loader.replaced.reasons = dict(state["replaced"])
        loader.replaced.draws = state["draws"]
        loader.decoders = Counter(state.get("decoders", {}))  # older checkpoints have none
