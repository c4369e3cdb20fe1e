import numpy as np
import pytest
import torch
from PIL import Image

from sigma_bench.data import boxes, transforms


@pytest.fixture
def frames():
    y, x = np.mgrid[0:90, 0:130]
    picture = np.stack([128 + 100 * np.sin(x / 9 + t) * np.cos(y / 7) for t in range(3)])
    noise = np.random.RandomState(0).uniform(-20, 20, (3, 90, 130, 3))
    return torch.from_numpy(np.clip(picture[..., None] + noise, 0, 255).astype(np.uint8))


def pil(frames, height, width):
    images = [Image.fromarray(f).resize((width, height), Image.Resampling.BILINEAR) for f in frames.numpy()]
    return np.stack([np.asarray(i) for i in images])


@pytest.mark.parametrize("size", [32, 112, 224])
def test_resizing_agrees_with_pil(frames, size):
    clip = transforms.to_clip(frames, size)
    assert clip.shape == (3, 3, size, size)
    assert clip.dtype == torch.uint8
    gap = np.abs(clip.permute(1, 2, 3, 0).numpy().astype(int) - pil(frames, size, size))
    assert gap.mean() < 0.5
    assert gap.max() <= 2


def test_floating_point_path_of_other_devices_agrees(frames):
    there = frames.to("meta")
    assert transforms.to_clip(there, 32).shape == (3, 3, 32, 32)
    images = frames.permute(0, 3, 1, 2).float()
    other = torch.nn.functional.interpolate(images, (32, 32), mode="bilinear", antialias=True).round()
    assert (transforms.to_clip(frames, 32).transpose(0, 1) - other).abs().max() <= 1


def test_frames_of_the_right_size_pass_unchanged(frames):
    square = frames[:, :64, :64]
    assert torch.equal(transforms.to_clip(square, 64).permute(1, 2, 3, 0), square)


def test_flip_mirrors_left_and_right(frames):
    assert torch.equal(transforms.to_clip(frames, 48, flip=True), transforms.to_clip(frames, 48).flip(-1))
    assert not torch.equal(transforms.to_clip(frames, 48, flip=True), transforms.to_clip(frames, 48))


@pytest.mark.parametrize("turned", [False, True])
def test_crops_are_cut_after_resizing_the_short_side(frames, turned):
    whole = frames.transpose(1, 2) if turned else frames
    crops = transforms.test_crops(whole, 32, 3)
    long = int(32 * 130 / 90)
    resized = pil(whole, *((long, 32) if turned else (32, long)))
    for crop, box in zip(crops, boxes.along(*resized.shape[1:3], 3), strict=True):
        wanted = resized[:, box.y : box.y + 32, box.x : box.x + 32]
        assert np.abs(crop.permute(1, 2, 3, 0).numpy().astype(int) - wanted).mean() < 0.5
    assert len(transforms.test_crops(whole, 32, 1)) == 1


def test_crops_of_a_square_are_the_same(frames):
    first, second, third = transforms.test_crops(frames[:, :90, :90], 32, 3)
    assert torch.equal(first, second)
    assert torch.equal(first, third)
    assert torch.equal(first, transforms.to_clip(frames[:, :90, :90], 32))


def test_normalize_removes_mean_and_deviation():
    clips = torch.randint(0, 256, (2, 3, 4, 5, 6), dtype=torch.uint8)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    got = transforms.normalize(clips, mean, std)
    wanted = (clips.double() / 255 - torch.tensor(mean).double().view(3, 1, 1, 1)) / torch.tensor(std).view(3, 1, 1, 1)
    assert got.dtype == torch.float32
    assert torch.allclose(got.double(), wanted, atol=1e-6)
    with pytest.raises(ValueError, match="expected uint8"):
        transforms.normalize(got, mean, std)


def test_other_layouts_are_refused():
    for bad in (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.zeros(2, 8, 8, 3), torch.zeros(0, 8, 8, 3).byte()):
        with pytest.raises(ValueError, match=r"expected uint8 \(T, h, w, 3\)"):
            transforms.to_clip(bad, 4)
