"""Names of image ViTs: `timm:NAME[@SIZE[xFRAMES]][:FILE]`, NAME being timm's own of architecture and weights."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints.geometry import DEFAULT_FRAMES, Asked
from sigma_bench.models.frames import FAMILY

PREFIX = "timm:"
UNTRAINED = "random"
_NAME = re.compile(r"([A-Za-z0-9_]+)(\.[A-Za-z0-9_]+)?(?:@([1-9][0-9]{0,4})(?:x([1-9][0-9]{0,3}))?)?")


@dataclass(frozen=True)
class Wanted:
    """What a name asks for; `file` is None for weights from a cache, `UNTRAINED` for none."""

    name: str
    size: int | None
    frames: int
    file: str | None

    def system(self, image_size: int) -> str:
        """Return how rows name the model, which takes frames of `image_size`: without the path of a file."""
        usual = self.frames == DEFAULT_FRAMES
        clip = "" if usual and self.size is None else f"@{image_size}" if usual else f"@{image_size}x{self.frames}"
        return f"{PREFIX}{self.name}{clip}" + (f":{UNTRAINED}" if self.file == UNTRAINED else "")


def is_image(name: str) -> bool:
    """Tell whether a checkpoint name asks for an image ViT."""
    return name.startswith(PREFIX)


def parse(text: str, asked: Asked, family: str | None) -> Wanted:
    """Return what a name and the options beside it ask for.

    Raises:
        UserError: The name is not of the form, or an option contradicts it or has no meaning for an image ViT.
    """
    head, _, file = text.removeprefix(PREFIX).partition(":")
    match = _NAME.fullmatch(head)
    if match is None:
        raise UserError(
            f"'{text}': found {head[:80]!r}, expected {PREFIX}NAME[@SIZE[xFRAMES]][:FILE], for example "
            f"{PREFIX}vit_base_patch16_224.dino:dino_vitbase16_pretrain.pth"
        )
    if family not in (None, FAMILY) or asked.heads is not None or asked.positions is not None or asked.head != "drop":
        raise UserError(f"'{text}': timm's name says all of the model; leave out family, heads, positions and head")
    for what, said, other in (("image size", match[3], asked.image_size), ("frames", match[4], asked.frames)):
        if said is not None and other not in (None, int(said)):
            raise UserError(f"'{text}': says {what} {said}, but {other} is asked for; leave one of them out")
    size = int(match[3]) if match[3] else asked.image_size
    frames = int(match[4]) if match[4] else asked.frames or DEFAULT_FRAMES
    return Wanted(match[1] + (match[2] or ""), size, frames, file or None)


def pretrained_of(wanted: Wanted) -> Any:
    """Return what timm says of weights: colour statistics, notes, where they were published.

    Raises:
        UserError: timm has no such model or weights, the name leaves open whose they are, or they belong to a model
            with another activation.
    """
    import timm

    name, tag = wanted.name.partition(".")[::2]
    if not timm.is_model(name):
        near = ", ".join(timm.list_models(f"{name[:12]}*", module="vision_transformer")[:5])
        raise UserError(f"{PREFIX}{wanted.name}: timm has no model '{name}'{f'; some it has: {near}' if near else ''}")
    known = timm.models.get_arch_pretrained_cfgs(name)
    if not tag and wanted.file != UNTRAINED:
        raise UserError(
            f"{PREFIX}{name}: say whose weights they are, colours are normalised as those were trained: "
            f"{', '.join(known) or 'timm knows none'}"
        )
    if tag and wanted.name not in known:
        raise UserError(f"{PREFIX}{wanted.name}: timm knows no such weights; known: {', '.join(known)}")
    found = timm.models.get_pretrained_cfg(wanted.name)
    if any("QuickGELU" in note for note in found.notes or ()) and "quickgelu" not in name:
        right = f"{re.sub('_clip_', '_clip_quickgelu_', name)}.{tag}"
        raise UserError(
            f"{PREFIX}{wanted.name}: these weights were trained with QuickGELU, which this architecture has not; name "
            f"{right}"
        )
    return found
