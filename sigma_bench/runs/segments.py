"""`sigma-bench figures segments`: clusters of dense features of several encoders, over frames of some clips."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sigma_bench import __version__
from sigma_bench.contracts import Encoder, UserError
from sigma_bench.data.masks import VOID
from sigma_bench.data.miniatures.publish import generated
from sigma_bench.metrics.cluster_maps import changes, over_frames
from sigma_bench.metrics.resampling import nearest
from sigma_bench.models.shortened import longest, shortened
from sigma_bench.progress import Reporter, say
from sigma_bench.runs import paper_figure, segment_figure, sequences
from sigma_bench.runs.machine import set_threads, torch_device
from sigma_bench.runs.segment_clips import SegmentClip, read_clip
from sigma_bench.runs.segment_colours import Truth, colour, painted, slots
from sigma_bench.runs.segment_figure import Layout, Row, blended, scaled, scaled_ids
from sigma_bench.runs.segment_maps import Clustering, SoftMaps, soft_maps
from sigma_bench.runs.sheet import Picture
from sigma_bench.runs.systems import Candidate, candidate

USUAL = ("camel", "horsejump-high")
"""Clips of the paper's figure, taken where they are there and none are named."""
SHOWN = 3
"""Frames of a clip."""
WRAPPED = 15
"""Letters of a line of a label."""


@dataclass(frozen=True)
class Request:
    """What is to be drawn.

    Attributes:
        checkpoints: One row each: whatever `eval --ckpt` takes.
        clips: Names; none: `USUAL`, or the first two.
        data: `miniature`, a data set or a folder.
        split: Of the data set.
        data_root: Where data sets are looked for.
        labels: Of the rows; none: method or name of each.
        k: Number of clusters, or `ids`: as many as the masks of the clip have ids, background included.
        frames: Of a clip; None: as many as all encoders take.
        clustering: How features are clustered.
        family: Of the checkpoints, where their keys cannot tell.
        heads: Attention heads of the encoders, where the shapes cannot tell.
        columns: Of the page, 1 or 2.
        out: File.
        form: pdf, png or svg; empty: as `out` ends.
        device: auto, cpu or cuda.
        specs: Folder of own specs.
    """

    checkpoints: Sequence[str]
    clips: Sequence[str] = ()
    data: str = "davis"
    split: str | None = None
    data_root: Path | None = None
    labels: Sequence[str] = ()
    k: str = "6"
    frames: int | None = None
    clustering: Clustering = field(default_factory=Clustering)
    family: str | None = None
    heads: int | None = None
    columns: int = 2
    out: Path | None = None
    form: str = ""
    device: str = "auto"
    specs: Path | None = None


@dataclass(frozen=True)
class _Encoder:
    """A row before it is drawn: its name, and its maps of every clip."""

    system: Candidate
    label: str
    maps: Sequence[SoftMaps]


def segments(request: Request) -> Path:
    """Draw the figure, write its facts beside it, and return its file.

    Raises:
        UserError: An encoder that cannot be loaded or takes no clips of this length, an unknown clip, a frame or mask
            that cannot be read, or a number of clusters that there cannot be.
    """
    found = _chosen(request)
    file, form = paper_figure.place(request.out, request.form, "segments." + ".".join(Path(s.name).stem for s in found))
    width = paper_figure.width_of(request.columns)
    set_threads(None, 1)
    device = torch_device(request.device)
    systems = [candidate(n, request.family, request.heads, None, request.specs) for n in request.checkpoints]
    labels = _labels(request, systems)
    encoders = [system.encoder(device) for system in systems]
    frames = request.frames or _frames(encoders)
    encoders = [shortened(encoder, frames) for encoder in encoders]
    clips = [read_clip(one, frames, request.clustering.seed) for one in found]
    clusters = [_clusters(request.k, clip) for clip in clips]
    rows = []
    with Reporter("clips clustered", len(encoders) * len(clips), "clip") as reporter:
        for encoder, system, label in zip(encoders, systems, labels, strict=True):
            maps = []
            for clip, k in zip(clips, clusters, strict=True):
                maps.append(soft_maps(encoder, clip.frames, k, request.clustering, device))
                reporter.update(reporter.done + 1)
            rows.append(_Encoder(system, label, maps))
    colours = [_colours(rows, number, clip) for number, clip in enumerate(clips)]
    tubelet = max(encoder.spec.tubelet for encoder in encoders)
    shown = _shown(frames, tubelet)
    drawn = [one.label for one in rows] + (["ground truth"] if any(clip.has_masks for clip in clips) else [])
    sizes = segment_figure.layout(width, drawn, [clip.frames.shape[1:3] for clip in clips], len(shown))
    pictures = [_row(one, number, clips, colours, shown, sizes) for number, one in enumerate(rows)]
    if len(drawn) > len(rows):
        pictures.append(_truth_row(clips, shown, tubelet, request.clustering.resolution, sizes))
    mark = " (miniature)" if generated(clips[0].sequence.media.resolve()) else ""
    page = segment_figure.draw(sizes, [clip.sequence.name + mark for clip in clips], pictures)
    paper_figure.write(page, file, form, _facts(request, rows, clips, colours, shown, tubelet))
    return file


