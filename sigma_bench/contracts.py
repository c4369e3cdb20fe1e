"""The small types every part agrees on. Nothing heavy is imported here: torch and pandas only for type checking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import pandas as pd
    import torch

Verified = Literal["released file", "golden", "none"]
Pool = Literal["mean", "cls"]
Order = Literal["natural", "shuffled", "reversed", "frozen"]
"""How the frames of a clip follow each other, see `data.orders`."""


class UserError(Exception):
    """A mistake the user can mend: printed without a traceback, exit code 2.

    The message names the file, the line or key, what was found, what was expected and what to do.
    """


class Stopped(Exception):
    """Work ended early because a signal asked for it, and can go on later: one line, and an exit code of its own.

    It is EX_TEMPFAIL, so that a requeue script can tell a run to go on with from a finished and from a failed one.
    """

    code = 75


@dataclass(frozen=True)
class EncoderSpec:
    """What an encoder is: enough to feed it, to pool it and to describe it in a row."""

    family: str
    backbone: str
    embed_dim: int
    depth: int
    heads: int
    tubelet: int
    patch: int
    frames: int
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    params: int
    has_norm: bool
    default_pool: Pool = "mean"
    verified: Verified = "none"


class Tokens(NamedTuple):
    """Dense features of a batch of clips: `patch_BTHWD` (tubelet grid) and, where there is one, `cls_BD`.

    With `visible` given, `patch_BTHWD` is (B, 1, 1, N_visible, D): the visible tokens in ascending order.
    """

    patch_BTHWD: torch.Tensor
    cls_BD: torch.Tensor | None


@runtime_checkable
class Encoder(Protocol):
    """Anything that turns normalised clips into tokens. Pooling belongs to the evaluator.

    An encoder may besides have `each_layer(clips, layers, norm) -> Iterator[Tokens]`: what `tokens` returns for each of
    the ascending block indices `layers`, in one pass. Without it a sweep over layers takes a pass for each.
    """

    spec: EncoderSpec

    def tokens(
        self, clips: torch.Tensor, layer: int = -1, norm: bool = True, visible: torch.Tensor | None = None
    ) -> Tokens:
        """Return the tokens after block `layer` of float clips (B, 3, T, H, W).

        Args:
            clips: Clips normalised with `spec.mean` and `spec.std`.
            layer: Block index; negative counts from the last.
            norm: Apply the pretraining norm where the encoder has one (only after the last block).
            visible: Boolean (B, N), True = token is shown to the encoder; None shows all.
        """
        ...


@dataclass(frozen=True)
class Run:
    """Where and how an evaluation runs."""

    device: str
    seed: int
    data_root: Path | None
    folder: Path
    limit: int | None = None
    precision: str = "fp32"
    workers: int = 2
    pool: Any = None
    """Decoding processes that the tasks of a command share; None starts some for each use."""
    helpers: Any = None
    """Other processes that compute a share of the features (`features.Helpers`); None: this one computes all."""
    lists: Any = None
    """Lists of one's own videos in place of the task's (`data.datasets.own_lists.OwnLists`)."""
    held: dict[str, Any] | None = None
    """Features that a sweep keeps open from one task to the next, whatever becomes of their cache entries."""
    classifier: Any = None
    """The classifier that a finetuned file holds, which is tested as it is; None: one is trained."""


@dataclass(frozen=True)
class Counts:
    """Samples of the test list: named in it, found on disk, decoded."""

    n_expected: int
    n_present: int
    n_decoded: int


class Listed(Protocol):
    """A list of samples that can say what it is."""

    @property
    def count(self) -> int:
        """Number of samples."""
        ...

    @property
    def sha256(self) -> str:
        """Hash over ids, labels and frame ranges."""
        ...


@dataclass
class Evaluation:
    """What an evaluator returns: metric values, one record a test sample, files it wrote, counts, chosen settings."""

    metrics: dict[str, float]
    samples: pd.DataFrame
    counts: Counts
    artifacts: dict[str, Path] = field(default_factory=dict)
    selection: dict[str, Any] = field(default_factory=dict)
    views: str = ""
    marks: tuple[str, ...] = ()
    train_index: Listed | None = None
    test_index: Listed | None = None
    decoders: dict[str, int] = field(default_factory=dict)
    cached: bool = False
    precision: str = ""
    """Arithmetic of the encoder where the task states it; empty: the run's."""


class Evaluator(Protocol):
    """One protocol, as a module or object with this one function."""

    def evaluate(self, encoder: Encoder, task: Any, run: Run) -> Evaluation:
        """Measure `encoder` on `task`."""
        ...


class Objective(Protocol):
    """What is minimised. The same loop drives pretraining, finetuning and repetition counting.

    Attributes:
        module: What is trained and saved.
        net: The module that `step` calls to get from a batch to losses; the loop replaces it by one that averages
            gradients over processes.
        watch: Set by the loop for the micro-batches of a step that will be logged.
        surveys: Whether `survey` has to see all micro-batches of an optimiser step before the first is stepped.
    """

    module: torch.nn.Module
    net: torch.nn.Module
    watch: bool
    surveys: bool

    def batches(self, epoch: int, offset: int) -> Iterator[Any]:
        """Yield the micro-batches of `epoch`, the first `offset` of them left out."""
        ...

    def survey(self, batches: Sequence[Any]) -> None:
        """Prepare what depends on all micro-batches of an optimiser step; each of them is then stepped in order."""
        ...

    def origin(self, batch: Any) -> dict[str, Any]:
        """Return plain values from which a micro-batch can be made again."""
        ...

    def step(self, batch: Any) -> Mapping[str, torch.Tensor]:
        """Return the losses of a micro-batch; `loss` is the one that is minimised."""
        ...

    def watched(self) -> dict[str, float]:
        """Return numbers of the watched step beside the losses; every process calls this, and gets the same."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs of this process beside weights and optimiser."""
        ...

    def merge(self, states: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the state of the run from those of its processes."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back the state of the run; a run may go on with another number of processes."""
        ...
