"""From the content of a file to the state dict in it: container key, then wrapper prefixes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sigma_bench.contracts import UserError

CONTAINERS = ("model", "module", "state_dict", "model_state", "teacher", "target_encoder", "encoder", "model_ema")
"""Where weights lie, the first one that is there being taken: averaged weights only where there are no others."""
WRAPPERS = ("module.", "_orig_mod.")
"""What DataParallel, DeepSpeed and torch.compile put before names, in any order and any number of times."""
MAX_DEPTH = 3


@dataclass(frozen=True)
class Unwrapped:
    """A state dict, the container key it was found under ("bare" for none) and what lay beside it."""

    container: str
    state: dict[str, torch.Tensor]
    beside: dict[str, Any]
    args: dict[str, Any]
    notes: tuple[str, ...] = field(default=())


def unwrap(content: Mapping[str, Any], path: Path, weights: str | None = None) -> Unwrapped:
    """Find the state dict in the content of a file and strip `module.` and `_orig_mod.` from its names.

    Args:
        content: What was read from the file.
        path: The file, for messages.
        weights: Key of the weights to take; the first one of `CONTAINERS` where None.

    Raises:
        UserError: There is no state dict (under that key), or two tensors get the same name.
    """
    container, inner = _found(content, path, weights)
    top = container.split(".")[0]
    beside = {} if container == "bare" else {key: value for key, value in content.items() if key != top}
    notes = [f"also holds weights under '{key}', not read" for key in beside if _is_model(beside[key])]
    if container.endswith("model_ema"):
        notes.append("the averaged weights ('model_ema') are taken")
    tensors = {key: value for key, value in inner.items() if isinstance(value, torch.Tensor)}
    nameless = next((key for key in tensors if not isinstance(key, str)), None)
    if nameless is not None:
        raise UserError(f"{path}: a weight is called {nameless!r}; expected names of weights, which are text")
    if len(tensors) < len(inner):
        notes.append(f"{len(inner) - len(tensors)} entries among the weights are no tensors, not read")
    args = content.get("args")
    plain = vars(args) if isinstance(args, argparse.Namespace) else args if isinstance(args, dict) else {}
    return Unwrapped(container, _strip(tensors, path), beside, plain, tuple(notes))


def _found(content: Mapping[str, Any], path: Path, weights: str | None) -> tuple[str, Mapping[str, Any]]:
    if weights is not None:
        held = [str(key) for key, value in content.items() if _is_state(value)]
        if weights not in held:
            raise UserError(f"{path}: no weights under '{weights}'; it holds some under: {', '.join(held) or 'no key'}")
        return weights, content[weights]
    taken, inner = "", content
    for _ in range(MAX_DEPTH):
        key = next((key for key in CONTAINERS if _is_state(inner.get(key))), None)
        if key is not None:
            return f"{taken}{key}", inner[key]
        if _is_state(inner):
            return taken.removesuffix(".") or "bare", inner
        nested = next((key for key in CONTAINERS if isinstance(inner.get(key), dict)), None)
        if nested is None:
            break
        taken, inner = f"{taken}{nested}.", inner[nested]
    keys = ", ".join(map(str, list(content)[:8])) or "nothing"
    raise UserError(
        f"{path}: no weights found; its keys are: {keys}. "
        f"Expected tensors, or a dictionary of them under one of the keys {', '.join(CONTAINERS)}"
    )


def _is_state(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(entry, torch.Tensor) for entry in value.values())


def _is_model(value: Any) -> bool:
    """Tell weights of a model from a buffer or two of something else."""
    return _is_state(value) and sum(isinstance(entry, torch.Tensor) for entry in value.values()) > 2


def _strip(state: Mapping[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    names = {name: name.replace(WRAPPERS[1], "") for name in state}
    while names and all(new.startswith(WRAPPERS[0]) for new in names.values()):
        names = {name: new.removeprefix(WRAPPERS[0]) for name, new in names.items()}
    stripped = {new: state[name] for name, new in names.items()}
    if len(stripped) < len(state):
        raise UserError(f"{path}: two weights have the same name once {' and '.join(WRAPPERS)} are stripped")
    return stripped
