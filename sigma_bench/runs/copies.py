"""Where a data set that is written anew is read from and goes to."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data import roots
from sigma_bench.runs import data as places

FOLDER = "folder:"


class Ends(NamedTuple):
    """Folder of a data set, and folder of its copy."""

    source: Path
    target: Path


def ends(name: str, data: str, given: Path | None, out: Path) -> Ends:
    """Return where data set `name` lies and where its copy goes.

    `out` becomes a data root: the copy is `out/<data set>`, of a miniature `out/miniature/<data set>`. The copy of
    `folder:DIR` is `out` itself.

    Raises:
        UserError: There is no such data set, or the copy would lie in its source or around it.
    """
    if name.startswith(FOLDER):
        source, target = Path(name.removeprefix(FOLDER)).expanduser(), out
        if name == FOLDER or not source.is_dir():
            raise UserError(f"{name}: no such folder; expected folder:DIR")
    elif data == "miniature":
        source = places.miniature(name, given)
        target = out / "miniature" / source.name
    elif data == "official":
        source = roots.folder(name, given)
        target = out / (name if source.name == name else registry.DRAWN_FROM.get(name, name))
    else:
        raise UserError(f"--data {data}: expected official or miniature")
    inner, outer = target.resolve(), source.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise UserError(f"{target} is, is inside, or holds the source {source}; name a folder elsewhere with --out")
    return Ends(source, target)
