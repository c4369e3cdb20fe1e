import os

import numpy as np
import pytest
from PIL import Image

from sigma_bench.data.decode import media
from sigma_bench.data.decode.backends import pick
from sigma_bench.data.decode.media import open_media
from sigma_bench.data.decode.recent import Recent


class Video:
    """A video decoder that only tells what it was asked to open."""

    name = "video"

    def version(self):
        return "1"

    def unavailable(self):
        return None

    def open(self, path):
        return ("video", path)


def picture(path, shade=100, size=(6, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3), shade, np.uint8)).save(path, format="PNG")
    return path


@pytest.mark.parametrize("name", ["a.jpg", "n01440764_10026.JPEG", "a.b.jpeg", "a.png", "a.BMP", "a.WebP"])
def test_a_picture_is_known_by_its_ending(tmp_path, name):
    reader = open_media(Video(), str(picture(tmp_path / name)))
    assert (reader.count, reader.height, reader.width, reader.backend) == (1, 4, 6, "pillow")


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "train", "test", "meta", "jpg", "a.jpg.mp4", ".jpg"])
def test_everything_else_is_a_video(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"")
    assert open_media(Video(), path) == ("video", path)
    assert open_media(Video(), tmp_path / "missing.webm")[0] == "video"


@pytest.mark.parametrize("name", ["JPEGImages", "clip.mp4", "picture.jpg"])
def test_a_folder_is_frames_whatever_its_name(tmp_path, name):
    for number in (0, 5):
        picture(tmp_path / name / f"{number:05d}.png", number)
    reader = open_media(Video(), tmp_path / name)
    assert (reader.count, reader.backend) == (2, "pillow")


def test_cifar_files_have_a_reader_of_their_own(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(media, "load_object", lambda target: lambda path: asked.append((target, path)))
    for name in ("train", "test", "meta"):
        path = tmp_path / "cifar-100-python" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
        open_media(Video(), path)
    assert asked == [
        ("sigma_bench.data.decode.cifar:CifarReader", tmp_path / "cifar-100-python" / name)
        for name in ("train", "test")
    ]


@pytest.mark.parametrize("decoder", ["auto", "decord+pyav"])
def test_a_picture_in_a_video_container_is_a_video(shared, decoder):
    reader = open_media(pick(decoder), shared / "real/corrupt/one_frame.mp4")
    assert reader.count == 1
    assert reader.backend in ("decord", "pyav")
    assert reader.frames([0, 0]).shape == (2, 64, 96, 3)


def test_choosing_costs_one_look_at_the_file(monkeypatch):
    looks = []
    true_stat = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **more: looks.append(path) or true_stat(path, **more))
    open_media(Video(), __file__)
    assert looks == [__file__]


def test_a_file_of_many_pictures_is_not_kept_again(tmp_path, monkeypatch):
    class Many:
        count, height, width, backend, times, read = 50_000, 32, 32, "cifar", None, 0

        def frames(self, indices):
            self.read += len(indices)
            return np.zeros((len(indices), 32, 32, 3), np.uint8)

    reader = Many()
    monkeypatch.setattr(media, "load_object", lambda target: lambda path: reader)
    (tmp_path / "cifar-100-python").mkdir()
    (tmp_path / "cifar-100-python/train").write_bytes(b"")
    recent = Recent(Video())
    assert recent.open(tmp_path / "cifar-100-python/train") is reader
    assert reader.read == 0


def test_a_folder_of_small_frames_is_read_once_until_it_changes(tmp_path):
    folder = tmp_path / "frames"
    for number in (1, 2):
        picture(folder / f"{number:05d}.png", number)
    recent = Recent(Video())
    first = recent.open(folder)
    assert recent.open(folder) is first
    picture(folder / "00003.png", 3)
    again = recent.open(folder)
    assert again.count == 3
    assert again.frames([2])[0, 0, 0, 0] == 3
