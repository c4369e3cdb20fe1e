"""`sigma-bench ckpt export`: write an encoder for other programs, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import export as formats
from sigma_bench.models.checkpoints import header
from sigma_bench.models.vit import VideoViT
from sigma_bench.pretrain.collapse import COLLAPSE
from sigma_bench.progress import say
from sigma_bench.results.row import Row
from sigma_bench.results.store import Store
from sigma_bench.runs.card import card, measured
from sigma_bench.runs.systems import DESCRIBED, Candidate, candidate

WEIGHTS, CONFIG, PREPROCESSOR, CARD = "model.safetensors", "config.json", "preprocessor_config.json", "README.md"
FOLDER_FILES = frozenset({WEIGHTS, CONFIG, PREPROCESSOR, CARD})


@dataclass(frozen=True)
class Request:
    """What the command line asked for."""

    checkpoint: str
    form: str
    out: Path
    family: str | None = None
    heads: int | None = None
    as_system: str | None = None
    force: bool = False
    results: Path | None = None
    licence: str = "unknown"
    specs: Path | None = None


def export(request: Request) -> list[str]:
    """Write an encoder in another format; return what is to be told.

    Raises:
        UserError: The checkpoint cannot be loaded, the format cannot hold its encoder, or something is in the way.
    """
    found = candidate(request.checkpoint, request.family, request.heads, request.as_system, request.specs)
    encoder = formats.holdable(found.encoder("cpu"), request.form)
    _check_free(request)
    WRITERS[request.form](encoder, found, request)
    spec = encoder.spec
    lines = [found.headline, f"{request.out}: {spec.backbone} as {request.form}, {spec.params / 1e6:.2f} M parameters"]
    return lines + [f"note: {loss}" for loss in formats.losses(encoder, request.form)]


def _check_free(request: Request) -> None:
    out = request.out
    if not out.parent.is_dir():
        raise UserError(f"--out {out}: there is no folder {out.parent}; make it first")
    if not out.exists():
        return
    if not request.force:
        raise UserError(f"--out {out}: is there already; name another place, or overwrite it with --force")
    folder = request.form == "huggingface"
    if out.is_dir() != folder:
        kinds = ("a file", "a folder")
        raise UserError(f"--out {out}: is {kinds[not folder]}, not {kinds[folder]}; name another place")
    strangers = sorted(p.name for p in out.iterdir() if p.name not in FOLDER_FILES or p.is_dir()) if folder else []
    if strangers:
        raise UserError(
            f"--out {out}: also holds {', '.join(strangers[:3])}, which no export wrote; name another place"
        )


def _safetensors(encoder: VideoViT, found: Candidate, request: Request) -> None:
    tensors, entry = formats.own(encoder)
    described = {name: found.description[name] for name in ("system", *DESCRIBED) if name in found.description}
    source = {"family": found.description.get("family", ""), "sha256": found.sha256}
    warnings = [mark for mark in found.marks if mark.startswith(COLLAPSE)]
    told = {"warnings": warnings} if warnings else {}
    metadata = header.metadata(entry, described | told | {"exported_from": source})
    _whole_file(request.out, lambda path: save_file(tensors, path, metadata=metadata))


def _videomae(encoder: VideoViT, found: Candidate, request: Request) -> None:  # noqa: ARG001 - as the other writers
    _whole_file(request.out, lambda path: torch.save(formats.videomae(encoder), path))


def _huggingface(encoder: VideoViT, found: Candidate, request: Request) -> None:
    tensors, config, preprocessor = formats.huggingface(encoder)
    text = card(encoder.spec, found, request.licence, _rows(found, request.results))
    draft = Path(tempfile.mkdtemp(prefix=f".{request.out.name}.", suffix=".partial", dir=request.out.parent))
    try:
        draft.chmod(0o777 & ~_umask())
        save_file(tensors, draft / WEIGHTS, metadata={"format": "pt"})
        (draft / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        (draft / PREPROCESSOR).write_text(json.dumps(preprocessor, indent=2) + "\n", encoding="utf-8")
        (draft / CARD).write_text(text, encoding="utf-8")
        if request.out.exists():
            old = draft.with_suffix(".old")
            request.out.rename(old)
            draft.rename(request.out)
            shutil.rmtree(old)
        else:
            draft.rename(request.out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _rows(found: Candidate, results: Path | None) -> list[Row]:
    if results is None:
        return []
    if not results.is_dir():
        raise UserError(f"--results {results}: no such folder of rows")
    store = Store(results)
    rows = measured(store.read(), found.sha256)
    for problem in store.problems:
        say(f"warning: {problem}")
    say(f"{len(rows)} values of these weights go into the model card")
    return rows


def _whole_file(path: Path, write: Callable[[Path], None]) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


WRITERS: dict[str, Callable[[VideoViT, Candidate, Request], None]] = {
    "safetensors": _safetensors,
    "videomae": _videomae,
    "huggingface": _huggingface,
}
