"""Masks of video object segmentation: reading them, mapping ids, pairing with frames, finding faults. No torch.

A mask names objects by pixel values: 0 is background, 1 to 254 are objects, and `VOID` is no object at all but a pixel
that nobody judged. Whether a data set says 255 for void is stated by `VOID_VALUE`, never read off a file: 255 is void
in the unsupervised edition of DAVIS-2017 and the one foreground object in the binary masks of DAVIS-2016.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.datasets import ytvos
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.stills import numbered
from sigma_bench.data.index import Index, Object, Sample

Mask = NDArray[np.uint8]
"""Ids (H, W)."""
Lookup = NDArray[np.int16]
"""What each of the 256 values becomes; `UNNAMED` where it has no entry."""

VOID = 255
"""In a mask that was read: a pixel that nobody judged. It is in no count."""
UNNAMED = -1
VOID_VALUE: dict[str, int | None] = {"davis": 255, "davis_unsupervised": 255, "ytvos": None}
"""Data set -> what its files say for void; None: they have no void, and 255 is an id like others."""

Expected = Mapping[str, frozenset[str]]
"""Sample -> stems of the frames that must have a mask."""

EXPECTED: dict[str, Callable[[Index], Expected]] = {"ytvos": ytvos.annotated}
"""Data set -> which frames must have a mask, where these are not all."""

ENCODINGS = {(3, 1), (3, 2), (3, 4), (3, 8), (0, 1), (0, 8)}
"""(colour type, bits) of the PNG files whose stored values are ids: palette, and grey of 1 or 8 bits."""
COLOURS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGBA"}
_HEADER = struct.Struct(">8x4x4sIIBB")
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, IndexError, EOFError, struct.error, zlib.error)


class Annotated(NamedTuple):
    """A frame that has a mask.

    Attributes:
        position: Of the frame among those of its folder, ordered by number: the index that a reader of frames takes.
        number: In the name of the file.
        frame: The picture.
        mask: Its mask.
    """

    position: int
    number: int
    frame: Path
    mask: Path


def read_mask(path: Path, void: int | None = VOID) -> Mask:
    """Return the ids of a mask file, uint8 (H, W).

    Palette files are read as their indices, whatever the colours of the palette; grey files as their values; a file
    of one bit as 0 and 1. Nothing else holds ids: colours would have to be guessed back, and the library scales grey
    of 2 and 4 bits and cuts 16 bits off. The check sums of the file are checked, so a damaged one is never read.

    Args:
        path: A PNG file.
        void: The file's value of pixels that nobody judged, `VOID` in the result. None: the data set has none; 255 is
            then kept as an id. Binary masks of 0 and 255 are read with None, and `remap` with `BINARY` calls the
            object 1.

    Raises:
        UserError: No such file, not a whole PNG file, not of ids, or 255 beside another value for void.
        ValueError: `void` is not 1 to 255.
    """
    if void is not None and not 1 <= void <= 255:
        raise ValueError(f"void is {void}; expected 1 to 255, or None")
    try:
        content = files.read(path)
        if content[:8] != b"\x89PNG\r\n\x1a\n":
            raise UserError(f"{path}: not a PNG file; expected a mask with one id a pixel")
        kind, _, _, bits, colour = _HEADER.unpack_from(content)
        if kind != b"IHDR" or (colour, bits) not in ENCODINGS:
            raise UserError(
                f"{path}: {COLOURS.get(colour, f'colour type {colour}')} of {bits} bits; expected a palette PNG, or "
                "grey of 8 bits (or 1), whose pixels are ids. A picture of the masks' colours is no mask: take the "
                "official files"
            )
        with Image.open(io.BytesIO(content), formats=["PNG"]) as checked:
            checked.verify()
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            ids = np.array(picture, dtype=np.uint8)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such mask") from error
    except DecodeError as error:
        raise UserError(str(error)) from error
    except (*_DAMAGE, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: the PNG file is damaged or cut short ({error}); copy or unpack it again") from error
    if void not in (None, VOID):
        if VOID in ids:
            raise UserError(f"{path}: holds {VOID} as an id, while void is {void}; expected ids up to 254")
        ids[ids == void] = VOID
    return ids


def lookup(entries: Mapping[int, int], others: int = UNNAMED) -> Lookup:
    """Return the table that `remap` maps by, int16 (256,).

    Args:
        entries: Id -> what it becomes; both 0 to 255.
        others: What all other ids become, for instance `VOID`; `UNNAMED` refuses them.

    Raises:
        ValueError: A number is out of range.
    """
    table = np.full(256, others, dtype=np.int16)
    for old, new in entries.items():
        if not (0 <= old <= 255 and 0 <= new <= 255):
            raise ValueError(f"entry {old} -> {new}; expected numbers from 0 to 255")
        table[old] = new
    return table


BINARY = lookup({0: 0, 255: 1})
"""For binary masks: 255 is object 1."""


def category_lookup(objects: Sequence[Object], void: int | None = None) -> Lookup:
    """Return the table from the object ids of one video to category ids.

    The category id is the rank, from 1, of the category's name among those of the data set in alphabetical order:
    label + 1. Instances of one category become one id. 0 stays background.

    Args:
        objects: Of the sample; every one with a label.
        void: As given to `read_mask`: with None 255 is no entry, otherwise void stays void.

    Raises:
        ValueError: An object without a label: the data set names no categories.
    """
    without = [o.id for o in objects if o.label < 0]
    if without:
        raise ValueError(f"object {without[0]} has no category; this data set names none")
    kept = {0: 0} if void is None else {0: 0, VOID: VOID}
    return lookup({**kept, **{o.id: o.label + 1 for o in objects}})


def remap(mask: Mask, table: Lookup, name: object = "the mask") -> Mask:
    """Return the mask with every pixel looked up, uint8 of the same shape.

    All pixels are mapped at once: with 1 -> 2 and 2 -> 3 the pixels of 1 become 2 and stay there.

    Args:
        mask: Ids, uint8 of any shape.
        table: From `lookup` or `category_lookup`.
        name: What the mask is, for the message.

    Raises:
        UserError: The mask holds an id without an entry.
    """
    mapped = table[mask]
    if (mapped == UNNAMED).any():
        unnamed = np.unique(mask[mapped == UNNAMED]).tolist()
        known = np.flatnonzero(table != UNNAMED).tolist()
        raise UserError(
            f"{name}: holds the ids {_listed(unnamed)}, for which no object is named; expected {_listed(known)}"
        )
    return mapped.astype(np.uint8)


def mask_paths(index: Index, row: int) -> tuple[Annotated, ...]:
    """Return the frames of a sample that have a mask, in the order of their numbers.

    A mask belongs to the frame whose name has the same stem. Frames without a mask are left out: of YouTube-VOS every
    fifth frame is annotated, and a copy may hold all frames.

    Raises:
        UserError: The sample has no masks, a folder is not of numbered files, a mask has no frame, or no frame has a
            mask.
    """
    sample = index.sample(row)
    if sample.masks is None:
        raise UserError(f"{index.name}/{index.split}: '{sample.id}' has no masks; this data set has none")
    frames, masks = listed(index.root / sample.path), listed(index.root / sample.masks)
    lost = [path for stem, (_, path) in masks.items() if stem not in frames]
    if lost:
        raise UserError(
            f"{lost[0]}: has no frame of that name in {index.root / sample.path} ({len(lost)} of {len(masks)} masks "
            "have none); is the download complete?"
        )
    found = [
        Annotated(position, number, path, masks[stem][1])
        for position, (stem, (number, path)) in enumerate(frames.items())
        if stem in masks
    ]
    if not found:
        raise UserError(f"{index.root / sample.masks}: no mask of '{sample.id}' (files such as 00000.png)")
    return tuple(found)


def listed(folder: Path) -> dict[str, tuple[int, Path]]:
    """Return stem -> (number, file) of the pictures in a folder, in the order of the numbers; {} without a folder.

    Raises:
        UserError: Its files are not numbered pictures of one kind.
    """
    if not files.names(folder):
        return {}
    try:
        return {Path(name).stem: (number, folder / name) for number, name in numbered(folder).items()}
    except DecodeError as error:
        raise UserError(str(error)) from error


def mask_problems(index: Index) -> dict[str, str]:
    """Return sample -> what is wrong with its masks; samples without a fault are not in it.

    Faults are: a frame that must have a mask and has none, a mask without a frame, a file that is no whole mask, a
    mask of another size than its frame, and an id that the list of the sample's objects does not name. The text names
    the first fault and counts the others. Samples without masks and samples whose frames are absent (`Index.missing`
    names these) are passed over.

    Raises:
        UserError: What must have a mask cannot be read.
    """
    expected = EXPECTED[index.name](index) if index.name in EXPECTED and index.count else {}
    absent = set(index.missing())
    rows = [row for row in range(index.count) if index.ids[row] not in absent]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        told = pool.map(lambda row: list(_problems(index, index.sample(row), expected)), rows)
        return {
            index.ids[row]: found[0] + (f" (and {len(found) - 1} more faults)" if len(found) > 1 else "")
            for row, found in zip(rows, told, strict=True)
            if found
        }


def _problems(index: Index, sample: Sample, expected: Expected) -> Iterator[str]:
    if sample.masks is None:
        return
    try:
        frames, found = (listed(index.root / place) for place in (sample.path, sample.masks))
    except UserError as error:
        yield str(error)
        return
    for stem in sorted(expected.get(sample.id, frozenset(frames)) - set(found)):
        yield f"{sample.masks}/{stem}.png: no such mask"
    for stem in sorted(expected.get(sample.id, frozenset()) - set(frames)):
        yield f"{sample.path}/{stem}: no such frame, though it is annotated"
    named = None if sample.objects is None else {0, *(o.id for o in sample.objects)}
    for stem, (_, path) in found.items():
        if stem not in frames:
            yield f"{sample.masks}/{path.name}: has no frame of that name"
            continue
        yield from _picture(f"{sample.masks}/{path.name}", path, frames[stem][1], named, index.name)


def _picture(name: str, path: Path, frame: Path, named: set[int] | None, dataset: str) -> Iterator[str]:
    void = VOID_VALUE.get(dataset, VOID)
    try:
        mask = read_mask(path, void=void)
    except UserError as error:
        yield str(error)
        return
    size = picture_size(frame)
    if size is None:
        yield f"{frame}: the frame cannot be read"
    elif size != mask.shape:
        yield f"{name}: is {mask.shape[1]}x{mask.shape[0]}, its frame {size[1]}x{size[0]}"
    if named is not None:
        strangers = set(np.unique(mask).tolist()) - named - ({VOID} if void is not None else set())
        if strangers:
            listed = ", ".join(map(str, sorted(strangers)))
            yield f"{name}: holds the ids {listed}, which the list of objects does not name"


def picture_size(frame: Path) -> tuple[int, int] | None:
    """Return height and width as the frame's header states them; None where it is no picture."""
    try:
        with files.open(frame) as file, Image.open(file) as picture:
            return picture.height, picture.width
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:8]))
    return f"{shown} and {len(numbers) - 8} more" if len(numbers) > 8 else shown
