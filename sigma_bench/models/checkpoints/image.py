"""Image ViTs by their names in timm (`image_name`), filled with the weights of a local file.

The official files of DINO, MAE, DINOv2 and CLIP are read as well as timm's own copies; timm's `checkpoint_filter_fn`
gives their tensors its names. Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from sigma_bench.contracts import Pool, UserError
from sigma_bench.models.checkpoints import image_cache
from sigma_bench.models.checkpoints.adapter import Built, PositionReport, State
from sigma_bench.models.checkpoints.container import unwrap
from sigma_bench.models.checkpoints.fill import fill
from sigma_bench.models.checkpoints.geometry import Asked
from sigma_bench.models.checkpoints.image_name import PREFIX, UNTRAINED, Wanted, parse, pretrained_of
from sigma_bench.models.checkpoints.report import Count, LoadReport
from sigma_bench.models.checkpoints.source import open_source
from sigma_bench.models.frames import FAMILY, FrameViT, take_off_head

TOWERS = ("visual.", "backbone.", "")
"""What the image encoder of a file may stand under: CLIP's beside its text encoder, DINO's beside its head."""
AFTER_TOKENS = ("head.", "head_dist.", "fc_norm.", "attn_pool.", "decoder_")
"""Parts that a file may have and that no token needs."""


@dataclass(frozen=True)
class _Model:
    """A model of timm with its weights: how it was made to be pooled, the digest of the weights, what was read."""

    module: nn.Module
    pool: Pool
    digest: str
    notes: list[str]
    container: str = "none"
    encoder: State = field(default_factory=dict)
    dropped: State = field(default_factory=dict)


def load(text: str, asked: Asked, family: str | None = None) -> tuple[FrameViT, LoadReport]:
    """Build an image ViT that is applied frame by frame, and fill it with the weights of a file.

    A model is built at its own size and filled there, strictly; for frames of another size timm then resamples its
    position table, which the report says.

    Args:
        text: `timm:NAME[@SIZE[xFRAMES]][:FILE]`; `random` as FILE leaves it untrained (seed 0).
        asked: Frames and image size, where the name does not say them; key of the weights in the file.
        family: None or "image".

    Raises:
        UserError: timm has no such model or weights, there is no file of them, it cannot be read safely, it is of
            another model, or something is asked for that an image ViT has not.
    """
    wanted = parse(text, asked, family)
    pretrained = pretrained_of(wanted)
    model = _untrained(wanted.name) if wanted.file == UNTRAINED else _filled(wanted, pretrained, asked.weights)
    positions = _resize(model.module, wanted)
    mean, std = (_triple(getattr(pretrained, name)) for name in ("mean", "std"))
    encoder = FrameViT(model.module, wanted.frames, mean, std, model.pool).eval()
    report = LoadReport(
        path=text,
        container=model.container,
        family=FAMILY,
        guessed=False,
        backbone=encoder.spec.backbone,
        heads=encoder.spec.heads,
        matched=Count.of(model.encoder),
        missing=Count(),
        unexpected=Count(),
        dropped=Count.of(model.dropped),
        sha256=_digest(model.digest, wanted.name, encoder),
        notes=tuple(model.notes),
        system={"system": wanted.system(encoder.spec.image_size)},
        positions=positions,
        norm=encoder.spec.has_norm,
    )
    return encoder, report


def _made(name: str) -> tuple[nn.Module, Pool]:
    import timm

    module: nn.Module = timm.create_model(name, pretrained=False, num_classes=0)
    return module, take_off_head(module)


def _untrained(name: str) -> _Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module, pool = _made(name)
    digest = hashlib.sha256()
    for key, tensor in module.state_dict().items():
        digest.update(key.encode())
        digest.update(tensor.numpy().tobytes())
    return _Model(module, pool, digest.hexdigest(), ["untrained"])


def _filled(wanted: Wanted, pretrained: Any, weights: str | None) -> _Model:
    name = wanted.name
    with torch.device("meta"):
        module, pool = _made(name)
    path = Path(wanted.file) if wanted.file is not None else image_cache.weights(name, pretrained)
    source = open_source(path)
    found = unwrap(source.content, path, weights)
    raw, outside = _tower(found.state)
    named = _renamed(module, raw, path)
    after = {key: value for key, value in named.items() if key.startswith(AFTER_TOKENS)}
    encoder = {key: value for key, value in named.items() if key not in after}
    notes = [*source.notes, *found.notes, *_resampled(module, raw), f"weights of SHA-256 {source.sha256}"]
    grid = cast(Any, module).patch_embed.grid_size
    filled = fill(Built(module, PositionReport("learned", "stored", grid), _unsaved(name, module)), encoder, path)
    source.check_unchanged()
    return _Model(filled, pool, source.sha256, notes, found.container, encoder, {**outside, **after})


def _tower(state: State) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the tensors of the image encoder and the others."""
    prefix = next(p for p in TOWERS if not p or any(key.startswith(p) and _is_patches(key) for key in state))
    inside = {key: value for key, value in state.items() if key.startswith(prefix)}
    outside = {key: value for key, value in state.items() if not key.startswith(prefix)}
    if prefix == "backbone.":
        inside = {key.removeprefix(prefix): value for key, value in inside.items()}
    return inside, outside


