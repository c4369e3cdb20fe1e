"""Small data sets and encoders for the tests of segmentation."""

from pathlib import Path

import numpy as np
from PIL import Image
from torch import nn

from sigma_bench.contracts import EncoderSpec, Tokens
from sigma_bench.data.datasets.davis import FRAMES, LISTS
from sigma_bench.data.miniatures.pictures import write_mask

MASKS = "Annotations/480p"


class Colours(nn.Module):
    """Tokens are the mean colours of tubes, so that k-means finds what differs in colour."""

    def __init__(self, frames=4, tubelet=2, side=32, norm=True):
        super().__init__()
        self.spec = EncoderSpec("test", "none", 3, 1, 1, tubelet, 4, frames, side, (0.0,) * 3, (1.0,) * 3, 0, norm)
        self.seen = []

    def tokens(self, clips, layer=-1, norm=True, visible=None):
        self.seen.append((tuple(clips.shape), norm))
        t, p = self.spec.tubelet, self.spec.patch
        return Tokens(nn.functional.avg_pool3d(clips, (t, p, p)).permute(0, 2, 3, 4, 1), None)

    def shortened(self, frames):
        short = Colours(frames, self.spec.tubelet, self.spec.image_size, self.spec.has_norm)
        short.seen = self.seen
        return short


COLOURS = ((20, 20, 20), (250, 30, 30), (30, 250, 30), (30, 30, 250))


def scene(count: int, size: tuple[int, int] = (64, 96)) -> np.ndarray:
    """Return ids with `count` blocks beside each other on a background."""
    height, width = size
    ids = np.zeros(size, np.uint8)
    for number in range(count):
        left = 8 + number * (width - 16) // count
        ids[16 : height - 16, left : left + (width - 16) // count] = number + 1
    return ids


def write_sequence(root: Path, name: str, ids, frames: int = 6, masked=None, step: int = 1) -> None:
    """Write a sequence whose colours are those of its ids; `masked`: numbers of the frames that get a mask."""
    for place in (FRAMES, MASKS):
        (root / place / name).mkdir(parents=True)
    for number in range(0, frames * step, step):
        shown = ids(number) if callable(ids) else ids
        picture = np.array(COLOURS, np.uint8)[np.minimum(shown, 3)]
        Image.fromarray(picture).save(root / FRAMES / name / f"{number:05d}.jpg", quality=95)
        if masked is None or number in masked:
            write_mask(root / MASKS / name / f"{number:05d}.png", shown)


def write_list(root: Path, names) -> None:
    """Write the list of a DAVIS folder."""
    (root / LISTS).mkdir(parents=True, exist_ok=True)
    (root / LISTS / "val.txt").write_text("".join(f"{name}\n" for name in names))