def _chosen(request: Request) -> list[sequences.Sequence]:
    known = sequences.sequences(request.data, request.split, request.data_root)
    names = [one.name for one in known]
    usual = USUAL if set(USUAL) <= set(names) else names[:2]
    return sequences.named(known, request.clips or usual, f"--data {request.data}")


def _frames(encoders: Sequence[Encoder]) -> int:
    """Return as many frames as all encoders can be shown; of those that can be shown any number, as many as usual."""
    most = [number for encoder in encoders if (number := longest(encoder)) is not None]
    return min(most or [encoder.spec.frames for encoder in encoders])


def _labels(request: Request, systems: Sequence[Candidate]) -> list[str]:
    """Return the label of each row, broken into lines.

    Raises:
        UserError: Not one label a row.
    """
    if request.labels:
        if len(request.labels) != len(systems):
            raise UserError(f"--labels: found {len(request.labels)} of them for {len(systems)} checkpoints")
        labels = list(request.labels)
    else:
        known = [[str(system.description.get(key) or "") for system in systems] for key in ("method", "system")]
        known[1] = ["untrained" if name.startswith("random:") else name for name in known[1]]
        named = zip(*known, request.checkpoints, strict=True)
        labels = [
            next(
                (n for n, all_of_it in zip(ns, known, strict=False) if n and all_of_it.count(n) == 1), Path(ns[2]).name
            )
            for ns in named
        ]
    return [_lines(label) for label in labels]


def _lines(label: str) -> str:
    """Return a label in two lines at most."""
    lines = textwrap.wrap(label, WRAPPED) or ["-"]
    return "\n".join(lines if len(lines) < 3 else [lines[0], f"{lines[1][: WRAPPED - 1]}…"])


def _clusters(k: str, clip: SegmentClip) -> int:
    """Return the number of clusters of a clip.

    Raises:
        UserError: It is no number, or that of ids where there are no masks.
    """
    if k == "ids":
        if not clip.ids:
            raise UserError(f"--k ids: {clip.sequence.name} has no masks to count ids in; give a number")
        return len(clip.ids)
    if not (k.isascii() and k.isdecimal() and 1 <= int(k) <= 64):
        raise UserError(f"--k {k}: expected a number of clusters from 1 to 64, or ids")
    return int(k)


def _shown(frames: int, tubelet: int) -> list[int]:
    """Return which frames of a clip are shown: the first ones of tubelets that are spread evenly."""
    firsts = range(0, frames, tubelet)
    return [firsts[place] for place in dict.fromkeys(np.linspace(0, len(firsts) - 1, SHOWN).round().astype(int))]


def _truth(clip: SegmentClip, resolution: int) -> Truth | None:
    """Return the masks of a clip at the resolution of the maps; frames without a mask are void."""
    if not clip.has_masks:
        return None
    empty = np.full((resolution, resolution), VOID, np.uint8)
    masks = [empty if mask is None else nearest(mask[None], resolution, "pil")[0] for mask in clip.masks]
    return Truth(np.stack(masks), clip.ids, VOID)


def _colours(rows: Sequence[_Encoder], number: int, clip: SegmentClip) -> list[dict[int, int]]:
    """Return of each row cluster -> slot of the palette in one clip."""
    maps = [over_frames(row.maps[number].maps_THW, len(clip.frames)) for row in rows]
    found = slots(maps, _truth(clip, maps[0].shape[-1]))
    if not clip.has_masks and len(rows) > 1:
        say(f"{clip.sequence.name}: no masks; colours follow those of the first row")
    return found


