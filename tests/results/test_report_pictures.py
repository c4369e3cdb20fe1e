"""Pictures of a report: only pixels get into the page, only from known folders, within a bound."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from sigma_bench.results import report_pictures
from sigma_bench.results.report_pictures import Wanted, embed


@pytest.fixture
def picture(tmp_path):
    def make(name, size=(60, 40), mode="RGB", **options):
        file = tmp_path / "runs" / name
        file.parent.mkdir(exist_ok=True)
        shape = (size[1], size[0], len(mode)) if len(mode) > 1 else (size[1], size[0])
        Image.fromarray(np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8), mode).save(file, **options)
        return file

    return make


def opened(one):
    kind, _, content = one.source.partition(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


@pytest.mark.parametrize(
    ("name", "mode"), [("a.png", "RGB"), ("b c.PNG", "RGBA"), ("d.jpg", "RGB"), ("e.webp", "RGB"), ("f.png", "L")]
)
def test_pictures_are_drawn_anew(tmp_path, picture, name, mode):
    (found,) = embed([Wanted(picture(name, mode=mode), "t")], [tmp_path / "runs"]).pictures
    shown = opened(found)
    assert shown.size == (60, 40) == (found.width, found.height)
    assert (shown.mode == "RGBA") == (mode == "RGBA")


def test_nothing_but_pixels_gets_into_the_page(tmp_path, picture):
    file = picture("a.jpg", comment=b"secret")
    assert b"secret" in file.read_bytes()
    (found,) = embed([Wanted(file, "t")], [tmp_path]).pictures
    assert b"secret" not in base64.b64decode(found.source.partition(",")[2])


def test_large_pictures_are_made_small(tmp_path, picture):
    (found,) = embed([Wanted(picture("wide.png", (2800, 700)), "t")], [tmp_path]).pictures
    assert (found.width, found.height) == (1400, 350)


def test_all_together_are_bounded_and_what_does_not_fit_is_named(tmp_path, picture):
    files = [picture(f"{n}.png", (200, 200)) for n in range(4)]
    size = len(embed([Wanted(files[0], "t")], [tmp_path]).pictures[0].source)
    found = embed([Wanted(file, f"number {n}") for n, file in enumerate(files)], [tmp_path], most=2 * size + 10)
    assert [one.title for one in found.pictures] == ["number 0", "number 1"]
    assert found.notes == [f"number 2; number 3: does not fit in the {(2 * size + 10) / 1e6:g} MB for all pictures."]


def test_pictures_elsewhere_lost_or_damaged_are_named_and_not_opened(tmp_path, picture, monkeypatch):
    good = picture("good.png")
    inside = tmp_path / "runs"
    (inside / "text.png").write_text("<svg onload=alert(1)>")
    (inside / "torn.png").write_bytes(good.read_bytes()[:60])
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "secret.png")
    monkeypatch.setattr(report_pictures, "MOST_PIXELS", 3000)
    bomb = picture("bomb.png", (100, 100))
    paths = [
        good,
        *(inside / f"{name}.png" for name in ("none", "text", "torn", "link")),
        bomb,
        tmp_path / "secret.png",
    ]
    (inside / "loop.png").symlink_to(inside / "loop.png")
    paths += [inside / "loop.png", inside / "nul\x00.png"]
    found = embed([Wanted(path, path.name) for path in paths], [inside])
    assert [one.title for one in found.pictures] == ["good.png"]
    assert found.notes == [
        "none.png: is not there.",
        "text.png: cannot be read as a picture (UnidentifiedImageError).",
        "torn.png: cannot be read as a picture (OSError).",
        "link.png; secret.png: lies outside the folders of results, runs and figures.",
        "bomb.png; nul\x00.png: cannot be read as a picture (ValueError).",
        "loop.png: cannot be read as a picture (RuntimeError).",
    ]
