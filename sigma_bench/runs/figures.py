"""Pictures to look data over by: clips as the loader gives them, and frames with their masks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data import load, masks, roots
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.pool import DecodePool, Result
from sigma_bench.data.decode.stills import Still
from sigma_bench.data.index import Index, Sample
from sigma_bench.runs import data as places
from sigma_bench.runs import sheet
from sigma_bench.runs.sheet import Block, Colour, Picture, Strip

FRAMES, STRIDE = 8, 4
"""Of a clip that is shown."""
SIZES = {"official": 224, "miniature": 64}
"""Side of the clips, pixels."""
SHOWN = 5
"""Frames of a sample whose masks are shown."""


@dataclass(frozen=True)
class Figure:
    """What is to be drawn: samples spread evenly over one split of a data set."""

    dataset: str
    split: str | None = None
    data: str = "official"
    data_root: Path | None = None
    out: Path | None = None
    count: int = 6
    seed: int = 0


def clips(figure: Figure, workers: int = 2) -> Path:
    """Draw clips as the loader gives them: once plain, twice as in pretraining; return the file.

    The plain clip is the middle one of the test rule, cropped in the middle. The others have a random start, a
    multi-scale crop and are mirrored half the time; beside them stands what was drawn.

    Raises:
        UserError: No such data set, split or data, or no sample can be decoded.
    """
    index = _chosen(figure)
    size = SIZES[figure.data]
    where = load.where(index)
    requests: list[load.ClipRequest] = []
    for row in range(index.count):
        plain = load.ClipRequest(
            **{**where(row), "sampling": "dense_test", "frames": FRAMES, "stride": STRIDE, "size": size},
            box="center",
            backend=places.TRAINING_DECODER,
        )
        seed = (figure.seed, row)
        training = replace(plain, sampling="pretraining", box="multi_scale", flip=True, seed=seed, clips=2)
        requests += [plain, training]
    with DecodePool("sigma_bench.data.load:load_clips", workers=workers) as pool:
        results = list(pool.map(requests))
    pairs = list(zip(results[::2], results[1::2], strict=True))
    broken = [f"{index.ids[row]}: {plain.error or drawn.error}" for row, (plain, drawn) in enumerate(pairs)]
    if all(plain.error or drawn.error for plain, drawn in pairs):
        raise UserError(f"none of the {index.count} samples can be decoded; the first: {broken[0]}")
    blocks = [_clip_block(index, row, plain, drawn, size) for row, (plain, drawn) in enumerate(pairs)]
    title = f"{index.name}/{index.split}: clips of {FRAMES} frames, {STRIDE} apart, {size} x {size} pixels"
    return _write(figure, index, "clips", title, blocks)


def mask_sheet(figure: Figure) -> Path:
    """Draw frames with their masks, each object tinted and outlined; return the file.

    Where the data set names categories the colour is the category's, otherwise the object's; void is white.

    Raises:
        UserError: No such data set, split or data, no masks, or a mask or frame that cannot be read.
    """
    index = _chosen(figure)
    if index.table.column("masks").null_count == index.count:
        raise UserError(f"{index.name}/{index.split} has no masks; sigma-bench figures clips {figure.dataset} shows it")
    colours: dict[int, Colour] = {}
    blocks = [_mask_block(index, row, colours) for row in range(index.count)]
    return _write(figure, index, "masks", f"{index.name}/{index.split}: frames and masks", blocks)


def _chosen(figure: Figure) -> Index:
    read = registry.get("datasets", figure.dataset)
    if figure.data not in SIZES:
        raise UserError(f"--data {figure.data}: expected {' or '.join(SIZES)}")
    if figure.data == "miniature":
        folder = places.miniature(figure.dataset, figure.data_root)
    else:
        folder = roots.folder(figure.dataset, figure.data_root)
    split = figure.split
    if split is None:
        known = registry.get("splits", figure.dataset)(folder) if figure.dataset in registry.names("splits") else ()
        split = (known or ("train",))[-1]
    index: Index = read(folder, split)
    there = index.present()
    if not there.count:
        raise UserError(f"none of the {index.count} files of {index.name}/{index.split} is in {index.root}")
    return there.select(np.unique(np.linspace(0, there.count - 1, figure.count).round().astype(int)))


def _write(figure: Figure, index: Index, kind: str, title: str, blocks: list[Block]) -> Path:
    note = " (miniature)" if figure.data == "miniature" else ""
    file = figure.out or Path("figures") / f"{kind}.{index.name}.{index.split}{'.miniature' if note else ''}.png"
    if file.suffix.lower() != ".png":
        raise UserError(f"--out {file}: expected a file that ends in .png")
    sheet.write(file, sheet.draw(title + note, blocks))
    return file


def _clip_block(index: Index, row: int, plain: Result, drawn: Result, size: int) -> Block:
    import torch

    from sigma_bench.data import transforms

    heading = _heading(index, index.sample(row))
    error = plain.error or drawn.error
    if error or plain.arrays is None or drawn.arrays is None:
        return Block(heading, error=str(error))
    found = [
        ("plain", plain.arrays[0], plain.info["indices"][0], False),
        *(
            (
                f"training {number}\ncrop {box[3]} x {box[2]}\nat {box[1]}, {box[0]}\n{'mirrored' if flip else ''}",
                *(array, indices, flip),
            )
            for number, (array, indices, box, flip) in enumerate(
                zip(drawn.arrays, *(drawn.info[key] for key in ("indices", "boxes", "flips")), strict=True), 1
            )
        ),
    ]
    strips = []
    for label, array, indices, flip in found:
        clip = transforms.to_clip(torch.from_numpy(array), size, flip).permute(1, 2, 3, 0).numpy()
        strips.append(Strip(tuple(clip), tuple(f"frame {i}" for i in indices), label))
    count = plain.info["count"]
    return Block(f"{heading}   {count} frames, {plain.info['width']} x {plain.info['height']}", tuple(strips))


def _mask_block(index: Index, row: int, colours: dict[int, Colour]) -> Block:
    sample = index.sample(row)
    pairs = masks.mask_paths(index, row)
    shown = np.unique(np.linspace(0, len(pairs) - 1, SHOWN).round().astype(int))
    void = masks.VOID_VALUE.get(index.name, masks.VOID)
    categories = {o.id: o.label for o in sample.objects or () if o.label >= 0}
    pictures, captions, seen = [], [], set()
    for place in shown:
        mask = masks.read_mask(pairs[place].mask, void=void)
        try:
            frame = Still(pairs[place].frame).frames([0])[0]
        except DecodeError as error:
            raise UserError(str(error)) from error
        if frame.shape[:2] != mask.shape:
            raise UserError(
                f"{pairs[place].mask}: is {mask.shape[1]}x{mask.shape[0]}, its frame {frame.shape[1]}x{frame.shape[0]}"
            )
        ids = {int(i) for i in np.unique(mask)} - {0}
        seen |= ids
        for key in sorted(ids - ({masks.VOID} if void is not None else set())):
            colours.setdefault(categories.get(key, key), sheet.COLOURS[len(colours) % len(sheet.COLOURS)])
        table = np.zeros((256, 3), np.uint8)
        for key in ids:
            table[key] = colours.get(categories.get(key, key), sheet.VOID_COLOUR)
        pictures.append(_tinted(frame, mask, table))
        captions.append(f"frame {pairs[place].number}" + ("" if ids else ", no object"))
    legend = [
        (sheet.VOID_COLOUR if key == masks.VOID and void is not None else colours[categories.get(key, key)], words)
        for key, words in _legend(index, sorted(seen), categories, void)
    ]
    strip = Strip(tuple(pictures), tuple(captions))
    return Block(
        f"{_heading(index, sample)}   {len(pairs)} mask{'s' if len(pairs) > 1 else ''}", (strip,), tuple(legend)
    )


def _legend(index: Index, seen: list[int], categories: dict[int, int], void: int | None) -> list[tuple[int, str]]:
    """Return (an id, words) of every category seen, with its ids, and of every object that has none."""
    ids: dict[str, list[int]] = {}
    for key in seen:
        if key == masks.VOID and void is not None:
            ids["void"] = [key]
        elif key in categories:
            ids.setdefault(index.classes[categories[key]], []).append(key)
        else:
            ids[f"object {key}"] = [key]
    return [
        (keys[0], f"{name} (id {', '.join(map(str, keys))})" if keys[0] in categories else name)
        for name, keys in ids.items()
    ]


def _tinted(frame: Picture, mask: masks.Mask, table: Picture) -> Picture:
    """Return the frame at the sheet's scale with objects tinted, outlines as thick there for any size of the frame."""
    picture = sheet.fitted(frame)
    down, across = ((2 * np.arange(s) + 1) * m // (2 * s) for s, m in zip(picture.shape[:2], mask.shape, strict=True))
    scaled = mask[np.ix_(down, across)]
    inner = np.pad(scaled, 1, mode="edge")
    around = [inner[1 + y : 1 + y + scaled.shape[0], 1 + x : 1 + x + scaled.shape[1]] for y, x in _AROUND]
    edges = np.logical_or.reduce([scaled != other for other in around]) & (scaled > 0)
    return sheet.overlaid(picture, table[scaled], edges, scaled > 0)


_AROUND = ((-1, 0), (1, 0), (0, -1), (0, 1))


def _heading(index: Index, sample: Sample) -> str:
    labels = sample.labels if sample.labels is not None else (sample.label,) if sample.label >= 0 else ()
    return sample.id + "".join(f"   {index.classes[label]}" for label in labels)
