"""From a checkpoint file to an encoder and a report on how well it fitted."""

from __future__ import annotations

from pathlib import Path

from sigma_bench.contracts import Encoder, UserError
from sigma_bench.models.checkpoints import image, image_name, random
from sigma_bench.models.checkpoints.adapter import Adapter, Beside
from sigma_bench.models.checkpoints.classifier import LABEL_MAP, take
from sigma_bench.models.checkpoints.container import Unwrapped, unwrap
from sigma_bench.models.checkpoints.deepspeed import weights_file
from sigma_bench.models.checkpoints.fill import fill
from sigma_bench.models.checkpoints.geometry import Asked, HeadPolicy, Policy
from sigma_bench.models.checkpoints.known import OWN, choose
from sigma_bench.models.checkpoints.report import Count, LoadReport
from sigma_bench.models.checkpoints.run import FAMILY, described, system
from sigma_bench.models.checkpoints.source import open_source


def load_encoder(
    path: str | Path,
    *,
    family: str | None = None,
    heads: int | None = None,
    frames: int | None = None,
    image_size: int | None = None,
    positions: Policy | None = None,
    head: HeadPolicy = "drop",
    weights: str | None = None,
) -> tuple[Encoder, LoadReport]:
    """Load the encoder of a checkpoint, an image ViT (`timm:...`), or build an untrained one (`random:SIZE[:SEED]`).

    Args:
        path: A checkpoint file, a folder that transformers or DeepSpeed wrote, `random:SIZE[:SEED]`, or the name of an
            image ViT (see `image_name`).
        family: Family of the checkpoint; told from the names of its tensors where None.
        heads: Attention heads; needed where neither the file nor the usual number for its width tells them.
        frames: Frames of a clip, where they differ from the file's.
        image_size: Side of the frames in pixels, where it differs from the file's.
        positions: How a position table is fitted to other sizes than the file's: computed anew, interpolated in space
            and time, or its first rows taken; as the family's own code does where None.
        head: Whether a classifier in the file is dropped, kept in the report, or must be there.
        weights: Key of the weights to take from a file with several (`model_ema`); the usual one where None.

    Returns:
        The encoder, a torch module on the CPU in float32 and in evaluation mode, and the report.

    Raises:
        UserError: The file cannot be read safely, its family is unknown, it lacks a tensor of the encoder, or a tensor
            does not fit.
    """
    asked = Asked(heads, frames, image_size, positions, head, weights)
    if random.is_random(str(path)):
        if family is not None:
            raise UserError(f"'{path}': family '{family}' asked for, but it is untrained, of no family; leave it out")
        untrained = random.build(str(path), asked)
        return untrained, random.describe(str(path), untrained)
    if image_name.is_image(str(path)):
        return image.load(str(path), asked, family)
    file = open_source(weights_file(Path(path)))
    found = unwrap(file.content, file.path, weights)
    beside = Beside(file.path, found.container, found.beside, found.args, described(found.beside, file.path))
    adapter, name, guessed = _choose(found, family, beside)
    split = adapter.split(found.state)
    built = adapter.build(split, beside, asked, name, file.path)
    encoder = fill(built, split.encoder, file.path)
    if not isinstance(encoder, Encoder):
        raise TypeError(f"{type(encoder).__name__}, built for family {name}, is no encoder")
    classifier = take(split.head, asked.head, encoder.spec.embed_dim, file.path, found.beside.get(LABEL_MAP))
    file.check_unchanged()
    notes = [*file.notes, *found.notes, *split.notes, *built.notes]
    if split.unexpected:
        notes.append(f"unknown tensors, not used: {', '.join(list(split.unexpected)[:5])}")
    report = LoadReport(
        path=str(path),
        container=found.container,
        family=name,
        guessed=guessed,
        backbone=encoder.spec.backbone,
        heads=encoder.spec.heads,
        matched=Count.of(split.encoder),
        missing=Count(),
        unexpected=Count.of(split.unexpected),
        dropped=Count.of(split.dropped if classifier else split.dropped | split.head),
        sha256=file.sha256,
        notes=tuple(notes),
        system=system(found.beside) if beside.stated is not None else {},
        positions=built.positions,
        norm=encoder.spec.has_norm,
        head_policy=asked.head,
        head=classifier,
    )
    return encoder, report


def _choose(found: Unwrapped, family: str | None, beside: Beside) -> tuple[Adapter, str, bool]:
    """Return the adapter, the name of the family and whether it was guessed."""
    if beside.stated is None:
        return choose(found.state, family, beside.path)
    if family not in (None, FAMILY):
        raise UserError(
            f"{beside.path}: family '{family}' asked for, but the file is one of our own runs; leave it out"
        )
    return OWN, FAMILY, False
