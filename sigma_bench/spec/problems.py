"""What is wrong with a spec, told on one screen: where, which key, what was found, what was expected, the nearest."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from sigma_bench.contracts import UserError

KeyPath = tuple[str | int, ...]
MOST_SHOWN = 10


@dataclass(frozen=True)
class Origin:
    """Where a value was written: `file:line` or the `--set` argument, and its dotted key there."""

    where: str
    key: str


def nearest(name: str, known: Iterable[str], most_listed: int = 12) -> str:
    """Return "; did you mean ...? Known: ..." for an unknown `name`, to be put behind a statement."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    if not names:
        return f"{hint} None are known."
    rest = f", ... ({len(names)} in all)" if len(names) > most_listed else ""
    return f"{hint} Known: {', '.join(names[:most_listed])}{rest}."


def dotted(path: KeyPath) -> str:
    """Return `train.betas[0]` for ("train", "betas", 0)."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shown(value: Any) -> str:
    """Return a short description of a value as it stands in YAML."""
    if isinstance(value, Mapping):
        return f"a block of {len(value)} keys"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return f"{text} (text)" if isinstance(value, str) else text


def fail(problems: list[str], file: str) -> typing.NoReturn:
    """Raise one UserError for all `problems` of `file`.

    Raises:
        UserError: Always; lists at most ten of them.
    """
    if len(problems) == 1:
        raise UserError(problems[0])
    lines = [f"  {problem}" for problem in problems[:MOST_SHOWN]]
    if len(problems) > MOST_SHOWN:
        lines.append(f"  ... and {len(problems) - MOST_SHOWN} more")
    raise UserError("\n".join([f"{len(problems)} problems in {file}:", *lines]))


def describe(
    error: ValidationError,
    model: type[BaseModel],
    values: Mapping[str, Any],
    origins: Mapping[KeyPath, Origin],
    file: str,
) -> list[str]:
    """Return one line for each thing pydantic found wrong in `values`."""
    return [_line(item, model, values, origins, file) for item in error.errors(include_url=False)]


def _line(
    item: Any, model: type[BaseModel], values: Mapping[str, Any], origins: Mapping[KeyPath, Origin], file: str
) -> str:
    path = _plain(item["loc"], values)
    if item["type"].startswith("union_tag"):
        path = (*path, "kind")
    origin = _origin(path, origins, file)
    start = f"{origin.where}: {origin.key}: " if origin.key else f"{origin.where}: "
    kind, message = item["type"], item["msg"]
    if kind == "extra_forbidden":
        return f"{start}no such key{_nearest_key(path, model, values)}"
    if kind == "missing":
        return f"{start}missing; add it"
    if kind in ("value_error", "assertion_error"):
        return f"{start}{message.removeprefix('Value error, ')}"
    found = f"found {shown(item['input'])}, "
    if kind in ("literal_error", "union_tag_invalid"):
        expected = str(item["ctx"].get("expected", item["ctx"].get("expected_tags", "")))
        allowed = re.findall(r"'([^']*)'", expected) or [expected]
        given = item["ctx"].get("tag", item["input"])
        near = difflib.get_close_matches(str(given), allowed, n=1, cutoff=0.5)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return f"{start}found {shown(given)}, expected one of {', '.join(allowed)}{hint}"
    if kind == "union_tag_not_found":
        return f"{start}missing; add it"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{start}{found}expected a block of keys"
    quote = isinstance(item["input"], bool | int | float) and kind == "string_type"
    message = message.removeprefix("Input should be ").removeprefix("Input should ").replace("string", "text")
    message = message.replace("dictionary", "block").replace("tuple", "list")
    message = message[0].lower() + message[1:]
    return f"{start}{found}expected {message}{' (put it in quotes)' if quote else ''}"


def _plain(location: KeyPath, values: Any) -> KeyPath:
    """Drop from a pydantic location what is no key: the tag of a union, the mark of a bad dictionary key."""
    path: list[str | int] = []
    here = values
    for part in location:
        absent = not (isinstance(here, Mapping) and part in here)
        if absent and (part == "[key]" or (isinstance(here, Mapping) and here.get("kind") == part)):
            continue
        path.append(part)
        if isinstance(here, Mapping):
            here = here.get(part)
        else:
            here = here[part] if isinstance(here, list | tuple) and isinstance(part, int) and part < len(here) else None
    return tuple(path)


def _origin(path: KeyPath, origins: Mapping[KeyPath, Origin], file: str) -> Origin:
    for length in range(len(path), 0, -1):
        found = origins.get(path[:length])
        if found:
            rest = dotted(path[length:])
            joined = found.key + (f".{rest}" if rest and not rest.startswith("[") else rest)
            return Origin(found.where, joined)
    return Origin(file, dotted(path))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models(part)


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        if name not in ("resolved", "published"):
            for inner in _models(field.annotation):
                yield from _keys(inner, f"{prefix}{name}.")


def _nearest_key(path: KeyPath, model: type[BaseModel], values: Any) -> str:
    """Return the hint for an unknown key: the nearest beside it, or the key of that name elsewhere."""
    candidates = [model]
    here = values
    for part in path[:-1]:
        here = here[part]
        if isinstance(part, int) or not any(part in c.model_fields for c in candidates):
            continue
        candidates = [m for c in candidates if part in c.model_fields for m in _models(c.model_fields[part].annotation)]
        kind = here.get("kind") if isinstance(here, Mapping) else None
        candidates = [m for m in candidates if kind in _kinds(m)] or candidates
    name = str(path[-1])
    beside = [key for c in candidates for key in c.model_fields if key != "resolved"]
    if not difflib.get_close_matches(name, beside, n=1, cutoff=0.5):
        last = {key.rpartition(".")[2]: key for key in reversed(list(_keys(model)))}
        near = difflib.get_close_matches(name, last, n=1, cutoff=0.75)
        if near:
            return f"; did you mean '{last[near[0]]}'?"
    return nearest(name, beside)


def _kinds(model: type[BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get("kind")
    return typing.get_args(field.annotation) if field else ()
