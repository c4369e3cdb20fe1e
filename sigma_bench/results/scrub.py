"""Texts without absolute paths and without the names of people and machines, for files that are handed on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

HIDDEN = "..."
"""Stands for the folders of an absolute path; its last part stays."""
GENERIC = frozenset({"root", "user", "users", "home", "admin", "ubuntu", "runner", "test", "data", "work", "localhost"})
"""Names that tell nothing of a person."""
SHORTEST = 3

_PART = r"[^\s'\"`,;:()<>|*?\[\]{}/\\]"
_ABSOLUTE = re.compile(
    rf"""(?<![\w.~:/\\%-])(?:
        (?:file://)?/{_PART}+(?:/{_PART}*)+     # /home/name/x.pth
        | (?:file://)?(?<!<)/{_PART}{{2,}}      # /root, but not </sup>
        | ~{_PART}*/(?:{_PART}*/)*{_PART}*      # ~/x.pth
        | [A-Za-z]:[\\/](?:{_PART}*[\\/])*{_PART}*
        | \\\\{_PART}+(?:\\{_PART}*)+           # \\server\share\x.pth
    )""",
    re.VERBOSE,
)


def absolute(text: str) -> str | None:
    """Return the first absolute path in a text, None where there is none."""
    found = _ABSOLUTE.search(text)
    return found[0] if found else None


@dataclass(frozen=True)
class Scrubber:
    """Takes out of texts what tells of one's own machine.

    Attributes:
        names: Names of people and machines.
    """

    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: Iterable[str], words: Iterable[str]) -> Scrubber:
        """Return a scrubber of those `names` that tell something and are none of the `words` that texts must keep."""
        kept = {word.lower() for word in words} | GENERIC
        telling = {name for name in names if len(name) >= SHORTEST and name.lower() not in kept}
        return cls(tuple(sorted(telling, key=lambda name: (-len(name), name))))

    def text(self, text: str) -> str:
        """Return a text in which absolute paths are cut to their last part, and names stand as `user`."""
        clean = _ABSOLUTE.sub(lambda found: _short(found[0]), text)
        for name in self.names:
            clean = _alone(name).sub("user", clean)
        return clean

    def value(self, value: Any) -> Any:
        """Return a value of JSON with all its texts so."""
        return _each(value, self.text)

    def leaks(self, text: str) -> str | None:
        """Return what in a text should not be there, None where nothing is."""
        if (path := absolute(text)) is not None:
            return path
        return next((name for name in self.names if _alone(name).search(text)), None)


def _alone(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])")


def _short(path: str) -> str:
    last = [part for part in re.split(r"[\\/]", path) if part]
    return f"{HIDDEN}/{last[-1]}" if len(last) > 1 else HIDDEN


def _each(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _each(inner, change) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_each(inner, change) for inner in value)
    return value
