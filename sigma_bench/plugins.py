"""Parts that other installed packages bring, by entry point (`sigma_bench.evaluators`, `sigma_bench.datasets`, ...).

Only the text of the entry points is read here, none of their modules: a package that cannot be imported, or whose
entry points are malformed, is a problem of its own parts alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

GROUP = "sigma_bench."
_HEADER = re.compile(r"^\s*\[\s*sigma_bench\.", re.MULTILINE)
_SAYS_NAME = re.compile(r"^Name:(.*)$", re.MULTILINE).search
_SAYS_VERSION = re.compile(r"^Version:(.*)$", re.MULTILINE).search
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class Part:
    """A part of an outside package: its kind and name, the "module:object" it is, the package with its version."""

    kind: str
    name: str
    target: str
    package: str


def is_target(text: str) -> bool:
    """Tell whether a text names an object as "package.module:object"."""
    return _TARGET.fullmatch(text) is not None


def parts(kind: str) -> list[Part]:
    """Return the parts of a kind, in the order in which their packages are found; names may be there twice."""
    return [found for found in _scan() if isinstance(found, Part) and found.kind == kind]


def problems() -> list[str]:
    """Return what is wrong with entry points of outside packages, each naming its package."""
    return [found for found in _scan() if isinstance(found, str)]


def _scan() -> Iterator[Part | str]:
    seen: set[str] = set()
    for distribution in metadata.distributions():
        try:
            text = distribution.read_text("entry_points.txt")
            if text is None or _HEADER.search(text) is None:
                continue
            said = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
        except (OSError, UnicodeError) as error:
            yield f"a package cannot be read ({error}): {getattr(distribution, '_path', 'its place is not known')}"
            continue
        name, version = (match[1].strip() if match else "" for match in (_SAYS_NAME(said), _SAYS_VERSION(said)))
        name = name or str(getattr(distribution, "_path", "a package without a name"))
        if name not in seen:
            seen.add(name)
            yield from _read(text, f"{name} {version}".strip())


def _read(text: str, package: str) -> Iterator[Part | str]:
    """Yield the parts in the text of an `entry_points.txt`, and a problem for each line that names none."""
    group = ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith(("#", ";")):
            continue
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
            continue
        if not group.startswith(GROUP):
            continue
        name, _, target = (part.strip() for part in line.partition("="))
        if _NAME.fullmatch(name) is None or not is_target(target):
            yield f"{package}: entry_points.txt:{number}: found {line[:80]!r}, expected NAME = MODULE:OBJECT"
        else:
            yield Part(group.removeprefix(GROUP), name, target, package)
