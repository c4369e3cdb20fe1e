"""What a file is, from its first bytes; what is no checkpoint is named as what it is."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from sigma_bench.contracts import UserError

HEAD = 512
LFS_HEAD = b"version https://git-lfs.github.com/spec/"
MARKUP = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")
PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!": "RAR",
}
FOREIGN = {b"\x89HDF\r\n\x1a\n": "an HDF5 file (Keras?)", b"GGUF": "a GGUF file", b"\x93NUMPY": "a NumPy array"}


class Kind(Enum):
    """The three kinds of file that weights are read from."""

    ZIP = "zip"
    LEGACY = "pickle"
    SAFETENSORS = "safetensors"


def check_file(path: Path) -> None:
    """Raise a UserError where a path is no file that can be opened."""
    try:
        folder, there = path.is_dir(), path.exists()
        inner = [p.name for end in ("*.pt*", "*.safetensors", "*.bin") for p in path.glob(end)] if folder else []
    except PermissionError as error:
        raise UserError(f"{path}: may not be read ({error.strerror}); change the permissions of its folder") from error
    if folder:
        hint = f"name the file in it: {', '.join(sorted(inner))}" if inner else "name a checkpoint file"
        raise UserError(f"{path}: is a folder; {hint}")
    if not there:
        raise UserError(f"{path}: no such checkpoint file; check the path or fetch the file")
    if not path.is_file():
        raise UserError(f"{path}: is no ordinary file; name a checkpoint file")


def kind_of(path: Path) -> Kind:
    """Return the kind of a file.

    Raises:
        UserError: It is empty, a Git LFS pointer, a web page, text, packed, or another's format.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        raise UserError(f"{path}: is empty; fetch the checkpoint again")
    if head.startswith(LFS_HEAD):
        raise UserError(f"{path}: is a Git LFS pointer, not the weights; run `git lfs pull` where it came from")
    if head.lstrip().lower().startswith(MARKUP):
        raise UserError(
            f"{path}: is a text file, a web page, not a checkpoint; an error page was downloaded in its place"
        )
    _refuse_others(head, path)
    if head.startswith(b"PK\x03\x04"):
        return Kind.ZIP
    if _is_safetensors(head, path.stat().st_size):
        return Kind.SAFETENSORS
    if not any(byte < 9 or byte > 126 for byte in head):
        start = head[:40].decode("ascii").split("\n")[0]
        raise UserError(f"{path}: is a text file ({start!r}), not a checkpoint; was an error page downloaded instead?")
    return Kind.LEGACY


def _refuse_others(head: bytes, path: Path) -> None:
    for magic, name in PACKED.items():
        if head.startswith(magic):
            raise UserError(f"{path}: is packed with {name}; unpack it and name the checkpoint in it")
    if head[257:262] == b"ustar":
        raise UserError(f"{path}: is a tar archive; unpack it and name the checkpoint in it")
    if head.startswith(b"PK\x05\x06"):
        raise UserError(f"{path}: is an empty zip archive; fetch the checkpoint again")
    for magic, name in FOREIGN.items():
        if head.startswith(magic):
            raise UserError(f"{path}: is {name}, not a file of PyTorch weights")


def _is_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 2 <= length <= size - 8
