"""A miniature in the on-disk format of UCFRep: five motions repeated 2 to 12 times, with the official annotations."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from sigma_bench.data.miniatures import cycles
from sigma_bench.data.miniatures.publish import Miniature, publish
from sigma_bench.data.miniatures.video import encode
from sigma_bench.data.repetition import cycle_offsets

VERSION = 1
"""Version of the files; raised whenever the same seed gives others."""

COUNTS = (2, 12)
"""Fewest and most repetitions."""
SPAN = (66, 100)
"""Fewest and most frames from the first boundary to the last, drawn apart from the count."""
MARGIN = (4, 12)
"""Fewest and most frames before and after the repetitions; every other video has none before, or none after."""
FRAMES_PER_SECOND = 25
FIRST_VAL_GROUP = 21
"""As in the official split, recordings g01 to g20 are for training and those from g21 for validation."""


class Clip(NamedTuple):
    """One video: its split, class, name, the boundaries of its repetitions (from 0) and its number of frames."""

    split: str
    motion: str
    video: str
    bounds: list[int]
    frames: int


def write(root: Path, seed: int = 0, *, size_px: int = 64, train_groups: int = 12, val_groups: int = 4) -> Miniature:
    """Write the miniature, or reuse the one that is there with the same seed, settings and version.

    Every class has one video a recording. Neither the length of a video nor that of the annotated stretch tells the
    number of repetitions, nor does the class.

    Args:
        root: Folder that will hold `UCF-101` and `annotations`.
        seed: Seed of every draw.
        size_px: Side of the frames, even.
        train_groups: Recordings a class for training, 1 to 20.
        val_groups: Recordings a class for validation, 1 to 5.

    Raises:
        ValueError: A setting is out of its range.
        UserError: `root` holds something else, or no H.264 encoder is installed.
    """
    if size_px < 16 or size_px % 2 or not 1 <= train_groups <= 20 or not 1 <= val_groups <= 5:
        raise ValueError(
            f"size_px {size_px}, train_groups {train_groups}, val_groups {val_groups}; expected an even size of at "
            "least 16, 1 to 20 and 1 to 5 groups"
        )
    settings = {"seed": seed, "size_px": size_px, "train_groups": train_groups, "val_groups": val_groups}

    def fill(folder: Path) -> None:
        clips = [
            *_clips(seed, "train", range(1, train_groups + 1)),
            *_clips(seed, "val", range(FIRST_VAL_GROUP, FIRST_VAL_GROUP + val_groups)),
        ]
        for clip in clips:
            _write_video(folder, seed, clip, size_px)
            path = folder / "annotations" / clip.split / f"{clip.video}.mat"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(annotation(clip.bounds))
        for motion in cycles.MOTIONS:
            _write_label(folder, motion, [clip for clip in clips if clip.motion == motion])

    return publish(root, "ucfrep", VERSION, settings, fill)


def annotation(bounds: list[int]) -> bytes:
    """Return the content of an official annotation file: the struct `label`, numbers as narrow as they fit.

    Args:
        bounds: Boundaries, frames counted from 0; the annotated stretch goes from the first to the last.
    """
    following, previous = cycle_offsets(bounds)
    label = {
        "duration": _narrow([[bounds[-1] - bounds[0] + 1]]),
        "start_frame": _narrow([[bounds[0] + 1]]),
        "end_frame": _narrow([[bounds[-1] + 1]]),
        "temporal_bound_num": _narrow([[len(bounds)]]),
        "temporal_bound": _narrow([[frame + 1] for frame in bounds]),
        "offset_next_estimate": following[None].astype(np.int32),
        "offset_pre_estimate": previous[None].astype(np.int16),
    }
    file = io.BytesIO()
    savemat(file, {"label": label})
    header = b"MATLAB 5.0 MAT-file, Platform: miniature".ljust(116)  # scipy's own holds the date
    return header + file.getvalue()[len(header) :]


def _clips(seed: int, split: str, groups: range) -> list[Clip]:
    fewest, most = COUNTS
    order = np.random.default_rng((seed, groups[0])).permutation(len(groups) * len(cycles.MOTIONS))
    counts = iter(fewest + order % (most - fewest + 1))
    clips = []
    for label, motion in enumerate(cycles.MOTIONS):
        for group in groups:
            rng = np.random.default_rng((seed, label, group, 0))
            before, after = (int(k) for k in rng.integers(MARGIN[0], MARGIN[1] + 1, 2) * rng.integers(0, 2, 2))
            span = int(rng.integers(SPAN[0], SPAN[1] + 1))
            bounds = cycles.boundaries(int(next(counts)), span, before, rng)
            clips.append(Clip(split, motion, f"v_{motion}_g{group:02d}_c01", bounds, before + span + 1 + after))
    return clips


def _write_video(folder: Path, seed: int, clip: Clip, size_px: int) -> None:
    path = folder / "UCF-101" / clip.motion / f"{clip.video}.avi"
    path.parent.mkdir(parents=True, exist_ok=True)
    label, group = cycles.MOTIONS.index(clip.motion), int(clip.video[-6:-4])
    drawn = cycles.draw(clip.motion, np.random.default_rng((seed, label, group, 1)))
    encode(path, cycles.render(drawn, clip.bounds, clip.frames, size_px), FRAMES_PER_SECOND)


def _write_label(folder: Path, motion: str, clips: list[Clip]) -> None:
    path = folder / "annotations" / "repetition_label" / f"{motion}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [f"{clip.video}\n{' '.join(str(frame + 1) for frame in clip.bounds)}\n\n\n" for clip in clips]
    path.write_bytes("".join(entries).encode())


def _narrow(values: list[list[int]]) -> NDArray[np.unsignedinteger]:
    array = np.array(values)
    return array.astype(np.uint8 if array.max() < 256 else np.uint16)
