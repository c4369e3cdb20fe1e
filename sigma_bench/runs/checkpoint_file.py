"""The file that a `--ckpt` names, for commands that need more of it than its encoder."""

from __future__ import annotations

from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.runs import fetch
from sigma_bench.spec import load
from sigma_bench.train import folder


def checkpoint_file(name: str, specs: Path | None = None) -> Path:
    """Return the file of a path, a run folder (its newest checkpoint), a zoo entry, ZOO-NAME=FILE, or an address.

    Raises:
        UserError: There is none, or it cannot be fetched.
    """
    if fetch.is_address(name):
        return fetch.fetch(name).path
    path = Path(name)
    if path.is_dir():
        newest = folder.newest(path / "checkpoints")
        if newest is None:
            raise UserError(f"--ckpt {path}: a folder without checkpoints/step-N.pt; name a run folder or a file")
        return newest
    if path.is_file():
        return path
    zoo = load.zoo(specs=specs)
    asked, equals, file = name.partition("=")
    asked = zoo.short.get(asked, asked)
    if asked in zoo.entries and equals and Path(file).is_file():
        return Path(file)
    if asked in zoo.entries and not equals:
        return fetch.fetch_entry(asked, zoo.entries[asked])[0].path
    raise UserError(f"--ckpt {name}: no such file, run folder or zoo entry (sigma-bench list zoo)")