def _row(
    row: _Encoder,
    number: int,
    clips: Sequence[SegmentClip],
    colours: Sequence[Sequence[Mapping[int, int]]],
    shown: Sequence[int],
    sizes: Layout,
) -> Row:
    pictures: list[list[Picture]] = []
    for place, (clip, maps) in enumerate(zip(clips, row.maps, strict=True)):
        pixels = sizes.pixels(place)
        each = len(clip.frames) // len(maps.maps_THW)
        labels = [maps.labels(frame // each, pixels) for frame in shown]
        pictures.append(
            [
                blended(scaled(clip.frames[frame], pixels), painted(own, colours[place][number]))
                for frame, own in zip(shown, labels, strict=True)
            ]
        )
    return Row(row.label, _percent([changes(maps.maps_THW) for maps in row.maps]), pictures)


def _truth_row(clips: Sequence[SegmentClip], shown: Sequence[int], tubelet: int, resolution: int, sizes: Layout) -> Row:
    pictures: list[list[Picture]] = []
    for place, clip in enumerate(clips):
        pixels = sizes.pixels(place)
        slot_of = {VOID: 0, **{found: slot for slot, found in enumerate(clip.ids)}}
        own = []
        for frame in shown:
            picture, mask = scaled(clip.frames[frame], pixels), clip.masks[frame]
            if mask is not None:
                ids = scaled_ids(mask, pixels)
                coloured = blended(picture, painted(ids, slot_of))
                picture = np.where((ids == VOID)[..., None], picture, coloured)
            own.append(picture)
        pictures.append(own)
    return Row("ground truth", _percent([_truth_changes(clip, tubelet, resolution) for clip in clips]), pictures)


def _truth_changes(clip: SegmentClip, tubelet: int, resolution: int) -> float:
    """Return the share of pixels whose id is another one at the next map; NaN where masks are lacking for it."""
    truth = _truth(clip, resolution)
    firsts = range(0, len(clip.frames), tubelet)
    if truth is None or any(clip.masks[frame] is None for frame in firsts):
        return math.nan
    return changes(truth.masks_THW[firsts].astype(np.int16))


def _percent(shares: Sequence[float]) -> str:
    return " | ".join("-" if math.isnan(share) else f"{100 * share:.1f}" for share in shares)


def _facts(
    request: Request,
    rows: Sequence[_Encoder],
    clips: Sequence[SegmentClip],
    colours: Sequence[Sequence[Mapping[int, int]]],
    shown: Sequence[int],
    tubelet: int,
) -> dict[str, Any]:
    """Return what the figure shows, as JSON takes it."""
    told = []
    for number, clip in enumerate(clips):
        truth = _truth_changes(clip, tubelet, request.clustering.resolution)
        told.append(
            {
                "name": clip.sequence.name,
                "file": str(clip.sequence.media),
                "frames": clip.indices,
                "frames_shown": [clip.indices[frame] for frame in shown],
                "miniature": bool(generated(clip.sequence.media.resolve())),
                "masks": sum(mask is not None for mask in clip.masks),
                "ids": {str(found): _hex(slot) for slot, found in enumerate(clip.ids)},
                "ids_change": None if math.isnan(truth) else truth,
                "rows": [_row_facts(row, number, colours[number][place]) for place, row in enumerate(rows)],
            }
        )
    return {
        "figure": "segments",
        "sigma_bench": __version__,
        "k": request.k,
        **request.clustering.facts,
        "features": "last block, after the pretraining norm where there is one",
        "flicker": "share of pixels whose cluster is another one in the next map",
        "colours": "clusters one to one with ids by IoU (Hungarian); those left over follow the first row"
        if any(clip.has_masks for clip in clips)
        else "clusters one to one with those of the first row by IoU (Hungarian); there are no masks",
        "encoders": [
            {
                "label": row.label.replace("\n", " "),
                "checkpoint": name,
                "sha256": row.system.sha256,
                "described": row.system.description,
                "marks": list(row.system.marks),
            }
            for name, row in zip(request.checkpoints, rows, strict=True)
        ],
        "clips": told,
        "columns": request.columns,
    }


def _row_facts(row: _Encoder, number: int, slot_of: Mapping[int, int]) -> dict[str, Any]:
    maps = row.maps[number].maps_THW
    flicker = changes(maps)
    return {
        "label": row.label.replace("\n", " "),
        "maps": len(maps),
        "flicker": None if math.isnan(flicker) else flicker,
        "clusters": {str(cluster): _hex(slot) for cluster, slot in sorted(slot_of.items())},
    }


def _hex(slot: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour(slot))
