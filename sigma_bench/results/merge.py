"""Join the stores of several machines: rows and the files that belong to them, each once; sources stay as they are."""

from __future__ import annotations

import filecmp
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from sigma_bench.contracts import UserError
from sigma_bench.results import settings
from sigma_bench.results.reading import Problem
from sigma_bench.results.row import Row
from sigma_bench.results.store import Store, is_suite

SHOWN_NOTES = 50


@dataclass
class Merged:
    """What a merge did, and what it could not do."""

    added: int = 0
    known: int = 0
    """Rows that were there already."""
    files: int = 0
    """Files copied."""
    conflicts: list[str] = field(default_factory=list)
    """What has the same name and other content; it was not carried."""
    notes: list[str] = field(default_factory=list)
    """Files of rows that were not copied, and why."""
    problems: list[Problem] = field(default_factory=list)
    """Lines of the sources that are no rows; they were not carried."""


def merge(sources: Sequence[Path], into: Path) -> Merged:
    """Add the rows of `sources` that `into` does not have, in their order, after the files that belong to them.

    Merged again, or after a kill in the middle, nothing is doubled.

    Raises:
        UserError: A source holds no row files, or is the target; the target cannot be written.
    """
    for source in sources:
        if not source.is_dir() or not any(source.glob("*.csv")):
            raise UserError(f"{source}: expected a folder that holds row files (<suite>.csv)")
        if source.resolve() == into.resolve():
            raise UserError(f"{source} is both merged and the target; name it only with --into")
    if into.exists() and not into.is_dir():
        raise UserError(f"{into} is a file; expected a folder")
    done = Merged()
    store = Store(into)
    into.mkdir(parents=True, exist_ok=True)
    with store.locked(into / "merge"):
        there = {row.id: row for row in store.read()}
        for source in sources:
            rows = Store(source).read(settle=False)
            done.problems += rows.problems
            fresh: dict[str, list[Row]] = {}
            for row in rows:
                known = there.get(row.id)
                if not is_suite(row.suite):
                    done.conflicts.append(f"{source}: row {row.id}: suite {row.suite[:80]!r} is no name of a file")
                elif known is None:
                    _carry_files(row, source, into, done)
                    fresh.setdefault(row.suite, []).append(row)
                    there[row.id] = row
                elif known == row:
                    done.known += 1
                else:
                    names = [name for name in Row.model_fields if getattr(known, name) != getattr(row, name)]
                    done.conflicts.append(f"{source}: row {row.id} has other {', '.join(names)} than in {into}")
            for suite, new in fresh.items():
                store.append(suite, new)
                done.added += len(new)
    return done


def report(done: Merged, into: Path) -> list[str]:
    """Return lines that say what a merge did."""
    lines = [f"{into}: {done.added} rows added, {done.known} were there, {done.files} files copied"]
    notes = list(dict.fromkeys(done.notes))
    lines += [f"note: {note}" for note in notes[:SHOWN_NOTES]]
    if len(notes) > SHOWN_NOTES:
        lines.append(f"note: and {len(notes) - SHOWN_NOTES} more files of rows that were not copied")
    return lines + [f"conflict, not carried: {conflict}" for conflict in done.conflicts]


def _carry_files(row: Row, source: Path, into: Path, done: Merged) -> None:
    names = {f"{settings.FOLDER}/{row.settings_sha256}.{suffix}": False for suffix in ("json", "yaml")}
    names |= dict.fromkeys(row.artifacts.values(), True)
    for name, asked in names.items():
        path = PurePosixPath(name)
        if path.is_absolute() or PureWindowsPath(name).is_absolute():
            done.notes.append(f"{source}: {name} is a path of its machine, not copied")
        elif ".." in path.parts or not (source / path).resolve().is_relative_to(source.resolve()):
            done.notes.append(f"{source}: {name} lies outside of the folder, not copied")
        elif (source / path).is_file():
            _copy(source / path, into / path, into, done)
        elif asked:
            done.notes.append(f"{source}: {name} is not in the folder, not copied")


def _copy(file: Path, target: Path, into: Path, done: Merged) -> None:
    if not target.resolve().is_relative_to(into.resolve()):
        raise UserError(f"{target} leads to {target.resolve()}, out of the folder of rows; remove the link")
    if target.exists():
        if not filecmp.cmp(file, target, shallow=False):
            done.conflicts.append(f"{file} has other content than {target}")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".draft-{uuid.uuid4().hex}")
    try:
        shutil.copyfile(file, draft)
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    done.files += 1
