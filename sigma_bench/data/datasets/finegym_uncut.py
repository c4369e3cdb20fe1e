"""FineGym's elements as stretches of the untrimmed videos: where each begins and ends, in seconds of its video."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.datasets import list_file

VIDEOS = ("videos", "raw_videos")
"""Folders below the root in which the untrimmed videos are looked for, in this order."""
ENDINGS = (".mp4", ".mkv", ".webm")
"""Endings of the videos; where one is there in several, the first is read."""
INFO = ("finegym_annotation_info_v1.0.json", "finegym_annotation_info_v1.1.json")
"""The official files: event times and, relative to them, element times, both in fractions of a second."""
EVENTS = "event_annotation.json"
"""SEVERE's file: element times alone. Events then begin at the whole second that their id names."""

LONGEST_S = 1e6
"""No video is as long as this, which the six digits of an id cannot name."""

_VIDEO = re.compile(rf"([A-Za-z0-9_-]{{11}})({'|'.join(map(re.escape, ENDINGS))})")
_PARTS = re.compile(r"([A-Za-z0-9_-]{11})_(E_([0-9]{6})_([0-9]{6}))_(A_([0-9]{4})_([0-9]{4}))")

_log = logging.getLogger(__name__)


class Stretch(NamedTuple):
    """Where an element lies: the file's name, and its first second and the first one after it."""

    video: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Uncut:
    """Elements in the untrimmed videos of `folder`, and what a reader of a number must know of their times."""

    folder: Path
    stretches: dict[str, Stretch]
    note: str


def folder(root: Path) -> Path | None:
    """Return the folder of untrimmed videos below `root`, the first of `VIDEOS` that holds one; None without any."""
    for place in VIDEOS:
        if any(_VIDEO.fullmatch(name) for name in files.names(root / place)):
            return root / place
    return None


def find(root: Path, elements: Iterable[str], newer: bool = False) -> Uncut:
    """Return where the elements lie in the untrimmed videos; a video that is absent keeps its expected name.

    An element lasts from its first stage's start to its last stage's end (vaults have three stages, all else one),
    counted from the start of its event. The whole seconds in its id are these times cut off: they tell whether a file
    of times belongs to the ids, and never where to cut.

    A decoder opens an untrimmed video anew for every element of it, counts its frames and seeks: 0.15 s (PyAV) to
    0.3 s (decord) of a core for 20 minutes of 320 x 240 pixels and growing with the file. Recordings of FineGym last
    longer, so cut once where they are read more than once.

    Args:
        root: Folder that holds a folder of `VIDEOS` and the file of times (also in `annotations` or `labels`).
        elements: Full ids, `<video>_E_<start>_<end>_A_<start>_<end>`.
        newer: Look for the times of v1.1 before those of v1.0.

    Raises:
        UserError: No videos or times, an element without times, or times that contradict the ids.
    """
    place = folder(root)
    if place is None:
        raise UserError(
            f"no untrimmed videos of FineGym in {' or '.join(str(root / p) for p in VIDEOS)}; expected files such as "
            f"CCCCCCCCCCC{ENDINGS[0]}"
        )
    path = _times_file(root, newer)
    content = list_file.parsed(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected an object of {'events' if path.name == EVENTS else 'videos'}")
    videos = _videos(place)
    stretches: dict[str, Stretch] = {}
    lacking: list[str] = []
    for element in elements:
        span = _span(path, content, element)
        if span is None:
            lacking.append(element)
            continue
        video = element[:11]
        stretches[element] = Stretch(videos.get(video, f"{video}{ENDINGS[0]}"), *span)
    if lacking:
        raise UserError(
            f"{path} has no times for {len(lacking)} of {len(lacking) + len(stretches)} elements: "
            f"{', '.join(lacking[:3])}{' ...' if len(lacking) > 3 else ''}; put the file that belongs to the list there"
        )
    starts = ", events beginning at the whole second of their id" if path.name == EVENTS else ""
    return Uncut(place, stretches, f"cut from untrimmed videos by {path.name}{starts}")


def _times_file(root: Path, newer: bool) -> Path:
    names = [*(reversed(INFO) if newer else INFO), EVENTS]
    for name in names:
        path = list_file.find(root, [name], "the file of element times of FineGym")
        if path is not None:
            return path
    raise UserError(f"no times of FineGym's elements: expected {list_file.expected(root, names)}")


def _videos(place: Path) -> dict[str, str]:
    """Return video -> file name."""
    names = files.names(place)
    matches = [match for name in names if (match := _VIDEO.fullmatch(name))]
    found: dict[str, str] = {}
    for match in sorted(matches, key=lambda m: ENDINGS.index(m[2])):
        found.setdefault(match[1], match[0])
    if len(found) < len(matches):
        _log.warning(
            "%s holds %d videos more than once; the first of %s is read",
            *(place, len(matches) - len(found), ", ".join(ENDINGS)),
        )
    return found


def _span(path: Path, content: dict[str, Any], element: str) -> tuple[float, float] | None:
    """Return the seconds of one element in its video; None where the file does not have it."""
    parts = _PARTS.fullmatch(element)
    if parts is None:
        raise ValueError(f"'{element}' is no element id")
    video, event, action = parts[1], parts[2], parts[5]
    if path.name == EVENTS:
        start, segments = float(parts[3]), content.get(f"{video}_{event}")
    else:
        entry = _object(path, content.get(video), video).get(event)
        if entry is None:
            return None
        where = f"{video}, {event}"
        times = _times(path, _object(path, entry, where).get("timestamps"), where)
        _agree(path, where, times, (int(parts[3]), int(parts[4])))
        start, segments = times[0], entry.get("segments")
    segment = _object(path, segments, f"{video}, {event}").get(action)
    if segment is None:
        return None
    times = _times(path, _object(path, segment, element).get("timestamps"), element)
    _agree(path, element, times, (int(parts[6]), int(parts[7])))
    return start + times[0], start + times[1]


def _object(path: Path, value: Any, where: str) -> dict[str, Any]:
    """Return an object of the file; what is absent or null holds nothing."""
    if value is not None and not isinstance(value, dict):
        raise UserError(f"{path}: {where}: found {repr(value)[:60]}, expected an object")
    return value or {}


def _times(path: Path, value: Any, where: str) -> tuple[float, float]:
    """Return the first stage's start and the last stage's end."""
    pairs = value if isinstance(value, list) else []
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(type(t) in (int, float) for t in pair)):
            pairs = []
            break
    if not pairs or not 0 <= pairs[0][0] < pairs[-1][1] < LONGEST_S:
        raise UserError(
            f"{path}: {where}: 'timestamps' is {repr(value)[:60]}, expected [[start, end], ...] in seconds, start "
            "before end"
        )
    return float(pairs[0][0]), float(pairs[-1][1])


def _agree(path: Path, where: str, times: tuple[float, float], named: tuple[int, int]) -> None:
    if any(abs(math.floor(t) - whole) > 1 for t, whole in zip(times, named, strict=True)):
        raise UserError(
            f"{path}: {where}: the times {times[0]} to {times[1]} contradict the id, which says {named[0]} to "
            f"{named[1]} whole seconds; is this the file that belongs to the list?"
        )
