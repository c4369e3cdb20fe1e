"""`sigma-bench data where`: in which folder each data set is found, and by which rule."""

from __future__ import annotations

from pathlib import Path

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data import roots
from sigma_bench.runs.check.lists import NOT_DATA_SETS, names


def where(name: str | None, given: Path | None) -> list[str]:
    """Return a line for each data set (one in detail where `name` is given).

    Raises:
        UserError: No such data set, or the user's file is faulty.
    """
    if name is None:
        known = names()
        width = max(map(len, known))
        return [f"{n:<{width}}  {_line(n, given)}" for n in known] + ["", _rules()]
    if name not in (*names(), *registry.DRAWN_FROM.values()) or name in NOT_DATA_SETS:
        registry.get("datasets", name)
        raise UserError(f"{name} is the reader of any folder, not a data set")
    lines = [f"{name}  {_line(name, given)}"]
    lines += [f"  {'there' if p.folder.is_dir() else 'not there':<9}  {p}" for p in roots.places(name, given)]
    return [*lines, "", _rules()]


def _line(name: str, given: Path | None) -> str:
    try:
        found = roots.find(name, given)
        return f"found     {found}" if found is not None else f"expected  {roots.places(roots.home(name), given)[0]}"
    except UserError as error:
        return f"faulty    {error}"


def _rules() -> str:
    state = "there" if roots.config_file().is_file() else "not there"
    return (
        f"looked for by --data-root (which decides alone), ${roots.VARIABLE}, {roots.config_file()} ({state}), "
        f"./{roots.HERE}; the first folder that exists is taken"
    )
