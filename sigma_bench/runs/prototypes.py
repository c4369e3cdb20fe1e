"""`sigma-bench figures prototypes`: the tubes of some clips that are the most similar ones to prototypes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sigma_bench import __version__
from sigma_bench.contracts import EncoderSpec, UserError
from sigma_bench.data import transforms
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.load import ClipRequest, load_clips
from sigma_bench.data.miniatures.publish import generated
from sigma_bench.pretrain.similarity import Highest, places, similarities
from sigma_bench.pretrain.stored import Stored, stored
from sigma_bench.progress import Reporter, say
from sigma_bench.runs import paper_figure, sequences
from sigma_bench.runs.checkpoint_file import checkpoint_file
from sigma_bench.runs.data import TRAINING_DECODER
from sigma_bench.runs.machine import set_threads, torch_device
from sigma_bench.runs.prototype_features import Asked, features, recipe_of
from sigma_bench.runs.prototype_figure import FRAMES, SIDE, Grid, Source, draw
from sigma_bench.runs.sequences import Sequence as Clip

TUBES = SIDE**2
SHOWN = 7
"""Prototypes, where none are named."""
STRIDE = 4
"""Between frames of a clip, where neither the user nor the recipe of the run says one."""
ALL = "all"
"""Instead of the name of a clip."""
KEPT = 64
"""Clips in memory."""
Place = tuple[int, int, int, int]
"""Clip, slice, row and column of a tube."""


@dataclass(frozen=True)
class Request:
    """What is to be drawn.

    Attributes:
        checkpoint: File, run folder, zoo name or address of a pretraining.
        videos: Paths, or names of clips of `data`; `all` of them; none: the first.
        data: `miniature`, a data set or a folder.
        split: Of the data set.
        data_root: Where data sets are looked for.
        prototypes: Ids, counted from 0; none: the `SHOWN` with the highest mean similarity of their tubes.
        overlap: Where none are named: one that has more than this share of its tubes from one before is passed over.
        asked: In which features.
        stride: Between frames of a clip; None: as in the run.
        columns: Of the page, 1 or 2.
        out: File.
        form: pdf, png or svg; empty: as `out` ends.
        reading: `heads`, `frames` and `image_size` of the encoder where the file does not say them.
        device: auto, cpu or cuda.
        specs: Folder of own specs.
    """

    checkpoint: str
    videos: Sequence[str] = ()
    data: str | None = None
    split: str | None = None
    data_root: Path | None = None
    prototypes: Sequence[int] = ()
    overlap: float = 1.0
    asked: Asked = field(default_factory=Asked)
    stride: int | None = None
    columns: int = 2
    out: Path | None = None
    form: str = ""
    reading: dict[str, int | None] = field(default_factory=dict)
    device: str = "auto"
    specs: Path | None = None


class _Clips:
    """The clips that are searched, as the networks see them: decoded when asked for, a few of them kept.

    Attributes:
        sequences: What they are cut from.
        spec: Of the encoder that takes them.
        facts: Of each that was read: its frames in the file, and the distance between them.
    """

    def __init__(self, sequences: Sequence[Clip], spec: EncoderSpec, stride: int) -> None:
        self.sequences, self.spec, self._stride = sequences, spec, stride
        self.facts: dict[int, dict[str, Any]] = {}
        self._kept: dict[int, torch.Tensor] = {}

    def pixels(self, number: int) -> torch.Tensor:
        """Return the middle clip of a file, uint8 (3, T, S, S); a short file is taken at a smaller stride."""
        if number not in self._kept:
            if len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[number] = self._read(number)
        return self._kept[number]

    def tube(self, place: Place) -> np.ndarray:
        """Return the first frame of a tube, (patch, patch, 3)."""
        number, t, y, x = place
        p = self.spec.patch
        part = self.pixels(number)[:, t * self.spec.tubelet, y * p : (y + 1) * p, x * p : (x + 1) * p]
        return part.permute(1, 2, 0).numpy()

    def frame(self, number: int, t: int) -> np.ndarray:
        """Return a frame of a clip, (S, S, 3)."""
        return self.pixels(number)[:, t].permute(1, 2, 0).numpy()

    def _read(self, number: int) -> torch.Tensor:
        one, again, frames = self.sequences[number], number in self.facts, self.spec.frames
        stride = self.facts[number]["stride"] if again else self._stride
        arrays, info = self._middle(one, stride)
        fitting = max(1, min(stride, info["used"] // frames))
        if fitting < stride:
            say(
                f"{one.name}: {info['used']} frames, too few for {frames} of them {stride} apart; taken {fitting} apart"
            )
            arrays, info = self._middle(one, fitting)
        if info["short"] and not again:
            say(f"{one.name}: fewer frames ({info['used']}) than {frames}; the last one stands more than once")
        self.facts[number] = {
            **{"name": one.name, "file": str(one.media), "frames": info["indices"][0]},
            **{"stride": fitting, "repeats_frames": info["short"]},
        }
        return transforms.to_clip(torch.from_numpy(arrays[0]), self.spec.image_size)

    def _middle(self, one: Clip, stride: int) -> tuple[list[np.ndarray], dict[str, Any]]:
        request = ClipRequest(
            str(one.media),
            "dense_test",
            self.spec.frames,
            stride,
            box="center",
            size=self.spec.image_size,
            backend=TRAINING_DECODER,
        )
        try:
            return load_clips(request)
        except DecodeError as error:
            raise UserError(f"{error.path}: {error.reason}") from error


def prototypes(request: Request) -> Path:
    """Draw the figure, write its facts beside it, and return its file.

    Raises:
        UserError: A checkpoint without prototypes or without what projects tubes, an unknown prototype or clip, a
            video that cannot be decoded, or fewer tubes than a grid has places.
    """
    chosen = _chosen(request)
    of = chosen[0].name if len(chosen) == 1 else f"{len(chosen)}-clips"
    file, form = paper_figure.place(request.out, request.form, f"prototypes.{Path(of).stem}")
    width = paper_figure.width_of(request.columns)
    set_threads(None, 1)
    device = torch_device(request.device)
    held = stored(checkpoint_file(request.checkpoint, request.specs), **request.reading)
    _check(request, held, len(chosen))
    recipe = recipe_of(held.path)
    compared = features(held, recipe, request.asked, device)
    stride = request.stride or (recipe.clips.stride if recipe is not None else STRIDE)
    clips = _Clips(chosen, held.encoder.spec, stride)
    highest = _search(clips, held, compared.of, device)
    ids = list(dict.fromkeys(request.prototypes)) or highest.best(SHOWN, request.overlap)
    if not request.prototypes:
        _say_shared(highest, ids)
    near = {k: places(highest.tubes_nK[:, k].tolist(), held.encoder.grid) for k in ids}
    grids = [Grid(f"Prototype {k}", [clips.tube(place) for place in near[k]]) for k in ids]
    means = [float(highest.values_nK[:, k].mean()) for k in ids]
    note = (
        f"The {TUBES} tubes nearest\nto each prototype, the\nnearest first. Mean cosine\n"
        f"similarity {max(means):.2f} to {min(means):.2f}"
    )
    page = draw(_source(clips, near), grids, note, width)
    paper_figure.write(page, file, form, _facts(request, held, compared.facts, clips, highest, near))
    return file


def _search(clips: _Clips, held: Stored, of: Callable[[torch.Tensor], torch.Tensor], device: str) -> Highest:
    highest = Highest(TUBES, len(held.prototypes_KD))
    reporter = Reporter("tubes", len(clips.sequences), "clip", silent=len(clips.sequences) == 1)
    with torch.inference_mode(), reporter:
        for number in range(len(clips.sequences)):
            pixels = clips.pixels(number)[None].to(device)
            found = of(transforms.normalize(pixels, clips.spec.mean, clips.spec.std))[0]
            if not bool(found.isfinite().all()):
                raise UserError(f"{held.path}: gives features that are not finite for {clips.sequences[number].name}")
            highest.add(similarities(found, held.prototypes_KD.to(device)))
            reporter.update(number + 1)
    return highest


def _facts(
    request: Request,
    held: Stored,
    compared: Mapping[str, Any],
    clips: _Clips,
    highest: Highest,
    near: Mapping[int, Sequence[Place]],
) -> dict[str, Any]:
    """Return what the figure shows, as JSON takes it."""
    named = f"the highest means over their {TUBES} tubes; at most {request.overlap:g} of them those of one before"
    facts: dict[str, Any] = {
        "figure": "prototypes",
        "sigma_bench": __version__,
        "checkpoint": request.checkpoint,
        "checkpoint_file": str(held.path),
        "checkpoint_sha256": held.report.sha256,
        "prototypes_in_it": len(held.prototypes_KD),
        **compared,
        "similarity": "L2-normalised feature times L2-normalised prototype",
        "searched_tubes": highest.seen,
        "crop": f"centre, resized to {clips.spec.image_size} pixels",
        "miniature": _is_miniature(clips),
        "clips": [clips.facts[number] for number in range(len(clips.sequences))],
        "selection": "named" if request.prototypes else named,
        "columns": request.columns,
    }
    facts["prototypes"] = [
        {
            "id": k,
            "mean_similarity": float(highest.values_nK[:, k].double().mean()),
            "tubes": [
                {
                    "clip": clips.sequences[number].name,
                    "frame": clips.facts[number]["frames"][t * clips.spec.tubelet],
                    **{"slice": t, "row": y, "column": x},
                    "similarity": float(highest.values_nK[rank, k]),
                }
                for rank, (number, t, y, x) in enumerate(tubes)
            ],
        }
        for k, tubes in near.items()
    ]
    return facts


def _chosen(request: Request) -> list[Clip]:
    """Return the clips that are searched."""
    if request.data is None:
        if not request.videos:
            raise UserError("name what is searched: --video FILE, or --data miniature, davis or a folder")
        return [_path(video) for video in request.videos]
    known = sequences.sequences(request.data, request.split, request.data_root)
    if ALL in request.videos:
        return known
    return sequences.named(known, request.videos or [known[0].name], f"--data {request.data}")


def _path(video: str) -> Clip:
    if not Path(video).exists():
        raise UserError(f"--video {video}: no such file or folder; a clip of a data set needs --data beside it")
    return sequences.of_path(Path(video))


def _check(request: Request, held: Stored, clips: int) -> None:
    """Refuse prototypes that there are not, and clips of fewer tubes than a grid shows."""
    count, tubes = len(held.prototypes_KD), clips * math.prod(held.encoder.grid)
    wrong = [k for k in request.prototypes if not 0 <= k < count]
    if wrong:
        raise UserError(f"--prototypes {wrong[0]}: {held.path} has {count}, numbered 0 to {count - 1}")
    if tubes < TUBES:
        grid = "x".join(map(str, held.encoder.grid))
        raise UserError(
            f"{held.path}: {clips} clip{'s' if clips > 1 else ''} of {grid} tubes hold {tubes}, and a grid shows the "
            f"{TUBES} nearest; search several clips (--video repeated, or --data DATA --video {ALL})"
        )


def _say_shared(highest: Highest, ids: Sequence[int]) -> None:
    """Say where prototypes show much the same, or where fewer are left than a figure shows."""
    if len(ids) < min(SHOWN, len(highest.values_nK[0])):
        say(f"only {len(ids)} prototypes have tubes as different as --overlap asks for")
    distinct = len({tube for k in ids for tube in highest.tubes_nK[:, k].tolist()})
    if distinct < TUBES * len(ids) / 2:
        say(
            f"{len(ids)} prototypes share tubes, {distinct} of {TUBES * len(ids)} are different ones; --overlap 0.2 "
            "shows prototypes that differ"
        )


def _source(clips: _Clips, near: Mapping[int, Sequence[Place]]) -> Source:
    """Return what is shown of what was searched: of one clip its frames, of several those with most of the tubes."""
    count, first = clips.spec.frames, clips.sequences[0]
    mark = " (miniature)" if _is_miniature(clips) else ""
    if len(clips.sequences) == 1:
        return Source(first.name + mark, [clips.frame(0, i * count // FRAMES) for i in range(FRAMES)])
    found = Counter(place[0] for tubes in near.values() for place in tubes)
    most = sorted(found, key=lambda number: (-found[number], number))[:FRAMES]
    title = f"{len(most)} of {len(clips.sequences)} clips{mark}"
    return Source(title, [clips.frame(number, count // 2) for number in most])


def _is_miniature(clips: _Clips) -> bool:
    return any(generated(one.media.resolve()) for one in clips.sequences)
