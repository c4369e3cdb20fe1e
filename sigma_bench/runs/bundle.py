"""Pack results for reviewers, and check what was packed: a few lines over `sigma_bench.results.bundle`."""

from __future__ import annotations

import getpass
import platform
import re
import shutil
import socket
import tempfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from sigma_bench import __version__
from sigma_bench.contracts import UserError
from sigma_bench.results import archive, bundle, bundle_check, tables
from sigma_bench.results.row import Row
from sigma_bench.results.scrub import Scrubber
from sigma_bench.results.store import Store
from sigma_bench.runs.asked import tasks_of
from sigma_bench.runs.machine import git_commit
from sigma_bench.spec import load, roots

FORMATS = ("md", "csv")


def pack(results: Path, out: Path, suite: str | None) -> list[str]:
    """Pack the rows of a folder, or those of a suite's tasks, and return lines that say what was.

    Raises:
        UserError: The folder is not there or holds no such rows, or `out` is no name of an archive, or another file.
    """
    if not results.is_dir():
        raise UserError(
            f"{results}: no such folder; name the one that holds the row files (<suite>.csv) with --results"
        )
    archive.check_name(out)
    if not out.parent.is_dir():
        raise UserError(f"{out.parent}: no such folder; make it, or name another with --out")
    if out.exists() and not _is_bundle(out):
        raise UserError(f"{out} is there and is no bundle of results; name another file with --out")
    rows = Store(results).read()
    wanted = tasks_of(rows, suite, [])
    chosen = [row for row in rows if wanted is None or row.task in wanted]
    scrubber = Scrubber.of(_names(), _words(chosen))
    with tempfile.TemporaryDirectory(prefix="sigma-bench-bundle-") as staging:
        packed = bundle.pack(chosen, results, out, scrubber, environment(), draw, Path(staging))
    lines = [f"left out: {reason}" for reason in list(dict.fromkeys(packed.left_out))[:50]]
    lines += [f"left out: {problem} (no row)" for problem in rows.problems[:50]]
    lines.append(
        f"written: {out}: {packed.rows} rows, {packed.samples} files of samples, {packed.settings} settings, "
        f"{len(packed.files)} files, SHA-256 {bundle.digest(out)}"
    )
    return lines


def check(file: Path, into: Path | None) -> tuple[list[str], int]:
    """Check a bundle, unpack it into a folder where one is named, and return lines and exit code: 1 for problems.

    Raises:
        UserError: It is no bundle, or the folder is not empty.
    """
    if into is not None and into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise UserError(f"--into {into}: is there and not empty; name a new folder")
    with tempfile.TemporaryDirectory(prefix="sigma-bench-bundle-") as folder:
        found = bundle_check.check(file, Path(folder), draw, __version__)
        lines = found.lines()
        if into is not None and not found.problems:
            shutil.copytree(Path(folder) / bundle.ROOT, into, dirs_exist_ok=True)
            lines.append(f"unpacked: {into}; sigma-bench tables --results {into / bundle.ROWS}")
        elif into is not None:
            lines.append(f"not unpacked into {into}: it has problems")
    return lines, 1 if found.problems else 0


def draw(rows: Path, out: Path) -> None:
    """Draw all tables of a folder of rows, without what was counted on this machine."""
    published = roots.find("published", "published.csv").parent
    tables.write_all(rows, out, FORMATS, published_dir=published, zoo=load.zoo().entries)


def environment() -> dict[str, Any]:
    """Return versions and the kind of this machine."""
    own = [text for text in metadata.requires("sigma-bench") or () if "extra ==" not in text]
    required = [re.split(r"[^A-Za-z0-9._-]", text)[0] for text in own]
    packages = {}
    for name in sorted(set(required), key=str.lower):
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "package_version": __version__,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "packages": packages,
    }


def _is_bundle(file: Path) -> bool:
    if not file.is_file():
        return False
    try:
        with tempfile.TemporaryDirectory(prefix="sigma-bench-bundle-") as folder:
            return f"{bundle.ROOT}/{bundle.FACTS}" in archive.extract(file, Path(folder))
    except UserError:
        return False


def _names() -> list[str]:
    """Return the names of the user and the machine."""
    names = [Path.home().name, socket.gethostname(), socket.gethostname().partition(".")[0]]
    with suppress(OSError, KeyError, ImportError):  # a user without an entry, as in some containers
        names.append(getpass.getuser())
    return names


def _words(rows: list[Row]) -> set[str]:
    """Return the words that rows need: of specs, methods and metrics; a user's name among them is left in."""
    columns = ("suite", "task", "evaluator", "profile", "metric", "method", "backbone", "pretrain_data", "extra_data")
    texts = {getattr(row, column) for row in rows for column in columns}
    return {word for text in texts for word in re.split(r"[^A-Za-z0-9]+", text)}
