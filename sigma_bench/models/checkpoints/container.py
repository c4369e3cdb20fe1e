"""From the content of a file to the state dict in it: container key, then wrapper prefixes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sigma_bench.contracts import UserError

CONTAINERS = ("model", "module", "state_dict", "model_state", "teacher")
WRAPPER = "module."
COMPILED = "_orig_mod."


@dataclass(frozen=True)
class Unwrapped:
    """A state dict, the container key it was found under ("bare" for none) and what lay beside it."""

    container: str
    state: dict[str, torch.Tensor]
    beside: dict[str, Any]
    args: dict[str, Any]
    notes: tuple[str, ...] = field(default=())


def unwrap(content: Mapping[str, Any], path: Path) -> Unwrapped:
    """Find the state dict in the content of a file and strip `module.` and `_orig_mod.` from its names.

    Raises:
        UserError: There is no state dict, or two tensors get the same name.
    """
    found = [key for key in CONTAINERS if _is_state(content.get(key))]
    if found:
        container, inner = found[0], content[found[0]]
        beside = {key: value for key, value in content.items() if key != container}
    elif _is_state(content):
        container, inner, beside = "bare", content, {}
    else:
        keys = ", ".join(map(str, list(content)[:8])) or "nothing"
        raise UserError(
            f"{path}: no weights found; its keys are: {keys}. "
            f"Expected tensors, or a dictionary of them under one of the keys {', '.join(CONTAINERS)}"
        )
    notes = [f"also holds weights under '{key}', not read" for key in found[1:]]
    tensors = {str(key): value for key, value in inner.items() if isinstance(value, torch.Tensor)}
    if len(tensors) < len(inner):
        notes.append(f"{len(inner) - len(tensors)} entries among the weights are no tensors, not read")
    args = content.get("args")
    plain = vars(args) if isinstance(args, argparse.Namespace) else args if isinstance(args, dict) else {}
    return Unwrapped(container, _strip(tensors, path), beside, plain, tuple(notes))


def _is_state(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(entry, torch.Tensor) for entry in value.values())


def _strip(state: Mapping[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    names = {name: name.replace(COMPILED, "") for name in state}
    while names and all(new.startswith(WRAPPER) for new in names.values()):
        names = {name: new.removeprefix(WRAPPER) for name, new in names.items()}
    stripped = {new: state[name] for name, new in names.items()}
    if len(stripped) < len(state):
        raise UserError(f"{path}: two weights have the same name once {WRAPPER!r} and {COMPILED!r} are stripped")
    return stripped
