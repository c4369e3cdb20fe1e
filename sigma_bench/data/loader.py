"""From an index to batches: decoding ahead, replacement of files that cannot be decoded, collation on the device."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from sigma_bench.contracts import UserError
from sigma_bench.data import transforms
from sigma_bench.data.ahead import ahead
from sigma_bench.data.decode.pool import DecodePool, Result
from sigma_bench.data.draws import DRAW_WORDS, Draw, Draws, Words, clip_words
from sigma_bench.data.index import Index

MakeRequest = Callable[[int, Words], Any]
"""(row of the index, seed words of a draw) -> request of the pool's job."""


class TooManyBroken(UserError):
    """More files of a training set cannot be decoded than the stated bound allows."""


@dataclass
class Batch:
    """A micro-batch.

    Attributes:
        clips: uint8 (B, 3, T, H, W), on the device.
        rows: Row of the index that each clip shows.
        seeds: Seed words of each clip, no two of a training alike. With `rows` they are all that is needed to make the
            batch again: `TrainingLoader.again`.
        ids: Id of the sample that each clip shows.
        infos: What was decoded of each clip, as `data.load.load_clips` records it: its frames (`indices`), and more.
    """

    clips: torch.Tensor
    rows: list[int]
    seeds: list[Words]
    ids: list[str] = field(default_factory=list)
    infos: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Replaced:
    """What the loader could not decode: id -> reason, and how many draws of the clips handed on were replaced."""

    reasons: dict[str, str] = field(default_factory=dict)
    draws: int = 0


@dataclass(frozen=True)
class _Broken:
    """A file that could not be decoded, met for the first time."""

    name: str
    reason: str


@dataclass(frozen=True)
class _Made:
    """A micro-batch, how many attempts its draws took beyond the first, and the decoder of each draw."""

    batch: Batch
    replaced: int
    decoders: list[str]


@dataclass(frozen=True)
class _Decoded:
    """A draw, its clips, uint8 (3, T, H, W), one a repeat, and what was decoded."""

    draw: Draw
    clips: list[torch.Tensor]
    info: dict[str, Any]


