"""Archives that are the same bytes for the same files, and that are read without trusting a name in them."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Final

from sigma_bench.contracts import UserError

SUFFIXES: Final = (".zip", ".tar.gz")
EARLIEST: Final = (1980, 1, 1, 0, 0, 0)
"""The date of every member of a ZIP file, which knows none before."""
MOST_FILES: Final = 200_000
MOST_BYTES: Final = 16 * 2**30
LONGEST_NAME: Final = 500
BLOCK: Final = 1 << 20


def check_name(file: Path) -> None:
    """Refuse the name of an archive of no known kind.

    Raises:
        UserError: It ends otherwise.
    """
    if not file.name.endswith(SUFFIXES) or file.name in SUFFIXES:
        raise UserError(f"{file}: expected a name that ends in {' or '.join(SUFFIXES)}")


def write(file: Path, members: Mapping[str, Path]) -> None:
    """Write files to an archive, in the order of their names, without dates, owners and permissions of theirs.

    Args:
        file: The archive; written under another name, then put in its place.
        members: Name in the archive -> file.

    Raises:
        UserError: The name tells no kind of archive.
    """
    check_name(file)
    draft = file.with_name(f".{uuid.uuid4().hex}-{file.name}")
    pack = _write_zip if file.name.endswith(".zip") else _write_tar
    try:
        with open(draft, "xb") as stream:
            pack(stream, dict(sorted(members.items())))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)


def _write_zip(stream: IO[bytes], members: Mapping[str, Path]) -> None:
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, file in members.items():
            info = zipfile.ZipInfo(name, EARLIEST)
            info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
            info.file_size = file.stat().st_size
            with open(file, "rb") as source, archive.open(info, "w") as target:
                shutil.copyfileobj(source, target, BLOCK)


def _write_tar(stream: IO[bytes], members: Mapping[str, Path]) -> None:
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0, compresslevel=6) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, file in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = file.stat().st_size, 0o644
            with open(file, "rb") as source:
                archive.addfile(info, source)


def extract(file: Path, folder: Path) -> list[str]:
    """Write the files of an archive below a folder that is empty, and return their names.

    Raises:
        UserError: It is not there, no archive or damaged; or it holds something else than plain files, a name that
            leads elsewhere, a name twice, or more than can be meant.
    """
    written: dict[str, None] = {}
    left = MOST_BYTES
    with _opened(file) as members:
        for name, size, source in members:
            path = _inside(file, name)
            if path.casefold() in written:
                raise UserError(f"{file}: '{name[:200]}' is in it twice")
            if len(written) >= MOST_FILES or size > left:
                raise UserError(f"{file}: holds more than {MOST_FILES} files or {MOST_BYTES >> 30} GiB; no bundle does")
            written[path.casefold()] = None
            target = folder / path
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                stream = open(target, "xb")  # noqa: SIM115 - closed below; only the opening is guarded
            except (FileExistsError, NotADirectoryError) as error:
                raise UserError(f"{file}: '{name[:200]}' is in it as a file and as a folder") from error
            with stream:
                left -= _copy(file, source, stream, size)
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def _copy(file: Path, source: IO[bytes], target: IO[bytes], size: int) -> int:
    done = 0
    while block := source.read(min(BLOCK, size - done + 1)):
        done += len(block)
        if done > size:
            raise UserError(f"{file}: a file in it is longer than it says")
        target.write(block)
    return done


def _inside(file: Path, name: str) -> str:
    """Return a member's name where it is a plain relative path."""
    path = PurePosixPath(name)
    plain = name == path.as_posix() and not path.is_absolute() and ".." not in path.parts and name not in ("", ".")
    if not plain or "\\" in name or ":" in name or len(name) > LONGEST_NAME or not name.isprintable():
        raise UserError(f"{file}: {name[:200]!r} is no plain relative path; nothing of this archive is used")
    return name


@contextmanager
def _opened(file: Path) -> Iterator[Iterator[tuple[str, int, IO[bytes]]]]:
    """Give (name, size, content) of the members of an archive, whatever it is called."""
    if not file.is_file():
        raise UserError(f"{file}: no such file; expected a bundle ({' or '.join(SUFFIXES)})")
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                yield _zipped(file, archive)
        else:
            with gzip.open(file) as packed, tarfile.open(fileobj=packed, mode="r|") as archive:
                yield _tarred(file, archive)
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise UserError(f"{file}: no sound archive of {' or '.join(SUFFIXES)}: {error}") from error


def _zipped(file: Path, archive: zipfile.ZipFile) -> Iterator[tuple[str, int, IO[bytes]]]:
    for info in archive.infolist():
        if info.is_dir():
            continue
        if info.external_attr >> 16 & 0o170000 not in (0, 0o100000) or info.flag_bits & 1:
            raise UserError(f"{file}: '{info.filename[:200]}' is a link, encrypted, or no plain file")
        with archive.open(info) as source:
            yield info.filename, info.file_size, source


def _tarred(file: Path, archive: tarfile.TarFile) -> Iterator[tuple[str, int, IO[bytes]]]:
    for info in archive:
        if info.isdir():
            continue
        source = archive.extractfile(info) if info.isreg() else None
        if source is None:
            raise UserError(f"{file}: '{info.name[:200]}' is a link or no plain file")
        yield info.name, info.size, source
