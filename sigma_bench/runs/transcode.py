"""`sigma-bench data transcode`: a copy of a data set whose videos decode faster."""

from __future__ import annotations

import json
import os
import shutil
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from filelock import FileLock, Timeout

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.datasets.folder import EXTENSIONS
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.miniatures.publish import MARKER, RECORDS, mark_copy
from sigma_bench.data.speed import FRAMES, STRIDE
from sigma_bench.data.transcode import FORMATS, Request, Settings, partial
from sigma_bench.progress import Reporter
from sigma_bench.runs.check.lists import read_all
from sigma_bench.runs.copies import FOLDER, ends

JOURNAL, REPORT = RECORDS
"""In the copy: a line a video that is done, by which a later run goes on; and settings, counts, what could not be
re-encoded and why, sizes, decoding cost."""
LEFT_OUT = (MARKER, JOURNAL, REPORT)
"""Files of the source that do not describe the copy."""
RENAMED = frozenset({"ssv2", "mini_ssv2", "finegym"})
"""Data sets whose readers take .mp4 in place of the official ending; in the others files keep their names."""
CUT = {"finegym": "subactions/{}.mp4"}
"""Data sets in seconds whose readers take cut clips -> where a sample's clip goes."""
DEADLINE_S = 3600.0
COMPARED = 24
"""Files whose decoding cost is measured."""


@dataclass
class Outcome:
    """What became of the videos, by target: journal entries, and reasons of those left out."""

    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    written: int = 0


def transcode(
    name: str, *, out: Path, data: str, data_root: Path | None, workers: int, settings: Settings
) -> tuple[list[str], int]:
    """Re-encode a data set below `out`; return what to say of it and the exit code, 1 where videos were left out.

    Raises:
        UserError: There is no such data set, it holds no videos, the copy would lie in it, or where the copy goes
            there is something else.
    """
    source, target = ends(name, data, data_root, out)
    requests, copied = plan(name, source, target, settings)
    target.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(target.parent / f".{target.name}.lock", timeout=0):
            _claim(source, target, requests)
            outcome = _unfit(requests)
            fit = [request for request in requests if request.target not in outcome.broken]
            _run(fit, target, workers, outcome)
            for path in copied:
                _copy(source / path, target / path)
            lines = _report(name, target, settings, requests, outcome)
            if (source / MARKER).is_file():
                mark_copy(source, target)
    except Timeout as error:
        raise UserError(f"another process writes to {target}; wait for it") from error
    return lines, 1 if outcome.broken else 0


def _claim(source: Path, target: Path, requests: list[Request]) -> None:
    """Refuse a folder that holds anything but a copy of `source`, whole or not; a miniature's is marked from the start.

    Files are written over, so that another data set, even the same one from elsewhere, would be lost or mixed in.
    """
    if any(target.iterdir()) and not (target / JOURNAL).is_file():
        raise UserError(f"{target} holds files and is no re-encoded copy (no {JOURNAL}); name another --out")
    wanted = {request.target for request in requests}
    for path, entry in _journal(target / JOURNAL).items():
        made_of = Path(entry["asked"]["source"])
        of_source = made_of.resolve().is_relative_to(source.resolve()) and files.is_file(made_of)
        if path not in wanted and os.path.isfile(path) and not of_source:
            raise UserError(
                f"{path} was made of {made_of}, which is no file of {source}; remove it, or name another --out"
            )
    (target / JOURNAL).touch()
    if (source / MARKER).is_file():
        _copy(source / MARKER, target / MARKER)


