"""What a frozen encoder makes of the views of samples, batch by batch: nothing is kept here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from sigma_bench.contracts import Encoder, EncoderSpec, Run, Tokens, UserError
from sigma_bench.data import transforms
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.index import Index
from sigma_bench.data.views import Views, requests, sample_views
from sigma_bench.models.pooling import pool_tokens
from sigma_bench.models.selection import block_of

GIVEN_UP = "given up: "
"""Begins the error of a file that another attempt might decode."""
VIEWS_AT_A_TIME = 64
"""About so many views are encoded in one batch."""
DENSE = "tokens"
"""Pooling that keeps every token, in half precision."""
DENSE_FP32 = "tokens_fp32"
"""Pooling that keeps every token as it is."""
EVERY = (DENSE, DENSE_FP32)


@dataclass(frozen=True, order=True)
class Kind:
    """What is kept of a view: the tokens after a block, as one vector or (`EVERY`) all of them."""

    layer: int
    pool: str

    def shape(self, spec: EncoderSpec) -> tuple[int, ...]:
        """Return the shape of one view: (D,), or (N, D) of all tokens in the order of time, height and width."""
        if self.pool not in EVERY:
            return (spec.embed_dim,)
        return (spec.frames // spec.tubelet * (spec.image_size // spec.patch) ** 2, spec.embed_dim)

    @property
    def dtype(self) -> type[np.floating]:
        """The type the values are kept in."""
        return np.float16 if self.pool == DENSE else np.float32

    def bytes(self, spec: EncoderSpec) -> int:
        """Return what one view takes."""
        return int(np.prod(self.shape(spec))) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Asked:
    """What is computed of every sample, in one pass: `kinds` of each of its `views`."""

    views: Views
    norm: bool
    kinds: tuple[Kind, ...]


@dataclass
class Batch:
    """Some samples that went through the encoder together.

    Attributes:
        places: Where these stand in the sequence of rows that was asked for, those that failed among them.
        done: Of these, those that were decoded, in the order of `values`.
        values: One array a kind, (n, V, D) or, of all tokens, (n, V, N, D).
        errors: Place -> why it could not be decoded.
        decoders: Decoder -> how many it read.
    """

    places: range
    done: list[int]
    values: list[np.ndarray]
    errors: dict[int, str] = field(default_factory=dict)
    decoders: Counter[str] = field(default_factory=Counter)


def batch_size(views: Views) -> int:
    """Return how many samples are encoded at a time."""
    return -(-VIEWS_AT_A_TIME // views.count)


def settled(kind: Kind, spec: EncoderSpec) -> Kind:
    """Return the kind with its layer counted from the first block.

    Raises:
        UserError: The encoder has no such block.
    """
    return Kind(block_of(kind.layer, spec.depth), kind.pool)


def batches(
    encoder: Encoder,
    index: Index,
    asked: Asked,
    run: Run,
    rows: Sequence[int],
    *,
    shown: Sequence[int] | None = None,
    skip: frozenset[int] = frozenset(),
) -> Iterator[Batch]:
    """Yield what an encoder makes of some rows of an index, in their order, `batch_size` of them at a time.

    What stands in a batch with what depends on `rows` alone, so values are the same whatever is skipped.

    Args:
        encoder: Put in eval mode, and back at the end.
        index: The samples.
        asked: What is computed of each.
        run: Device, precision, decoding processes.
        rows: Which samples.
        shown: The one view of each that is encoded; None encodes all.
        skip: Batches, by the place of their first sample, that are left out.

    Raises:
        FloatingPointError: The encoder gives something that is no number.
    """
    size, spec = batch_size(asked.views), encoder.spec
    starts = [first for first in range(0, len(rows), size) if first not in skip]
    wanted = [rows[place] for first in starts for place in range(first, min(first + size, len(rows)))]
    with _decoders(run) as workers, in_eval_mode(encoder):
        results = workers.map(requests(index, asked.views, spec, wanted), ahead=max(8, 2 * size))
        for first in starts:
            batch = Batch(range(first, min(first + size, len(rows))), [], [])
            clips: list[torch.Tensor] = []
            for place, result in zip(batch.places, results, strict=False):
                if result.arrays is None:
                    batch.errors[place] = f"{GIVEN_UP if result.transient else ''}{result.error}"
                    continue
                batch.decoders[str(result.info.get("backend"))] += 1
                batch.done.append(place)
                views = sample_views(result, asked.views, spec, run.device)
                clips += views if shown is None else [views[shown[place]]]
            if batch.done:
                names = [index.ids[rows[place]] for place in batch.done]
                batch.values = _encode(encoder, torch.stack(clips), run, asked, names)
            yield batch


@contextmanager
def in_eval_mode(encoder: Encoder) -> Iterator[None]:
    """Hold every module of an encoder in eval mode: no dropout, no stochastic depth, no statistics of the batch."""
    training = [part for part in encoder.modules() if part.training] if isinstance(encoder, nn.Module) else []
    if training and isinstance(encoder, nn.Module):
        encoder.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _decoders(run: Run) -> AbstractContextManager[DecodePool]:
    if run.pool is not None:
        return nullcontext(run.pool)
    return DecodePool("sigma_bench.data.load:load_clips", workers=run.workers)


@torch.inference_mode()
def _encode(encoder: Encoder, clips_u8: torch.Tensor, run: Run, asked: Asked, names: Sequence[str]) -> list[np.ndarray]:
    """Return what is asked of the views of some samples, from one pass."""
    spec = encoder.spec
    clips = transforms.normalize(clips_u8, spec.mean, spec.std)
    layers = sorted({kind.layer for kind in asked.kinds})
    found: dict[Kind, np.ndarray] = {}
    with torch.autocast(torch.device(run.device).type, dtype=torch.bfloat16, enabled=run.precision == "bf16"):
        for layer, tokens in zip(layers, _tokens(encoder, clips, layers, asked.norm), strict=True):
            for kind in {kind for kind in asked.kinds if kind.layer == layer}:
                values = tokens.patch_BTHWD.flatten(1, 3) if kind.pool in EVERY else pool_tokens(tokens, kind.pool)
                found[kind] = _kept(values, kind, spec, names)
    return [found[kind] for kind in asked.kinds]


def _tokens(encoder: Encoder, clips: torch.Tensor, layers: Sequence[int], norm: bool) -> Iterable[Tokens]:
    """Return the tokens after each of `layers`, ascending: in one pass where the encoder can, see `contracts`."""
    each_layer = getattr(encoder, "each_layer", None)
    if len(layers) > 1 and each_layer is not None:
        found: Iterable[Tokens] = each_layer(clips, layers, norm)
        return found
    return (encoder.tokens(clips, layer=layer, norm=norm) for layer in layers)


def _kept(values: torch.Tensor, kind: Kind, spec: EncoderSpec, names: Sequence[str]) -> np.ndarray:
    """Return values as they are kept, one row of views a sample; a probe would make a number of NaN too."""
    if tuple(values.shape[1:]) != kind.shape(spec):
        raise UserError(
            f"the encoder gives values of shape {tuple(values.shape[1:])} a view ({kind.pool}), its spec says "
            f"{kind.shape(spec)}: frames {spec.frames}, tubelet {spec.tubelet}, image_size {spec.image_size}, patch "
            f"{spec.patch}, embed_dim {spec.embed_dim}; mend its spec"
        )
    kept = values.to(torch.float16 if kind.pool == DENSE else torch.float32)
    by_sample = kept.reshape(len(names), -1, *kind.shape(spec))
    good = torch.isfinite(by_sample).flatten(1).all(1).tolist()
    bad = [name for name, fine in zip(names, good, strict=True) if not fine]
    if bad:
        overflow = bool(torch.isfinite(values).all())
        why = (
            "its tokens are too large for the half precision they are kept in; ask for a layer before, or its norm"
            if overflow
            else "its weights are damaged, or --precision is too low for it"
        )
        raise FloatingPointError(
            f"the encoder gives NaN or infinite features for {len(bad)} of {len(names)} samples of a batch, the first "
            f"{bad[0]}; {why}"
        )
    array: np.ndarray = by_sample.cpu().numpy()
    return array
