"""Overlays: settings that vary with data, size or source are blocks of the same file, merged in that order.

An overlay may itself hold the blocks that are applied after it (a size inside a data overlay, say), for settings
that vary with both. `--set` comes last.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

from sigma_bench.contracts import UserError
from sigma_bench.spec.problems import KeyPath, Origin, dotted, nearest, shown

Block = Literal["data", "size", "profiles"]
ORDER: tuple[Block, ...] = ("data", "size", "profiles")
OPTION: dict[Block, str] = {"data": "data", "size": "size", "profiles": "profile"}
FIXED = ("name", "id", "resolved", "defaults", *ORDER)


@dataclass
class Document:
    """A YAML mapping, and where each of its values was written."""

    file: str
    values: dict[str, Any]
    origins: dict[KeyPath, Origin] = field(default_factory=dict)

    def where(self, path: KeyPath) -> str:
        """Return `file:line: dotted.key` of a value."""
        origin = self.origins.get(path, Origin(self.file, dotted(path)))
        return f"{origin.where}: {origin.key}"


def resolve(
    source: Document,
    choice: Mapping[Block, str | None],
    *,
    bare: Mapping[Block, Iterable[str]],
    sets: Sequence[str] = (),
    parse: Callable[[str, str], Any],
) -> Document:
    """Return the document with the chosen overlays and `sets` merged in and a `resolved` block that names them.

    Args:
        source: What the file holds.
        choice: Overlay name per block; None takes the one of the file's `defaults` block. Its keys are the blocks
            this kind of spec may have.
        bare: Names that may be chosen without an overlay being there; a block with no such name may be left out.
        sets: "dotted.key=value" arguments.
        parse: Turns (value text, name of the argument) into a value.

    Raises:
        UserError: No overlay of that name, a block that is none, or a faulty `--set`.
    """
    document = Document(source.file, copy.deepcopy(source.values), dict(source.origins))
    if "resolved" in document.values:
        _already(document, choice)
    else:
        defaults = _defaults(document, choice, bare)
        chosen: dict[str, str | None] = {}
        for block, wanted in choice.items():
            name = wanted if wanted is not None else defaults.get(block)
            _merge_overlay(document, block, name, bare.get(block, ()))
            chosen[OPTION[block]] = name
        document.values["resolved"] = chosen
    for text in sets:
        _set(document, text, parse)
    resolved = document.values["resolved"]
    if sets and isinstance(resolved, dict):
        earlier = resolved.get("sets") or []
        resolved["sets"] = [*earlier, *sets] if isinstance(earlier, list) else earlier
    return document


def combinations(
    source: Document, blocks: Sequence[Block], bare: Mapping[Block, Iterable[str]]
) -> Iterator[dict[Block, str | None]]:
    """Yield every choice of overlays a file offers, the bare ones included."""
    if "resolved" in source.values:
        yield dict.fromkeys(blocks)
        return
    offers: list[list[str | None]] = []
    for block in blocks:
        names: list[str | None] = [*bare.get(block, ()), *_names(source.values, block)]
        without: list[str | None] = [None] if block in bare and not bare[block] else []
        offers.append(list(dict.fromkeys([*without, *names])) or [None])
    for picked in product(*offers):
        yield dict(zip(blocks, picked, strict=True))


def _names(values: Any, block: Block) -> list[str]:
    found = values.get(block) if isinstance(values, dict) else None
    return list(found) if isinstance(found, dict) else []


def _defaults(
    document: Document, choice: Mapping[Block, str | None], bare: Mapping[Block, Iterable[str]]
) -> dict[Block, str]:
    given = document.values.pop("defaults", None) or {}
    options = {OPTION[block]: block for block in choice}
    if not isinstance(given, dict):
        raise UserError(
            f"{document.where(('defaults',))}: found {shown(given)}, expected a block of {', '.join(options)}"
        )
    for option, name in given.items():
        where = document.where(("defaults", option))
        if option not in options:
            raise UserError(f"{where}: no such key{nearest(str(option), options)}")
        known = [*_names(document.values, options[option]), *bare.get(options[option], ())]
        if name not in known:
            raise UserError(f"{where}: found {shown(name)}, which is no overlay{nearest(str(name), known)}")
    defaults = {options[option]: name for option, name in given.items()}
    for block in choice:
        if block not in defaults and bare.get(block):
            defaults[block] = next(iter(bare[block]))
        if block not in defaults and block not in bare and _names(document.values, block):
            raise UserError(
                f"{document.file}: has a {block} block but defaults.{OPTION[block]} does not say which of "
                f"{', '.join(_names(document.values, block))} is used when none is asked for"
            )
    return defaults


def _merge_overlay(document: Document, block: Block, name: str | None, bare: Iterable[str]) -> None:
    overlays = document.values.get(block)
    if overlays is not None and not isinstance(overlays, dict):
        raise UserError(f"{document.where((block,))}: found {shown(overlays)}, expected a block of overlays")
    overlays = overlays or {}
    if name is not None and name not in overlays and name not in bare:
        known = {*overlays, *bare}
        if not known:
            raise UserError(f"--{OPTION[block]} {name}: {document.file} has no {block} block; leave the option out")
        raise UserError(f"--{OPTION[block]} {name}: {document.file} has no such overlay{nearest(name, known)}")
    overlay = overlays.get(name) if name is not None else None
    if overlay is not None and not isinstance(overlay, dict):
        raise UserError(f"{document.where((block, str(name)))}: found {shown(overlay)}, expected a block of settings")
    document.values.pop(block, None)
    root: KeyPath = (block, name) if name is not None else (block,)
    moved = {path[2:]: origin for path, origin in document.origins.items() if path[:2] == root and len(path) > 2}
    document.origins = {path: origin for path, origin in document.origins.items() if path[0] != block}
    _merge(document, document.values, overlay or {}, (), moved)


def _merge(
    document: Document, into: dict[str, Any], overlay: dict[str, Any], at: KeyPath, origins: Mapping[KeyPath, Origin]
) -> None:
    for key, value in overlay.items():
        path = (*at, key)
        below = into.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            _merge(document, below, value, path, origins)
            continue
        into[key] = value
        document.origins = {p: o for p, o in document.origins.items() if p[: len(path)] != path}
        document.origins.update({p: o for p, o in origins.items() if p[: len(path)] == path})


def _already(document: Document, choice: Mapping[Block, str | None]) -> None:
    """Check that a resolved document is asked for what it was resolved with."""
    left = [key for key in ("defaults", *ORDER) if key in document.values]
    if left:
        raise UserError(
            f"{document.where((left[0],))}: a file with a resolved block has no overlays; remove one of them"
        )
    resolved = document.values["resolved"]
    for block, wanted in choice.items():
        made = resolved.get(OPTION[block]) if isinstance(resolved, dict) else None
        if wanted is not None and wanted != made:
            raise UserError(
                f"--{OPTION[block]} {wanted}: {document.file} was already resolved with {OPTION[block]} {made}; "
                "leave the option out, or start from the spec it was made of"
            )


def _set(document: Document, text: str, parse: Callable[[str, str], Any]) -> None:
    key, equals, value_text = text.partition("=")
    keys = tuple(part.strip() for part in key.split("."))
    argument = f"--set {text if len(text) <= 80 else text[:77] + '...'}"
    if not equals or not all(keys) or not value_text.strip():
        raise UserError(f"{argument}: expected KEY=VALUE such as train.seed=1; an empty value is written null")
    if keys[0] in FIXED:
        remedy = f"use --{OPTION[keys[0]]}" if keys[0] in ORDER else "it follows from the file"
        raise UserError(f"{argument}: '{keys[0]}' cannot be set; {remedy}")
    here = document.values
    for depth, part in enumerate(keys[:-1], 1):
        if here.get(part) is None:
            here[part] = {}
            document.origins[keys[:depth]] = Origin(argument, dotted(keys[:depth]))
        if not isinstance(here[part], dict):
            raise UserError(f"{argument}: '{dotted(keys[:depth])}' is {shown(here[part])}, not a block of keys")
        here = here[part]
    here[keys[-1]] = parse(value_text, argument)
    document.origins = {path: origin for path, origin in document.origins.items() if path[: len(keys)] != keys}
    document.origins[keys] = Origin(argument, dotted(keys))
