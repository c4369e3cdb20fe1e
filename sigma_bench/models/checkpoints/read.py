"""Reading a file of weights without running anything that is in it, and without copying its tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import archive, content, digest, kind, safetensors_file, torch_file
from sigma_bench.models.checkpoints.kind import Kind

LOADERS: dict[Kind, Callable[[Path], Any]] = {
    Kind.ZIP: torch_file.load_zip,
    Kind.LEGACY: torch_file.load_legacy,
    Kind.SAFETENSORS: safetensors_file.load,
}


@dataclass(frozen=True)
class FileContent:
    """A file as it was read: its path, its digest and the plain values and tensors in it.

    The tensors of a zip archive and of a safetensors file lie in the file itself, mapped to memory: what is kept of
    them is to be copied, and `check_unchanged` called after that.
    """

    path: Path
    sha256: str
    content: dict[str, Any]
    stamp: digest.Stamp

    def check_unchanged(self) -> None:
        """Raise a UserError where the file was written to since it was opened."""
        digest.check_unchanged(self.path, self.stamp)


def read(path: Path) -> FileContent:
    """Read a file of weights on the CPU: a torch file of either format, or a safetensors file.

    Nothing in it is run: a pickle may name tensors, plain containers, `argparse.Namespace` and NumPy's numbers
    (`scan.ALLOWED`), is looked through before torch opens it, and is read by torch with `weights_only`. The digest is
    computed, and the checksums of an archive are compared, in other threads beside the loading; both are left out for a
    large file whose digest was kept and that has not changed since.

    Raises:
        UserError: The file is missing, a folder, not to be read, no checkpoint, cut, damaged, changes meanwhile, names
            anything else, or holds no dictionary.
    """
    kind.check_file(path)
    with _readable(path):
        before = digest.stamp(path)
        what = kind.kind_of(path)
        sha256 = digest.known(path, before)
        with ThreadPoolExecutor(2) as threads, _unchanged(path, before):
            hashed = threads.submit(digest.compute, path) if sha256 is None else None
            loaded = LOADERS[what](path)
            content.check(loaded, path)
            if hashed is not None:
                verified = threads.submit(archive.verify, path) if what is Kind.ZIP else None
                sha256 = hashed.result()
                if verified is not None:
                    verified.result()
        if hashed is not None:
            digest.keep(path, before, str(sha256))
    if not isinstance(loaded, dict):
        raise UserError(f"{path}: holds a {type(loaded).__name__}; expected a dictionary of weights")
    return FileContent(path, str(sha256), loaded, before)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise UserError(f"{path}: may not be read ({error.strerror}); change its permissions (chmod u+r)") from error


@contextmanager
def _unchanged(path: Path, before: digest.Stamp) -> Iterator[None]:
    """Check that a file stays the same; where it changed, that is the reason whatever else went wrong."""
    try:
        yield
    finally:
        digest.check_unchanged(path, before)
