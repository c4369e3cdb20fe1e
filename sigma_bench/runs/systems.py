"""What is evaluated: a file, a run folder, a zoo entry, an image ViT, an untrained encoder, or one's own module."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sigma_bench import registry
from sigma_bench.contracts import Encoder, EncoderSpec, UserError
from sigma_bench.progress import say
from sigma_bench.results.row import Row
from sigma_bench.runs import fetch
from sigma_bench.runs.reading import AS_STORED, Reading
from sigma_bench.spec import load
from sigma_bench.spec.zoo import Entry, Zoo
from sigma_bench.train import folder

if TYPE_CHECKING:
    from sigma_bench.models.checkpoints import LoadReport

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

UNVERIFIED = "verified: none (this family's reading was checked with no released file and no golden vector)"
REPLACED = "not the zoo's file (its SHA-256 is another)"

SELF_DESCRIBED = frozenset({"sigma_bench", "videomae_hf"})
"""Families whose files say themselves how they are read, whoever trained them."""

NO_MEASUREMENT: Mapping[str, Any] = {
    **{"suite": "-", "task": "-", "task_version": 1, "evaluator": "-", "settings_sha256": "0" * 64},
    **{"metric": "-", "data": "custom", "status": "failed"},
}
"""What makes a row of a description."""


@dataclass(frozen=True)
class Candidate:
    """An encoder before it is built: its description and marks for rows, the hash of its weights, how to build it.

    `name` is what it was asked by; `resizable`: the same weights can be read for clips of other sizes.
    """

    description: dict[str, Any]
    sha256: str
    headline: str
    encoder: Callable[[str], Encoder]
    marks: tuple[str, ...] = ()
    resizable: bool = False
    name: str = ""
    classifier: Any = None
    """The classifier in the file, where it is asked for."""


def candidate(
    name: str,
    family: str | None,
    heads: int | None,
    as_system: str | None,
    specs: Path | None,
    reading: Reading = AS_STORED,
) -> Candidate:
    """Return what one `--ckpt` names.

    Raises:
        UserError: It is neither file, run folder, zoo entry, address, `random:SIZE[:SEED]`, `timm:NAME[:FILE]`, model
            of another package nor `module:object`, it cannot be fetched, the file does not hold a whole encoder, or
            what it says of itself fits no row.
    """
    found = _found(name, family, heads, as_system, specs, reading)
    try:
        Row.model_validate({**found.description, "checkpoint_sha256": found.sha256, **NO_MEASUREMENT})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UserError(
            f"{name}: describes itself by {'.'.join(map(str, first['loc']))}: {str(first['input'])[:80]!r}, which no "
            f"row can hold: {first['msg']}. Mend `system` in the file, or name a zoo entry with --as"
        ) from error
    return replace(found, name=name)


def _found(
    name: str, family: str | None, heads: int | None, as_system: str | None, specs: Path | None, reading: Reading
) -> Candidate:
    if name.startswith("random:"):
        return _file(
            name, name.rpartition(":")[0] if name.count(":") > 1 else name, family, heads, None, specs, reading
        )
    if fetch.is_address(name):
        fetched = fetch.fetch(name)
        return _from(fetched, _file(fetched.path, name, family, heads, as_system, specs, reading))
    if name.startswith("timm:"):
        return _file(name, name, family, heads, as_system, specs, reading)
    if ":" in name and not Path(name).exists():
        return _module(name, family, heads, as_system, reading)
    zoo = None if Path(name).exists() else load.zoo(specs=specs)
    name = name if zoo is None else zoo.short.get(name, name)
    entry = None if zoo is None else zoo.entries.get(name)
    if zoo is not None and "=" in name:
        return _named(name, zoo, family, heads, as_system, specs, reading)
    if entry is not None:
        fetched, source = fetch.fetch_entry(name, entry)
        family, heads = family or source.family or entry.family, heads or entry.heads
        return _from(fetched, _file(fetched.path, name, family, heads, as_system or name, specs, reading))
    if not Path(name).exists() and name in registry.names("models"):
        return _module(name, family, heads, as_system, reading)
    return _file(_path(name), name, family, heads, as_system, specs, reading)


def _from(fetched: fetch.Fetched, found: Candidate) -> Candidate:
    return replace(found, description=found.description | {"source": fetched.address})


def _named(
    name: str,
    zoo: Zoo,
    family: str | None,
    heads: int | None,
    as_system: str | None,
    specs: Path | None,
    reading: Reading,
) -> Candidate:
    """Return the file of `NAME=FILE`: a file got by hand of the zoo entry NAME, read and described as that.

    Raises:
        UserError: There is no such entry or file, or `--as` names another one.
    """
    asked, _, file = name.partition("=")
    asked = zoo.short.get(asked, asked)
    entry = zoo.entries.get(asked)
    if entry is None:
        raise UserError(f"--ckpt {name}: no file of this name, and before '=' no zoo entry (sigma-bench list zoo)")
    if as_system is not None:
        raise UserError(f"--ckpt {name}: it says itself whose file it is; leave out --as {as_system}")
    path = _path(file)
    published_so = (s.family for s in entry.sources if s.family and Path(s.path).suffix == path.suffix)
    return _file(path, file, family or next(published_so, entry.family), heads or entry.heads, asked, specs, reading)


def _path(name: str) -> Path:
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
    raise UserError(f"--ckpt {name}: no such file, run folder, zoo entry or model (sigma-bench list zoo, list models)")


def _holds_weights(path: Path) -> bool:
    from sigma_bench.models.checkpoints.source import holds_weights

    return holds_weights(path)


def _file(
    path: Path | str,
    asked: str,
    family: str | None,
    heads: int | None,
    as_system: str | None,
    specs: Path | None,
    reading: Reading,
) -> Candidate:
    from sigma_bench.models.checkpoints import load_encoder
    from sigma_bench.models.checkpoints.geometry import HEADS_BY_DIM

    encoder, report = load_encoder(path, family=family, heads=heads, **reading.asked)
    description: dict[str, Any] = {"system": asked, "family": report.family, "family_guessed": report.guessed}
    described, entry = dict(report.system), None
    if as_system is not None:
        zoo = load.zoo(specs=specs)
        entries, as_system = zoo.entries, zoo.short.get(as_system, as_system)
        if as_system not in entries:
            raise UserError(f"--as {as_system}: no such zoo entry; known: {', '.join(sorted(entries))}")
        entry = entries[as_system]
        _check_family(as_system, entry, report, path)
        described = entry.model_dump(mode="json")
        if described["backbone"] != _backbone(encoder):
            raise UserError(
                f"--as {as_system}: it is a {described['backbone']}, but {path} holds a {_backbone(encoder)}; its "
                "rows would stand beside another model's published value"
            )
    description["system"] = described.get("system") or asked
    description |= {name: str(described[name]) for name in DESCRIBED if described.get(name) not in (None, "")}
    description |= progress(report.system, description, named=as_system is not None)
    description["params_m"] = round(encoder.spec.params / 1e6, 3)
    description.setdefault("backbone", _backbone(encoder))
    description.setdefault("frames", str(encoder.spec.frames))
    unverified = encoder.spec.verified == "none" and report.matched.tensors > 0
    marks = ((UNVERIFIED,) if unverified else ()) + (() if entry is None else _marks(entry, report.sha256))
    marks += tuple(report.system.get("warnings", ()))
    usual = HEADS_BY_DIM.get(encoder.spec.embed_dim, heads) if entry is None else entry.heads or heads
    by_user = {} if heads in (None, usual) else {"heads": heads}
    by_user |= {name: value for name, value in reading.asked.items() if name != "head"}
    marks += tuple(f"read with {name} {value}" for name, value in by_user.items())
    if report.unexpected.tensors:
        marks += (f"{report.unexpected.tensors} unknown tensors not used: {', '.join(report.unexpected.first)}",)
    if report.positions is not None and report.positions.policy != "as is":
        marks += (f"positions: {report.positions}",)
    if reading.head == "require" and report.head is None:
        raise UserError(f"{asked}: holds no classifier to test; finetune it here, without --test-only")
    return Candidate(
        description,
        report.sha256,
        report.headline,
        partial(_placed, encoder),
        marks,
        resizable=True,
        classifier=report.head,
    )


def progress(run: Mapping[str, Any], description: Mapping[str, Any], named: bool = False) -> dict[str, Any]:
    """Return the columns of a row that tell how far the run of a checkpoint was, empty where it does not say.

    Before its end a checkpoint is no published system: it has no method, the epochs it has seen, and its step in the
    variant, so that its rows stand on a line of their own.

    Args:
        run: `step`, `steps`, `steps_per_epoch` and `epochs` as the checkpoint states them.
        description: The columns so far.
        named: The user named the system (`--as`): then only the steps are told.
    """
    step, steps, per_epoch = (run.get(name) for name in ("step", "steps", "steps_per_epoch"))
    if step is None or steps is None:
        return {}
    told: dict[str, Any] = {"step": step, "steps": steps}
    if step >= steps or named:
        return told
    whole = str(run.get("epochs", ""))
    if per_epoch and not whole.endswith("steps"):
        # the whole run is counted with the repeats of its videos (200 epochs of 4 are 800), its part likewise
        counted = int(whole) if re.fullmatch("[0-9]{1,9}", whole) else 0
        repeats = max(1, round(counted * per_epoch / steps)) if steps else 1
        told["epochs"] = f"{repeats * step / per_epoch:.4g}"
    else:
        told["epochs"] = f"{step} steps"
    told["variant"] = ", ".join(part for part in (description.get("variant", ""), f"step {step} of {steps}") if part)
    return {**told, "method": ""}


def _check_family(name: str, entry: Entry, report: LoadReport, path: Path | str) -> None:
    """Refuse a file that was read as another family than the entry's; files that describe themselves are left alone.

    Raises:
        UserError: The family is another one, whose position table or normalisation may be another.
    """
    known = {entry.family, *(source.family for source in entry.sources)} - {None}
    if report.matched.tensors and known and report.family not in known | SELF_DESCRIBED:
        raise UserError(
            f"--as {name}: it is of family {entry.family}, but {path} was read as {report.family}; give --family "
            f"{entry.family}, or leave --as out"
        )


def _marks(entry: Entry, sha256: str) -> tuple[str, ...]:
    """Return what a value must be read with that stands under the name of a zoo entry."""
    known = [source.sha256 for source in entry.sources]
    replaced = bool(known) and None not in known and sha256 not in known
    return ((entry.note,) if entry.note else ()) + ((REPLACED,) if replaced else ())


def _backbone(encoder: Encoder) -> str:
    """Return the backbone as published rows spell it: the patch is named where it is not the usual 16."""
    return encoder.spec.backbone.removesuffix("/16")


def _module(name: str, family: str | None, heads: int | None, as_system: str | None, reading: Reading) -> Candidate:
    """Return the encoder that an object of a module is or makes: a function, a class, or a torch module.

    Raises:
        UserError: It cannot be imported, fails, is and makes no encoder, or is asked to be what it does not say.
    """
    if family is not None or heads is not None or as_system is not None or reading.asked:
        raise UserError(
            f"{name}: an encoder of a module says itself what it is; leave out --family, --heads, --as, and how a file "
            "is to be read"
        )
    from torch import nn

    found = registry.load_object(name) if ":" in name else registry.get("models", name)
    try:
        encoder = found if isinstance(found, nn.Module) else found()
    except Exception as error:
        say(traceback.format_exc())
        raise UserError(f"{name}: building the encoder failed ({type(error).__name__}: {error})") from error
    marks = () if ":" in name else (f"encoder of {registry.origin('models', name)}",)
    return of_encoder(encoder, name, lambda device: _placed(encoder, device), marks)


def of_encoder(encoder: Any, name: str, placed: Callable[[str], Encoder], marks: tuple[str, ...] = ()) -> Candidate:
    """Return an encoder at hand as what is evaluated.

    Args:
        encoder: A torch module that is an encoder.
        name: Name of the system.
        placed: Returns it on a device.
        marks: Remarks of its rows.

    Raises:
        UserError: It is no encoder.
    """
    from sigma_bench.models.fingerprint import fingerprint

    if not isinstance(encoder, Encoder) or not isinstance(encoder.spec, EncoderSpec):
        raise UserError(
            f"{name}: no encoder ({type(encoder).__name__}); it needs `spec`, an EncoderSpec, and "
            "`tokens(clips, layer, norm, visible)`"
        )
    description = {
        "system": name,
        "backbone": encoder.spec.backbone,
        "family": encoder.spec.family,
        "frames": str(encoder.spec.frames),
        "params_m": round(encoder.spec.params / 1e6, 3),
    }
    return Candidate(description, fingerprint(encoder), f"{name}: {encoder.spec.backbone}", placed, marks)


def _placed(encoder: Any, device: str) -> Encoder:
    placed: Encoder = encoder.to(device).eval().requires_grad_(False)
    return placed
