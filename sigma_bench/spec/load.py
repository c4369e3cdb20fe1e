"""The only reader of YAML: safe, with line numbers, and strict about what two readers could understand differently."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.spec import roots
from sigma_bench.spec.claims import Claims
from sigma_bench.spec.data import DataPlaces
from sigma_bench.spec.layout import Layout
from sigma_bench.spec.nodes import NUMBER_AS_TEXT, TAG, Reader
from sigma_bench.spec.overlay import Block, Document, resolve
from sigma_bench.spec.problems import describe, fail, nearest, shown
from sigma_bench.spec.recipe import Recipe
from sigma_bench.spec.suite import Suite
from sigma_bench.spec.task import Task
from sigma_bench.spec.zoo import Zoo

M = TypeVar("M", bound=BaseModel)
Listing = Literal["recipes", "suites", "tasks"]
MAX_BYTES = 256 * 1024
MAX_DEPTH = 24
RECIPE_BLOCKS: tuple[Block, ...] = ("data", "size", "profiles")
TASK_BLOCKS: tuple[Block, ...] = ("data", "profiles")


def recipe(
    name_or_path: str | Path,
    *,
    data: str | None = None,
    size: str | None = None,
    profile: str | None = None,
    sets: Sequence[str] = (),
    specs: Path | None = None,
) -> Recipe:
    """Return a recipe with its overlays and `--set` arguments applied.

    Raises:
        UserError: Not found, or anything wrong with the file or the arguments.
    """
    path = roots.find("pretrain", name_or_path, specs=specs)
    choice: dict[Block, str | None] = {"data": data, "size": size, "profiles": profile}
    source = named(load_yaml(path), "name", "pretrain", name_or_path, path, specs)
    return build_recipe(source, choice, sets)


def task(
    id_or_path: str | Path,
    *,
    data: str = "official",
    profile: str | None = None,
    sets: Sequence[str] = (),
    specs: Path | None = None,
) -> Task:
    """Return a task with its overlays and `--set` arguments applied.

    Args:
        id_or_path: Path under `tasks/` without suffix, or the path of a YAML file.
        data: "official", "custom" (the official settings on other files) or an overlay of the task.
        profile: Overlay of its `profiles` block.
        sets: "dotted.key=value" arguments.
        specs: Folder of specs searched first.

    Raises:
        UserError: Not found, not made for `data`, or anything wrong with the file or the arguments.
    """
    path = roots.find("tasks", id_or_path, specs=specs)
    source = named(load_yaml(path), "id", "tasks", id_or_path, path, specs)
    made = source.values.get("resolved")
    wanted = None if isinstance(made, dict) and data == "official" else data
    return build_task(source, {"data": wanted, "profiles": profile}, sets)


def suite(name: str | Path, *, specs: Path | None = None) -> Suite:
    """Return a suite; every task it names exists.

    Raises:
        UserError: Not found, faulty, or it names a task that does not exist.
    """
    path = roots.find("eval", name, specs=specs)
    document = named(load_yaml(path), "name", "eval", name, path, specs)
    built = build(Suite, document)
    known = roots.names("tasks", specs=specs)
    unknown = [(row, task_id) for row, task_id in enumerate(built.tasks) if task_id not in known]
    if unknown:
        fail([f"{document.where(('tasks', r))}: no task '{t}'{nearest(t, known)}" for r, t in unknown], document.file)
    return built


def zoo(*, specs: Path | None = None) -> Zoo:
    """Return the known checkpoints (`eval/zoo.yaml`)."""
    return zoo_file(roots.find("eval", "zoo", specs=specs))


def zoo_file(path: Path) -> Zoo:
    """Return the checkpoints of a file."""
    return build(Zoo, load_yaml(path))


def layout(*, specs: Path | None = None) -> Layout:
    """Return the layout of the published tables (`results/published/layout.yaml`)."""
    return layout_file(roots.find("published", "layout.yaml", specs=specs))


def layout_file(path: Path) -> Layout:
    """Return the layout in a file."""
    return build(Layout, load_yaml(path))


def claims(*, specs: Path | None = None) -> Claims:
    """Return what the paper says of its own numbers (`results/published/claims.yaml`)."""
    return claims_file(roots.find("published", "claims.yaml", specs=specs))


def claims_file(path: Path) -> Claims:
    """Return the claims in a file."""
    return build(Claims, load_yaml(path))


def data_places(path: Path) -> tuple[DataPlaces, Document]:
    """Return the places of data sets in a file, and the document that knows the line of each.

    Raises:
        UserError: Anything wrong with the file, or a data set it names is not known.
    """
    document = load_yaml(path)
    built = build(DataPlaces, document)
    known = {*registry.names("datasets"), *registry.DRAWN_FROM.values()} - {"folder", "video_list", "videos"}
    unknown = [name for name in built.datasets if name not in known]
    if unknown:
        fail(
            [f"{document.where(('datasets', n))}: no data set '{n}'{nearest(n, known)}" for n in unknown], document.file
        )
    return built, document


def listing(kind: Listing, *, specs: Path | None = None) -> list[tuple[str, str]]:
    """Return (name, title) of every recipe, suite or task. A faulty file is listed as such."""
    folder: dict[str, roots.Kind] = {"recipes": "pretrain", "suites": "eval", "tasks": "tasks"}
    if kind not in folder:
        raise UserError(f"no listing of '{kind}'{nearest(kind, folder)}")
    rows = []
    for name, path in roots.names(folder[kind], specs=specs).items():
        if (folder[kind], name) == ("eval", "zoo"):
            continue
        try:
            title = load_yaml(path).values.get("title")
        except UserError as error:
            title = f"(cannot be read: {str(error).splitlines()[0]})"
        rows.append((name, title if isinstance(title, str) else "(no title)"))
    return rows


def validate_all(paths: Sequence[Path] | None = None, *, specs: Path | None = None) -> tuple[list[str], int]:
    """Return what is wrong with the given files, or with all specs that are found, and how many files were checked.

    Every combination of overlays a file offers is built.
    """
    from sigma_bench.spec import check

    return check.validate_all(paths, specs=specs)


def dump(model: BaseModel) -> str:
    """Return a spec as YAML text that loads as the same spec."""
    return yaml.dump(
        model.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, indent=2
    )


def load_yaml(path: Path) -> Document:
    """Return the mapping in a YAML file, with the line of every key.

    Raises:
        UserError: Unreadable, too large, no YAML, no mapping, or YAML that is not plain (anchors, tags, two keys of
            one name, numbers that YAML reads as text).
    """
    file = _shown_path(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise UserError(f"{file}: larger than {MAX_BYTES // 1024} KiB, which no spec is; is it another kind of file?")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{file}:{line}: not UTF-8 text; save it as UTF-8, or is it another kind of file?") from error
    node = _compose(text, file)
    if node is None:
        raise UserError(f"{file}: empty; expected a block of keys")
    reader = Reader(file, _scalar, numbers_from_text=False)
    value = reader.build(node, ())
    if not isinstance(value, dict):
        raise UserError(f"{file}:{node.start_mark.line + 1}: found {shown(value)} at the top, expected a block of keys")
    if reader.problems:
        fail(reader.problems, file)
    return Document(file, value, reader.origins)


def parse(text: str, argument: str) -> Any:
    """Return the value of a `--set` argument: YAML, and 1e-3 is a number."""
    node = _compose(text, argument)
    reader = Reader(argument, _scalar, numbers_from_text=True)
    value = None if node is None else reader.build(node, ())
    if reader.problems:
        fail(reader.problems, argument)
    return value


class _RefusedError(Exception):
    """YAML that is valid but not read here."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class _Loader(yaml.SafeLoader):
    """Composes nodes, without anchors (bombs are made of them), tags and what is deeper than `MAX_DEPTH`."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if getattr(event, "anchor", None):
            raise _RefusedError(
                line, f"anchors and aliases (&{event.anchor}, *{event.anchor}) are not read; write it out"
            )
        if getattr(event, "tag", None):
            raise _RefusedError(line, f"the tag {str(event.tag)[:60]!r} is not read; plain values only")
        if self.depth >= MAX_DEPTH:
            raise _RefusedError(line, f"nested deeper than {MAX_DEPTH} levels")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Quotes text that looks like a number or has line breaks, so that it is read back as it was."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _represent_text(dumper: _Dumper, value: str) -> yaml.Node:
    special = NUMBER_AS_TEXT.fullmatch(value) or ":" in value or not value.isprintable()
    style = '"' if special else None
    return dumper.represent_scalar(f"{TAG}str", value, style=style)


_Dumper.add_representer(str, _represent_text)


_construct = yaml.constructor.SafeConstructor()


def _scalar(kind: str, node: yaml.Node) -> Any:
    return getattr(_construct, f"construct_yaml_{kind}")(node)


def _compose(text: str, where: str) -> yaml.Node | None:
    loader = None
    try:
        loader = _Loader(text)
        return loader.get_single_node()
    except _RefusedError as error:
        raise UserError(f"{where}:{error.line}: {error}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        hint = "; indent with spaces" if "\\t" in str(error.problem) else ""
        at = f"{where}:{mark.line + 1}" if mark else where
        raise UserError(f"{at}: not YAML: {error.problem or error.context}{hint}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(f"{where}:{line}: not text: holds the character {error.character!r}") from error
    except (ValueError, OverflowError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{where}: not YAML: {str(error)[:100]}") from error
    finally:
        if loader is not None:
            loader.dispose()


def named(
    document: Document, field: str, kind: roots.Kind, asked: str | Path, path: Path, specs: Path | None
) -> Document:
    """Put the name of a spec, which is that of its file, into the document. A resolved file brings its own."""
    by_name = not str(asked).endswith(roots.SUFFIXES)
    inside = [path.resolve().relative_to(f.resolve()) for f in roots.folders(kind, specs=specs) if _within(path, f)]
    name = str(asked) if by_name else inside[0].with_suffix("").as_posix() if inside else path.stem
    given = document.values.get(field)
    if given is None or (not by_name and "resolved" in document.values):
        return Document(document.file, {field: name, **document.values}, document.origins)
    if given != name:
        raise UserError(
            f"{document.where((field,))}: found {shown(given)}, but the file says {name!r}; remove the line"
        )
    return document


def _within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def build_recipe(source: Document, choice: dict[Block, str | None], sets: Sequence[str] = ()) -> Recipe:
    """Return the recipe of a document with the chosen overlays."""
    return build(Recipe, resolve(source, choice, bare={}, sets=sets, parse=parse))


def build_task(source: Document, choice: dict[Block, str | None], sets: Sequence[str] = ()) -> Task:
    """Return the task of a document with the chosen overlays."""
    only, data = source.values.get("data_only"), choice["data"]
    if isinstance(only, str) and "resolved" not in source.values and data not in (None, only):
        raise UserError(f"task {source.values['id']} exists only with --data {only}, found --data {data}")
    return build(Task, resolve(source, choice, bare=task_data(source), sets=sets, parse=parse))


def task_data(source: Document) -> dict[Block, tuple[str, ...]]:
    """Return the names of data a task is measured on without an overlay; a profile may be left out."""
    only = source.values.get("data_only")
    return {"data": (only,) if isinstance(only, str) else ("official", "custom"), "profiles": ()}


def build(model: type[M], document: Document) -> M:
    """Return the model of a document; what does not fit it is told as one UserError."""
    try:
        return model.model_validate(document.values)
    except ValidationError as error:
        fail(describe(error, model, document.values, document.origins, document.file), document.file)


def _shown_path(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(path)
