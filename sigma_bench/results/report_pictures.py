"""Pictures of a report: those that evaluations wrote, made small and embedded, within a bound for all together."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sigma_bench.results.row import Row

ENDINGS: Final = (".png", ".jpg", ".jpeg", ".webp")
WIDEST: Final = 1400
"""Pixels of an embedded picture, either way."""
MOST_BYTES: Final = 2_000_000
"""Of all embedded pictures, as they stand in the page."""
MOST_PIXELS: Final = 60_000_000
"""Of a picture that is opened at all."""
MOST_NAMED: Final = 20


@dataclass(frozen=True)
class Wanted:
    """A picture that may be there: its path, what it is called, and the rows that name it."""

    path: Path
    title: str
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Picture:
    """An embedded picture."""

    title: str
    source: str
    """`data:` URL."""
    width: int
    height: int
    rows: tuple[Row, ...] = ()


@dataclass
class Pictures:
    """Embedded pictures, and what was not embedded and why."""

    pictures: list[Picture] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def is_picture(name: str) -> bool:
    """Return whether a file is taken for a picture."""
    return name.lower().endswith(ENDINGS)


def embed(wanted: Iterable[Wanted], within: Sequence[Path], most: int = MOST_BYTES) -> Pictures:
    """Return the pictures that are there, drawn anew as WebP, so that nothing but their pixels gets into the page.

    Args:
        wanted: In the order in which they are shown.
        within: Folders; a picture that lies in none of them is not opened.
        most: Bytes of all of them.
    """
    found, left, refused = Pictures(), most, dict[str, list[str]]()
    homes = [folder.resolve() for folder in within]
    for one in wanted:
        try:
            place = one.path.resolve()
            if not any(place.is_relative_to(home) for home in homes):
                refused.setdefault("lies outside the folders of results, runs and figures", []).append(one.title)
                continue
            content, (width, height) = _small(place)
        except FileNotFoundError:
            refused.setdefault("is not there", []).append(one.title)
            continue
        except Exception as error:  # noqa: BLE001 - whatever a damaged picture raises, the report is made, and says so
            refused.setdefault(f"cannot be read as a picture ({type(error).__name__})", []).append(one.title)
            continue
        if len(content) > left:
            refused.setdefault(f"does not fit in the {most / 1e6:g} MB for all pictures", []).append(one.title)
            continue
        left -= len(content)
        found.pictures.append(Picture(one.title, content, width, height, one.rows))
    for reason, titles in refused.items():
        more = f" and {len(titles) - MOST_NAMED} more" if len(titles) > MOST_NAMED else ""
        found.notes.append(f"{'; '.join(titles[:MOST_NAMED])}{more}: {reason}.")
    return found


def _small(file: Path) -> tuple[str, tuple[int, int]]:
    """Return a picture as a `data:` URL, and its size."""
    from PIL import Image

    with Image.open(file, formats=("PNG", "JPEG", "WEBP")) as picture:
        if picture.width * picture.height > MOST_PIXELS:
            raise ValueError(f"{picture.width} x {picture.height} pixels")
        shown = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    shown.thumbnail((WIDEST, WIDEST))
    stream = io.BytesIO()
    shown.save(stream, "WEBP", quality=82, method=4)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}", shown.size
