"""What is known of the files of a data set: decoded once, kept by size and time of change, taken up after a break."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from sigma_bench import cache
from sigma_bench.data import files
from sigma_bench.progress import Reporter, say

VERSION = 3
"""Of the file that keeps what was found; another version is not read."""
SAVE_EVERY_S = 60.0
"""What was found is written so often while files are decoded."""


@dataclass(frozen=True)
class Finding:
    """What was found of one file.

    Attributes:
        stamp: Size and time of the last change when it was decoded.
        reason: Why it cannot be decoded; empty where it can.
        count: Its frames.
        backend: What read it.
        policy: The decoder, or policy of several, that was to read it.
        whole: Every frame was decoded, not three of them.
        last_s: When its last frame is shown, seconds after the first; None where it does not say.
    """

    stamp: tuple[int, int]
    reason: str
    count: int
    backend: str
    policy: str
    whole: bool
    last_s: float | None


class Findings:
    """The findings below one folder, kept in the cache folder of the user.

    Args:
        root: Folder that the paths are relative to.
        policy: Decoder or policy that reads videos, as far as it is installed; findings of another are not used.

    Raises:
        UserError: The decoder cannot be used here.
    """

    def __init__(self, root: Path, policy: str) -> None:
        from sigma_bench.data.decode.backends import pick

        self.root, self.policy = root, pick(policy).name
        self._known = _read(root)

    def get(self, path: str) -> Finding | None:
        """Return what is known of a file; None where it was not decoded since it last changed."""
        found = self._known.get(path)
        current = found is not None and found.policy == self.policy and found.stamp == files.stamp(self.root / path)
        return found if current else None

    def probe(self, paths: Sequence[str], workers: int, title: str, whole: bool) -> None:
        """Decode what is not known yet; a break loses at most the last minute.

        Args:
            paths: Files relative to the root, each once.
            workers: Decoding processes.
            title: What the progress is shown under.
            whole: Decode every frame, not three of them.

        Raises:
            UserError: The decoder cannot be used here.
        """
        from sigma_bench.data.decode.probe import stream

        todo = [p for p in paths if (known := self.get(p)) is None or (whole and not known.whole)]
        if not todo:
            return
        stamps = [files.stamp(self.root / path) for path in todo]
        saved = time.monotonic()
        fresh: set[str] = set()
        try:
            with Reporter(title, len(todo), "file") as reporter:
                records = stream([self.root / path for path in todo], self.policy, workers, whole=whole)
                for done, (path, stamp, record) in enumerate(zip(todo, stamps, records, strict=True), 1):
                    self._known[path] = Finding(
                        stamp,
                        record.reason,
                        record.count,
                        record.backend,
                        self.policy,
                        record.whole,
                        record.last_s,
                    )
                    fresh.add(path)
                    reporter.update(done)
                    if time.monotonic() - saved > SAVE_EVERY_S:
                        self._keep(fresh)
                        saved = time.monotonic()
        except KeyboardInterrupt:
            say(f"{title}: {len(fresh)} of {len(todo)} files were looked at; the next check goes on from there")
            raise
        finally:
            self._keep(fresh)

    def _keep(self, fresh: set[str]) -> None:
        """Write the findings of `fresh`, and those that are there already: of earlier checks, and of one beside us."""
        path = _file(self.root)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock")):
                _write(self.root, {**_read(self.root), **{name: self._known[name] for name in fresh}})
        except OSError as error:
            say(
                f"what was found of {self.root} is not kept for the next time: {error} (SIGMA_BENCH_CACHE names "
                "another place)"
            )


def _file(root: Path) -> Path:
    return cache.home() / "probe" / f"{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]}.json"


def _read(root: Path) -> dict[str, Finding]:
    path = _file(root)
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != VERSION:
            return {}
        return {name: Finding(**{**entry, "stamp": tuple(entry["stamp"])}) for name, entry in content["files"].items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, TypeError):
        say(f"{path}: what was found of {root} earlier cannot be read; its files are decoded again")
        return {}


def _write(root: Path, known: dict[str, Finding]) -> None:
    path = _file(root)
    draft = path.with_name(f".{path.name}.{os.getpid()}.partial")
    content = {"version": VERSION, "root": str(root), "files": {name: asdict(f) for name, f in known.items()}}
    draft.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
    draft.replace(path)
