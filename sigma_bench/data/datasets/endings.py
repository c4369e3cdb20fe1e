"""Which file a video is where copies end its name differently."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sigma_bench.data import files

_log = logging.getLogger(__name__)


def by_stem(folder: Path, endings: Sequence[str]) -> dict[str, str]:
    """Return name without ending -> name, of the files in `folder` that have one of `endings`.

    Of a video with several endings the first of `endings` is taken; a warning counts such videos.
    """
    parts = [os.path.splitext(name) for name in files.names(folder)]
    kept = sorted((endings.index(ending), stem, ending) for stem, ending in parts if ending in endings)
    found: dict[str, str] = {}
    for _, stem, ending in kept:
        found.setdefault(stem, stem + ending)
    if len(found) < len(kept):
        twice = [stem for stem, count in Counter(stem for _, stem, _ in kept).items() if count > 1]
        _log.warning(
            "%s holds %d videos with several endings, the first is %s; the first of %s is read",
            *(folder, len(twice), min(twice), ", ".join(endings)),
        )
    return found
