"""From a checkpoint file to an encoder and a report on how well it fitted."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import random
from sigma_bench.models.checkpoints.adapter import Adapter, Split, State
from sigma_bench.models.checkpoints.container import Unwrapped, unwrap
from sigma_bench.models.checkpoints.finetuned import Finetuned
from sigma_bench.models.checkpoints.geometry import Asked, Geometry, infer
from sigma_bench.models.checkpoints.read import read
from sigma_bench.models.checkpoints.report import Count, LoadReport
from sigma_bench.models.checkpoints.run import FAMILY, OwnRun, described
from sigma_bench.models.checkpoints.sigma import Sigma
from sigma_bench.models.checkpoints.videomae import VideoMAE
from sigma_bench.models.positions import sincos_1d
from sigma_bench.models.vit import VideoViT

ADAPTERS: tuple[Adapter, ...] = (Sigma(), VideoMAE(), Finetuned(), OwnRun())
FOREIGN = {
    "SVT (divided space-time attention)": ("temporal_attn.",),
    "Hugging Face VideoMAE": ("embeddings.patch_embeddings.projection.",),
    "MVD": ("decoder_img.", "mask_token_vid", "pos_embed_vid"),
    "MME": ("decoder.0.", "encoder_to_decoder.0."),
}
"""Families with other position tables or blocks, told by parts of names: refused rather than loaded wrongly."""


def load_encoder(
    path: str | Path,
    *,
    family: str | None = None,
    heads: int | None = None,
    frames: int | None = None,
    image_size: int | None = None,
) -> tuple[VideoViT, LoadReport]:
    """Load the encoder of a checkpoint, or build an untrained one (`random:SIZE[:SEED]`).

    Args:
        path: A checkpoint file, or `random:SIZE[:SEED]`.
        family: Family of the checkpoint; told from the names of its tensors where None.
        heads: Attention heads; needed where neither the file nor the usual number for its width tells them.
        frames: Frames of a clip, where they differ from the file's.
        image_size: Side of the frames in pixels, where it differs from the file's.

    Returns:
        The encoder on the CPU in float32, in evaluation mode, and the report.

    Raises:
        UserError: The file cannot be read safely, its family is unknown, it lacks a tensor of the encoder, or a tensor
            does not fit.
    """
    asked = Asked(heads, frames, image_size)
    if random.is_random(str(path)):
        untrained = random.build(str(path), asked)
        return untrained, random.describe(str(path), untrained)
    file = read(Path(path))
    found = unwrap(file.content, file.path)
    stated = described(found.beside, file.path)
    adapter, name, guessed = _choose(found, family, stated is not None, file.path)
    split = adapter.split(found.state)
    geometry, notes = infer(split.encoder, stated, found.args, asked, file.path)
    encoder = _fill(split, geometry, adapter, name, file.path)
    if split.unexpected:
        notes.append(f"unknown tensors, not used: {', '.join(list(split.unexpected)[:5])}")
    system = found.beside.get("system") if stated is not None else None
    report = LoadReport(
        path=str(path),
        container=found.container,
        family=name,
        guessed=guessed,
        backbone=encoder.spec.backbone,
        heads=geometry.heads,
        matched=Count.of(split.encoder),
        missing=Count(),
        unexpected=Count.of(split.unexpected),
        dropped=Count.of(split.dropped),
        sha256=file.sha256,
        notes=(*found.notes, *split.notes, *notes),
        system=system if isinstance(system, dict) else {},
    )
    return encoder, report


def families() -> tuple[str, ...]:
    """Return the names of the families that can be asked for."""
    return tuple(dict.fromkeys(name for adapter in ADAPTERS for name in adapter.names))


def _choose(found: Unwrapped, family: str | None, own: bool, path: Path) -> tuple[Adapter, str, bool]:
    """Return the adapter, the name of the family and whether it was guessed."""
    _refuse_foreign(found.state, path)
    if family is not None and family not in families():
        raise UserError(f"unknown checkpoint family '{family}'; known: {', '.join(families())}")
    if own:
        if family not in (None, FAMILY):
            raise UserError(f"{path}: family '{family}' asked for, but the file is one of our own runs; leave it out")
        return OwnRun(), FAMILY, False
    fitting = [adapter for adapter in ADAPTERS if not isinstance(adapter, OwnRun) and adapter.recognises(found.state)]
    if not fitting:
        sample = ", ".join(list(found.state)[:5])
        raise UserError(
            f"{path}: no known encoder in it; its tensors are {sample}, ...; known families: {', '.join(families())}"
        )
    if family is None:
        if not fitting[0].by_keys:
            names = ", ".join(fitting[0].names)
            raise UserError(
                f"{path}: a file without a decoder does not show whose encoder it is, and position tables differ; "
                f"name the family (one of {names})"
            )
        return fitting[0], fitting[0].names[0], True
    named = [adapter for adapter in fitting if family in adapter.names]
    if not named:
        raise UserError(f"{path}: family '{family}' asked for, but its tensors are those of {fitting[0].names[0]}")
    return named[0], family, False


def _refuse_foreign(state: State, path: Path) -> None:
    for name, parts in FOREIGN.items():
        if any(part in key for key in state for part in parts):
            raise UserError(f"{path}: is a checkpoint of {name}, which cannot be loaded yet; known: {families()}")


def _fill(split: Split, geometry: Geometry, adapter: Adapter, family: str, path: Path) -> VideoViT:
    with torch.device("meta"):
        encoder = VideoViT(
            geometry.image_size,
            geometry.patch,
            geometry.frames,
            geometry.tubelet,
            geometry.dim,
            geometry.depth,
            geometry.heads,
            norm=adapter.needs_norm or "norm.weight" in split.encoder,
            mlp_hidden=geometry.mlp_hidden,
            family=family,
            verified=adapter.verified,
        )
    positions = sincos_1d(math.prod(encoder.grid), geometry.dim)
    _drop_same_positions(split, positions)
    wanted = encoder.state_dict()
    _check(split.encoder, wanted, path)
    given = {name: split.encoder[name].detach().to(torch.float32).contiguous() for name in wanted}
    broken = [name for name, tensor in given.items() if not bool(tensor.isfinite().all())]
    if broken:
        raise UserError(f"{path}: {broken[0]} holds infinite or undefined values ({len(broken)} tensors do)")
    encoder.load_state_dict(given, assign=True)
    encoder.positions = positions
    return encoder.eval()


def _drop_same_positions(split: Split, positions: torch.Tensor) -> None:
    """Take a stored position table that equals the computed one for known; any other stays, and is refused."""
    stored = split.encoder.get("pos_embed")
    if stored is not None and stored.shape == positions.shape and torch.allclose(stored.float(), positions, atol=1e-3):
        split.dropped["pos_embed"] = split.encoder.pop("pos_embed")


def _check(given: State, wanted: State, path: Path) -> None:
    missing = {name: tensor for name, tensor in wanted.items() if name not in given}
    if missing:
        raise UserError(
            f"{path}: {len(missing)} of the encoder's {len(wanted)} tensors are missing "
            f"({Count.of(missing).parameters} parameters): {', '.join(list(missing)[:5])}"
        )
    foreign = [name for name in given if name not in wanted]
    if foreign:
        raise UserError(
            f"{path}: the encoder in it has tensors this one cannot use ({', '.join(foreign[:5])}); "
            "without them its features would be wrong"
        )
    for name, tensor in wanted.items():
        if given[name].shape != tensor.shape or not given[name].is_floating_point():
            raise UserError(
                f"{path}: {name} is {given[name].dtype} {tuple(given[name].shape)}; "
                f"expected floating point {tuple(tensor.shape)}"
            )
        if given[name].untyped_storage().nbytes() < tensor.numel() * given[name].element_size():
            raise UserError(f"{path}: {name} claims more values than the file holds; the file is damaged")
