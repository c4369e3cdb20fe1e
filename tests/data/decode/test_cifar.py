"""CIFAR's files as frames."""

import os
import pickle

import numpy as np
import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data import pickles
from sigma_bench.data.decode import cifar
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.media import open_media
from sigma_bench.data.load import ClipRequest, load_clips
from sigma_bench.data.miniatures.python2 import dumps


@pytest.fixture
def train(tmp_path):
    path = tmp_path / "cifar-100-python" / "train"
    path.parent.mkdir()
    rows = np.random.default_rng(0).integers(0, 256, (5, 3072)).astype(np.uint8)
    path.write_bytes(dumps({b"data": rows}))
    return path, rows


def test_red_green_and_blue_are_planes_of_rows(train):
    path, rows = train
    reader = cifar.CifarReader(path)
    assert (reader.count, reader.height, reader.width, reader.times) == (5, 32, 32, None)
    frames = reader.frames([4, 0, 4])
    assert (frames.shape, frames.dtype) == ((3, 32, 32, 3), np.uint8)
    for frame, row in zip(frames, (4, 0, 4), strict=True):
        for y, x in ((0, 0), (0, 31), (31, 0), (5, 17)):
            assert frame[y, x].tolist() == [rows[row, channel * 1024 + y * 32 + x] for channel in range(3)]
    with pytest.raises(IndexError):
        reader.frames([5])


def test_a_file_is_read_once_until_it_changes_and_two_are_kept(train, tmp_path, monkeypatch):
    path, rows = train
    read = []
    monkeypatch.setattr(cifar, "_kept", type(cifar._kept)())
    monkeypatch.setattr(cifar.pickles, "load", lambda p, load=pickles.load: (read.append(p.name), load(p))[1])
    for _ in range(3):
        cifar.CifarReader(path)
    assert read == ["train"]
    path.write_bytes(dumps({b"data": rows[:2]}))
    assert cifar.CifarReader(path).count == 2
    os.utime(path, ns=(1, 1))
    cifar.CifarReader(path)
    assert read == ["train"] * 3
    others = [path.with_name(name) for name in ("test", "other")]
    for other in others:
        other.write_bytes(dumps({b"data": rows}))
        cifar.CifarReader(other)
    assert len(cifar._kept) == 2
    cifar.CifarReader(path)
    assert read == ["train", "train", "train", "test", "other", "train"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({b"fine_labels": [1]}, "key 'data' is absent"),
        ({b"data": [1, 2]}, "key 'data' is a list"),
        ({b"data": np.zeros((2, 3071), np.uint8)}, r"key 'data' is uint8 \(2, 3071\); expected uint8 \(N, 3072\)"),
        ({b"data": np.zeros((2, 32, 32, 3), np.uint8)}, r"is uint8 \(2, 32, 32, 3\)"),
        ([1], "holds a list; expected the dict"),
        ({7: b"x"}, "key '7' is no text"),
        ({b"data": 1, "data": 2}, "there twice"),
    ],
)
def test_what_is_no_such_file_is_said_with_its_key(train, content, message):
    path, _ = train
    path.write_bytes(pickle.dumps(content, 2))
    with pytest.raises(UserError, match=message) as caught:
        cifar.pictures(path)
    assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(DecodeError, match=message) as decoding:
        cifar.CifarReader(path)
    assert str(decoding.value).count(str(path)) == 1


def test_pictures_of_another_type_are_refused(train):
    path, rows = train
    path.write_bytes(pickle.dumps({"data": rows.astype(np.float32)}, 2))
    with pytest.raises(UserError, match=r"is float32 \(5, 3072\)"):
        cifar.pictures(path)
    path.write_bytes(dumps({b"data": rows[:0]}))
    with pytest.raises(UserError, match="its 0 bytes cannot fill"):
        cifar.pictures(path)


def test_a_damaged_and_an_absent_file_cannot_be_decoded(train):
    path, _ = train
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DecodeError, match=r"of which \d+ are there"):
        cifar.CifarReader(path)
    with pytest.raises(DecodeError, match="No such file"):
        cifar.CifarReader(path.with_name("absent"))


def test_it_is_what_opens_the_paths_of_samples(train):
    path, rows = train
    assert isinstance(open_media(None, path), cifar.CifarReader)
    arrays, info = load_clips(ClipRequest(str(path), "dense_test", 4, start=3, end=4))
    assert (len(arrays), arrays[0].shape, info["used"], info["count"]) == (1, (4, 32, 32, 3), 1, 5)
    for frame in arrays[0]:
        np.testing.assert_array_equal(frame, rows[3].reshape(3, 32, 32).transpose(1, 2, 0))
