"""A miniature of FineGym as it is downloaded: untrimmed videos, the times of their elements, and the element lists."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sigma_bench.data.datasets.finegym_uncut import INFO, VIDEOS
from sigma_bench.data.miniatures import course, scene
from sigma_bench.data.miniatures.course import Course
from sigma_bench.data.miniatures.gym_elements import ELEMENTS, EVENTS, LABELS99, LABELS288, Element
from sigma_bench.data.miniatures.publish import Miniature, publish
from sigma_bench.data.miniatures.video import encode

VERSION = 2
"""Version of the files; raised whenever the same seed gives others."""

LISTS = "annotations"
RATE = 25
LENGTHS = (13, 16)
"""Least and greatest number of frames of an element: most are shorter than 8 frames at stride 2 span, as real ones are
than 16 at stride 4, and such a clip still shows nearly the whole. One of Gym99 in each part has a single frame."""
PAUSES = (3, 7)
BREAKS = (6, 30)
"""Frames before, between and after the events, which show an empty hall."""
IN_EVENT = 10
"""Elements of an event."""
VAL_SHARE = 0.416
"""Elements in the validation list for one in the training list, as in Gym99."""

_LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@dataclass
class Part:
    """The videos of one side, while they are written.

    Attributes:
        folder: Where the videos go.
        size_px: Side of the frames.
        rng: Source of all draws.
        info: The annotation.
        ids: Element id -> element.
        has_single: Whether some element has a single frame already.
    """

    folder: Path
    size_px: int
    rng: np.random.Generator
    info: dict[str, Any] = field(default_factory=dict)
    ids: dict[str, Element] = field(default_factory=dict)
    has_single: bool = False


def write(root: Path, seed: int = 0, *, size_px: int = 32, fine: int = 16, coarse: int = 7) -> Miniature:
    """Write the miniature, or reuse the one that is there with the same seed, settings and version.

    A video has one or two events, an event some elements of its apparatus one after the other, with pauses. Neither
    length nor place in the video tells the label. Times lie half a frame before the frame they mean, so they name one
    frame whatever the rounding. No video is on both sides, unlike in the official lists.

    Args:
        root: Folder that will hold `videos` and `annotations`.
        seed: Seed of every draw.
        size_px: Side of the frames, even.
        fine: Training elements of each class of FX-S1 and UB-S1.
        coarse: Training elements of the other classes of Gym99; those of Gym288 alone have one.

    Raises:
        ValueError: A setting is out of its range.
        UserError: `root` holds something else, or no H.264 encoder is installed.
    """
    if size_px < 16 or size_px % 2 or min(fine, coarse) < 1:
        raise ValueError(f"size_px {size_px}, fine {fine}, coarse {coarse}; expected an even size of at least 16, both")
    settings = {"seed": seed, "size_px": size_px, "fine": fine, "coarse": coarse}

    def fill(folder: Path) -> None:
        (folder / VIDEOS[0]).mkdir()
        (folder / LISTS).mkdir()
        info: dict[str, Any] = {}
        for side, split in enumerate(("train", "val")):
            part = Part(folder / VIDEOS[0], size_px, np.random.default_rng((seed, side)))
            _write_videos(part, [e for e in ELEMENTS for _ in range(_amount(e, split, fine, coarse))])
            _write_lists(folder / LISTS, split, part)
            info.update(part.info)
        (folder / LISTS / INFO[0]).write_bytes(json.dumps(info).encode())
        for source, labels in (("gym99", LABELS99), ("gym288", LABELS288)):
            lines = [
                f"Clabel: {label}; set: {e.set_number}; Glabel: {LABELS288[e] + 1}; {e.text}"
                for e, label in labels.items()
            ]
            (folder / LISTS / f"{source}_categories.txt").write_bytes("\n".join(lines).encode())

    return publish(root, "finegym", VERSION, settings, fill)


def _amount(element: Element, split: str, fine: int, coarse: int) -> int:
    if element not in LABELS99:
        return 1 if split == "train" else element.variant % 2
    train = fine if element.is_fine else coarse
    return train if split == "train" else max(1, round(train * VAL_SHARE))


def _write_videos(part: Part, elements: list[Element]) -> None:
    """Deal the elements to events of their apparatus, the events to videos, and write these."""
    events: list[list[Element]] = []
    for apparatus in range(len(EVENTS)):
        own = [e for e in elements if e.event == apparatus]
        order = part.rng.permutation(len(own)).tolist()
        events += [[own[k] for k in order[i : i + IN_EVENT]] for i in range(0, len(own), IN_EVENT)]
    shuffled = [events[k] for k in part.rng.permutation(len(events))]
    number = 0
    while shuffled:
        several = int(part.rng.integers(1, 3))
        _write_video(part, number, shuffled[:several])
        shuffled, number = shuffled[several:], number + 1


def _write_video(part: Part, number: int, events: list[list[Element]]) -> None:
    first = "-_"[number] if number < 2 else ""
    video = first + "".join(part.rng.choice(_LETTERS, 11 - len(first)))
    hall = replace(_actor(part, 0), radius=0.0)
    shown = [_break(part, hall)]
    entries = {}
    for elements in events:
        start = sum(map(len, shown))
        frames, segments, named = _perform(part, elements)
        shown += [frames, _break(part, hall)]
        times = [_seconds(start), _seconds(start + len(frames))]
        event = f"E_{int(times[0]):06d}_{int(times[1]):06d}"
        entries[event] = {"event": elements[0].event + 1, "segments": segments, "timestamps": [times]}
        part.ids.update({f"{video}_{event}_{action}": element for action, element in named.items()})
    if number == 0:  # an event without elements, as the official file has some
        total = sum(map(len, shown))
        shown.append(_break(part, hall))
        times = [_seconds(total), _seconds(total + len(shown[-1]))]
        entries[f"E_{int(times[0]):06d}_{int(times[1]):06d}"] = {"event": 2, "segments": None, "timestamps": [times]}
    part.info[video] = entries
    encode(part.folder / f"{video}.mp4", np.concatenate(shown), RATE)


def _perform(part: Part, elements: list[Element]) -> tuple[NDArray[np.uint8], dict[str, Any], dict[str, Element]]:
    """Return the frames of an event, its segments, and segment -> element.

    The segments' names are cut off to whole seconds; a pause is longer where two would have the same.
    """
    segments: dict[str, Any] = {}
    named: dict[str, Element] = {}
    ways: list[Course] = []
    frame = 0
    for element in elements:
        length = int(part.rng.integers(LENGTHS[0], LENGTHS[1] + 1))
        if not part.has_single and element.event and element in LABELS99:
            length, part.has_single = 1, True
        way = element.action(1 if part.rng.integers(2) else -1).course(length, part.rng.uniform(0.8, 1.2))
        pause = int(part.rng.integers(PAUSES[0], PAUSES[1] + 1))
        while (name := _name(frame + pause, length)) in named:
            pause += 1
        ways += [course.bridge(ways[-1] if ways else way, way, pause), way]
        frame += pause
        marks = [frame + length * k // 3 for k in range(4)] if element.event == 0 else [frame, frame + length]
        stages = [[_relative(a), _relative(b)] for a, b in pairwise(marks)]
        segments[name] = {"stages": len(stages), "timestamps": stages}
        named[name] = element
        frame += length
    return course.render(_actor(part, elements[0].event), course.joined(ways), part.size_px), segments, named


def _actor(part: Part, apparatus: int) -> course.Actor:
    background = scene.PATTERNS[int(part.rng.integers(len(scene.PATTERNS)))]
    return course.actor(scene.PATTERNS[apparatus], background, part.rng)


def _break(part: Part, hall: course.Actor) -> NDArray[np.uint8]:
    length = int(part.rng.integers(BREAKS[0], BREAKS[1] + 1))
    return course.render(hall, course.along(course.one_way(length)), part.size_px)


def _seconds(frame: int) -> float:
    """Return the time in the video at which a frame begins to be the nearest one."""
    return round((frame - 0.5) / RATE, 2)


def _relative(frame: int) -> float:
    return round(frame / RATE, 2)


def _name(frame: int, length: int) -> str:
    return f"A_{int(_relative(frame)):04d}_{int(_relative(frame + length)):04d}"


def _write_lists(folder: Path, split: str, part: Part) -> None:
    """Write the element lists: the training lists shuffled, the validation lists sorted and without final newline."""
    names = sorted(part.ids)
    if split == "train":
        names = [names[k] for k in part.rng.permutation(len(names))]
    for source, labels in (("gym99", LABELS99), ("gym288", LABELS288)):
        lines = [f"{name} {labels[part.ids[name]]}" for name in names if part.ids[name] in labels]
        version = "_v1.0" if split == "train" else ""
        text = "\n".join(lines) + ("\n" if split == "train" else "")
        (folder / f"{source}_{split}_element{version}.txt").write_bytes(text.encode())
