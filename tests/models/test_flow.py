"""Optical flow: its direction and size on textures of known motion, and RAFT's weights."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sigma_bench.contracts import UserError
from sigma_bench.models import flow, flow_raft
from sigma_bench.models.flow import estimator


def moving_texture(frames: int, side: int, velocity: tuple[int, int], seed: int = 0) -> torch.Tensor:
    """Return a uint8 clip (1, 3, T, side, side) whose content moves by `velocity` (x, y) pixels a frame."""
    margin = frames * max(map(abs, velocity))
    coarse = torch.rand(1, 3, side // 6, side // 6, generator=torch.Generator().manual_seed(seed))
    texture = F.interpolate(coarse, size=[side + 2 * margin] * 2, mode="bicubic")[0].clamp(0, 1) * 255
    starts = [(margin - velocity[1] * t, margin - velocity[0] * t) for t in range(frames)]
    return torch.stack([texture[:, y : y + side, x : x + side] for y, x in starts], 1).byte()[None]


@pytest.mark.parametrize("method", ["dis", "farneback"])
@pytest.mark.parametrize("velocity", [(3, -2), (-4, 1)])
def test_opencv_gives_the_shift_of_a_texture_both_ways(method, velocity):
    clips = torch.cat([moving_texture(3, 96, velocity), moving_texture(3, 96, velocity, seed=1)])
    pairs = ((0, 1), (1, 2), (1, 0), (2, 1))
    found = estimator(method)(clips, pairs)
    assert found.shape == (2, 4, 2, 96, 96)
    assert found.dtype == torch.float32
    inner = found[..., 24:-24, 24:-24]
    expected = torch.tensor(velocity, dtype=torch.float32).view(1, 1, 2, 1, 1)
    torch.testing.assert_close(inner[:, :2], expected.expand_as(inner[:, :2]), atol=0.3, rtol=0)
    torch.testing.assert_close(inner[:, 2:], -expected.expand_as(inner[:, 2:]), atol=0.3, rtol=0)


@pytest.mark.parametrize("method", ["dis", "farneback"])
def test_opencv_depends_neither_on_threads_nor_on_the_batch(method):
    clips = torch.cat([moving_texture(4, 64, (2, 1), seed) for seed in range(3)])
    pairs = ((0, 1), (1, 2), (2, 3))
    whole = estimator(method, threads=4)(clips, pairs)
    single = estimator(method, threads=1)
    assert torch.equal(whole, torch.cat([single(clip[None], pairs) for clip in clips]))
    assert torch.equal(whole[:, 2:], single(clips, pairs[2:]))


def test_opencv_takes_frames_that_do_not_lie_in_one_piece():
    clips = moving_texture(2, 64, (2, 0))
    turned = clips.permute(0, 2, 3, 4, 1).contiguous().permute(0, 4, 1, 2, 3)
    assert torch.equal(estimator("dis")(turned, [(0, 1)]), estimator("dis")(clips, [(0, 1)]))


def test_floats_are_refused():
    with pytest.raises(ValueError, match=r"expected uint8 clips \(B, 3, T, H, W\)"):
        estimator("dis")(torch.rand(1, 3, 2, 64, 64), [(0, 1)])


def test_threads_are_shared_among_the_processes_of_a_machine(monkeypatch):
    alone = flow.OpenCvFlow("dis").threads
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(2 * alone))
    assert flow.OpenCvFlow("dis").threads == 1


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of RAFT-small's shapes; the flow it gives means nothing."""
    from torchvision.models.optical_flow import raft_small

    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("raft") / "raft.pth"
    torch.save(raft_small(weights=None).state_dict(), file)
    return file


