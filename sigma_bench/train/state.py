"""Checkpoints of a run: written atomically with a checksum, read safely, enough for an exact resume."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from sigma_bench.contracts import UserError

FORMAT = "sigma-bench/1"
CHUNK = 1 << 22
"""Bytes hashed at a time."""


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write `state` so that `path` holds either the old or the whole new content, whenever the process dies.

    The bytes are hashed on their way to the disk. Their SHA-256 lies beside them in `NAME.sha256`, which `sha256sum
    --check` reads; it is written last, so a file without one is whole too, only less certainly so.

    Raises:
        OSError: The storage takes no more; nothing is left of what was written, and `path` is as before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, checksum = _aside(path), _aside(sidecar(path))
    try:
        with partial.open("wb") as file:
            digest = _write(file, {"format": FORMAT, **state})
            os.fsync(file.fileno())
        _write_text(checksum, f"{digest}  {path.name}\n")
        sidecar(path).unlink(missing_ok=True)  # of the old content
        partial.replace(path)
        checksum.replace(sidecar(path))
    except BaseException:
        partial.unlink(missing_ok=True)
        checksum.unlink(missing_ok=True)
        raise
    _sync_folder(path)


def load(path: Path, device: str = "cpu") -> dict[str, Any]:
    """Read a checkpoint of `save`, never executing code in it.

    Raises:
        UserError: The file is not a checkpoint of a sigma-bench run, or is damaged.
    """
    wrong = damage(path)
    if wrong:
        raise UserError(f"{path}: not a readable checkpoint ({wrong}); resume from another one in {path.parent}")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: not a readable checkpoint ({error}); resume from another one in {path.parent}"
        ) from error
    except Exception as error:
        raise UserError(f"{path}: refused, it holds more than tensors and plain values ({error})") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(f"{path}: not the checkpoint of a sigma-bench run (expected format {FORMAT!r})")
    return state


def sidecar(path: Path) -> Path:
    """Return where the checksum of a file lies."""
    return path.with_name(f"{path.name}.sha256")


def damage(path: Path) -> str:
    """Return what is wrong with the bytes of a file that `save` wrote, empty where nothing is.

    They are compared with the checksum beside them. Where there is none (an earlier version wrote none), those that the
    format keeps of each tensor are compared, which do not cover every byte.

    Raises:
        OSError: The file is not there, or may not be read.
    """
    try:
        expected = sidecar(path).read_text(encoding="ascii").split()[:1]
    except FileNotFoundError:
        return _damaged_archive(path)
    except (UnicodeDecodeError, ValueError):
        expected = []
    if not expected or len(expected[0]) != hashlib.sha256().digest_size * 2:
        return _damaged_archive(path)  # the checksum itself is spoilt
    try:
        found = sha256(path)
    except OSError as error:
        return _unreadable(error)
    size = path.stat().st_size
    return "" if found == expected[0] else f"its {size} bytes have SHA-256 {found[:12]}..., not {expected[0][:12]}..."


def sha256(path: Path) -> str:
    """Return the SHA-256 of the bytes of a file."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a file so that it holds the old or the new text, whenever the process or the machine dies."""
    partial = _aside(path)
    try:
        _write_text(partial, text)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path)


def rng_state() -> dict[str, Any]:
    """Return the state of torch's generators (nothing in the package draws from another global one)."""
    cuda = [t.clone() for t in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def set_rng_state(state: Mapping[str, Any]) -> None:
    """Take back what `rng_state` returned."""
    torch.set_rng_state(state["cpu"].cpu())
    if torch.cuda.is_available() and state["cuda"]:
        torch.cuda.set_rng_state_all([t.cpu() for t in state["cuda"]])


class _Hashed:
    """What torch writes into: it hashes and passes on, and keeps the first error of the storage for later.

    Raised inside torch's writer, that error would come out as another one, or end the process.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.error: OSError | None = None
        self.size = 0

    def write(self, data: Any) -> int:
        """Take bytes; after an error they are dropped."""
        view = memoryview(data).cast("B")
        if self.error is None:
            try:
                for begin in range(0, len(view), CHUNK):
                    self._file.write(view[begin : begin + CHUNK])
                    self.digest.update(view[begin : begin + CHUNK])
            except OSError as error:
                self.error = error
        self.size += len(view)
        return len(view)

    def flush(self) -> None:
        """Do nothing: the file is flushed at its end."""


def _write(file: BinaryIO, state: Mapping[str, Any]) -> str:
    sink = _Hashed(file)
    torch.save(dict(state), sink)  # type: ignore[arg-type]  # all that torch needs of a file to write to it
    if sink.error is not None:
        raise sink.error
    file.flush()
    written = os.fstat(file.fileno()).st_size
    if written != sink.size:
        raise OSError(f"{written} of {sink.size} bytes arrived in {file.name}")
    return sink.digest.hexdigest()


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Have the renames in the folder of `path` outlive a crash of the machine."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _damaged_archive(path: Path) -> str:
    """Compare each member of a torch file with its CRC-32."""
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, RuntimeError) as error:
        return str(error) or type(error).__name__
    except (FileNotFoundError, PermissionError):
        raise
    except OSError as error:
        return _unreadable(error)
    return "" if wrong is None else f"its part {wrong} differs from its CRC-32"


def _unreadable(error: OSError) -> str:
    if isinstance(error, FileNotFoundError | PermissionError):
        raise error
    return f"the storage does not give it back: {error}"
