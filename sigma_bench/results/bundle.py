"""Everything behind a set of numbers as one archive for reviewers: rows, samples, settings, tables, environment.

It says nothing of the machine it was made on but its kind and versions, and the same files give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from sigma_bench.contracts import UserError
from sigma_bench.results import archive, settings
from sigma_bench.results.row import Row
from sigma_bench.results.scrub import Scrubber, absolute
from sigma_bench.results.store import Store, is_suite

if TYPE_CHECKING:
    import pyarrow as pa

ROOT: Final = "sigma-bench-results"
SUMS: Final = "SHA256SUMS"
FACTS: Final = "bundle.json"
ROWS: Final = "rows"
FORMAT: Final = 1
MEASURED_WITH: Final = ("package_version", "git_commit", "torch_version", "device", "decoder_version", "precision")
SCRUBBED: Final = ("system", "variant", "source", "family", "error", "marks", "selection")
"""Columns of a row in which paths and names can stand; the others are names of specs, numbers, hashes and versions."""

README: Final = """# Results of sigma-bench

{rows} rows of {suites}: {kinds}. Made by sigma-bench {version}.

| here | what it is |
|---|---|
| `rows/*.csv` | one row a number; `sigma-bench results show ID` tells what each column means |
| `rows/samples/*.parquet` | what was predicted for each test sample |
| `rows/settings/` | the resolved task of each row: `.yaml` to measure it again, `.json` the bytes that were hashed |
| `tables/` | the tables of the paper with these rows, and tables of what the paper does not have |
| `environment.json` | the versions that packed this, and those the rows were measured with |
| `bundle.json` | what was packed and what was left out, with the reason |
| `SHA256SUMS` | the hash of every other file |

`sha256sum -c SHA256SUMS` checks the files. `sigma-bench results bundle --check FILE` checks besides that every row
reads, that the records of the samples give the value of their row, and that the rows give the tables.
`sigma-bench tables --results rows` draws them, `sigma-bench compare A B --results rows` compares two systems.

Absolute paths were cut to their last part; names of people and machines stand as `user`.
"""


@dataclass
class Packed:
    """What a bundle holds, and what it could not take."""

    rows: int = 0
    samples: int = 0
    settings: int = 0
    left_out: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def pack(
    rows: Sequence[Row],
    folder: Path,
    file: Path,
    scrubber: Scrubber,
    environment: Mapping[str, Any],
    draw: Callable[[Path, Path], None],
    staging: Path,
) -> Packed:
    """Write a bundle and return what it holds.

    Args:
        rows: The rows to pack, in the order they were written.
        folder: The folder of the row files, with `samples/` and `settings/`.
        file: The archive, `.zip` or `.tar.gz`.
        scrubber: Takes paths and names out of texts.
        environment: What to say of this machine: `package_version` and more.
        draw: Draws the tables of a folder of rows into another folder.
        staging: An empty folder for the files before they are packed.

    Raises:
        UserError: There are no rows, the name tells no kind of archive, or the file there is no bundle.
    """
    archive.check_name(file)
    if not rows:
        raise UserError("no rows to pack; `sigma-bench results list` tells what was measured")
    packed = Packed()
    root = staging / ROOT
    store = Store(root / ROWS)
    for row in _renamed(rows, scrubber):
        if not is_suite(row.suite):
            packed.left_out.append(f"row {row.id}: suite {row.suite[:80]!r} is no name of a file")
            continue
        kept = _carry(row, folder, store.folder, scrubber, packed)
        store.append(row.suite, [row.model_copy(update={"artifacts": kept})])
        packed.rows += 1
    draw(store.folder, root / "tables")
    _write_facts(root, rows, packed, environment, scrubber)
    members = {p.relative_to(staging).as_posix(): p for p in sorted(root.rglob("*")) if p.is_file()}
    members = {name: path for name, path in members.items() if not path.name.endswith(".lock")}
    sums = "".join(f"{digest(path)}  {name.removeprefix(f'{ROOT}/')}\n" for name, path in members.items())
    (root / SUMS).write_text(sums, encoding="utf-8", newline="\n")
    members[f"{ROOT}/{SUMS}"] = root / SUMS
    for name, path in members.items():
        if path.suffix != ".parquet" and (leak := absolute(path.read_text(encoding="utf-8"))):
            raise UserError(f"{name} would tell of this machine: {leak!r}; nothing was written")
    archive.write(file, members)
    packed.files = list(members)
    return packed


def digest(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _renamed(rows: Sequence[Row], scrubber: Scrubber) -> Iterable[Row]:
    """Yield the rows without paths and names; systems that differed do so still."""
    taken: dict[str, str] = {}
    names: dict[str, str] = {}
    for row in rows:
        if row.system not in names:
            name = scrubber.text(row.system)
            if taken.get(name, row.system) != row.system:
                name = f"{name} ({row.checkpoint_sha256[:8]})"
            names[row.system] = name
            taken.setdefault(name, row.system)
        changed = {column: scrubber.value(getattr(row, column)) for column in SCRUBBED if column != "system"}
        yield row.model_copy(update={**changed, "system": names[row.system]})


def _carry(row: Row, folder: Path, into: Path, scrubber: Scrubber, packed: Packed) -> dict[str, str]:
    """Copy the files that belong to a row, and return its artifacts as far as they are packed."""
    names = {f"{settings.FOLDER}/{row.settings_sha256}.{suffix}": "" for suffix in ("json", "yaml")}
    names |= {path: name for name, path in row.artifacts.items()}
    kept: dict[str, str] = {}
    for path, name in names.items():
        place = PurePosixPath(path)
        inside = not place.is_absolute() and ".." not in place.parts and len(place.parts) == 2
        known = inside and place.parts[0] in (settings.FOLDER, "samples")
        if not known or not (folder / place).resolve().is_relative_to(folder.resolve()):
            packed.left_out.append(f"row {row.id}: {name} is no file of the folder of rows")
            continue
        if not (folder / place).is_file():
            if name:
                packed.left_out.append(f"row {row.id}: {path} is not there")
            continue
        if not (into / place).exists():
            reason = _copied(folder / place, into / place, scrubber)
            if reason:
                packed.left_out.append(f"row {row.id}: {path} {reason}")
                continue
            packed.samples += place.suffix == ".parquet"
            packed.settings += place.suffix == ".yaml"
        if name:
            kept[name] = path
    return kept


def _copied(file: Path, target: Path, scrubber: Scrubber) -> str:
    """Copy a file of samples or settings without paths and names; return why it was not, empty where it was."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix != ".parquet":
        text = file.read_text(encoding="utf-8")
        if scrubber.leaks(text):
            return "names a folder of this machine, and its hash must stay"
        target.write_bytes(file.read_bytes())
        return ""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        return f"cannot be read ({type(error).__name__})"
    clean = _clean(table, scrubber)
    if clean is None:
        return "has ids that are told apart by their folder only"
    pq.write_table(clean, target)
    return ""