def plan(name: str, source: Path, target: Path, settings: Settings) -> tuple[list[Request], list[str]]:
    """Return what is to be re-encoded and which files are copied as they are.

    Raises:
        UserError: There is no video, two would get one name, a list leads out of the data set, or something in it is
            no file that can be copied.
    """
    everything = [path for path in files.walk(source) if path not in LEFT_OUT]
    videos = [path for path in everything if PurePosixPath(path).suffix.lower() in EXTENSIONS]
    rest = sorted(set(everything) - set(videos))
    for path in rest:
        if not files.is_file(source / path):
            raise UserError(f"{source / path} is no regular file, or a link to none; take it out of the data set")
    cut = list(_cut(name, source, target, settings)) if not name.startswith(FOLDER) else []
    if cut:
        return cut, rest
    if not videos:
        raise UserError(f"{source} holds no video ({' '.join(sorted(EXTENSIONS))}); there is nothing to re-encode")
    renamed = _renamed(name, source)
    requests: dict[str, Request] = {}
    for path in videos:
        to = str(target / (PurePosixPath(path).with_suffix(".mp4") if renamed else path))
        if to in requests:
            raise UserError(f"{requests[to].source} and {source / path} would both become {to}; move one elsewhere")
        requests[to] = Request(str(source / path), to, settings)
    return list(requests.values()), rest


def _renamed(name: str, source: Path) -> bool:
    if name.startswith(FOLDER):
        return True
    listed = any((source / f"{split}.csv").is_file() for split in ("train", "val", "test"))
    return registry.DRAWN_FROM.get(name, name) in RENAMED and not listed


def _cut(name: str, source: Path, target: Path, settings: Settings) -> Iterator[Request]:
    """Yield the samples that are stretches in seconds, each once, as clips of their own."""
    pattern = CUT.get(registry.DRAWN_FROM.get(name, name))
    seen: set[str] = set()
    for read in read_all(name, source, None)[0]:
        index = read.index
        if not index.root.resolve().is_relative_to(source.resolve()):
            raise UserError(
                f"the {read.split} list of {name} names files in {index.root}, outside {source}; a copy of the data "
                "set would not hold them. List them by relative paths, or name that folder as folder:DIR"
            )
        columns = [index.table.column(c).to_pylist() for c in ("id", "path", "start_s", "end_s")]
        for sample, path, start_s, end_s in zip(*columns, strict=True):
            if pattern is not None and end_s is not None and sample not in seen:
                seen.add(sample)
                to = str(target / pattern.format(sample))
                yield Request(str(index.root / path), to, settings, start_s, end_s)


def _unfit(requests: list[Request]) -> Outcome:
    """Return the outcome so far: videos whose name says a container that cannot hold H.264."""
    outcome = Outcome()
    for request in requests:
        ending = os.path.splitext(request.target)[1].lower()
        if ending not in FORMATS:
            outcome.broken[request.target] = (
                f"a file that ends in {ending} cannot hold H.264, and the lists name it so; expected "
                f"{', '.join(FORMATS)}"
            )
    return outcome


def _run(requests: list[Request], target: Path, workers: int, outcome: Outcome) -> None:
    journal = _journal(target / JOURNAL)
    todo = []
    for request in requests:
        entry = journal.get(request.target)
        if entry is not None and entry["asked"] == _asked(request) and entry["written"] == _stamp(request.target):
            outcome.done[request.target] = entry
        else:
            todo.append(request)
    for folder in sorted({os.path.dirname(request.target) for request in todo}):
        os.makedirs(folder, exist_ok=True)
    job = "sigma_bench.data.transcode:transcode"
    with (
        DecodePool(job, workers, deadline_s=DEADLINE_S) as pool,
        open(target / JOURNAL, "a", encoding="utf-8") as file,
        Reporter("re-encode", len(requests), "video", start=len(requests) - len(todo)) as reporter,
    ):
        for number, result in enumerate(pool.map(todo), 1):
            request = todo[result.index]
            if result.error is not None:
                outcome.broken[request.target] = result.error
                for left in (partial(request.target), request.target):
                    Path(left).unlink(missing_ok=True)
            else:
                outcome.done[request.target] = _enter(file, target, request, result.info)
                outcome.written += 1
            reporter.update(len(requests) - len(todo) + number)


def _asked(request: Request) -> dict[str, Any]:
    """Return what a video is made of: another source, other settings or another stretch is another video."""
    asked = asdict(request)
    del asked["target"]
    return {**asked, "stamp": _stamp(request.source)}


def _stamp(path: str) -> list[int]:
    return list(files.stamp(Path(path)))


