"""Figures of data: what is drawn is what the loader gives and what the masks say."""

import shutil

import numpy as np
import pytest
from PIL import Image

from sigma_bench.cli import main
from sigma_bench.contracts import UserError
from sigma_bench.data import masks
from sigma_bench.data.datasets import ytvos as reader
from sigma_bench.data.miniatures import davis, ucf101, ytvos
from sigma_bench.runs import figures, sheet
from sigma_bench.runs.figures import Figure


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    davis.write(folder / "davis", train=2, val=3)
    ytvos.write(folder / "ytvos", videos=10)
    ucf101.write(folder / "ucf101", groups=4, clips_per_group=1)
    return folder


def drawn(monkeypatch):
    """Return the list that the blocks of the next sheets are put into."""
    blocks = []
    real = sheet.draw
    monkeypatch.setattr(sheet, "draw", lambda title, given: blocks.extend(given) or real(title, given))
    return blocks


def test_masks_are_drawn_by_category_with_a_legend(root, tmp_path, monkeypatch):
    blocks = drawn(monkeypatch)
    file = figures.mask_sheet(Figure("ytvos", "train", data_root=root, out=tmp_path / "m.png", count=10))
    assert len(blocks) == 10
    index = reader.read(root / "ytvos", "train")
    merged = 0
    colours: dict[str, tuple[int, int, int]] = {}
    for row, block in enumerate(blocks):
        sample = index.sample(row)
        assert block.heading.startswith(sample.id)
        for colour, words in block.legend:
            name, _, ids = words.removesuffix(")").partition(" (id ")
            named = {o.id for o in sample.objects if index.classes[o.label] == name}
            assert {int(i) for i in ids.split(", ")} <= named
            merged += len(named) > 1
            assert colours.setdefault(name, colour) == colour  # one colour a category, over the whole sheet
    assert merged
    assert len(set(colours.values())) == len(colours) == 6
    with Image.open(file) as picture:
        there = {tuple(c) for c in np.asarray(picture).reshape(-1, 3).tolist()}
    assert set(colours.values()) <= there


def test_outlines_follow_the_mask(root, monkeypatch, tmp_path):
    blocks = drawn(monkeypatch)
    figures.mask_sheet(Figure("davis", "val", data_root=root, out=tmp_path / "m.png", count=1))
    folder = root / "davis/Annotations/480p" / blocks[0].heading.split()[0]
    colour = {words: c for c, words in blocks[0].legend}
    rows = (2 * np.arange(144) + 1) * 64 // 288
    strip = blocks[0].strips[0]
    for picture, caption in zip(strip.pictures, strip.captions, strict=True):
        mask = masks.read_mask(folder / f"{int(caption.removeprefix('frame ')):05d}.png")
        for key in set(np.unique(mask).tolist()) - {0}:
            exact = (picture == colour[f"object {key}"]).all(-1)
            assert exact.sum() > 50
            assert (mask[np.ix_(rows, rows)][exact] == key).mean() > 0.99
    assert len(strip.pictures) == figures.SHOWN


def test_void_is_drawn_white_where_the_data_set_says_so(root, tmp_path, monkeypatch):
    blocks = drawn(monkeypatch)
    shutil.copytree(root / "davis", tmp_path / "davis_unsupervised")
    figures.mask_sheet(Figure("davis_unsupervised", data_root=tmp_path, out=tmp_path / "m.png", count=1))
    assert (sheet.VOID_COLOUR, "void") in blocks[0].legend
    assert blocks[0].heading.startswith("scene-")


def test_clips_are_those_of_the_loader_plain_and_augmented(root, tmp_path, monkeypatch):
    blocks = drawn(monkeypatch)
    figures.clips(Figure("davis", data_root=root, out=tmp_path / "c.png", count=2))
    figures.clips(Figure("ucf101", "test", data_root=root, out=tmp_path / "d.png", count=3))
    assert len(blocks) == 5
    for block in blocks:
        assert [strip.label.split("\n")[0] for strip in block.strips] == ["plain", "training 1", "training 2"]
        for strip in block.strips:
            assert len(strip.pictures) == len(strip.captions) == figures.FRAMES
            assert strip.pictures[0].shape == (224, 224, 3)
    assert "64 x 64" in blocks[0].heading
    assert any("mirrored" in strip.label for block in blocks for strip in block.strips)
    names = [block.heading.split("   ")[1] for block in blocks[2:]]
    assert len(set(names)) == 3
    assert set(names) <= set(ucf101.CLASSES)
    plain = [int(caption.removeprefix("frame ")) for caption in blocks[0].strips[0].captions]
    assert np.diff(plain).tolist() == [figures.STRIDE] * (figures.FRAMES - 1)


