"""A picture of masking on a clip: frames, flow, visibility map, and what tube and motion-guided masks leave to see."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sigma_bench.contracts import UserError
from sigma_bench.data import transforms
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.load import ClipRequest, load_clips
from sigma_bench.models.flow import Method
from sigma_bench.pretrain.masking import tube_mask
from sigma_bench.pretrain.motion import Guided, MotionMasking
from sigma_bench.runs import sheet
from sigma_bench.runs.data import TRAINING_DECODER
from sigma_bench.runs.sheet import Block, Colour, Picture, Strip, Style
from sigma_bench.spec.recipe import Model
from sigma_bench.spec.recipe_mask import MotionMask

MODEL = Model(size="base", image_size=224, frames=16, tubelet=2, patch=16, decoder_depth=4)
"""Geometry of a clip in the paper's recipes."""
PRINT = Style(height=224, label=250, text=32, small=27)
"""Letters of seven points where the sheet is as wide as a page."""
METHODS: dict[Method, str] = {"raft_small": "RAFT-small", "dis": "DIS", "farneback": "Farneback"}
OUTLINE: Colour = (255, 120, 0)
PAPER = (236, 236, 236)
DIM = 0.8
"""Share of `PAPER` in what is hidden."""
WHEEL = 60
"""Side of the colour wheel in a corner of the first picture of the flow, pixels."""


@dataclass(frozen=True)
class Masking:
    """What is to be drawn: the middle clip of a video, and how it is masked."""

    clip: Path
    flow: Method = "dis"
    ratio: float = 0.9
    seed: int = 0
    stride: int = 2
    mgmae_compat: bool = False
    weights: Path | None = None
    out: Path | None = None


def masking_figure(masking: Masking) -> Path:
    """Draw the masks of a clip and return the file.

    A column is a tubelet, shown by its first frame. Both masks leave the same number of tokens to see, but for the
    rounding of `mgmae_compat`.

    Raises:
        UserError: The video cannot be decoded, a setting is out of range, or the flow cannot be estimated.
    """
    file = masking.out or Path("figures") / f"masks.{masking.clip.stem}.{masking.flow}.png"
    if file.suffix.lower() != ".png":
        raise UserError(f"--out {file}: expected a file that ends in .png")
    method = _method(masking)
    clips, indices = _clip(masking)
    guided = method.guided(clips, [(masking.seed,)])
    firsts = range(0, MODEL.frames, MODEL.tubelet)
    shown = [clips[0, :, frame].permute(1, 2, 0).numpy() for frame in firsts]
    flow = method.flow(clips, [(frame, frame + 1) for frame in firsts])[0].cpu().numpy()
    full = max(1.0, float(np.percentile(np.hypot(flow[:, 0], flow[:, 1]), 99)))
    colours = [flow_colours(one, full) for one in flow]
    colours[0] = _with_wheel(colours[0])
    tube = torch.from_numpy(tube_mask(MODEL.grid, masking.ratio, np.random.default_rng(masking.seed)))
    captions = tuple(f"frame {indices[f]}" + (", base" if f == method.base else "") for f in firsts)
    silent = ("",) * len(shown)
    strips = (
        Strip(tuple(shown), captions, "first frame\nof each tubelet"),
        Strip(tuple(colours), silent, "optical flow to\nthe next frame"),
        Strip(_maps(guided, firsts), silent, "visibility map"),
        Strip(_seen(shown, tube), silent, f"tube mask\n{_count(tube)}"),
        Strip(_seen(shown, guided.mask[0]), silent, f"motion-guided\nmask\n{_count(guided.mask[0])}"),
    )
    again = " (some stand more than once: the video is short)" if len(set(indices)) < len(indices) else ""
    heading = f"16 frames, {masking.stride} apart{again}, flow by {METHODS[masking.flow]}, seed {masking.seed}"
    block = Block(
        heading + (", as the released MGMAE" if masking.mgmae_compat else ""), strips, _legend(full, masking.stride)
    )
    name = masking.clip.name if masking.clip.is_file() else "/".join(masking.clip.resolve().parts[-2:])
    title = f"Masking {100 * masking.ratio:g} % of the tokens of {name}"
    sheet.write(file, sheet.draw(title, [block], PRINT))
    return file


def flow_colours(flow: NDArray[np.float32], full: float) -> Picture:
    """Return flow (2, H, W) as colours (H, W, 3): hue is direction, saturation is speed, white is still.

    Args:
        flow: Pixels to the right and down.
        full: Speed of full saturation, pixels.
    """
    from matplotlib.colors import hsv_to_rgb

    right, down = flow
    hue = np.arctan2(down, right) / (2 * np.pi) % 1
    saturation = np.minimum(np.hypot(right, down) / full, 1)
    rgb = hsv_to_rgb(np.stack([hue, saturation, np.ones_like(hue)], -1))
    return np.asarray(np.rint(255 * rgb), np.uint8)


