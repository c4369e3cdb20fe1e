"""Looking at every file of a data set once, and at every list through what was found."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sigma_bench.contracts import UserError
from sigma_bench.data import files, spans
from sigma_bench.data.decode.backends import pick
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.interface import Seconds
from sigma_bench.data.decode.media import PICTURES
from sigma_bench.data.decode.stills import unbroken
from sigma_bench.data.index import Index
from sigma_bench.runs.check.lists import ReadList, compared
from sigma_bench.runs.check.report import ClassReport, Depth, ListReport, SetReport
from sigma_bench.runs.probing import Findings

CLIP = 16
"""Frames of a clip at stride 1: a shorter sample repeats frames."""
WHOLE_LIMIT = 200
"""Of a data set of at most so many files every frame is decoded; of a larger one three of each file."""
NO_LABEL = "(no label)"
SPAN = ("path", "start", "end", "start_s", "end_s", "fps")
"""Columns that say which frames of which file a sample is."""


@dataclass(frozen=True)
class Look:
    """How to look at files: with which decoder, in how many processes, or at their sizes alone."""

    policy: str
    workers: int
    quick: bool = False


@dataclass(frozen=True)
class FileState:
    """What is known of a file: why it cannot be read, its frames (None: not counted), what read it, its last second."""

    reason: str
    count: int | None
    reader: str
    last_s: float | None = None


def check_set(
    name: str, folder: Path, rule: str, lists: Iterable[ReadList], said: Iterable[str], look: Look
) -> SetReport:
    """Look at all files of a data set, each once, and report every list.

    Raises:
        UserError: The decoder cannot be used here.
    """
    lists = list(lists)
    wanted: dict[Path, dict[str, None]] = defaultdict(dict)
    for read in lists:
        present = read.index.present()
        wanted[read.index.root].update(dict.fromkeys(present.table.column("path").to_pylist()))
    whole = sum(map(len, wanted.values())) <= WHOLE_LIMIT
    states = {root: _states(name, root, list(paths), look, whole) for root, paths in wanted.items()}
    generated = (folder / "miniature.json").is_file()
    reports = tuple(
        _report(read, states[read.index.root], compared(name, read, generated), not look.quick) for read in lists
    )
    depth: Depth = "size" if look.quick else "every frame" if whole else "three frames"
    decoder = "" if look.quick else pick(look.policy).name
    return SetReport(name, str(folder), rule, depth, decoder, reports, tuple(said))


def _states(name: str, root: Path, paths: list[str], look: Look, whole: bool) -> dict[str, FileState]:
    if look.quick:
        return {path: FileState(_emptiness(root / path), None, "") for path in paths}
    findings = Findings(root, look.policy)
    findings.probe(paths, look.workers, f"check {name}", whole)
    states = {}
    for path in paths:
        found = findings.get(path)
        if found is None:
            states[path] = FileState("changed while it was looked at; check again", None, "")
        else:
            states[path] = FileState(found.reason, found.count, found.backend, found.last_s)
    return states


def _emptiness(path: Path) -> str:
    if files.stamp(path)[0]:
        return ""
    return "an empty folder" if path.is_dir() else "an empty file"


def _report(read: ReadList, states: Mapping[str, FileState], published: str, masks: bool) -> ListReport:
    index = read.index
    missing = set(index.missing())
    unreadable: dict[str, str] = {}
    short: dict[str, int] = {}
    readers: Counter[str] = Counter()
    columns = [index.table.column(c).to_pylist() for c in SPAN]
    for sample, *span in zip(index.ids, *columns, strict=True):
        if sample in missing:
            continue
        state = states[span[0]]
        reason, frames = (state.reason, None) if state.reason else _frames(index.root, state, *span)
        if reason:
            unreadable[sample] = reason
            continue
        if state.reader:
            readers[state.reader] += 1
        if frames is not None and frames < CLIP:
            short[sample] = frames
    return ListReport(
        split=read.split,
        fold=read.fold,
        listed=index.count,
        present=index.count - len(missing),
        missing=tuple(i for i in index.ids if i in missing),
        unreadable=unreadable,
        short=short,
        masks=_masks(index) if masks else {},
        readers=dict(sorted(readers.items())),
        classes=_classes(index, missing, unreadable, short),
        sha256=index.sha256,
        classes_sha256=index.classes_sha256,
        published=published,
        notes=index.notes,
    )


def _frames(
    root: Path,
    state: FileState,
    path: str,
    start: int | None,
    end: int | None,
    start_s: float | None,
    end_s: float | None,
    fps: float | None,
) -> tuple[str, int | None]:
    """Return why the file does not hold a sample, or its frames: None where they are unknown, or it is a still.

    The frames of a sample in seconds are counted as if the file's followed each other evenly.
    """
    try:
        if {start, end, start_s, end_s, fps} != {None} and (root / path).is_dir():
            unbroken(root / path)
        if state.count is None:
            return "", None
        if start_s is None and end_s is None:
            span = spans.in_frames(path, state.count, start, end)
        else:
            span = spans.in_seconds(path, _times(state.count, state.last_s, fps), start_s, end_s)
    except UserError as error:
        return str(error).removeprefix(f"{path}: "), None
    except DecodeError as error:
        return error.reason, None
    still = Path(path).suffix.lower() in PICTURES or (start is not None and end == start + 1)
    return "", None if still else span.end - span.start


def _times(count: int, last_s: float | None, fps: float | None) -> Seconds:
    if last_s is not None:
        return np.linspace(0, last_s, count)
    if not fps:
        raise UserError("it is given in seconds, and neither the file nor the list says when frames are shown")
    return spans.at_rate(count, fps)


def _classes(
    index: Index, missing: set[str], unreadable: Mapping[str, str], short: Mapping[str, int]
) -> tuple[ClassReport, ...]:
    """Return every class; a sample with several is counted in each of them."""
    several = index.table.column("labels").to_pylist()
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for sample, one, many in zip(index.ids, index.labels.tolist(), several, strict=True):
        for label in (many if many is not None else [one]) or [-1]:
            counts[label]["listed"] += 1
            counts[label]["missing"] += sample in missing
            counts[label]["unreadable"] += sample in unreadable
            counts[label]["short"] += sample in short
    labels = [*range(len(index.classes)), *([-1] if -1 in counts else [])]
    return tuple(
        ClassReport(
            index.classes[label] if label >= 0 else NO_LABEL,
            *(counts[label][what] for what in ("listed", "missing", "unreadable", "short")),
        )
        for label in labels
    )


def _masks(index: Index) -> Mapping[str, str]:
    if index.table.column("masks").null_count == index.count:
        return {}
    from sigma_bench.data.masks import mask_problems

    return mask_problems(index.present())