class TrainingLoader:
    """Endless-by-epoch training clips in an order that depends on (seed, epoch) alone.

    What is random of a clip is seeded by (seed, epoch, position in the order of the epoch, attempt), and a draw that
    cannot be decoded is replaced by another of that stream. So the clips of an optimiser step depend neither on
    timing nor on the numbers of processes and of clips in a micro-batch, and a resumed run sees what an unbroken one
    sees. A file given up at its deadline is one that cannot be decoded. Each rank counts the broken files that it
    met itself against the bound.

    With repeated sampling each video is drawn and decoded once and gives `repeats` clips: the same frames, each with
    its own crop and seed words. They are neighbours in one micro-batch. A step then shows global_batch / repeats
    videos. An epoch draws every video once and so has `repeats` times as many steps, as published epochs of repeated
    sampling are counted before they are multiplied by the repeats.

    Batches are made by a thread of their own while the last one is trained on: one waits, one is in the making, and
    the videos after these are being decoded.

    Args:
        index: The training set.
        pool: Decodes; its job returns one uint8 (T, h, w, 3) array a clip.
        make_request: Builds the request of a row. With repeats it is a `ClipRequest`, whose `repeats` are set here.
        batch: Clips of a micro-batch, in one process.
        global_batch: Clips of an optimiser step; an epoch is a whole number of them. A set of fewer videos than a step
            shows is repeated until it fills one.
        size: Side of the square clips handed on, pixels.
        seed: Seed of order, crops and replacements.
        repeats: Clips of each decoded video; all of them count.
        rank: This process.
        world: Number of processes.
        device: Where the clips are resized.
        max_broken: Largest share of the set that may be undecodable before training stops.
        on_broken: Called with (id, reason) once per broken file.

    Raises:
        UserError: The set is empty, or the clips of a step cannot be divided into such micro-batches.
    """

    ATTEMPTS = 20

    def __init__(
        self,
        index: Index,
        pool: DecodePool,
        make_request: MakeRequest,
        *,
        batch: int,
        global_batch: int,
        size: int,
        seed: int,
        repeats: int = 1,
        rank: int = 0,
        world: int = 1,
        device: str = "cpu",
        max_broken: float = 0.5,
        on_broken: Callable[[str, str], None] | None = None,
    ) -> None:
        if index.count == 0:
            raise UserError(f"{index.root}: the {index.split} list of {index.name} is empty; nothing to train on")
        self.draws = Draws(
            index.count, batch=batch, global_batch=global_batch, repeats=repeats, seed=seed, rank=rank, world=world
        )
        self.index, self.pool, self.make_request = index, pool, make_request
        self.size, self.repeats, self.device = size, repeats, _exact(device)
        self.max_broken, self.on_broken = max_broken, on_broken
        self.replaced = Replaced()
        self.decoders: Counter[str] = Counter()
        self._ids: list[str] = index.table["id"].to_pylist()

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of an epoch."""
        return self.draws.steps_per_epoch

    def epoch(
        self, epoch: int, offset: int = 0, complete: Callable[[Batch], Batch] | None = None
    ) -> Generator[Batch, None, None]:
        """Yield the micro-batches of an epoch, the first `offset` left out.

        Close the iterator where it is not exhausted, so that nothing is decoded in vain.

        Args:
            epoch: Number of the epoch.
            offset: Micro-batches left out.
            complete: Applied to each micro-batch by the thread that makes it.
        """
        todo, known = deque(self.draws.epoch(epoch, offset)), set(self.replaced.reasons)
        with closing(ahead(lambda stopped: self._make(todo, known, stopped, complete))) as made:
            for item in made:
                if isinstance(item, _Broken):
                    self.replaced.reasons[item.name] = item.reason
                    if self.on_broken is not None:
                        self.on_broken(item.name, item.reason)
                    continue
                # not when they are decoded: what was fetched ahead is fetched again by a run that goes on from here
                self.replaced.draws += item.replaced
                self.decoders.update(item.decoders)
                yield item.batch

    def again(self, rows: Sequence[int], seeds: Sequence[Sequence[int]]) -> Batch:
        """Return the clips of given rows and seed words as one micro-batch: the bytes of the batch they are from.

        Args:
            rows: `Batch.rows`.
            seeds: `Batch.seeds`.

        Raises:
            UserError: They are not those of clips that this loader draws, or a file cannot be decoded any more.
        """
        clips = [self._clip(row, tuple(words)) for row, words in zip(rows, seeds, strict=True)]
        draws = [Draw(0, row, words) for row, words in dict.fromkeys((row, words[:DRAW_WORDS]) for row, words in clips)]
        decoded: dict[tuple[int, Words], _Decoded] = {}
        results = self.pool.map((self._request(draw) for draw in draws), ahead=self._ahead)
        for draw, result in zip(draws, results, strict=True):
            if result.arrays is None:
                name = self._ids[draw.row]
                raise UserError(f"{self.index.root}: {name} cannot be decoded any more: {result.error}")
            decoded[draw.row, draw.words] = self._decoded(draw, result)
        parts = [(row, words, decoded[row, words[:DRAW_WORDS]]) for row, words in clips]
        return self._batch([(row, words, p.clips[sum(words[DRAW_WORDS:])], p.info) for row, words, p in parts])

    def _make(
        self,
        todo: deque[Draw],
        known: set[str],
        stopped: threading.Event,
        complete: Callable[[Batch], Batch] | None,
    ) -> Generator[_Broken | _Made, None, None]:
        """Decode what is to do and yield its micro-batches, and each broken file when it is met first."""
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)  # each thread has a current one of its own, where pinned memory belongs
        in_flight: dict[int, Draw] = {}
        ready: dict[int, _Decoded] = {}
        if not todo:
            return
        lowest, end, videos = todo[0].slot, todo[-1].slot + 1, self.draws.videos
        while lowest < end and not stopped.is_set():
            for result in self.pool.map(self._requests(todo, in_flight), ahead=self._ahead, stopped=stopped):
                draw = in_flight.pop(result.index)
                if result.error is not None or result.arrays is None:
                    name, reason = self._ids[draw.row], str(result.error)
                    if name not in known:
                        known.add(name)
                        yield _Broken(name, reason)
                    todo.appendleft(self._replacement(draw, len(known), f"{name}: {reason}"))
                    continue
                ready[draw.slot] = self._decoded(draw, result)
                while lowest < end and all(slot in ready for slot in range(lowest, lowest + videos)):
                    parts = [ready.pop(slot) for slot in range(lowest, lowest + videos)]
                    lowest += videos
                    made = self._made(parts)
                    yield made if complete is None else replace(made, batch=complete(made.batch))

    @property
    def _ahead(self) -> int:
        """Videos being decoded or waiting to be taken: at least so many that no process is idle."""
        return max(2 * self.draws.videos, 2 * self.pool.workers + 2)

    def _requests(self, todo: deque[Draw], in_flight: dict[int, Draw]) -> Iterator[Any]:
        number = 0
        while todo:
            in_flight[number] = draw = todo.popleft()
            number += 1
            yield self._request(draw)

    def _request(self, draw: Draw) -> Any:
        request = self.make_request(draw.row, draw.words)
        return request if self.repeats == 1 else replace(request, repeats=self.repeats)

    def _decoded(self, draw: Draw, result: Result) -> _Decoded:
        assert result.arrays is not None
        flips = result.info.get("flips") or [False] * self.repeats
        pairs = zip(result.arrays, flips, strict=True)
        clips = [transforms.to_clip(self._moved(array), self.size, bool(flip)) for array, flip in pairs]
        return _Decoded(draw, clips, result.info)

    def _moved(self, array: np.ndarray) -> torch.Tensor:
        frames = torch.from_numpy(array)
        if self.device.type != "cuda":
            return frames.to(self.device)
        # from pageable memory the copy would wait until the device has done all that it was given before
        return frames.pin_memory().to(self.device, non_blocking=True)

    def _made(self, parts: list[_Decoded]) -> _Made:
        clips = [
            (part.draw.row, clip_words(part.draw.words, repeat), clip, part.info)
            for part in parts
            for repeat, clip in enumerate(part.clips)
        ]
        replaced = sum(part.draw.words[-1] for part in parts)
        return _Made(self._batch(clips), replaced, [str(part.info.get("backend")) for part in parts])

    def _batch(self, clips: list[tuple[int, Words, torch.Tensor, dict[str, Any]]]) -> Batch:
        rows, seeds, frames, infos = (list(column) for column in zip(*clips, strict=True))
        return Batch(torch.stack(frames), rows, seeds, [self._ids[row] for row in rows], infos)

    def _clip(self, row: int, words: Words) -> tuple[int, Words]:
        """Return a row and seed words as they are, if they can be of a clip that this loader draws."""
        repeat = words[DRAW_WORDS:]
        if not 0 <= row < self.index.count:
            raise UserError(f"{self.index.root}: there is no row {row}; {self.index.name} has {self.index.count}")
        if (
            len(words) < DRAW_WORDS
            or len(repeat) > 1
            or min(words) < 0
            or not all(0 < r < self.repeats for r in repeat)
        ):
            raise UserError(
                f"seed words {words} are of no clip; expected seed, epoch, place and attempt, and from the second of "
                f"{self.repeats} repeats on its number"
            )
        return row, words

    def _replacement(self, draw: Draw, broken: int, last: str) -> Draw:
        if broken > max(1, self.max_broken * self.index.count) or broken >= self.index.count:
            raise TooManyBroken(
                f"{broken} of {self.index.count} files of {self.index.name} cannot be decoded, more than the bound of "
                f"{100 * self.max_broken:.0f} %; the last: {last}"
            )
        if draw.words[-1] >= self.ATTEMPTS:
            raise TooManyBroken(f"{self.ATTEMPTS} replacements in a row cannot be decoded; the last: {last}")
        return self.draws.replacement(draw)


def _exact(device: str) -> torch.device:
    """Return a device with its number: which one is current differs among threads."""
    found = torch.device(device)
    return torch.device("cuda", torch.cuda.current_device()) if found.type == "cuda" and found.index is None else found
