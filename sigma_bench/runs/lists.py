"""`sigma-bench data lists`: where the official lists are published, whether they are in place, and fetching them."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data import roots
from sigma_bench.data.datasets import sources
from sigma_bench.data.datasets.sources import Source

TIMEOUT_S = 30.0
MOST_BYTES = 64 << 20
"""No list is larger; of an archive, what it holds in all."""

State = Literal["in place", "not verified", "differs", "not here"]


@dataclass(frozen=True)
class Standing:
    """A source and whether its file is in place.

    Attributes:
        source: Where it is published.
        target: Where it is, or belongs.
        state: `in place`: with the published hash; `not verified`: there, but no published hash is known;
            `differs`: there with another hash; `not here`.
        said: What was done or failed.
    """

    source: Source
    target: Path
    state: State
    said: str = ""


def lists(name: str | None, given: Path | None, *, fetch: bool = False, as_json: bool = False) -> tuple[list[str], int]:
    """Return the lines to show and the exit code: 0 all lists are in place, 1 some are not.

    Args:
        name: A data set; None tells of all.
        given: Folder of the data sets.
        fetch: Fetch what is not here, into the folder of the data set. What differs is never overwritten.
        as_json: One JSON object.

    Raises:
        UserError: No such data set, or none of its lists is published apart.
    """
    known = dict.fromkeys([s.dataset for s in sources.SOURCES] + [p.dataset for p in sources.PAGES])
    chosen = list(known) if name is None else [roots.home(name)]
    if name is not None and chosen[0] not in known:
        if name in registry.names("datasets"):
            raise UserError(f"{name} has no lists of its own")
        raise UserError(f"no data set '{name}'; lists are known of {', '.join(known)}")
    found = [_standing(s, given) for dataset in chosen for s in sources.of(dataset)[0]]
    if fetch:
        found = [_fetched(standing) if standing.state == "not here" else standing for standing in found]
    code = 0 if all(s.state in ("in place", "not verified") for s in found) else 1
    if as_json:
        pages = [asdict(page) for dataset in chosen for page in sources.of(dataset)[1]]
        listed = [{**asdict(s), "target": str(s.target)} for s in found]
        return [json.dumps({"lists": listed, "pages": pages, "exit_code": code}, indent=1)], code
    out: list[str] = []
    for dataset in chosen:
        out += _shown(dataset, [s for s in found if s.source.dataset == dataset])
    return out, code


def content_sha256(folder: Path, name: str) -> str:
    """Return the hash of a folder: of one line `<name>/<path> <sha256>` a file, sorted by path."""
    digest = hashlib.sha256()
    paths = sorted(f"{name}/{p.relative_to(folder).as_posix()}" for p in folder.rglob("*") if p.is_file())
    for path in paths:
        own = _sha256((folder / PurePosixPath(path).relative_to(name)).read_bytes())
        digest.update(f"{path} {own}\n".encode())
    return digest.hexdigest()


def download(url: str) -> bytes:
    """Return what an https address holds.

    Raises:
        OSError: It cannot be reached, is no https address, or what came is cut short or larger than any list.
    """
    if not url.startswith("https://"):
        raise OSError(f"{url} is no https address")
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        if not answer.geturl().startswith("https://"):
            raise OSError(f"{url} leads to {answer.geturl()}, which is no https address")
        content: bytes = answer.read(MOST_BYTES + 1)
        to_come = answer.length
    if len(content) > MOST_BYTES:
        raise OSError(f"{url} is larger than {MOST_BYTES >> 20} MiB, which no list is")
    if to_come:
        raise OSError(f"{url} broke off after {len(content)} bytes, {to_come} before its end; try again")
    return content


def _standing(source: Source, given: Path | None) -> Standing:
    place = roots.find(source.dataset, given)
    folder = place.folder if place is not None else roots.base(given) / source.dataset
    candidates = [folder / below / (source.unpacked or source.place) for below in source.below]
    target = next((path for path in candidates if path.exists()), candidates[0])
    return Standing(source, target, _state(source, target))


def _state(source: Source, target: Path) -> State:
    if not target.exists():
        return "not here"
    sha256 = source.unpacked_sha256 if source.unpacked else source.sha256
    if sha256 is None:
        return "not verified"
    if target.is_dir() != bool(source.unpacked):
        return "differs"
    own = content_sha256(target, source.unpacked) if source.unpacked else _sha256(target.read_bytes())
    return "in place" if own == sha256 else "differs"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _fetched(standing: Standing) -> Standing:
    """Fetch a list that is not here; whatever fails is told, and nothing is left half written."""
    source, target = standing.source, standing.target
    try:
        content = download(source.url)
    except (OSError, urllib.error.URLError, http.client.HTTPException) as error:
        return Standing(source, target, "not here", f"could not be fetched: {error}")
    found = _sha256(content)
    if source.sha256 is not None and found != source.sha256:
        return Standing(source, target, "not here", f"what was fetched has SHA-256 {found}; not kept")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _put(target, (lambda draft: _unpack(content, source.unpacked, draft)) if source.unpacked else content)
    except (zipfile.BadZipFile, zlib.error, UserError) as error:
        return Standing(source, target, "not here", f"what was fetched cannot be unpacked: {error}")
    except OSError as error:
        return Standing(source, target, "not here", f"what was fetched cannot be written: {error}")
    return Standing(source, target, _state(source, target), f"fetched, SHA-256 {found}")


def _put(target: Path, content: bytes | Callable[[Path], None]) -> None:
    """Put a file, or the folder that `content` fills, at `target`, whole or not at all, over nothing."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as place:
        draft = Path(place) / target.name
        if isinstance(content, bytes):
            draft.write_bytes(content)
            os.link(draft, target)
        else:
            content(draft)
            os.rename(draft, target)