def _is_patches(key: str) -> bool:
    return key.endswith(("patch_embed.proj.weight", "visual.conv1.weight"))


def _renamed(module: nn.Module, raw: State, path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors under timm's names; refuse those of other patches, which timm would resample."""
    side = cast(Any, module).patch_embed.patch_size[0]
    for key, value in raw.items():
        if _is_patches(key) and value.ndim == 4 and tuple(value.shape[2:]) != (side, side):
            size = "x".join(map(str, value.shape[2:]))
            raise UserError(f"{path}: {key} is for patches of {size} px, those of the model have {side} px")
    rename = sys.modules[type(module).__module__].checkpoint_filter_fn
    try:
        return dict(rename(dict(raw), module))
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"{path}: its tensors do not fit a {type(module).__name__} of timm: {error}") from error


def _unsaved(name: str, module: nn.Module) -> dict[str, torch.Tensor]:
    """Return the values of buffers that are computed and in no file."""
    saved = module.state_dict()
    keys = [key for key, _ in module.named_buffers() if key not in saved]
    computed = dict(_untrained(name).module.named_buffers()) if keys else {}
    return {key: computed[key] for key in keys}


def _resampled(model: nn.Module, raw: State) -> list[str]:
    """Return a note where a file's position table was made for another grid than the model's own."""
    vit = cast(Any, model)
    places = vit.patch_embed.num_patches
    for key, value in raw.items():
        if key.endswith(("pos_embed", "positional_embedding")) and value.ndim in (2, 3):
            rows = value.shape[-2]
            if places not in (rows, rows - 1, rows - vit.num_prefix_tokens):
                grid = "x".join(map(str, vit.patch_embed.grid_size))
                return [f"a position table of {rows} rows was resampled to a grid of {grid} by timm (bicubic)"]
    return []


def _resize(model: nn.Module, wanted: Wanted) -> PositionReport:
    """Make a model one for frames of the size asked for, and say what became of its positions."""
    vit = cast(Any, model)
    own, patch = vit.patch_embed.grid_size, vit.patch_embed.patch_size[0]
    size = wanted.size or vit.patch_embed.img_size[0]
    if size % patch:
        raise UserError(f"{PREFIX}{wanted.name}: frames of {size} px do not divide into patches of {patch} px")
    if (size, size) != tuple(vit.patch_embed.img_size):
        with torch.no_grad():
            vit.set_input_size(img_size=(size, size))
    table, rotary = vit.pos_embed is not None, getattr(vit, "rope", None) is not None
    return PositionReport(
        kind="learned 2-D" if table else "rotary" if rotary else "relative",
        source="stored" if wanted.file != UNTRAINED and (table or not rotary) else "computed",
        grid=tuple(vit.patch_embed.grid_size),
        stored_grid=tuple(own) if table else None,
        policy="as is" if tuple(own) == tuple(vit.patch_embed.grid_size) or not table else "timm (bicubic)",
    )


def _triple(values: Any) -> tuple[float, float, float]:
    red, green, blue = values
    return float(red), float(green), float(blue)


def _digest(weights: str, name: str, encoder: FrameViT) -> str:
    """Return a digest of weights, model and clip: the same file computes something else in another of them."""
    spec = encoder.spec
    return hashlib.sha256(f"{weights}:{name}:{spec.image_size}x{spec.frames}".encode()).hexdigest()
