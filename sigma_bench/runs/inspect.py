"""`sigma-bench ckpt inspect`: what a checkpoint file holds, how it loads, whose row it joins and what it computes."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from sigma_bench.contracts import Encoder, UserError

if TYPE_CHECKING:
    from sigma_bench.models.checkpoints import Count, LoadReport

WIDTH, INDENT = 80, 13
Facts = dict[str, Any]


def inspect(
    file: Path,
    family: str | None,
    heads: int | None,
    frames: int | None,
    image_size: int | None,
    as_json: bool,
    specs: Path | None,
) -> tuple[list[str], int]:
    """Return what is printed of a checkpoint, and the exit code: 0 it loads, 2 it does not.

    Args:
        file: The checkpoint, or `random:SIZE[:SEED]`.
        family: Family, where the names of its tensors cannot tell it.
        heads: Attention heads, where the file cannot tell them.
        frames: Frames of a clip, where they differ from the file's.
        image_size: Side of the frames in pixels, where it differs from the file's.
        as_json: One JSON object instead of lines for a person.
        specs: Folder of own specs, whose zoo is tried first.
    """
    from sigma_bench.models.checkpoints import load_encoder

    try:
        encoder, report = load_encoder(file, family=family, heads=heads, frames=frames, image_size=image_size)
    except UserError as error:
        facts, code = {"loads": False, "error": str(error), **_content(file)}, 2
    else:
        facts, code = {"loads": True, **_loaded(encoder, report), **_joined(file, report, specs)}, 0
    facts = {"file": str(file), "bytes": file.stat().st_size if file.is_file() else None, **facts}
    return ([json.dumps(facts, indent=1)] if as_json else _lines(facts)), code


def _content(file: Path) -> Facts:
    """Return what can be told of a file that cannot be loaded: its entries and its first tensors."""
    import torch

    from sigma_bench.models.checkpoints.container import unwrap
    from sigma_bench.models.checkpoints.source import open_source

    facts: Facts = {}
    try:
        source = open_source(file)
        facts["sha256"] = source.sha256
        facts["entries"] = {str(key): _described(value) for key, value in list(source.content.items())[:20]}
        found = unwrap(source.content, file)
    except UserError:
        return facts
    total = sum(tensor.numel() for tensor in found.state.values())
    facts["container"] = found.container
    if found.container == "bare":
        del facts["entries"]  # they are the tensors
    facts["tensors"] = {"all": {"tensors": len(found.state), "parameters": total}}
    facts["first_tensors"] = {
        name: f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
        for name, tensor in list(found.state.items())[:8]
        if isinstance(tensor, torch.Tensor)
    }
    return facts


def _described(value: Any) -> str:
    import torch

    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, dict):
        tensors = sum(isinstance(part, torch.Tensor) for part in value.values())
        return f"{len(value)} entries, {tensors} of them tensors"
    return repr(value)[:60] if isinstance(value, str | int | float | None) else type(value).__name__


def _loaded(encoder: Encoder, report: LoadReport) -> Facts:
    from sigma_bench.models.feature_print import feature_print

    spec = encoder.spec
    shown = feature_print(encoder)
    return {
        "sha256": report.sha256,
        "container": report.container,
        "family": report.family,
        "family_guessed": report.guessed,
        "verified": spec.verified,
        "backbone": report.backbone,
        "heads": report.heads,
        "params": spec.params,
        "frames": spec.frames,
        "image_size": spec.image_size,
        "tubelet": spec.tubelet,
        "patch": spec.patch,
        "positions": None if report.positions is None else str(report.positions),
        "norm": spec.has_norm,
        "head_policy": report.head_policy,
        "tensors": {name: _counted(getattr(report, name)) for name in ("matched", "missing", "unexpected", "dropped")},
        "notes": list(report.notes),
        "feature_print": {
            "values": [float(v) for v in shown.text.split()],
            "hash": shown.digest,
            "tokens": shown.tokens,
        },
    }


def _counted(count: Count) -> Facts:
    return {"tensors": count.tensors, "parameters": count.parameters, "first": list(count.first)}


def _joined(file: Path, report: LoadReport, specs: Path | None) -> Facts:
    """Return the zoo entry of the file, known by its digest, and the published rows that its system joins."""
    from sigma_bench.runs.systems import progress
    from sigma_bench.spec import load

    entries = {name: entry.model_dump(mode="json") for name, entry in load.zoo(specs=specs).entries.items()}
    size = file.stat().st_size if file.is_file() else None
    named = next((name for name, entry in entries.items() if report.sha256 in _of_sources(entry, "sha256")), None)
    like = [name for name, entry in entries.items() if size in _of_sources(entry, "bytes")]
    described = entries[named] if named is not None else {**report.system, **progress(report.system, report.system)}
    return {"zoo": named, "zoo_of_same_size": like if size else [], "published": _rows(described)}


def _of_sources(entry: Mapping[str, Any], fact: str) -> list[Any]:
    return [source.get(fact) for source in entry["sources"]]


def _rows(described: Mapping[str, Any]) -> list[str]:
    from sigma_bench.results import matching, published
    from sigma_bench.results.row import Row
    from sigma_bench.spec import roots

    if not described.get("method"):
        return []
    known = published.read(roots.find("published", "published.csv").parent)
    names = (*matching.JOIN, "extra_data")
    row = cast(Row, SimpleNamespace(**{name: str(described.get(name) or "") for name in names}))
    found = ((table, matching.match(row, rows)) for table, rows in known.tables.items())
    return [f"{table} row {number}" for table, number in found if number is not None]


def _lines(facts: Facts) -> list[str]:
    """Return the facts as lines for a terminal: a name, and what is to be said of it, broken at 80 columns."""
    said: list[tuple[str, str]] = []
    if not facts["loads"]:
        said.append(("not loaded", facts["error"].removeprefix(f"{facts['file']}: ")))
    if facts["bytes"] is not None:
        said.append(("size", f"{facts['bytes']:,} bytes"))
    if "sha256" in facts:
        said.append(("sha256", facts["sha256"]))
    said += [("entries" if not n else "", f"{key}: {text}") for n, (key, text) in enumerate(_items(facts, "entries"))]
    if "container" in facts:
        said.append(("container", facts["container"]))
    said += _model(facts) if facts["loads"] else []
    said += _tensors(facts)
    said += [
        ("first ones" if not n else "", f"{key}: {v}") for n, (key, v) in enumerate(_items(facts, "first_tensors"))
    ]
    said += [("notes" if not n else "", note) for n, note in enumerate(facts.get("notes", []))]
    said += _belongs(facts) if facts["loads"] else []
    return [facts["file"], *(line for name, text in said for line in _wrapped(name, text))]


def _items(facts: Facts, name: str) -> list[tuple[str, str]]:
    return list(facts.get(name, {}).items())


def _model(facts: Facts) -> list[tuple[str, str]]:
    told = "told from the names of its tensors" if facts["family_guessed"] else "as asked, or as the file says"
    return [
        ("family", f"{facts['family']} ({told}); checked against: {facts['verified']}"),
        ("encoder", f"{facts['backbone']}, {facts['heads']} heads, {facts['params'] / 1e6:.2f} M parameters"),
        (
            "clip",
            f"{facts['frames']} frames of {facts['image_size']} px; a token: {facts['tubelet']} frames of "
            f"{facts['patch']} px",
        ),
        ("positions", facts["positions"] or "not known"),
        ("last norm", "in the file" if facts["norm"] else "none"),
        ("classifier", f"left out, if there is one (policy '{facts['head_policy']}')"),
    ]


def _tensors(facts: Facts) -> list[tuple[str, str]]:
    said = []
    for name, count in _items(facts, "tensors"):
        figures = cast(Facts, count)
        first = ", ".join(figures.get("first", []))
        more = ", ..." if first and figures["tensors"] > len(figures["first"]) else ""
        said.append(f"{name:<10} {figures['tensors']:>5}  {figures['parameters']:>13,} numbers")
        said += [f"  {first}{more}"] if first else []
    return [("tensors" if not number else "", text) for number, text in enumerate(said)]


def _belongs(facts: Facts) -> list[tuple[str, str]]:
    zoo = facts["zoo"] or "no entry has this sha256"
    if facts["zoo"] is None and facts["zoo_of_same_size"]:
        zoo += f"; of this size: {', '.join(facts['zoo_of_same_size'])}"
    shown = facts["feature_print"]
    tokens = f"{shown['tokens']} tokens" if shown["tokens"] else "all tokens"
    return [
        ("zoo", zoo),
        ("published", ", ".join(facts["published"]) or "joins no published row by itself (eval --as NAME says whose)"),
        ("features", " ".join(f"{value:.4g}" for value in shown["values"])),
        ("", f"hash {shown['hash']}, of {tokens} of a fixed clip"),
    ]


def _wrapped(name: str, text: str) -> list[str]:
    deeper = text[: len(text) - len(text.lstrip())]
    lines = textwrap.wrap(text, WIDTH - INDENT, subsequent_indent=deeper, break_on_hyphens=False) or [""]
    heads = [f"  {name}", *("" for _ in lines[1:])]
    return [f"{head:<{INDENT}}{line}".rstrip() for head, line in zip(heads, lines, strict=True)]
