"""What checks of official data sets counted, kept in the user's cache folder: the table of data set sizes shows it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from sigma_bench import cache
from sigma_bench.progress import say
from sigma_bench.runs.check.gather import NO_LABEL
from sigma_bench.runs.check.lists import names
from sigma_bench.runs.check.report import ListReport, SetReport

VERSION = 1
"""Of the files; another version is not read."""
GENERATED = "generated"


@dataclass(frozen=True)
class KeptList:
    """One list as the last check found it.

    Attributes:
        split: Its name.
        fold: Which of the official foldings.
        listed: Samples in it.
        usable: Samples that are there and can be read, as far as was looked.
        classes: Classes of its label map.
        published: How the list compares with the published one, in words.
    """

    split: str
    fold: int
    listed: int
    usable: int
    classes: int
    published: str


def keep(report: SetReport) -> None:
    """Keep what a check found of a data set; of generated ones and of plain folders nothing is kept.

    Lists that were not looked at this time stay, unless the data set lies in another folder now.
    """
    if report.name not in names() or any(entry.published == GENERATED for entry in report.lists):
        return
    path = _file(report.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            folder, known = _read(path)
            lists = known if folder == report.folder else {}
            lists |= {(entry.split, entry.fold): _kept(entry) for entry in report.lists}
            content = {"version": VERSION, "folder": report.folder, "lists": [asdict(one) for one in lists.values()]}
            draft = path.with_name(f".{path.name}.{os.getpid()}.partial")
            draft.write_text(json.dumps(content, indent=1), encoding="utf-8")
            draft.replace(path)
    except OSError as error:
        say(f"the counts of {report.name} are not kept: {error} (SIGMA_BENCH_CACHE names another place)")


def kept(name: str) -> dict[tuple[str, int], KeptList]:
    """Return (split, fold) -> what the last check of a data set found; empty where there was none."""
    return _read(_file(name))[1]


def _kept(entry: ListReport) -> KeptList:
    classes = sum(1 for one in entry.classes if one.name != NO_LABEL)
    return KeptList(entry.split, entry.fold, entry.listed, entry.usable, classes, entry.published)


def _file(name: str) -> Path:
    return cache.home() / "counted" / f"{name}.json"


def _read(path: Path) -> tuple[str, dict[tuple[str, int], KeptList]]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != VERSION:
            return "", {}
        lists = [KeptList(**entry) for entry in content["lists"]]
        return content["folder"], {(one.split, one.fold): one for one in lists}
    except (FileNotFoundError, NotADirectoryError):
        return "", {}
    except (OSError, ValueError, KeyError, TypeError):
        say(f"{path}: what was counted earlier cannot be read; `sigma-bench data check` counts again")
        return "", {}
