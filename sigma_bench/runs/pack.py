"""`sigma-bench data pack`: a data set's videos and pictures in a few tar files."""

from __future__ import annotations

from pathlib import Path

from sigma_bench.data.packing import pack as write
from sigma_bench.runs.copies import ends

MIB = 1 << 20


def pack(name: str, *, out: Path, data: str, data_root: Path | None, shard_mb: int) -> list[str]:
    """Pack a data set below `out`, and return what to say of it.

    Raises:
        UserError: There is no such data set, or it cannot be packed.
    """
    source, target = ends(name, data, data_root, out)
    done = write(source, target, shard_mb * MIB)
    kept = f" ({done.kept} of an earlier run)" if done.kept else ""
    return [
        f"packed: {done.members:,} files, {done.bytes / 1e6:,.0f} MB, in {done.shards} shards{kept}; "
        f"{done.copied} files stay as they are; in {done.root}",
    ]
