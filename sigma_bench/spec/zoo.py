"""Known checkpoints: the schema of `eval/zoo.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict, StringConstraints, model_validator

from sigma_bench.contracts import Verified
from sigma_bench.spec.base import Count, Spec, Text

Cell = Annotated[str, StringConstraints(max_length=100)]
EntryName = Annotated[str, StringConstraints(pattern="^[a-z0-9_]+$")]
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]

HUB = "https://huggingface.co"


class Source(Spec):
    """Where a checkpoint was published."""

    host: Literal["huggingface", "github", "page"]
    """Files of `huggingface` are fetched; what `github` and `page` name is got by hand."""
    repo: Text
    """owner/name."""
    path: Text
    """The file, or the page of the repository that links to it; of `page` an https address."""
    family: Text | None = None
    """Adapter that reads this file, where it is not the one of the entry."""
    bytes: Count | None = None
    """Size of the file, where it is known."""
    sha256: Sha256 | None = None
    """SHA-256 of the file, where it is known."""

    @property
    def url(self) -> str:
        """Return the page a person opens."""
        if self.host == "huggingface":
            return f"{HUB}/{self.repo}/blob/main/{self.path}"
        return f"https://github.com/{self.repo}/blob/HEAD/{self.path}" if self.host == "github" else self.path


class Entry(Spec):
    """One system of the published tables. The fields `method` to `frames` are cells of its rows, empty where they are.

    The published rows it should reproduce are those its cells join (`results.matching`).
    """

    system: Text
    """How tables and charts name it."""
    method: Text
    variant: Cell = ""
    backbone: Text
    pretrain_data: Cell
    epochs: Cell = ""
    extra_data: Cell = ""
    motion_guidance: Literal["yes", "no", "n/a", ""] = "no"
    frames: Cell = "16"
    family: Text | None = None
    """Adapter that reads the file."""
    heads: Count | None = None
    """Attention heads, which no tensor shape tells."""
    sources: Annotated[tuple[Source, ...], Strict(False)] = ()
    """Where its weights are; the first that can be fetched is."""
    wanted: Text | None = None
    """Why there are no weights to evaluate; instead of `sources`."""
    licence: Text = "not stated"
    """Licence of the weights, as the repository that publishes them states it."""
    note: Text | None = None
    """What a value measured with these weights must be read with; a mark of its rows."""
    verified: Verified = "none"
    """What the reading of the weights was checked with: the file itself, a golden vector of its family, nothing."""

    @model_validator(mode="after")
    def _has_weights_or_a_reason(self) -> Entry:
        if bool(self.sources) == (self.wanted is not None):
            raise ValueError("give either sources, or in wanted the reason why there are none")
        if self.sources and (self.family is None or self.heads is None):
            raise ValueError("sources need family and heads, by which they are read")
        if self.wanted is not None and self.verified != "none":
            raise ValueError("without weights nothing was verified")
        return self


class Zoo(Spec):
    """All known checkpoints by name."""

    title: Text
    version: Count
    short: dict[EntryName, EntryName] = {}
    """Short name -> the entry it stands for."""
    entries: dict[EntryName, Entry] = Field(min_length=1)

    @model_validator(mode="after")
    def _short_names_stand_for_entries(self) -> Zoo:
        for name, entry in self.short.items():
            if name in self.entries or entry not in self.entries:
                raise ValueError(f"short name {name}: {entry} must be an entry, and {name} none")
        return self
