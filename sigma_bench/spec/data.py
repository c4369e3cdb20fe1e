"""Where a user's data sets lie: the schema of `data.yaml`."""

from __future__ import annotations

from sigma_bench.spec.base import Spec, Text


class DataPlaces(Spec):
    """The folders of one user. Relative ones are taken from the folder of the file; `~` is the home folder."""

    root: Text | None = None
    """Folder that holds one folder a data set, named after it."""
    datasets: dict[Text, Text] = {}
    """Data set -> its own folder; goes before `root`."""
