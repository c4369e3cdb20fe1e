"""What came out of a file: plain values and whole tensors, nested no deeper than anybody nests them."""

from __future__ import annotations

import argparse
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import torch

from sigma_bench.contracts import UserError

PLAIN = (str, bytes, bool, int, float, complex, type(None), torch.dtype, torch.device)
MAX_DEPTH = 50


def check(content: Any, path: Path) -> None:
    """Check every value and every tensor, each once however often it is referred to.

    Raises:
        UserError: A value is of another kind, a tensor claims more values than it has or holds none, or containers are
            nested too deep or within themselves.
    """
    depths: dict[int, int] = {}
    inside: set[int] = set()
    pending: list[tuple[str, Any, bool]] = [("", content, False)]
    while pending:
        name, value, leaving = pending.pop()
        if leaving:
            inside.discard(id(value))
            depths[id(value)] = 1 + max((depths.get(id(part), 0) for _, part in _parts(name, value)), default=0)
            if depths[id(value)] > MAX_DEPTH:
                raise UserError(f"{path}: refused, its containers are nested more than {MAX_DEPTH} deep")
        elif isinstance(value, torch.Tensor):
            _check_tensor(name, value, path)
        elif _is_container(value):
            if id(value) in inside:
                raise UserError(f"{path}: refused, its containers are nested within themselves (at {name!r})")
            if id(value) not in depths:
                inside.add(id(value))
                pending.append((name, value, True))
                pending += [(inner, part, False) for inner, part in _parts(name, value)]
        elif type(value) not in PLAIN:
            raise UserError(
                f"{path}: refused, {name!r} is a {type(value).__name__}, neither a tensor nor a plain value"
            )


def _is_container(value: Any) -> bool:
    return type(value) in (dict, OrderedDict, Counter, list, tuple, set, torch.Size, argparse.Namespace)


def _parts(name: str, value: Any) -> list[tuple[str, Any]]:
    """Return the values in a container with their names, and the keys that are containers themselves."""
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    if isinstance(value, dict):
        keys = [(name, key) for key in value if isinstance(key, tuple)]
        return keys + [(f"{name}/{key}" if name else str(key), part) for key, part in value.items()]
    return [(name, part) for part in value]


def _check_tensor(name: str, tensor: torch.Tensor, path: Path) -> None:
    if tensor.is_meta:
        raise UserError(f"{path}: {name} has a shape and no values (a tensor on the meta device)")
    if tensor.layout != torch.strided or type(tensor) not in (torch.Tensor, torch.nn.Parameter):
        raise UserError(f"{path}: {name} is a {tensor.layout} {type(tensor).__name__}; expected a plain dense tensor")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise UserError(
            f"{path}: {name} claims more values than the file holds: {tuple(tensor.shape)} out of "
            f"{tensor.untyped_storage().nbytes()} bytes; the file is damaged, or its writer has to save it with "
            "tensor.contiguous()"
        )
