"""Checking spec files as a whole: every file, every combination of its overlays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.spec import load, roots
from sigma_bench.spec.overlay import combinations
from sigma_bench.spec.tolerances import tolerances_file

# A key that only files of the kind have, for files given by their path.
TELLTALE: dict[str, roots.Kind] = {
    "objective": "pretrain",
    "evaluator": "tasks",
    "entries": "eval",
    "tasks": "eval",
    "tables": "published",
    "claims": "published",
    "tolerances": "published",
}
SPEC_KINDS: tuple[roots.Kind, ...] = ("pretrain", "tasks", "eval")


def validate_all(paths: Sequence[Path] | None = None, *, specs: Path | None = None) -> tuple[list[str], int]:
    """Return one line for each problem of the given files (default: all that are found), and the number of files."""
    problems: dict[str, None] = {}
    if paths:
        files: list[tuple[roots.Kind | None, str | Path]] = [(None, path) for path in paths]
    else:
        files = [(kind, name) for kind in SPEC_KINDS for name in roots.names(kind, specs=specs)]
        files += [("published", f"{name}.yaml") for name in ("layout", "claims", "tolerances")]
    for kind, name in files:
        try:
            attempts = list(_attempts(kind or _kind(Path(name)), name, specs))
        except UserError as error:
            attempts = []
            problems.update(dict.fromkeys(_lines(error)))
        for attempt in attempts:
            try:
                attempt()
            except UserError as error:
                problems.update(dict.fromkeys(_lines(error)))
    return list(problems), len(files)


def _lines(error: UserError) -> list[str]:
    """Return the problems in an error, without the headline over several."""
    lines = str(error).splitlines()
    return [line.strip() for line in (lines[1:] or lines)]


def _kind(path: Path) -> roots.Kind:
    if path.suffix not in roots.SUFFIXES:
        raise UserError(f"{path}: not the path of a YAML file; a spec file ends in .yaml")
    if not path.is_file():
        roots.find("pretrain", path)
    values = load.load_yaml(path).values
    kinds = [kind for key, kind in TELLTALE.items() if key in values]
    if not kinds:
        raise UserError(f"{path}: cannot tell what it is; a recipe has objective, a task evaluator, a suite tasks")
    return kinds[0]


def _attempts(kind: roots.Kind, name: str | Path, specs: Path | None) -> Iterator[Callable[[], object]]:
    """Yield what has to work with a file."""
    if kind == "published":
        path = roots.find(kind, name, specs=specs) if isinstance(name, str) else name
        held = load.load_yaml(path).values.keys()
        if "tolerances" in held:
            yield lambda: tolerances_file(path)
        else:
            yield lambda: load.claims_file(path) if "claims" in held else load.layout_file(path)
        return
    path = roots.find(kind, name, specs=specs)
    source = load.load_yaml(path)
    if kind == "eval":
        is_zoo = "entries" in source.values or name == "zoo"
        yield lambda: load.zoo_file(path) if is_zoo else load.suite(name, specs=specs)
        return
    source = load.named(source, "name" if kind == "pretrain" else "id", kind, name, path, specs)
    blocks, bare = (load.RECIPE_BLOCKS, {}) if kind == "pretrain" else (load.TASK_BLOCKS, load.task_data(source))
    build = load.build_recipe if kind == "pretrain" else load.build_task
    for choice in combinations(source, blocks, bare):
        yield partial(build, source, choice)
