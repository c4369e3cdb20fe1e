"""Frames and masks of miniatures as picture files: the same bytes for the same pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

QUALITY = 92
DISTINCT = 22
"""Ids with a colour of their own in the palette of DAVIS."""


def palette() -> bytes:
    """Return the 256 colours of DAVIS: 22 distinct ones, then grey of the id's own value.

    Bits 0 to 2 of an id are halves of red, green and blue, bits 3 to 5 quarters of them, as in Pascal VOC.
    """
    ids = np.arange(256)
    shares = [((ids >> channel) & 1) / 2 + ((ids >> (channel + 3)) & 1) / 4 for channel in range(3)]
    colours = np.where(ids < DISTINCT, np.rint(255 * np.stack(shares)), ids)
    return colours.T.astype(np.uint8).tobytes()


def write_frame(path: Path, frame: NDArray[np.uint8]) -> None:
    """Write a frame, uint8 (H, W, 3), as JPEG with colour at full resolution."""
    Image.fromarray(frame).save(path, "JPEG", quality=QUALITY, subsampling=0)


def write_mask(path: Path, ids: NDArray[np.uint8]) -> None:
    """Write a mask, uint8 (H, W), as a PNG of ids with the palette of DAVIS."""
    picture = Image.fromarray(ids)
    picture.putpalette(palette())
    picture.save(path, "PNG", optimize=False)
