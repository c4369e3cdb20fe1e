"""A contact sheet: blocks of captioned strips of pictures, with a legend, as one PNG file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
"""RGB (H, W, 3)."""
Colour = tuple[int, int, int]

COLOURS: tuple[Colour, ...] = (
    *((230, 25, 75), (255, 225, 25), (0, 150, 255), (60, 200, 75), (245, 130, 48), (200, 60, 255)),
    *((70, 240, 240), (255, 100, 190), (190, 255, 0), (0, 128, 128), (170, 110, 40), (128, 128, 255)),
)
"""Of objects, told apart on a photograph; used again from the start where there are more."""
VOID_COLOUR: Colour = (255, 255, 255)
FILL = 0.45
"""Share of an object's colour in the pixels it covers."""
FADE = 0.6
"""Share of grey in the pixels that no object covers."""
HEIGHT, GAP, MARGIN, LABEL = 144, 4, 16, 120
"""Of a picture, between pictures, around the sheet, and width of the column of labels, pixels."""
TEXT, SMALL = 15, 13
"""Height of letters, pixels."""
INK, GREY, RED = (20, 20, 20), (110, 110, 110), (180, 0, 0)


@dataclass(frozen=True)
class Style:
    """Sizes of a sheet, pixels: height of pictures, width of the column of labels, height of letters."""

    height: int = HEIGHT
    label: int = LABEL
    text: int = TEXT
    small: int = SMALL


SCREEN = Style()
"""To be looked at; a figure for print wants larger letters."""


@dataclass(frozen=True)
class Strip:
    """Pictures side by side; `label` stands left of them, line by line, a caption below each."""

    pictures: tuple[Picture, ...]
    captions: tuple[str, ...]
    label: str = ""


@dataclass(frozen=True)
class Block:
    """What is shown of one sample; `error` stands in place of pictures that there are not."""

    heading: str
    strips: tuple[Strip, ...] = ()
    legend: tuple[tuple[Colour, str], ...] = ()
    error: str = ""


def draw(title: str, blocks: Sequence[Block], style: Style = SCREEN) -> Picture:
    """Return the sheet. Pictures are scaled to one height; small ones keep their pixels visible."""
    text, small = style.text, style.small
    labelled = _labelled(blocks, style)
    scaled = [[[fitted(p, style.height) for p in strip.pictures] for strip in block.strips] for block in blocks]
    widths = [sum(p.shape[1] + GAP for p in strip) for block in scaled for strip in block]
    width = 2 * MARGIN + labelled + max(widths, default=0)
    width = max(width, 2 * MARGIN + round(_font(text + 2).getlength(title)), 480)
    sheet = Image.new("RGB", (width, _tall(blocks, width, style)), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, MARGIN), _short(title, text + 2, width - 2 * MARGIN), INK, _font(text + 2))
    y = MARGIN + 2 * text + 2
    for block, strips in zip(blocks, scaled, strict=True):
        pen.text((MARGIN, y), _short(block.heading, text, width - 2 * MARGIN), INK, _font(text))
        y += round(1.5 * text)
        if block.error:
            pen.text((MARGIN, y), _short(block.error, small, width - 2 * MARGIN), RED, _font(small))
            y += 2 * small
        for strip, pictures in zip(block.strips, strips, strict=True):
            pen.multiline_text((MARGIN, y), strip.label, GREY, _font(small), spacing=3)
            x = MARGIN + labelled
            for picture, caption in zip(pictures, strip.captions, strict=True):
                sheet.paste(Image.fromarray(picture), (x, y))
                pen.text((x, y + style.height + 2), _short(caption, small, picture.shape[1]), GREY, _font(small))
                x += picture.shape[1] + GAP
            y += style.height + _under(strip, small)
        for line in _lines(block.legend, width - labelled, small):
            x = MARGIN + labelled
            for colour, words in line:
                pen.rectangle((x, y + 2, x + small, y + 2 + small), colour, INK)
                pen.text((x + small + 6, y), words, INK, _font(small))
                x += _wide(words, small)
            y += round(1.6 * small)
        y += text
    return np.asarray(sheet)


def write(file: Path, sheet: Picture) -> None:
    """Write a sheet as PNG, with the folder it is to lie in."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(file, "PNG")


def fitted(picture: Picture, height: int = HEIGHT) -> Picture:
    """Return a picture scaled to `height`, its aspect kept."""
    h, w = picture.shape[:2]
    how = Image.Resampling.NEAREST if h < height else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(picture).resize((max(1, round(w * height / h)), height), how))


def overlaid(frame: Picture, colours: Picture, edges: NDArray[np.bool_], covered: NDArray[np.bool_]) -> Picture:
    """Return a frame with objects tinted and outlined, and the rest faded towards grey.

    Args:
        frame: RGB (H, W, 3).
        colours: The colour of what each pixel belongs to, (H, W, 3).
        edges: Which pixels are on an outline (H, W).
        covered: Which pixels belong to anything (H, W).
    """
    faded = (1 - FADE) * frame + FADE * frame.mean(-1, keepdims=True)
    blend = np.where(covered[..., None], (1 - FILL) * frame + FILL * colours, faded)
    return np.where(edges[..., None], colours, np.rint(blend)).astype(np.uint8)


def _tall(blocks: Sequence[Block], width: int, style: Style) -> int:
    text, small = style.text, style.small
    tall = MARGIN + 2 * text + 2 + MARGIN
    for block in blocks:
        tall += round(1.5 * text) + text + (2 * small if block.error else 0)
        tall += sum(style.height + _under(strip, small) for strip in block.strips)
        tall += len(_lines(block.legend, width - _labelled(blocks, style), small)) * round(1.6 * small)
    return tall


def _labelled(blocks: Sequence[Block], style: Style) -> int:
    return style.label if any(strip.label for block in blocks for strip in block.strips) else 0


def _under(strip: Strip, small: int) -> int:
    return round(1.7 * small) if any(strip.captions) else GAP


def _lines(legend: Sequence[tuple[Colour, str]], width: int, small: int) -> list[list[tuple[Colour, str]]]:
    lines: list[list[tuple[Colour, str]]] = []
    room = 0
    for entry in legend:
        wide = _wide(entry[1], small)
        if not lines or wide > room:
            lines.append([])
            room = width - 2 * MARGIN
        lines[-1].append(entry)
        room -= wide
    return lines


def _wide(words: str, small: int) -> int:
    return small + 6 + round(_font(small).getlength(words)) + 18


def _short(words: str, size: int, width: int) -> str:
    font = _font(size)
    if font.getlength(words) <= width:
        return words
    while words and font.getlength(f"{words}…") > width:
        words = words[:-1]
    return f"{words}…"


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)
