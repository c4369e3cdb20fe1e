"""Grids of tubes, one a prototype, beside frames of the clip they are from (Figures 4 and 5 of the paper)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sigma_bench.runs import paper_figure
from sigma_bench.runs.paper_figure import Page
from sigma_bench.runs.sheet import Picture

SIDE = 5
"""Tubes along either side of a grid."""
GAP, INNER, TITLE, EDGE = 0.1, 0.025, 0.13, 0.02
"""Inches between grids, between frames of the source, of a title, and around the figure."""
ACROSS, DOWN = 4, 2
FRAMES = ACROSS * DOWN
"""Of the source."""
NARROW = 4.0
"""Inches of the width below which three grids stand in a row, otherwise five."""
TINY = 64
"""Pixels of the side of a frame, or of a grid, that keep visible where they are enlarged."""
LETTERS = 6.5
"""Height of a title, points."""
GREY = "#555555"
INK = {"color": "black", "linewidth": 0.5}


@dataclass(frozen=True)
class Grid:
    """The pictures of `SIDE` x `SIDE` tubes, the most similar one first, row by row."""

    title: str
    tubes: Sequence[Picture]


@dataclass(frozen=True)
class Source:
    """Frames of what was searched, two rows of four."""

    title: str
    frames: Sequence[Picture]


def draw(source: Source, grids: Sequence[Grid], note: str, width: float) -> Page:
    """Return the figure: the source over two places at the upper left, then a grid a place, row by row.

    Args:
        source: What was searched.
        grids: One a prototype.
        note: Stands in the last place where no grid does.
        width: Of the figure, inches.
    """
    across = min(3 if width < NARROW else 5, len(grids) + 2)
    down = math.ceil((len(grids) + 2) / across)
    unit = (width - 2 * EDGE - (across - 1) * GAP) / across
    page = Page(width, 2 * EDGE + down * (unit + TITLE) + (down - 1) * GAP)
    wide = (2 * unit + GAP - (ACROSS - 1) * INNER) / ACROSS
    tall = (unit - (DOWN - 1) * INNER) / DOWN
    size = min(wide, tall)
    left = EDGE + (2 * unit + GAP - ACROSS * size - (ACROSS - 1) * INNER) / 2
    page.text(source.title, EDGE + unit + GAP / 2, EDGE, ha="center", fontsize=LETTERS)
    for number, frame in enumerate(source.frames):
        row, column = divmod(number, ACROSS)
        x, y = left + column * (size + INNER), EDGE + TITLE + row * (size + INNER)
        page.picture(paper_figure.resized(frame, size, size, len(frame) > TINY), x, y, size, size)
    for number, grid in enumerate(grids, 2):
        row, column = divmod(number, across)
        x, y = EDGE + column * (unit + GAP), EDGE + row * (unit + TITLE + GAP)
        page.text(grid.title, x + unit / 2, y, ha="center", fontsize=LETTERS)
        _mosaic(page, grid.tubes, x, y + TITLE, unit)
    if (len(grids) + 2) % across:
        x, y = EDGE + (across - 1) * (unit + GAP), EDGE + (down - 1) * (unit + TITLE + GAP) + TITLE
        page.text(note, x, y, color=GREY, fontsize=LETTERS - 1, linespacing=1.4)
    return page


def _mosaic(page: Page, tubes: Sequence[Picture], left: float, top: float, size: float) -> None:
    smooth = len(tubes[0]) * SIDE > TINY
    enlarged = [paper_figure.resized(tube, size / SIDE, size / SIDE, smooth) for tube in tubes]  # each by itself
    rows = [np.concatenate(enlarged[first : first + SIDE], 1) for first in range(0, len(tubes), SIDE)]
    axes = page.picture(np.concatenate(rows, 0), left, top, size, size)
    high, wide = axes.images[0].get_array().shape[:2]
    for line in range(SIDE + 1):
        part = line / SIDE
        axes.axhline(part * high - 0.5, clip_on=False, **INK)
        axes.axvline(part * wide - 0.5, clip_on=False, **INK)
