"""Cluster maps of several encoders over frames of some clips, a row an encoder (Figure 3 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sigma_bench.runs import paper_figure
from sigma_bench.runs.paper_figure import Page
from sigma_bench.runs.sheet import Picture

OPACITY = 0.5
"""Share of a cluster's colour in the pixels it covers."""
GREYED = 0.75
"""Share of grey in the frame under the colours."""
LUMINANCE = np.array([0.299, 0.587, 0.114])
GAP, BETWEEN, EDGE, TITLE = 0.025, 0.14, 0.02, 0.13
"""Inches between frames, between clips, around the figure, and of a title."""
LETTERS, NARROW = {True: (5.2, 4.4), False: (6.5, 5.5)}, 4.0
"""Height of labels and of what stands under them, points: below so many inches of width, and above."""
LETTER, LINE = 0.0088, 0.0177
"""Width of a letter and height of a line of a label, inches a point."""
GREY, DASHES = "#555555", (0, (4, 3))


@dataclass(frozen=True)
class Row:
    """What stands beside one another: a label, a line under it, and of each clip its pictures."""

    label: str
    note: str
    clips: Sequence[Sequence[Picture]]


@dataclass(frozen=True)
class Layout:
    """Sizes of a figure, inches.

    Attributes:
        width: Of the figure.
        height: Of the figure.
        labelled: Width of the labels.
        widths: Of the frames of each clip.
        tall: Height of all frames.
        pitch: From one row to the next.
    """

    width: float
    height: float
    labelled: float
    widths: Sequence[float]
    tall: float
    pitch: float

    @property
    def letters(self) -> tuple[float, float]:
        """Height of labels and of what stands under them, points."""
        return LETTERS[self.width < NARROW]

    def pixels(self, clip: int) -> tuple[int, int]:
        """Return height and width of a frame of a clip, pixels."""
        dots = paper_figure.DPI
        return max(1, round(self.tall * dots)), max(1, round(self.widths[clip] * dots))


def layout(width: float, labels: Sequence[str], shapes: Sequence[tuple[int, int]], shown: int) -> Layout:
    """Return the sizes at which the frames fill the width, all of one height.

    Args:
        width: Of the figure, inches.
        labels: Of the rows, lines of them included.
        shapes: Height and width of the frames of each clip.
        shown: Frames of a clip.
    """
    large, small = LETTERS[width < NARROW]
    longest = max(len(line) for label in labels for line in label.split("\n"))
    labelled = min(width / 4, LETTER * large * longest + 0.06)
    gaps = (len(shapes) - 1) * BETWEEN + len(shapes) * (shown - 1) * GAP
    aspects = [across / down for down, across in shapes]
    tall = (width - labelled - gaps - EDGE) / (shown * sum(aspects))
    lines = max(label.count("\n") + 1 for label in labels)
    pitch = max(tall, LINE * (large * lines + small)) + GAP
    height = TITLE + len(labels) * pitch + EDGE
    return Layout(width, height, labelled, [tall * aspect for aspect in aspects], tall, pitch)


def draw(sizes: Layout, titles: Sequence[str], rows: Sequence[Row]) -> Page:
    """Return the figure: the clips side by side with dashed lines between, their names above, labels at the left."""
    page = Page(sizes.width, sizes.height)
    large, small = sizes.letters
    page.text("flicker, %", EDGE, EDGE, fontsize=small, color=GREY)
    for number, row in enumerate(rows):
        top = TITLE + number * sizes.pitch
        _label(page, row, top, sizes)
        left = sizes.labelled
        for clip, pictures in enumerate(row.clips):
            wide = sizes.widths[clip]
            if not number:
                whole = len(pictures) * wide + (len(pictures) - 1) * GAP
                page.text(titles[clip], left + whole / 2, EDGE, ha="center", fontsize=large)
            for picture in pictures:
                page.picture(picture, left, top, wide, sizes.tall)
                left += wide + GAP
            left += BETWEEN - GAP
            if not number and clip + 1 < len(row.clips):
                style = {"color": "black", "linewidth": 0.6, "linestyle": DASHES}
                page.line(left - BETWEEN / 2, TITLE / 2, sizes.height - EDGE, **style)
    return page


def _label(page: Page, row: Row, top: float, sizes: Layout) -> None:
    """Write a label and its note, in the middle of the height of its row."""
    large, small = sizes.letters
    lines = [(words, large, "black") for words in row.label.split("\n")] + [(row.note, small, GREY)]
    y = top + (sizes.tall - LINE * sum(letters for _, letters, _ in lines)) / 2
    for words, letters, ink in lines:
        page.text(words, EDGE, y, fontsize=letters, color=ink)
        y += LINE * letters


def blended(frame: Picture, colours: Picture) -> Picture:
    """Return a frame with colours over it, half of each; the frame is faded to grey, so that a colour stays itself."""
    grey = (1 - GREYED) * frame + GREYED * (frame @ LUMINANCE)[..., None]
    return np.asarray(np.rint((1 - OPACITY) * grey + OPACITY * colours), np.uint8)


def scaled(frame: Picture, pixels: tuple[int, int]) -> Picture:
    """Return a frame at another height and width."""
    picture = Image.fromarray(np.ascontiguousarray(frame))
    return np.asarray(picture.resize(pixels[::-1], Image.Resampling.LANCZOS))


def scaled_ids(ids: np.ndarray, pixels: tuple[int, int]) -> np.ndarray:
    """Return ids at another height and width, each a copy of the one at its place."""
    return np.asarray(Image.fromarray(ids).resize(pixels[::-1], Image.Resampling.NEAREST))
