"""Figures for print: width of one or two columns, text as text, and beside the picture what it was drawn from."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sigma_bench.contracts import UserError
from sigma_bench.runs.sheet import Picture

FORMATS = ("pdf", "png", "svg")
WIDTHS = {1: 3.25, 2: 6.875}
"""Inches of a figure over so many columns of a page."""
DPI = 300
"""Of PNG files, and of the pictures in the others."""
LETTERS = 7
"""Height of letters where nothing else is said, points."""
STYLE = {
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "sigma-bench",
}
UNDATED: Mapping[str, Mapping[str, None]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
"""So that the same figure is the same file."""


class Page:
    """A figure whose places are inches from its upper left corner.

    Args:
        width: Inches.
        height: Inches.
    """

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")

    def picture(self, picture: Picture, left: float, top: float, width: float, height: float) -> Any:
        """Place a picture over so many inches and return its axes, one unit a pixel of it, none of them drawn."""
        axes = self.figure.add_axes(
            (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        )
        axes.imshow(picture, interpolation="none", aspect="auto", resample=False)
        axes.set_axis_off()
        return axes

    def text(self, words: str, left: float, top: float, **style: Any) -> None:
        """Write words with their upper left corner there, unless `style` aligns them otherwise."""
        placed = {"ha": "left", "va": "top", "fontsize": LETTERS, **style}
        self.figure.text(left / self.width, 1 - top / self.height, words, parse_math=False, **placed)

    def line(self, x: float, top: float, bottom: float, **style: Any) -> None:
        """Draw a vertical line."""
        from matplotlib.lines import Line2D

        ys = (1 - top / self.height, 1 - bottom / self.height)
        self.figure.add_artist(Line2D((x / self.width,) * 2, ys, **style))


def place(out: Path | None, form: str, usual: str) -> tuple[Path, str]:
    """Return the file of a figure and its format: the one asked for, else as the file ends, else PDF.

    Raises:
        UserError: Another format, or a file that ends in another one.
    """
    ending = out.suffix.lower().removeprefix(".") if out is not None else ""
    chosen = form or ending or FORMATS[0]
    if chosen not in FORMATS or (ending and ending != chosen) or (out is not None and not ending):
        raise UserError(
            f"--out {out or 'not given'}, --format {form or 'not given'}: expected a file that ends in "
            f"{', '.join(f'.{f}' for f in FORMATS)}, and the same format"
        )
    return out or Path("figures") / f"{usual}.{chosen}", chosen


def width_of(columns: int) -> float:
    """Return the width of a figure over so many columns, inches.

    Raises:
        UserError: Neither one nor two.
    """
    if columns not in WIDTHS:
        raise UserError(f"--columns {columns}: expected {' or '.join(map(str, WIDTHS))}")
    return WIDTHS[columns]


def write(page: Page, file: Path, form: str, facts: Mapping[str, Any]) -> None:
    """Write a figure and, beside it as JSON, what is in it; each file holds the old or the whole new content."""
    from matplotlib import rc_context

    file.parent.mkdir(parents=True, exist_ok=True)
    partial, told = (file.with_name(f".{file.name}.{os.getpid()}.{what}.partial") for what in ("figure", "facts"))
    try:
        with rc_context(STYLE):
            page.figure.savefig(partial, format=form, dpi=DPI, metadata=dict(UNDATED[form]))
        told.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.replace(file)
        told.replace(facts_file(file))
    finally:
        partial.unlink(missing_ok=True)
        told.unlink(missing_ok=True)


def facts_file(file: Path) -> Path:
    """Return where the facts of a figure lie."""
    return file.with_suffix(".json")


def resized(picture: Picture, width: float, height: float, smooth: bool = True) -> Picture:
    """Return a picture with the pixels that it has over so many inches.

    Args:
        picture: RGB.
        width: Inches.
        height: Inches.
        smooth: Where it is made larger; else its pixels stay visible.
    """
    size = max(1, round(width * DPI)), max(1, round(height * DPI))
    how = Image.Resampling.LANCZOS
    if size[0] >= picture.shape[1]:
        how = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(picture).resize(size, how))
