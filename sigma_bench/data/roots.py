"""In which folder a data set lies: one rule for every command.

1. `--data-root DIR`: DIR/<data set>. A folder that is named on the command line decides alone.
2. $SIGMA_BENCH_DATA/<data set>.
3. The user's file (`$SIGMA_BENCH_CONFIG`, else `sigma-bench/data.yaml` in $XDG_CONFIG_HOME or `~/.config`): its entry
   for the data set, then <its root>/<data set>.
4. `./data/<data set>`.

The first folder that exists is the one. Under each rule the data set's own name goes before the name of the data set
that it is drawn from.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.spec import load
from sigma_bench.spec.data import DataPlaces
from sigma_bench.spec.overlay import Document

OPTION = "--data-root"
VARIABLE = "SIGMA_BENCH_DATA"
CONFIG = "SIGMA_BENCH_CONFIG"
HERE = Path("data")


@dataclass(frozen=True)
class Place:
    """A folder that is looked at, and the rule that names it."""

    folder: Path
    rule: str

    def __str__(self) -> str:
        return f"{self.folder} ({self.rule})"


Given = Path | Place | None
"""What decides alone, if anything: the folder that is named on the command line, or that of the miniatures."""


def config_file() -> Path:
    """Return where the user's file of places is expected; there need not be one, unless $SIGMA_BENCH_CONFIG names it.

    Raises:
        UserError: $SIGMA_BENCH_CONFIG names a file that does not exist.
    """
    named = os.environ.get(CONFIG)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise UserError(f"${CONFIG} {path}: no such file; expected a YAML file with the keys root and datasets")
        return path
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "sigma-bench" / "data.yaml"


def base(given: Path | None) -> Path:
    """Return the folder with one folder a data set, by the first rule that names one; miniatures go below it.

    Raises:
        UserError: The user's file is faulty.
    """
    return bases(given)[0].folder


def miniatures(given: Path | None) -> Place:
    """Return the folder of the miniatures, which decides alone where one of them is looked for.

    Raises:
        UserError: The user's file is faulty.
    """
    below = bases(given)[0]
    return Place(below.folder / "miniature", below.rule)


def bases(given: Given) -> list[Place]:
    """Return the folders that hold one folder a data set, in order.

    Raises:
        UserError: The user's file is faulty.
    """
    if given is not None:
        return [given if isinstance(given, Place) else Place(given, OPTION)]
    found = []
    if os.environ.get(VARIABLE):
        found.append(Place(Path(os.environ[VARIABLE]).expanduser(), f"${VARIABLE}"))
    config = _config()
    if config is not None and config.places.root is not None:
        found.append(config.place(config.places.root, ("root",)))
    return [*found, Place(HERE, "the working directory")]


def home(name: str) -> str:
    """Return the name of the folder that data set `name` belongs in: that of the data set it is drawn from, if any.

    A data set that is named MODULE:OBJECT has the object's name.
    """
    return registry.DRAWN_FROM.get(name, name.rpartition(":")[2])


def places(name: str, given: Given) -> list[Place]:
    """Return where data set `name` is looked for, in order.

    Raises:
        UserError: The user's file is faulty, or its entry for `name` names a folder that does not exist.
    """
    names = list(dict.fromkeys([name.rpartition(":")[2], home(name)]))
    below = [Place(root.folder / n, root.rule) for root in bases(given) for n in names]
    entries = [] if given is not None else _entries(names)
    first = [place for place in below if place.rule == f"${VARIABLE}"]
    return [*first, *entries, *(place for place in below if place not in first)]


def find(name: str, given: Given) -> Place | None:
    """Return the first of the `places` that is a folder; None where there is none.

    Raises:
        UserError: As for `places`.
    """
    return next((place for place in places(name, given) if place.folder.is_dir()), None)


def folder(name: str, given: Given) -> Path:
    """Return the folder of data set `name`.

    Raises:
        UserError: There is none; the message has every place that was looked at and the ways to name others.
    """
    found = find(name, given)
    if found is None:
        raise UserError(missing(name, given))
    return found.folder


def missing(name: str, given: Given) -> str:
    """Return in words that data set `name` was not found: where it was looked for, and what to do."""
    looked, own = ", ".join(str(place) for place in places(name, given)), home(name)
    if isinstance(given, Place):
        return f"no miniature at {looked}; write it: sigma-bench data miniature {own}"
    return (
        f"no data at {looked}; put the data set there as it is downloaded, or name its place with {OPTION} DIR (which "
        f"holds {own}/), ${VARIABLE}, or `datasets: {{{own}: FOLDER}}` in {config_file()}"
    )


def _entries(names: list[str]) -> list[Place]:
    config = _config()
    given = config.places.datasets if config is not None else {}
    return [config.place(given[n], ("datasets", n)) for n in names if config is not None and n in given]


@dataclass(frozen=True)
class _Config:
    path: Path
    places: DataPlaces
    document: Document

    def place(self, text: str, key: tuple[str, ...]) -> Place:
        """Return the place that an entry names.

        Raises:
            UserError: It does not exist.
        """
        where = self.document.where(key)
        folder = self.path.parent / Path(text).expanduser()
        if not folder.is_dir():
            raise UserError(f"{where}: no such folder: {folder}; expected one that exists (is its disk there?)")
        return Place(folder, where)


def _config() -> _Config | None:
    path = config_file()
    return _Config(path, *load.data_places(path)) if path.is_file() else None
