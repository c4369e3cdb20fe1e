"""Known checkpoints: the schema of `eval/zoo.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict, StringConstraints

from sigma_bench.spec.base import Count, Spec, Text

Cell = Annotated[str, StringConstraints(max_length=100)]


class Source(Spec):
    """Where a checkpoint was published."""

    host: Literal["huggingface", "github"]
    repo: Text
    """owner/name."""
    path: Text
    """The file, or the page of the repository that links to it."""
    bytes: Count | None = None
    """Size of the file, where it is known."""


class Entry(Spec):
    """One checkpoint. The fields up to `params_m` are cells of published rows, empty where the rows are empty."""

    system: Text
    """How tables and charts name it."""
    method: Text
    variant: Cell
    backbone: Text
    pretrain_data: Cell
    epochs: Cell
    extra_data: Cell
    motion_guidance: Literal["yes", "no", "n/a", ""]
    frames: Cell
    params_m: Cell
    family: Text
    """Adapter that reads the file."""
    heads: Count
    """Attention heads, which no tensor shape tells."""
    sources: Annotated[tuple[Source, ...], Strict(False), Field(min_length=1)]
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = None
    verified: Literal["released file", "golden", "none"]


class Zoo(Spec):
    """All known checkpoints by name."""

    title: Text
    version: Count
    entries: dict[Text, Entry]
