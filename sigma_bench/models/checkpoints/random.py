"""Untrained encoders, the baseline that every other one has to beat: `random:SIZE[:SEED]`."""

from __future__ import annotations

import hashlib

import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints.geometry import DEFAULT_FRAMES, DEFAULT_IMAGE, Asked
from sigma_bench.models.checkpoints.report import Count, LoadReport
from sigma_bench.models.vit import VideoViT, size_of

PREFIX = "random:"
TUBELET = 2
GEOMETRY = {"nano": (32, 8, 8)}
"""Image size, frames and patch of sizes that are made for other clips than 224 pixels, 16 frames and patch 16."""


def is_random(name: str) -> bool:
    """Tell whether a checkpoint name asks for an untrained encoder."""
    return name.startswith(PREFIX)


def build(name: str, asked: Asked | None = None) -> VideoViT:
    """Build the untrained encoder `random:SIZE[:SEED]` (seed 0 where none is given); the global generator is kept.

    Raises:
        UserError: The name is not of that form, or no such size.
    """
    asked = asked or Asked()
    size_name, _, seed_text = name.removeprefix(PREFIX).partition(":")
    if seed_text and not (seed_text.isascii() and seed_text.isdigit()):
        raise UserError(f"'{name}': '{seed_text}' is no seed; expected {PREFIX}SIZE or {PREFIX}SIZE:SEED")
    if asked.positions is not None or asked.weights is not None:
        raise UserError(f"'{name}': is untrained, without weights or a position table to choose; leave both out")
    size, seed = size_of(size_name), int(seed_text or 0)
    if asked.heads not in (None, size.heads):
        raise UserError(f"'{name}': {asked.heads} heads asked for, size {size_name} has {size.heads}")
    image_size, frames, patch = GEOMETRY.get(size_name, (DEFAULT_IMAGE, DEFAULT_FRAMES, 16))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        encoder = VideoViT(
            asked.image_size or image_size,
            patch,
            asked.frames or frames,
            TUBELET,
            size.dim,
            size.depth,
            size.heads,
            family="random",
        )
    return encoder.eval()


def describe(name: str, encoder: VideoViT) -> LoadReport:
    """Return the report of an untrained encoder; its digest is that of its weights."""
    digest = hashlib.sha256()
    for key, tensor in encoder.state_dict().items():
        digest.update(key.encode())
        digest.update(tensor.numpy().tobytes())
    return LoadReport(
        path=name,
        container="none",
        family="random",
        guessed=False,
        backbone=encoder.spec.backbone,
        heads=encoder.spec.heads,
        matched=Count(),
        missing=Count(),
        unexpected=Count(),
        dropped=Count(),
        sha256=digest.hexdigest(),
        notes=("untrained",),
    )
