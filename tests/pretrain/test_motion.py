"""Motion-guided masks: they follow the flow, both ways in time, and nothing else moves them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sigma_bench.data import transforms
from sigma_bench.data.load import ClipRequest, load_clips
from sigma_bench.models.flow import OpenCvFlow, Pair
from sigma_bench.pretrain.motion import MotionMasking, carried_maps, masked_below, tube_sums, warp_steps
from sigma_bench.pretrain.visibility import FLOOR, gaussians, initial_map, squares, visible_per_slice
from sigma_bench.spec.recipe import Model
from sigma_bench.spec.recipe_mask import MotionMask

KINDS = ("mix_gauss", "token_rand", "pixel_rand")


def model(side=48, patch=8, frames=8, tubelet=2) -> Model:
    return Model(size="nano", image_size=side, frames=frames, tubelet=tubelet, patch=patch, decoder_depth=1)


def spec(**changes) -> MotionMask:
    return MotionMask(**{"kind": "motion", "ratio": 0.75, "flow": "dis", **changes})


class Uniform:
    """A flow for clips whose content moves by `velocity` pixels (x, y) a frame, the same everywhere."""

    def __init__(self, velocity: tuple[float, float]) -> None:
        self.velocity = torch.tensor(velocity, dtype=torch.float32)
        self.asked: list[Pair] = []

    def __call__(self, clips_u8, pairs):
        self.asked = list(pairs)
        b, _, _, h, w = clips_u8.shape
        steps = torch.tensor([second - first for first, second in pairs], dtype=torch.float32)
        return (steps[:, None] * self.velocity)[None, :, :, None, None].expand(b, -1, -1, h, w)


def black(count, of: Model) -> torch.Tensor:
    return torch.zeros(count, 3, of.frames, of.image_size, of.image_size, dtype=torch.uint8)


def visible(mask: torch.Tensor, of: Model) -> torch.Tensor:
    return ~mask.view(len(mask), *of.grid)


@given(
    st.sampled_from(KINDS),
    st.sampled_from(["consist", "none"]),
    st.sampled_from(["middle", "first"]),
    st.sampled_from([0.5, 0.75, 0.9]),
    st.integers(0, 2**32),
)
@settings(max_examples=30, deadline=None)
def test_without_motion_every_slice_shows_the_same_positions(kind, fill, base, ratio, seed):
    of = model()
    mask = spec(initial=kind, fill=fill, base_frame=base, ratio=ratio)
    seen = visible(MotionMasking(mask, of, flow=Uniform((0, 0)))(black(2, of), [(seed,), (seed, 1)]), of)
    assert torch.equal(seen, seen[:, :1].expand_as(seen))
    assert (seen.flatten(2).sum(-1) == 36 - int(ratio * 36)).all()


@given(
    st.integers(-3, 3),
    st.integers(-3, 3),
    st.sampled_from([(40, 48), (33, 33), (48, 31)]),
    st.integers(0, 7),
    st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_a_map_moves_with_whole_pixels_exactly_towards_past_and_future(x, y, size, base, seed):
    frames = 8
    initial = torch.rand(1, *size, generator=torch.Generator().manual_seed(seed)) + 0.1
    steps = warp_steps(frames, base)
    clips = torch.zeros(1, 3, frames, *size, dtype=torch.uint8)
    flow = Uniform((x, y))(clips, [step.pair for step in steps])
    maps = carried_maps(initial, flow, steps, base, "none")
    for frame in range(frames):
        down, across = y * (frame - base), x * (frame - base)
        expected = torch.zeros_like(initial[0])
        h, w = size
        if abs(down) < h and abs(across) < w:
            expected[max(down, 0) : h + min(down, 0), max(across, 0) : w + min(across, 0)] = initial[
                0, max(-down, 0) : h + min(-down, 0), max(-across, 0) : w + min(-across, 0)
            ]
        assert torch.equal(maps[0, frame], expected)


def test_visible_tokens_move_by_whole_patches_with_the_clip():
    of = model(side=64, patch=8, frames=8, tubelet=1)
    masking = MotionMasking(spec(initial="token_rand", ratio=0.9, fill="none"), of, flow=Uniform((8, 0)))
    seen = visible(masking(black(4, of), [(i,) for i in range(4)]), of)
    base = seen[:, 4]
    for frame in range(2, 7):
        shift = frame - 4
        expected = torch.zeros_like(base)
        if shift >= 0:
            expected[..., shift:] = base[..., : 8 - shift]
        else:
            expected[..., :shift] = base[..., -shift:]
        assert (seen[:, frame] & expected).sum() == expected.sum()  # what is left of them; others fill the number up


def test_holes_take_the_initial_map_or_nothing():
    initial = torch.rand(1, 16, 16) + 0.5
    steps = warp_steps(2, 0)
    flow = Uniform((3, 0))(torch.zeros(1, 3, 2, 16, 16), [step.pair for step in steps])
    filled = carried_maps(initial, flow, steps, 0, "consist")[0, 1]
    empty = carried_maps(initial, flow, steps, 0, "none")[0, 1]
    assert torch.equal(filled[:, :3], initial[0, :, :3])
    assert (empty[:, :3] == 0).all()
    assert torch.equal(filled[:, 3:], empty[:, 3:])
    assert torch.equal(empty[:, 3:], initial[0, :, :-3])


def test_only_an_exact_zero_is_a_hole():
    initial = torch.rand(1, 8, 8) * 1e-7 + 1e-8  # as far from the Gaussians as this, and yet no hole
    steps = warp_steps(2, 0)
    flow = Uniform((1, 0))(torch.zeros(1, 3, 2, 8, 8), [step.pair for step in steps])
    found = carried_maps(initial, flow, steps, 0, "consist")[0, 1]
    assert torch.equal(found[:, 1:], initial[0, :, :-1])
    assert torch.equal(found[:, 0], initial[0, :, 0])


@pytest.mark.parametrize("compat", [False, True])
def test_as_many_tokens_are_drawn_as_a_tube_mask_shows(compat):
    drawn = initial_map("token_rand", (14, 14), 2, 0.9, np.random.default_rng(0), compat)
    assert (drawn == 1).sum() == 20 * 4  # of which the released code shows 19 in a slice
    bright = initial_map("mix_gauss", (14, 14), 16, 0.9, np.random.default_rng(0), compat)
    assert np.unique(bright[7::16, 7::16].round(4), return_counts=True)[1][-1] == 20


def test_half_pixels_are_averaged():
    initial = torch.rand(1, 12, 12)
    steps = warp_steps(2, 0)
    flow = Uniform((-0.5, 0))(torch.zeros(1, 3, 2, 12, 12), [step.pair for step in steps])
    found = carried_maps(initial, flow, steps, 0, "none")[0, 1]
    torch.testing.assert_close(found[:, :-1], (initial[0, :, :-1] + initial[0, :, 1:]) / 2)


def test_pairs_run_from_the_new_frame_to_the_known_one():
    assert [step.pair for step in warp_steps(4, 2)] == [(1, 2), (0, 1), (3, 2)]
    assert [step.pair for step in warp_steps(4, 2, mgmae_compat=True)] == [(2, 1), (1, 0), (3, 2)]
    assert warp_steps(4, 0) == warp_steps(4, 0, mgmae_compat=True)
    of, flow = model(), Uniform((1, 0))
    MotionMasking(spec(), of, flow=flow)(black(1, of), [(0,)])
    assert flow.asked == [(3, 4), (2, 3), (1, 2), (0, 1), (5, 4), (6, 5), (7, 6)]


def test_compat_moves_the_past_the_wrong_way():
    initial = torch.zeros(1, 33, 33)
    initial[0, 16, 16] = 1
    clips = torch.zeros(1, 3, 3, 33, 33)
    peaks = {}
    for compat in (False, True):
        steps = warp_steps(3, 1, compat)
        maps = carried_maps(initial, Uniform((4, 0))(clips, [s.pair for s in steps]), steps, 1, "none", compat)[0]
        peaks[compat] = [int(one.sum(0).argmax()) for one in maps]
    assert peaks == {False: [12, 16, 20], True: [20, 16, 20]}


def test_compat_shortens_motion_and_rounds_in_floating_point():
    initial = torch.arange(21.0).expand(1, 21, 21) / 20
    steps = warp_steps(2, 0, True)
    flow = Uniform((-10, 0))(torch.zeros(1, 3, 2, 21, 21), [s.pair for s in steps])
    found = carried_maps(initial, flow, steps, 0, "none", True)[0, 1, 5, 0]
    assert float(found) == pytest.approx(10 * (20 / 21) / 20, abs=1e-5)
    assert [visible_per_slice(196, 0.9, compat) for compat in (False, True)] == [20, 19]
    assert [visible_per_slice(196, 0.75, compat) for compat in (False, True)] == [49, 49]


def textured(count: int, of: Model, seed=0) -> torch.Tensor:
    """Return clips of a square that moves right over a still background, each over its own texture."""
    draw = torch.Generator().manual_seed(seed)
    side, third = of.image_size, of.image_size // 3
    coarse = torch.rand(2, count, 3, side // 4, side // 4, generator=draw)
    back, front = (F.interpolate(one, size=[side, side], mode="bicubic").clamp(0, 1) * 255 for one in coarse)
    frames = []
    for t in range(of.frames):
        frame = back.clone()
        x = 4 + 3 * t
        frame[..., third : 2 * third, x : x + third] = front[..., :third, :third]
        frames.append(frame)
    return torch.stack(frames, 2).byte()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compat", [False, True])
def test_a_mask_depends_on_frames_and_seed_alone(kind, compat):
    of = model(side=64, patch=8)
    clips, seeds = textured(6, of), [(3, i) for i in range(6)]
    masking = MotionMasking(spec(initial=kind, mgmae_compat=compat, ratio=0.9), of)
    together = masking(clips, seeds)
    assert together.dtype == torch.bool
    assert together.shape == (6, 256)
    assert (visible(together, of).flatten(2).sum(-1) == (6 if compat else 7)).all()
    again = MotionMasking(spec(initial=kind, mgmae_compat=compat, ratio=0.9), of)
    for row in range(6):
        assert torch.equal(again(clips[row : row + 1], seeds[row : row + 1])[0], together[row])
    assert torch.equal(again(clips.flip(0), seeds[::-1]).flip(0), together)
    assert not torch.equal(again(clips, [(4, i) for i in range(6)]), together)


def test_visible_tokens_follow_a_moving_square():
    of = model(side=96, patch=8, frames=8)
    clips = textured(1, of)
    steps = warp_steps(8, 4)
    found = OpenCvFlow("dis")(clips, [step.pair for step in steps])
    square = torch.zeros(1, 96, 96)
    square[:, 32:64, 16:48] = 1  # where it is in the base frame
    maps = carried_maps(square, found, steps, 4, "none")[0]
    for frame in range(8):
        x = 4 + 3 * frame
        inside = maps[frame, 34:62, x + 2 : x + 30].mean()
        assert inside > 0.9, frame
        assert maps[frame].sum() == pytest.approx(32 * 32, rel=0.25), frame  # uncovered ground keeps some of it
    wrong = warp_steps(8, 4, mgmae_compat=True)
    swapped = OpenCvFlow("dis")(clips, [step.pair for step in wrong])
    maps = carried_maps(square, swapped, wrong, 4, "none", True)[0]
    assert maps[0, 34:62, 6:30].mean() < 0.5


def test_compat_differs_where_the_square_was():
    of = model(side=96, patch=8, frames=8)
    clips = textured(2, of)
    ours, theirs = (
        visible(MotionMasking(spec(mgmae_compat=compat), of)(clips, [(0,), (1,)]), of) for compat in (False, True)
    )
    assert not torch.equal(ours[:, :2], theirs[:, :2])


@given(st.integers(0, 10**6), st.integers(1, 24))
@settings(max_examples=30, deadline=None)
def test_the_largest_sums_are_shown_and_ties_go_by_order(seed, count):
    rng = np.random.default_rng(seed)
    sums = torch.from_numpy(rng.integers(0, 5, (2, 3, 25)))
    order = torch.from_numpy(np.stack([rng.permutation(25) for _ in range(2)]))
    mask = masked_below(sums, count, order).view(2, 3, 25)
    for clip in range(2):
        place = order[clip].argsort()
        for part in range(3):
            keys = [(-int(sums[clip, part, i]), int(place[i]), i) for i in range(25)]
            shown = {i for _, _, i in sorted(keys)[:count]}
            assert set((~mask[clip, part]).nonzero().flatten().tolist()) == shown


def test_sums_are_those_of_the_tubes():
    maps = torch.rand(2, 4, 12, 8, generator=torch.Generator().manual_seed(0))
    sums = tube_sums(maps, (2, 3, 2)).double() / 2**48
    torch.testing.assert_close(sums[1, 1, 3], maps[1, 2:, 4:8, 4:].double().sum(), atol=1e-9, rtol=0)
    assert sums.shape == (2, 2, 6)


@given(st.sampled_from(KINDS), st.integers(2, 6), st.integers(2, 6), st.integers(1, 9), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_initial_maps(kind, rows, columns, patch, seed):
    found = initial_map(kind, (rows, columns), patch, 0.5, np.random.default_rng(seed))
    assert found.shape == (rows * patch, columns * patch)
    assert found.dtype == np.float32
    assert found.max() == 1
    assert found.min() >= 0
    assert np.array_equal(found, initial_map(kind, (rows, columns), patch, 0.5, np.random.default_rng(seed)))
    if kind != "mix_gauss":
        tokens = rows * columns
        unit = 1 if kind == "token_rand" else patch * patch
        ones = (tokens - int(0.5 * tokens)) * patch * patch if unit == 1 else (n := tokens * unit) - int(0.5 * n)
        assert (found == 1).sum() == ones
        assert set(np.unique(found).tolist()) <= {float(np.float32(FLOOR)), 1.0}


def test_gaussians_peak_at_their_tokens():
    found = gaussians(np.array([7]), (4, 3), 5)
    assert np.unravel_index(found.argmax(), found.shape) == (12, 7)
    assert found[12, 2] == pytest.approx(np.exp(-1))
    assert found[7, 7] == found[17, 7] == pytest.approx(np.exp(-1))
    assert squares(np.array([7]), (4, 3), 5)[10:15, 5:10].sum() == 25


def test_wrong_clips_and_settings_are_refused():
    of = model()
    masking = MotionMasking(spec(), of, flow=Uniform((0, 0)))
    with pytest.raises(ValueError, match="one for each seed"):
        masking(black(2, of), [(0,)])
    with pytest.raises(ValueError, match="one for each seed"):
        masking(black(1, of)[:, :, :4], [(0,)])
    with pytest.raises(ValueError, match="leaves none to see in mgmae_compat"):
        MotionMasking(spec(ratio=0.9, mgmae_compat=True), model(side=24), flow=Uniform((0, 0)))
    with pytest.raises(FloatingPointError, match="optical flow by dis"):
        MotionMasking(spec(), of, flow=Uniform((float("nan"), 0)))(black(1, of), [(0,)])


@pytest.mark.parametrize("method", ["dis", "farneback"])
def test_maps_follow_people_who_walk_where_their_annotated_masks_are(shared, method):
    folder = shared / "real/sequences/schoolgirls"
    request = ClipRequest(str(folder / "schoolgirls.mp4"), "dense_test", 16, 2, box="center", backend="decord+pyav")
    arrays, info = load_clips(request)
    clip = transforms.to_clip(torch.from_numpy(arrays[0]), 224)[None]
    y, x, h, w = info["boxes"][0]
    files = sorted((folder / "Annotations").iterdir())
    cut = [np.asarray(Image.open(files[i]))[y : y + h, x : x + w] for i in info["indices"][0]]
    truth = np.stack([np.asarray(Image.fromarray(one).resize((224, 224), Image.Resampling.NEAREST)) for one in cut])
    walking = torch.from_numpy(np.stack([truth == number for number in (1, 6, 7)]))  # (3, 16, 224, 224)

    def overlap(maps: torch.Tensor) -> tuple[float, float]:
        """Return the mean intersection over union before and after the base frame."""
        found = maps > 0.5
        union = (found | walking).sum((2, 3)).clamp(min=1)
        ratio = (found & walking).sum((2, 3)) / union
        return float(ratio[:, :8].mean()), float(ratio[:, 9:].mean())

    base = walking[:, 8].float()
    carried = {}
    for compat in (False, True):
        steps = warp_steps(16, 8, compat)
        flow = OpenCvFlow(method)(clip, [step.pair for step in steps]).expand(3, -1, -1, -1, -1)
        carried[compat] = overlap(carried_maps(base, flow, steps, 8, "none", compat))
    still = overlap(base[:, None].expand(-1, 16, -1, -1))
    assert carried[False][0] > still[0] + 0.15
    assert carried[False][1] > still[1] + 0.15
    assert carried[True][0] < still[0]  # the released code moves them the wrong way towards the past
    assert carried[True][1] == pytest.approx(carried[False][1], abs=0.02)