@pytest.mark.parametrize(("height", "width"), [(128, 128), (64, 100)])
def test_raft_gives_a_flow_of_the_size_of_the_frames(weights, height, width):
    rng = np.random.default_rng(0)
    clips = torch.from_numpy(rng.integers(0, 256, (2, 3, 3, height, width), dtype=np.uint8))
    raft = estimator("raft_small", weights=weights, iterations=2)
    found = raft(clips, [(0, 1), (2, 1)])
    assert found.shape == (2, 2, 2, height, width)
    assert torch.isfinite(found).all()
    assert not found.requires_grad
    assert torch.equal(found, torch.cat([raft(clip[None], [(0, 1), (2, 1)]) for clip in clips]))
    assert not torch.equal(found[:, :1], raft(clips, [(1, 0)]))


def test_raft_scales_flow_with_the_frames(weights, monkeypatch):
    raft = flow_raft.RaftSmall(weights=weights, iterations=1)

    def one_pixel(first, second, num_flow_updates):
        return [torch.ones(len(first), 2, *first.shape[2:])]

    monkeypatch.setattr(raft, "network", one_pixel)
    found = raft(torch.zeros(1, 3, 2, 64, 100, dtype=torch.uint8), [(0, 1)])
    torch.testing.assert_close(found[0, 0, :, 32, 50], torch.tensor([100 / 128, 64 / 128]))


def test_raft_is_what_torchvision_computes(weights):
    from torchvision.models.optical_flow import raft_small

    clips = moving_texture(2, 128, (3, 1))
    reference = raft_small(weights=None).eval()
    reference.load_state_dict(torch.load(weights, weights_only=True))
    frames = clips.float()[0] / 255 * 2 - 1
    with torch.no_grad():
        expected = reference(frames[None, :, 0], frames[None, :, 1], num_flow_updates=3)[-1]
    found = estimator("raft_small", weights=weights, iterations=3)(clips, [(0, 1)])
    torch.testing.assert_close(found[:, 0], expected, atol=1e-3, rtol=1e-4)


def test_raft_fills_up_groups_without_a_trace(weights, monkeypatch):
    clips = torch.cat([moving_texture(2, 128, (1, 2), seed) for seed in range(3)])
    alone = estimator("raft_small", weights=weights, iterations=2)(clips, [(0, 1)])
    monkeypatch.setitem(flow_raft.CLIPS_AT_ONCE, "cpu", 2)
    grouped = estimator("raft_small", weights=weights, iterations=2)(clips, [(0, 1)])
    torch.testing.assert_close(grouped, alone, atol=1e-3, rtol=1e-4)


def test_missing_weights_of_raft_are_named_with_their_address(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    name = "raft_small_C_T_V2-01064c6d.pth"
    with pytest.raises(UserError) as error:
        estimator("raft_small")
    assert str(tmp_path / "hub" / "checkpoints" / name) in str(error.value)
    assert f"https://download.pytorch.org/models/{name}" in str(error.value)
    with pytest.raises(UserError, match=r"own\.pth: no such file.*https://download"):
        estimator("raft_small", weights=tmp_path / "own.pth")


def test_weights_in_the_cache_of_torch_are_used(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    place = flow_raft.cached_weights()
    place.parent.mkdir(parents=True)
    place.write_bytes(weights.read_bytes())
    raft = flow_raft.RaftSmall()
    assert raft.file == place
    assert len(raft.sha256) == 64
    assert not raft.network.training
    assert not any(p.requires_grad for p in raft.network.parameters())


@pytest.mark.parametrize("change", ["missing", "shape", "extra"])
def test_other_weights_are_refused(weights, tmp_path, change):
    state = torch.load(weights, weights_only=True)
    key = next(iter(state))
    if change == "missing":
        del state[key]
    elif change == "shape":
        state[key] = state[key].flatten()
    else:
        state["other"] = torch.zeros(1)
    torch.save(state, tmp_path / "raft.pth")
    with pytest.raises(UserError, match=r"raft\.pth: does not hold the weights .* 1 keys are missing"):
        estimator("raft_small", weights=tmp_path / "raft.pth")