def _enter(file: TextIO, target: Path, request: Request, info: dict[str, Any]) -> dict[str, Any]:
    entry = {"asked": _asked(request), "written": _stamp(request.target), **info}
    file.write(json.dumps({"target": os.path.relpath(request.target, target), **entry}) + "\n")
    file.flush()
    return entry


def _journal(path: Path) -> dict[str, dict[str, Any]]:
    """Return target -> last entry; a line that a kill cut short is passed over, so that video is made anew."""
    entries: dict[str, dict[str, Any]] = {}
    if not path.exists():
        return entries
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        path.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
    for line in text.split("\n")[:-1]:
        entry = json.loads(line)
        entries[str(path.parent / entry.pop("target"))] = entry
    return entries


def _copy(source: Path, target: Path) -> None:
    """Copy a file that is not there yet as it is."""
    if target.is_file() and files.stamp(source) == files.stamp(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(partial(str(target)))
    with files.open(source) as content, open(unfinished, "wb") as file:
        shutil.copyfileobj(content, file)
    if source.is_file():
        shutil.copystat(source, unfinished)
    os.replace(unfinished, target)


def _report(name: str, target: Path, settings: Settings, requests: list[Request], outcome: Outcome) -> list[str]:
    done = [request for request in requests if request.target in outcome.done]
    before = sum(files.stamp(Path(path))[0] for path in {request.source for request in done})
    after = sum(outcome.done[request.target]["written"][0] for request in done)
    cost = _cost(done)
    left_out = {_named(r): outcome.broken[r.target] for r in requests if r.target in outcome.broken}
    record = {
        "name": name,
        "settings": asdict(settings),
        "videos": len(requests),
        "bytes_before": before,
        "bytes_after": after,
        "least_psnr": min((entry["psnr"] for entry in outcome.done.values()), default=None),
        "decoding": cost,
        "left_out": left_out,
    }
    (target / REPORT).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    lines = [
        f"re-encoded: {len(done)} of {len(requests)} videos ({len(done) - outcome.written} of an earlier run), "
        f"{before / 1e6:,.1f} MB before, {after / 1e6:,.1f} MB after, in {target}"
    ]
    lines += [f"  left out  {path}: {reason}" for path, reason in left_out.items()]
    if left_out:
        lines.append(f"{len(left_out)} videos were left out; {target / REPORT} lists them")
    return [*lines, _said(cost)]


def _named(request: Request) -> str:
    stretch = "" if request.end_s is None else f" from {request.start_s or 0:.3f} to {request.end_s:.3f} s"
    return f"{request.source}{stretch}"


def _cost(done: list[Request]) -> dict[str, Any]:
    """Measure a clip of some videos, source against copy."""
    chosen = done[:: max(1, -(-len(done) // COMPARED))]
    asked = [(r.source, r.target, r.start_s, r.end_s, number) for number, r in enumerate(chosen)]
    ratios, first, second, decoder, refused = [], [], [], "", 0
    with DecodePool("sigma_bench.data.speed:compare", 1) as pool:
        for result in pool.map(asked):
            if result.error is not None:
                refused += 1
                continue
            first.append(result.info["first_s"])
            second.append(result.info["second_s"])
            ratios.append(first[-1] / second[-1])
            decoder = result.info["decoder"]
    if not ratios:
        return {"files": 0, "refused": refused}
    return {
        "files": len(ratios),
        "refused": refused,
        "decoder": decoder,
        "speed_up": round(statistics.median(ratios), 3),
        "source_ms": round(1000 * statistics.median(first), 3),
        "copy_ms": round(1000 * statistics.median(second), 3),
    }


def _said(cost: dict[str, Any]) -> str:
    if not cost["files"]:
        return "decoding: not measured, as there is no file that the default decoder reads from both"
    refused = f", {cost['refused']} more that it cannot read from both left out" if cost["refused"] else ""
    return (
        f"decoding: {cost['speed_up']:.2f} times as fast (median of {cost['files']} files{refused}; a clip of "
        f"{FRAMES} frames at stride {STRIDE} with {cost['decoder']}, one process, processor time, source and copy in "
        f"turns: {cost['source_ms']:.1f} ms before, {cost['copy_ms']:.1f} ms after)"
    )