def test_a_mirrored_training_clip_is_mirrored(root, tmp_path, monkeypatch):
    blocks = drawn(monkeypatch)
    figures.clips(Figure("davis", data_root=root, out=tmp_path / "c.png", count=3))
    seen = 0
    for block in blocks:
        folder = root / "davis/JPEGImages/480p" / block.heading.split()[0]
        for strip in block.strips[1:]:
            _, crop, at, how = strip.label.split("\n")
            w, h = (int(n) for n in crop.removeprefix("crop ").split(" x "))
            x, y = (int(n) for n in at.removeprefix("at ").split(", "))
            with Image.open(folder / f"{int(strip.captions[0].split()[1]):05d}.jpg") as frame:
                cut = frame.crop((x, y, x + w, y + h)).resize((224, 224), Image.Resampling.BILINEAR)
            pixels = np.asarray(cut).astype(int)
            errors = [np.abs(p - strip.pictures[0]).mean() for p in (pixels, pixels[:, ::-1])]
            assert int(np.argmin(errors)) == (how == "mirrored")
            seen += how == "mirrored"
    assert seen


def test_a_broken_sample_is_told_in_its_place(root, tmp_path, monkeypatch):
    blocks = drawn(monkeypatch)
    shutil.copytree(root / "davis", tmp_path / "davis")
    first = sorted((tmp_path / "davis/ImageSets/2017/val.txt").read_text().split())[0]
    for path in (tmp_path / "davis/JPEGImages/480p" / first).iterdir():
        path.write_bytes(b"no picture")
    figures.clips(Figure("davis", data_root=tmp_path, out=tmp_path / "c.png", count=3))
    assert ["00000.jpg" in block.error for block in blocks] == [True, False, False]
    with pytest.raises(UserError, match=r"none of the 1 samples can be decoded; the first: scene-.*00000\.jpg"):
        figures.clips(Figure("davis", data_root=tmp_path, out=tmp_path / "c.png", count=1))
    with pytest.raises(UserError, match=r"00000\.jpg"):
        figures.mask_sheet(Figure("davis", data_root=tmp_path, out=tmp_path / "c.png", count=1))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["masks", "davs"], "unknown dataset 'davs'. Did you mean 'davis'?"),
        (["masks", "davis", "--split", "vall"], "davis has no split 'vall'"),
        (["masks", "ucf101", "--split", "test"], "ucf101/test has no masks; sigma-bench figures clips ucf101"),
        (["clips", "hmdb51"], "hmdb51"),
        (["clips", "davis", "--data", "real"], "--data real: expected official or miniature"),
        (["clips", "davis", "--out", "a.jpg"], "--out a.jpg: expected a file that ends in .png"),
    ],
)
def test_mistakes_are_told_in_one_message(root, arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["figures", *arguments, "--data-root", str(root)])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_the_command_says_where_the_picture_is(root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["figures", "masks", "ytvos", "--count", "2", "--data-root", str(root)])
    assert not ended.value.code
    assert capsys.readouterr().out.strip() == "figures/masks.ytvos.train20.png"
    with Image.open(tmp_path / "figures/masks.ytvos.train20.png") as picture:
        assert picture.width > 400


def test_real_sequences_are_drawn(shared, tmp_path, monkeypatch):
    blocks = drawn(monkeypatch)
    for name, source in (("road", "road"), ("bmx-trees", "bmx-trees_480p")):
        for kind in ("JPEGImages", "Annotations"):
            shutil.copytree(shared / "real/sequences" / source / kind, tmp_path / f"davis/{kind}/480p" / name)
    (tmp_path / "davis/ImageSets/2017").mkdir(parents=True)
    (tmp_path / "davis/ImageSets/2017/val.txt").write_text("road\nbmx-trees\n")
    figures.mask_sheet(Figure("davis", data_root=tmp_path, out=tmp_path / "m.png"))
    assert [block.heading for block in blocks] == ["bmx-trees   1 mask", "road   5 masks"]
    assert [[words for _, words in block.legend] for block in blocks] == [["object 1", "object 2"]] * 2
    assert blocks[1].strips[0].captions[0] == "frame 100"