def _clean(table: pa.Table, scrubber: Scrubber) -> pa.Table | None:
    """Return records without paths and names in their texts, None where ids would no longer differ."""
    import pyarrow as pa

    for place, column in enumerate(table.schema):
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            continue
        texts = table.column(place).to_pylist()
        changed = [None if text is None else scrubber.text(text) for text in texts]
        if changed == texts:
            continue
        if column.name == "id" and len(set(changed)) < len(set(texts)):
            return None
        table = table.set_column(place, column, pa.array(changed, column.type))
    return table


def _write_facts(
    root: Path, rows: Sequence[Row], packed: Packed, environment: Mapping[str, Any], scrubber: Scrubber
) -> None:
    """Write `environment.json`, `bundle.json` and the read-me."""
    suites = sorted({row.suite for row in rows})
    kinds = {kind: sum(row.data == kind for row in rows) for kind in ("official", "custom", "miniature")}
    told = [
        f"{count} on {'generated miniatures' if kind == 'miniature' else f'{kind} data'}"
        for kind, count in kinds.items()
        if count
    ]
    measured = {tuple(scrubber.text(str(getattr(row, name))) for name in MEASURED_WITH) for row in rows}
    content = {
        "packed_with": scrubber.value(dict(environment)),
        "measured_with": [dict(zip(MEASURED_WITH, one, strict=True)) for one in sorted(measured)],
    }
    facts = {
        **{"format": FORMAT, "package_version": environment["package_version"], "rows": packed.rows},
        **{"samples": packed.samples, "settings": packed.settings, "suites": suites, "data": kinds},
        "left_out": [scrubber.text(reason) for reason in dict.fromkeys(packed.left_out)],
    }
    readme = README.format(
        rows=packed.rows,
        suites=f"suite {suites[0]}" if len(suites) == 1 else f"the suites {', '.join(suites)}",
        kinds=", ".join(told),
        version=environment["package_version"],
    )
    for name, text in (
        ("environment.json", json.dumps(content, indent=1, sort_keys=True) + "\n"),
        (FACTS, json.dumps(facts, indent=1, sort_keys=True) + "\n"),
        ("README.md", readme),
    ):
        (root / name).write_text(text, encoding="utf-8", newline="\n")
