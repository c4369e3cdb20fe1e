"""Where specs are found: `--specs DIR`, then $SIGMA_BENCH_SPECS, then the checkout or what the wheel ships."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Literal

from sigma_bench.contracts import UserError
from sigma_bench.spec.problems import nearest

Kind = Literal["pretrain", "eval", "tasks", "published"]
PACKAGE = Path(__file__).parents[1]
VARIABLE = "SIGMA_BENCH_SPECS"
WORDS: dict[Kind, str] = {"pretrain": "recipe", "eval": "suite", "tasks": "task", "published": "published file"}
SUFFIXES = (".yaml", ".yml")


def find(kind: Kind, name: str | Path, *, specs: Path | None = None) -> Path:
    """Return the file of the spec `name`.

    Args:
        kind: Folder that is searched.
        name: Name in that folder, or the path of a file that ends in `.yaml`. A name never leads out of the folder.
            Files of "published" are named with their suffix.
        specs: Folder searched first; it holds folders named like the kinds.

    Raises:
        UserError: There is no such file; says where it was searched and what comes near.
    """
    text = str(name)
    if kind != "published" and text.endswith(SUFFIXES):
        return _path(Path(name).expanduser(), WORDS[kind])
    known = names(kind, specs=specs)
    if text in known:
        return known[text]
    searched = ", ".join(str(folder) for folder in folders(kind, specs=specs)) or "no folder"
    raise UserError(
        f"no {WORDS[kind]} named {text[:80]!r}{nearest(text, known)} Searched: {searched}. "
        "A path that ends in .yaml is read as it is."
    )


def names(kind: Kind, *, specs: Path | None = None) -> dict[str, Path]:
    """Return name -> file of every spec of a kind; a name in an earlier folder hides the same name in a later one."""
    found: dict[str, Path] = {}
    for folder in folders(kind, specs=specs):
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if any(part.startswith(".") for part in inside.parts) or not path.is_file():
                continue
            if kind == "published":
                found.setdefault(inside.as_posix(), path)
            elif path.suffix in SUFFIXES:
                found.setdefault(inside.with_suffix("").as_posix(), path)
    return found


def folders(kind: Kind, *, specs: Path | None = None) -> list[Path]:
    """Return the existing folders of a kind in the order of the search.

    Raises:
        UserError: `specs` or $SIGMA_BENCH_SPECS is no folder of specs.
    """
    homes = [_home(specs, "--specs")] if specs is not None else []
    if os.environ.get(VARIABLE):
        homes.append(_home(Path(os.environ[VARIABLE]), f"${VARIABLE}"))
    homes.append(shipped())
    return [place for home in homes for place in _places(home, kind) if place.is_dir()]


def shipped() -> Path:
    """Return the folder that holds the specs that came with the package: inside the wheel, or the checkout."""
    inside = PACKAGE / "_shipped"
    return inside if inside.is_dir() else PACKAGE.parent


def _places(home: Path, kind: Kind) -> list[Path]:
    return [home / "published", home / "results" / "published"] if kind == "published" else [home / kind]


def _home(folder: Path, said_by: str) -> Path:
    folder = folder.expanduser()
    if not folder.is_dir():
        raise UserError(f"{said_by} {folder}: no such folder; expected one that holds pretrain/, eval/ or tasks/")
    if not any(place.is_dir() for kind in WORDS for place in _places(folder, kind)):
        raise UserError(
            f"{said_by} {folder}: holds none of pretrain/, eval/, tasks/, published/; put the specs in those"
        )
    return folder


def _path(path: Path, word: str) -> Path:
    if path.is_file():
        return path
    if path.exists():
        raise UserError(f"{path}: not a file; expected the YAML file of a {word}")
    parent = path.parent
    beside = [p.name for p in parent.iterdir() if p.suffix in SUFFIXES] if parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=3, cutoff=0.4)
    hint = (
        f"; near it: {', '.join(near)}" if near else "" if parent.is_dir() else f"; the folder {parent} does not exist"
    )
    raise UserError(f"{path}: no such {word} file{hint}. Searched from {Path.cwd()}.")