def _unpack(content: bytes, prefix: str, draft: Path) -> None:
    """Write the files of an archive that lie below `prefix` to `draft`.

    Raises:
        UserError: A name leads out of the folder, the archive holds too much, or nothing below `prefix`.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = [e for e in archive.infolist() if not e.is_dir() and e.filename.startswith(f"{prefix}/")]
        if not entries or sum(e.file_size for e in entries) > MOST_BYTES:
            raise UserError(f"it holds {len(entries)} files below {prefix}/, or more than {MOST_BYTES >> 20} MiB")
        for entry in entries:
            parts = PurePosixPath(entry.filename).parts
            if "\\" in entry.filename or ".." in parts:
                raise UserError(f"it holds the name {entry.filename!r}, which leads out of the folder")
            path = draft.joinpath(*parts[1:])
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as packed, path.open("xb") as file:
                shutil.copyfileobj(packed, file)


def _shown(dataset: str, found: list[Standing]) -> list[str]:
    out = [dataset]
    for standing in found:
        source = standing.source
        out.append(f"  {standing.state:<12}  {source.what}")
        out.append(f"      belongs at  {standing.target}")
        where = f"{source.repository} @ {source.commit} : {source.path}" if source.repository else source.url
        out.append(f"      published   {where}")
        out.append(f"      SHA-256     {source.sha256 or 'not known: what is there is not verified'}")
        if standing.state == "differs":
            out.append(
                "      it is another file and left as it is; data check tells whether it holds the published list"
            )
            out.append("      all the same (line ends may differ), and rows on another are marked `list: other`")
        if standing.said:
            out.append(f"      {standing.said}")
        if standing.state == "not here":
            what = f"the folder {source.unpacked} of {source.url}" if source.unpacked else source.url
            out.append(f"      {'' if standing.said else 'fetch it with --fetch, or '}place {what} there by hand")
    out += [f"  page          {page.what}: {page.url}" for page in sources.of(dataset)[1]]
    return out
