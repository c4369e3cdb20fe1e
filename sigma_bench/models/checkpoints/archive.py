"""The zip archive that a torch file is: its directory, checked before torch opens it."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints.scan import Damaged, Scan, scan

CHUNK = 1 << 20
PICKLE = "data.pkl"
CUT = "is damaged or cut short; fetch it again"


def inspect(path: Path) -> Scan:
    """Check an archive and return what its pickle names.

    Entries are stored as they are, inside one folder, none larger than the file; each tensor's bytes are in one.

    Raises:
        UserError: It is cut short, compressed, encrypted, none of torch's, its entries overlap or leave its folder, or
            a tensor has more bytes in the pickle than in the archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            folder = _folder(entries, path)
            _check_sizes(entries, path)
            _check_places(entries, folder, path)
            pickle = archive.getinfo(f"{folder}/{PICKLE}")
            if pickle.CRC == 0:
                del pickle.CRC  # no checksum: see `verify`
            with archive.open(pickle) as stream:
                content = stream.read()
    except (zipfile.BadZipFile, EOFError, NotImplementedError, UnicodeError, ValueError) as error:
        raise UserError(f"{path}: the archive {CUT} ({error})") from error
    try:
        found = scan(BytesIO(content))
    except Damaged as error:
        raise UserError(f"{path}: the list of its tensors ({PICKLE}) {CUT} ({error})") from error
    _check_storages(found, {entry.filename: entry.file_size for entry in entries}, folder, path)
    return found


def verify(path: Path) -> None:
    """Compare the bytes of every entry with its checksum; 0 is no checksum (torch can be told to leave them out).

    Raises:
        UserError: The bytes of an entry are not those that were written.
    """
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            try:
                with archive.open(entry) as stream:
                    while entry.CRC and stream.read(CHUNK):
                        pass
            except (zipfile.BadZipFile, EOFError) as error:
                raise UserError(
                    f"{path}: the bytes of its entry {entry.filename} are not those that were written; fetch it again"
                ) from error


def _folder(entries: list[zipfile.ZipInfo], path: Path) -> str:
    names = [entry.orig_filename for entry in entries]
    folders = [name.removesuffix(f"/{PICKLE}") for name in names if name.count("/") == 1 and name.endswith(PICKLE)]
    if any(name.endswith("/constants.pkl") for name in names):
        raise UserError(
            f"{path}: is a TorchScript archive, a program; save its weights alone: "
            "torch.save(torch.jit.load(FILE).state_dict(), NEW)"
        )
    if len(folders) != 1:
        shown = ", ".join(names[:3]) or "nothing"
        raise UserError(
            f"{path}: is a zip archive of {len(names)} files ({shown}), not a torch file; unpack it and name the "
            "checkpoint in it"
        )
    return folders[0]


def _check_sizes(entries: list[zipfile.ZipInfo], path: Path) -> None:
    size = path.stat().st_size
    for entry in entries:
        name = entry.orig_filename
        if entry.flag_bits & 1:
            raise UserError(f"{path}: refused, its entry {name} is encrypted; torch writes none")
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise UserError(
                f"{path}: refused, its entry {name} is compressed ({entry.compress_size} bytes that claim to become "
                f"{entry.file_size}); torch compresses none. Unpack it, or save it again with torch.save"
            )
        if entry.file_size > size:
            raise UserError(f"{path}: refused, its entry {name} claims {entry.file_size} bytes, the file has {size}")


def _check_places(entries: list[zipfile.ZipInfo], folder: str, path: Path) -> None:
    seen: set[str] = set()
    end, before = 0, ""
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        name = entry.orig_filename
        parts = name.split("/")
        if parts[0] != folder or ".." in parts or "\\" in name or "\0" in name:
            raise UserError(f"{path}: refused, its entry {name!r} lies outside its folder {folder!r}")
        if name in seen:
            raise UserError(f"{path}: refused, its entry {name} is there twice")
        if entry.header_offset < end:
            raise UserError(f"{path}: refused, its entries {before} and {name} share bytes")
        seen.add(name)
        end, before = entry.header_offset + entry.compress_size, name


def _check_storages(found: Scan, sizes: dict[str, int], folder: str, path: Path) -> None:
    for key, wanted in found.storages.items():
        name = f"{folder}/data/{key}"
        if name not in sizes:
            raise UserError(f"{path}: the bytes of a tensor ({name}) are missing; fetch it again")
        if wanted > sizes[name]:
            raise UserError(
                f"{path}: a tensor claims {wanted} bytes of {name}, which has {sizes[name]}; the file is damaged"
            )
