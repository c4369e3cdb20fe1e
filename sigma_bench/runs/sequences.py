"""The clips a figure is drawn of: those of a data set, or what lies in a folder, with masks where there are some."""

from __future__ import annotations

from collections.abc import Sequence as Several
from dataclasses import dataclass
from pathlib import Path

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data import roots
from sigma_bench.data.datasets.folder import EXTENSIONS
from sigma_bench.data.decode.media import PICTURES
from sigma_bench.data.index import Index
from sigma_bench.runs import data as places
from sigma_bench.spec.problems import nearest

MINIATURE = "miniature"
FRAMES, MASKS = "JPEGImages", "Annotations"
"""Folders of frames and of masks in a folder of one's own, as DAVIS and YouTube-VOS call them."""
RESOLUTION = "480p"
"""A folder between these and the sequences, where there is one."""
FOLDER = "folder:"


@dataclass(frozen=True)
class Sequence:
    """A clip: what its frames are read from, and where its masks lie.

    Attributes:
        name: Its id in the data set, or the name of its folder or file.
        media: A video, or a folder of numbered frames.
        masks: Folder of mask pictures; None where there are none.
        index: The list it is from; None for what was found in a folder.
        row: Its row there.
    """

    name: str
    media: Path
    masks: Path | None = None
    index: Index | None = None
    row: int = 0


def sequences(data: str, split: str | None = None, data_root: Path | None = None) -> list[Sequence]:
    """Return the clips of `miniature` (that of DAVIS), of a data set, or of a folder.

    A folder is one clip where it holds frames or one video; otherwise each of its folders and videos is one. Masks are
    those of a folder `Annotations` beside the frames or the video.

    Raises:
        UserError: No such data set, split or folder, or nothing in it.
    """
    if data.startswith(FOLDER) or (data not in (MINIATURE, *registry.names("datasets")) and Path(data).is_dir()):
        if split is not None:
            raise UserError(f"--split {split}: a folder has none; leave it out")
        return _found(Path(data.removeprefix(FOLDER)).expanduser())
    if data == MINIATURE:
        data, folder = "davis", places.miniature("davis", data_root)
    elif data in registry.names("datasets"):
        folder = roots.folder(data, data_root)
    else:
        known = (MINIATURE, *registry.names("datasets"))
        raise UserError(f"--data {data}: neither a folder nor a data set{nearest(data, known)}")
    if split is None:
        known = registry.get("splits", data)(folder) if data in registry.names("splits") else ()
        split = (known or ("train",))[-1]
    index: Index = registry.get("datasets", data)(folder, split)
    there = index.present()
    if not there.count:
        raise UserError(f"none of the {index.count} files of {index.name}/{index.split} is in {index.root}")
    masks = there.table.column("masks").to_pylist()
    return [
        Sequence(name, there.path(row), None if masks[row] is None else there.root / masks[row], there, row)
        for row, name in enumerate(there.ids)
    ]


def named(known: Several[Sequence], names: Several[str], where: str) -> list[Sequence]:
    """Return the clips of these names, in this order.

    Raises:
        UserError: There is none of a name; the nearest one is told.
    """
    by_name = {one.name: one for one in known}
    for name in names:
        if name not in by_name:
            raise UserError(f"{where}: no clip '{name}'{nearest(name, by_name)}")
    return [by_name[name] for name in names]


def of_path(path: Path) -> Sequence:
    """Return the clip that a path is: a video, a folder of frames, or a folder with those of one clip in it.

    Raises:
        UserError: There is nothing, or more than one clip.
    """
    if path.is_file():
        return Sequence(path.stem, path)
    found = _found(path)
    if len(found) > 1:
        names = ", ".join(one.name for one in found[:6])
        raise UserError(f"{path}: holds {len(found)} clips ({names}, ...); name one of them")
    return found[0]


def _found(folder: Path) -> list[Sequence]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected one with frames, videos or folders of them")
    alone = _single(folder)
    if alone is not None:
        return [alone]
    for frames in (folder / FRAMES / RESOLUTION, folder / FRAMES):
        below = _folders(frames)
        if below:
            masks = folder / MASKS / frames.relative_to(folder / FRAMES)
            return [Sequence(one.name, one, _existing(masks / one.name)) for one in below if _pictures(one)]
    found = [one for place in _folders(folder) if (one := _single(place)) is not None]
    found += [Sequence(video.name, video) for video in _videos(folder)]
    if not found:
        raise UserError(f"{folder}: no clip in it; expected numbered frames, videos, or folders of frames")
    return found


def _single(folder: Path) -> Sequence | None:
    """Return the one clip of a folder, None where it holds none or several."""
    masks = _existing(folder / MASKS)
    if _pictures(folder / FRAMES):
        return Sequence(folder.resolve().name, folder / FRAMES, masks)
    if _pictures(folder):
        return Sequence(folder.resolve().name, folder, masks)
    videos = _videos(folder)
    if len(videos) == 1 and (masks is not None or not _folders(folder)):
        return Sequence(folder.resolve().name, videos[0], masks)
    return None


def _existing(folder: Path) -> Path | None:
    return folder if folder.is_dir() else None


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _videos(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS and not p.name.startswith("."))


def _pictures(folder: Path) -> bool:
    return folder.is_dir() and any(
        p.suffix.lower() in PICTURES and not p.name.startswith(".") for p in folder.iterdir()
    )
