"""What is evaluated: a file, a run folder, a zoo entry, an untrained encoder, or a module of one's own."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sigma_bench import registry
from sigma_bench.contracts import Encoder, UserError
from sigma_bench.progress import say
from sigma_bench.results.row import Row
from sigma_bench.spec import load
from sigma_bench.train import folder

DESCRIBED = (
    "method",
    "variant",
    "backbone",
    "pretrain_data",
    "epochs",
    "extra_data",
    "motion_guidance",
    "frames",
)

NO_MEASUREMENT: Mapping[str, Any] = {
    **{"suite": "-", "task": "-", "task_version": 1, "evaluator": "-", "settings_sha256": "0" * 64},
    **{"metric": "-", "data": "custom", "status": "failed"},
}
"""What makes a row of a description."""


@dataclass(frozen=True)
class Candidate:
    """An encoder before it is built: its description for rows, the hash of its weights, how to build it."""

    description: dict[str, Any]
    sha256: str
    headline: str
    encoder: Callable[[str], Encoder]


def candidate(name: str, family: str | None, heads: int | None, as_system: str | None, specs: Path | None) -> Candidate:
    """Return what one `--ckpt` names.

    Raises:
        UserError: It is neither file, run folder, zoo entry, `random:SIZE[:SEED]` nor `module:function`, the file
            does not hold a whole encoder, or what it says of itself fits no row.
    """
    found = _found(name, family, heads, as_system, specs)
    try:
        Row.model_validate({**found.description, "checkpoint_sha256": found.sha256, **NO_MEASUREMENT})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UserError(
            f"{name}: describes itself by {'.'.join(map(str, first['loc']))}: {str(first['input'])[:80]!r}, which no "
            f"row can hold: {first['msg']}. Mend `system` in the file, or name a zoo entry with --as"
        ) from error
    return found


def _found(name: str, family: str | None, heads: int | None, as_system: str | None, specs: Path | None) -> Candidate:
    if name.startswith("random:"):
        return _file(name, name.rpartition(":")[0] if name.count(":") > 1 else name, family, heads, None, specs)
    if ":" in name and not Path(name).exists():
        return _module(name)
    return _file(_path(name, specs), name, family, heads, as_system, specs)


def _path(name: str, specs: Path | None) -> Path:
    path = Path(name)
    if path.is_dir():
        newest = folder.newest(path / "checkpoints")
        if newest is None and not _holds_weights(path):
            raise UserError(
                f"{path}: a folder without checkpoints/step-N.pt, and none that transformers or DeepSpeed wrote; name "
                "a run folder or a file"
            )
        return newest or path
    if path.is_file():
        return path
    entry = load.zoo(specs=specs).entries.get(name)
    if entry is not None:
        raise UserError(
            f"zoo entry {name}: its weights are not fetched by this version; get them from {entry.sources} and run "
            f"with --ckpt FILE --as {name}"
        )
    raise UserError(f"--ckpt {name}: no such file, run folder or zoo entry (sigma-bench list zoo)")


def _holds_weights(path: Path) -> bool:
    from sigma_bench.models.checkpoints.source import holds_weights

    return holds_weights(path)


def _file(
    path: Path | str, asked: str, family: str | None, heads: int | None, as_system: str | None, specs: Path | None
) -> Candidate:
    from sigma_bench.models.checkpoints import load_encoder

    encoder, report = load_encoder(path, family=family, heads=heads)
    description: dict[str, Any] = {"system": asked, "family": report.family, "family_guessed": report.guessed}
    described = dict(report.system)
    if as_system is not None:
        entries = load.zoo(specs=specs).entries
        if as_system not in entries:
            raise UserError(f"--as {as_system}: no such zoo entry; known: {', '.join(sorted(entries))}")
        described = entries[as_system].model_dump(mode="json")
        if described["backbone"] != _backbone(encoder):
            raise UserError(
                f"--as {as_system}: it is a {described['backbone']}, but {path} holds a {_backbone(encoder)}; its "
                "rows would stand beside another model's published value"
            )
    description["system"] = described.get("system") or asked
    description |= {name: str(described[name]) for name in DESCRIBED if described.get(name) not in (None, "")}
    description["params_m"] = round(encoder.spec.params / 1e6, 3)
    description.setdefault("backbone", _backbone(encoder))
    description.setdefault("frames", str(encoder.spec.frames))
    return Candidate(description, report.sha256, report.headline, lambda device: _placed(encoder, device))


def _backbone(encoder: Encoder) -> str:
    """Return the backbone as published rows spell it: the patch is named where it is not the usual 16."""
    return encoder.spec.backbone.removesuffix("/16")


def _module(name: str) -> Candidate:
    from sigma_bench.features import fingerprint

    build = registry.load_object(name)
    try:
        encoder = build()
    except Exception as error:
        say(traceback.format_exc())
        raise UserError(f"{name}: building the encoder failed ({type(error).__name__}: {error})") from error
    if not isinstance(encoder, Encoder):
        raise UserError(
            f"{name}: what it returns is no encoder; it needs `spec` and `tokens(clips, layer, norm, visible)`"
        )
    description = {
        "system": name,
        "backbone": encoder.spec.backbone,
        "family": encoder.spec.family,
        "frames": str(encoder.spec.frames),
        "params_m": round(encoder.spec.params / 1e6, 3),
    }
    return Candidate(
        description, fingerprint(encoder), f"{name}: {encoder.spec.backbone}", lambda device: _placed(encoder, device)
    )


def _placed(encoder: Any, device: str) -> Encoder:
    placed: Encoder = encoder.to(device).eval().requires_grad_(False)
    return placed