def dimmed(frame: Picture, hidden: NDArray[np.bool_], patch: int) -> Picture:
    """Return a frame with hidden tokens faded and visible ones outlined.

    Args:
        frame: RGB (H, W, 3).
        hidden: Which tokens are hidden, (H / patch, W / patch).
        patch: Side of a token, pixels.
    """
    covered = np.kron(hidden, np.ones((patch, patch), bool))
    faded = (1 - DIM) * frame.mean(-1, keepdims=True) + DIM * np.array(PAPER)
    out = np.where(covered[..., None], faded, frame)
    inner = np.pad(covered, 1, constant_values=True)
    h, w = covered.shape
    around = [inner[1 + y : 1 + y + h, 1 + x : 1 + x + w] for y in (-1, 0, 1) for x in (-1, 0, 1)]
    edges = np.logical_or.reduce(around) & ~covered
    return np.where(edges[..., None], OUTLINE, np.rint(out)).astype(np.uint8)


def _method(masking: Masking) -> MotionMasking:
    if masking.flow not in METHODS:
        raise UserError(f"--flow {masking.flow}: expected {', '.join(METHODS)}")
    if masking.weights is not None and masking.flow != "raft_small":
        raise UserError(f"--weights {masking.weights}: flow by {masking.flow} has no weights; only raft_small has")
    try:
        spec = MotionMask(
            kind="motion",
            ratio=masking.ratio,
            flow=masking.flow,
            weights=None if masking.weights is None else str(masking.weights),
            mgmae_compat=masking.mgmae_compat,
        )
        return MotionMasking(spec, MODEL)
    except ValueError as error:
        raise UserError(f"--ratio {masking.ratio}: expected a share between 0 and 1 that leaves tokens to hide") from (
            error
        )


def _clip(masking: Masking) -> tuple[torch.Tensor, list[int]]:
    request = ClipRequest(
        str(masking.clip),
        "dense_test",
        MODEL.frames,
        masking.stride,
        box="center",
        size=MODEL.image_size,
        backend=TRAINING_DECODER,
    )
    try:
        arrays, info = load_clips(request)
    except DecodeError as error:
        raise UserError(f"{error.path}: {error.reason}") from error
    clip = transforms.to_clip(torch.from_numpy(arrays[0]), MODEL.image_size)
    return clip[None], info["indices"][0]


def _maps(guided: Guided, frames: range) -> tuple[Picture, ...]:
    import matplotlib

    magma = matplotlib.colormaps["magma"]
    return tuple(np.asarray(magma(guided.maps[0, f].cpu().numpy(), bytes=True))[..., :3] for f in frames)


def _seen(frames: list[Picture], mask: torch.Tensor) -> tuple[Picture, ...]:
    hidden = mask.view(MODEL.grid).numpy()
    return tuple(dimmed(frame, one, MODEL.patch) for frame, one in zip(frames, hidden, strict=True))


def _count(mask: torch.Tensor) -> str:
    return f"{int((~mask).sum())} of {mask.numel()}\nvisible"


def _with_wheel(picture: Picture) -> Picture:
    """Return a picture of flow with the colours of all directions in its lower left corner."""
    y, x = np.mgrid[:WHEEL, :WHEEL] - (WHEEL - 1) / 2
    radius = WHEEL / 2 - 2
    wheel = flow_colours(np.stack([x, y]).astype(np.float32), radius)
    distance = np.hypot(x, y)
    wheel = np.where((distance > radius)[..., None], np.uint8(0), wheel)
    out = picture.copy()
    corner = out[-WHEEL - 4 : -4, 4 : WHEEL + 4]
    corner[:] = np.where((distance < WHEEL / 2)[..., None], wheel, corner)
    return out


def _legend(full: float, stride: int) -> tuple[tuple[Colour, str], ...]:
    import matplotlib

    sides = {"right": (1, 0), "down": (0, 1), "left": (-1, 0), "up": (0, -1)}
    moves = [
        (_colour(flow_colours(np.array(way, np.float32).reshape(2, 1, 1), 1)[0, 0]), f"moves {name}")
        for name, way in sides.items()
    ]
    ends = [_colour(255 * np.array(matplotlib.colormaps["magma"](end)[:3])) for end in (0.0, 1.0)]
    return (
        *moves,
        (sheet.VOID_COLOUR, f"still (full colour: {full:.1f} pixels in {_frames(stride)})"),
        (ends[0], "visibility 0"),
        (ends[1], "visibility 1"),
        (OUTLINE, "visible token"),
        (PAPER, "hidden token"),
    )


def _frames(stride: int) -> str:
    return f"{stride} frames of the video" if stride > 1 else "a frame of the video"


def _colour(values: NDArray[np.generic]) -> Colour:
    red, green, blue = (round(float(value)) for value in values)
    return red, green, blue
