"""A row: one metric of one measurement, with everything that is needed to repeat and to judge it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from pathlib import PurePath
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

SCHEMA_VERSION: Final = 1
LONGEST_TEXT = 20_000
MOMENT: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"
"""How a time is written, in ASCII digits alone."""
SETTING: Final = "setting "
"""Begins the mark of a setting that was overridden for this measurement (`setting probe.epochs=30`)."""

Data = Literal["official", "miniature", "custom"]
Status = Literal["ok", "partial", "failed"]


def now() -> str:
    """Return the present moment in UTC, ISO 8601 with microseconds, so that later moments sort later."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _storable(text: Any) -> Any:
    """Spell out lone surrogates, which UTF-8 cannot hold (they come from undecodable file names in messages)."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(text, str) else text


def _shortened(text: Any) -> Any:
    text = _storable(text)
    return text if not isinstance(text, str) or len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 6] + " [cut]"


def _plain(content: Any) -> Any:
    """Return what JSON makes of `content`, so that a row is the same before and after it was written."""
    try:
        return json.loads(json.dumps(content, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"not plain JSON: {error}") from error


def _posix(files: Any) -> Any:
    if not isinstance(files, dict):
        return files
    return {name: path.as_posix() if isinstance(path, PurePath) else path for name, path in files.items()}


Text = Annotated[str, BeforeValidator(_storable), StringConstraints(max_length=LONGEST_TEXT)]
Name = Annotated[str, BeforeValidator(_storable), StringConstraints(min_length=1, max_length=LONGEST_TEXT)]
Message = Annotated[str, BeforeValidator(_shortened)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Natural = Annotated[int, Field(ge=0)]


class Key(NamedTuple):
    """What identifies a measurement: the same key again is the same measurement."""

    checkpoint_sha256: str
    task: str
    task_version: int
    settings_sha256: str
    seed: int
    train_sha256: str
    test_sha256: str
    limit: int | None
    metric: str


key_of: Final = attrgetter(*Key._fields)
"""The key of a row as a bare tuple, equal to it and quicker to make."""


class Row(BaseModel):
    """One line of a row file. Several metrics of an evaluation are several rows.

    `system` to `params_m` describe what was measured; method, variant, backbone, pretrain_data, epochs and
    motion_guidance are spelled as in published.csv and join a row to its published value.
    """

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        use_attribute_docstrings=True,
    )

    schema_version: Literal[1] = SCHEMA_VERSION
    """Version of this list of columns."""
    measured_at: Annotated[str, StringConstraints(pattern=MOMENT)] = Field(default_factory=now)
    """When the row was made, UTC; of two rows with one key the later counts."""

    system: Name
    """Name of what was measured: a recipe, a zoo entry, the name given with `--as`, or the path of a checkpoint."""
    method: Text = ""
    """Method as in published.csv (`SIGMA-DINO`); empty: a system without a published value."""
    variant: Text = ""
    """Departure from the method's default, as in published.csv (`prototypes=1000`); empty: none."""
    backbone: Text = ""
    """Architecture (`ViT-B`)."""
    pretrain_data: Text = ""
    """Data of the pretraining (`K400`, `SSv2`, `mini SSv2`, `supervised`)."""
    epochs: Text = ""
    """Epochs of the pretraining, as text because of `1600+400`; of a checkpoint in mid-run those it had seen."""
    step: Natural | None = None
    """Optimiser steps that the weights had taken in their pretraining; empty: not known."""
    steps: Natural | None = None
    """Optimiser steps of the whole pretraining; a row with fewer in `step` is of a run that had not ended."""
    extra_data: Text = ""
    """Further data that had a part in the weights (`IN-1K` of a DINO teacher)."""
    motion_guidance: Literal["yes", "no", "n/a", ""] = ""
    """Whether the masks of the pretraining followed motion."""
    frames: Text = ""
    """Frames of an input clip, as text because of `8+32`."""
    params_m: Annotated[float, Field(ge=0)] | None = None
    """Millions of parameters of the encoder."""
    checkpoint_sha256: Sha256
    """Hash of the weights: of the file, or of the tensors where there is no file."""
    source: Text = ""
    """Where the weights were fetched from, with the commit (`hf://owner/name/file@commit`); empty: a file at hand."""
    family: Text = ""
    """Family of checkpoints whose adapter read the file."""
    family_guessed: bool = False
    """The family was recognised by the file's content, nobody named it."""

    suite: Name
    """The suite this belongs to; the row lies in `<suite>.csv`."""
    task: Name
    """Id of the task, its path under `tasks/` (`linear/ssv2`)."""
    task_version: Annotated[int, Field(ge=1)]
    """Version of the task; values of different versions are not the same quantity."""
    evaluator: Name
    """Name of the protocol that measured (`linear`, `linear_released`)."""
    profile: Text = ""
    """Profile of the task's settings (`released`, `paper`); empty: the settings of the task file itself."""
    selection: Annotated[dict[str, Any], BeforeValidator(_plain)] = {}
    """Settings chosen on held-out data, with the whole grid (JSON)."""
    settings_sha256: Sha256
    """Hash of the resolved task."""
    train_count: Natural = 0
    """Samples of the training list."""
    train_sha256: Sha256 | Literal[""] = ""
    """Hash of the training list (ids, labels, frame ranges)."""
    train_present: Natural | None = None
    """Samples of the training list whose file was there."""
    test_count: Natural = 0
    """Samples of the test list."""
    test_sha256: Sha256 | Literal[""] = ""
    """Hash of the test list."""
    views: Text = ""
    """Views of a test sample, clips x crops, and how they are put together."""

    metric: Name
    """Name of the metric as in published.csv (`top1`, `miou`, `mean_class_acc`, `mean_count_error`, `map`)."""
    value: float | None = None
    """The value over decoded samples, in the unit of published.csv: percent (0 to 100), counting errors as ratio."""
    value_missing_wrong: float | None = None
    """The value when each sample that could not be decoded counts as wrong."""
    interval_low: float | None = None
    """Lower end of the 95 % interval over test samples."""
    interval_high: float | None = None
    """Upper end of it."""
    seed: int = 0
    """Seed of the evaluation (and of the pretraining, where the run made its own weights)."""
    n_expected: Natural = 0
    """Samples that should have been measured: the test list, or `limit` of it."""
    n_present: Natural = 0
    """Those whose file is there."""
    n_decoded: Natural = 0
    """Those that were decoded; `value` is over these."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Only this many samples were asked for; empty: all."""
    data: Data
    """`official` data, a generated `miniature`, or `custom` data of the user; these never share a table."""

    decoder: Text = ""
    """Video decoders used."""
    decoder_version: Text = ""
    """Their versions."""
    precision: Text = ""
    """Arithmetic of the encoder (`fp32`, `bf16`)."""
    package_version: Text = ""
    """Version of sigma-bench."""
    git_commit: Text = ""
    """Commit of the checkout, with `+` where files were changed; empty: not a checkout."""
    torch_version: Text = ""
    """Version of torch."""
    device: Text = ""
    """Name of the device."""
    seconds: Annotated[float, Field(ge=0)] | None = None
    """Wall-clock seconds of the evaluation."""

    status: Status
    """`ok`; `partial`: not all samples were decoded; `failed`: no value."""
    error: Message = ""
    """Why it failed or is partial (at most 20,000 characters)."""
    marks: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    """Remarks a table must print with the value (JSON)."""
    artifacts: Annotated[dict[Name, Text], BeforeValidator(_posix)] = {}
    """Files the evaluation wrote, name -> path, with `/` (JSON)."""

    @model_validator(mode="after")
    def _coherent(self) -> Row:
        if fault := self.incoherence():
            raise ValueError(fault)
        return self

    def incoherence(self) -> str:
        """Return what contradicts itself in the row, empty where nothing does."""
        if (self.value is None) != (self.status == "failed"):
            return f"status '{self.status}' with value {self.value}: a value is absent if and only if it failed"
        if not self.n_decoded <= self.n_present <= self.n_expected:
            return (
                f"n_decoded {self.n_decoded}, n_present {self.n_present}, n_expected {self.n_expected}: "
                "each may at most be the next"
            )
        if self.status == "ok" and self.n_decoded < self.n_expected:
            return f"status 'ok' with {self.n_decoded} of {self.n_expected} samples; use 'partial'"
        return ""

    @classmethod
    def of_valid(cls, values: dict[str, Any]) -> Row:
        """Return the row of values that were validated one by one, all fields given, in their order.

        Pydantic's own way (`model_construct`) takes ten times as long, which a hundred thousand rows notice.
        """
        row = cls.__new__(cls)
        object.__setattr__(row, "__dict__", values)
        object.__setattr__(row, "__pydantic_fields_set__", _ALL)
        object.__setattr__(row, "__pydantic_extra__", None)
        object.__setattr__(row, "__pydantic_private__", None)
        return row

    @property
    def key(self) -> Key:
        """What identifies the measurement; a row of the same key is skipped, or supersedes with `--force`."""
        return Key._make(key_of(self))

    @property
    def digest(self) -> str:
        """Hash of key and time (of their JSON), 16 hexadecimal digits."""
        return digest_of(key_text(*_SHARED(self)), self.checkpoint_sha256, self.seed, self.measured_at)

    @property
    def id(self) -> str:
        """Name for files of this row: task and metric in plain letters, the hash of key and time."""
        return re.sub(r"[^A-Za-z0-9]+", "-", f"{self.task}-{self.metric}").strip("-")[:60] + f"-{self.digest}"


_ALL: Final = set(Row.model_fields)
_OWN: Final = ("checkpoint_sha256", "seed")
"""Parts of the key in which runs of one system on one task differ."""
_SHARED: Final = attrgetter(*(name for name in Key._fields if name not in _OWN))


@lru_cache(4096)
def key_text(*shared: object) -> str:
    """Return the JSON of key and time with gaps for weights, seed and time, given the other parts of the key."""
    others = iter(shared)
    parts = ["%s" if name in _OWN else json.dumps(next(others)).replace("%", "%%") for name in Key._fields]
    return f"[{', '.join(parts)}, %s]"


def digest_of(text: str, checkpoint_sha256: str, seed: int, measured_at: str) -> str:
    """Return the hash of a `key_text` whose gaps are filled."""
    whole = text % (f'"{checkpoint_sha256}"', seed, f'"{measured_at}"')
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def key_texts(rows: Iterable[Row]) -> list[str]:
    """Return the `key_text` of each row."""
    return [key_text(*_SHARED(row)) for row in rows]
