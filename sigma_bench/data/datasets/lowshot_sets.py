"""Low-shot data sets of SEVERE (UCF 10^3, Gym 10^3): a drawn part of a training list, the whole of every other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from sigma_bench import registry
from sigma_bench.data import lowshot
from sigma_bench.data.index import Index


@dataclass(frozen=True)
class LowShot:
    """The data set `source` with `size` training samples by the rule of `lowshot.pick`."""

    source: str
    size: int = lowshot.SIZE

    @property
    def name(self) -> str:
        """Name of the data set."""
        return f"{self.source}_{self.size}"

    def read(self, root: Path, split: str, *, fold: int = 1) -> Index:
        """Return the part that is drawn from the train list, or another list as it is.

        The draw is from the whole list, whether its files are there or not: which samples are trained on never
        depends on what a copy has lost.

        Args:
            root: Folder of the data set that it is drawn from.
            split: As for that data set.
            fold: As for that data set; the published part of UCF101 is that of fold 1.

        Raises:
            UserError: That data set cannot be read.
        """
        index: Index = registry.get("datasets", self.source)(root, split, fold=fold)
        if split == "train":
            index = lowshot.subset(index, self.size)
        return replace(index, name=self.name)


ucf101_1000 = LowShot("ucf101").read
gym99_1000 = LowShot("gym99").read
