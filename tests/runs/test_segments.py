"""The figure of segments: an encoder that sees colours finds the objects, in the colours of the ground truth."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sigma_bench.cli import main
from sigma_bench.contracts import Run
from sigma_bench.data.miniatures import davis
from sigma_bench.evaluators import segmentation
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.runs import paper_figure, segment_figure, segments
from sigma_bench.runs.segment_colours import PALETTE
from sigma_bench.spec import load

ENCODER = '''
import torch
from torch import nn
from torch.nn import functional as F
from sigma_bench.contracts import EncoderSpec, Tokens

class Colours(nn.Module):
    """A token is the mean colour of its tube."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([scale]))
        zero, one = (0.0,) * 3, (1.0,) * 3
        self.spec = EncoderSpec("colours", "C/8", 3, 1, 1, 2, 8, 8, 64, zero, one, 1, False)

    def tokens(self, clips, layer=-1, norm=True, visible=None):
        return Tokens(self.weight * F.avg_pool3d(clips, (2, 8, 8)).permute(0, 2, 3, 4, 1), None)

    def shortened(self, frames):
        return self

def doubled():
    return Colours(2.0)
'''


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A miniature of DAVIS, a folder of two clips of flat colours with masks, and one clip without masks."""
    folder = tmp_path_factory.mktemp("segments")
    davis.write(folder / "davis", train=1, val=2)
    colours = np.array([(20, 30, 60), (250, 240, 20), (200, 20, 20)], np.uint8)
    for name, shape in (("left", (64, 64)), ("right clip", (64, 128))):
        for number in range(10):
            ids = np.zeros(shape, np.uint8)
            ids[8:32, 8 * (number % 3) : 8 * (number % 3) + 24] = 1
            ids[40:64, 32:64] = 3
            base = folder / "flat" / name
            for kind in ("JPEGImages", "Annotations"):
                (base / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(colours[np.searchsorted([0, 1, 3], ids)]).save(base / f"JPEGImages/{number:05d}.png")
            Image.fromarray(ids).save(base / f"Annotations/{number:05d}.png")
    rng = np.random.default_rng(0)
    (folder / "plain").mkdir()
    for number in range(9):
        Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(folder / f"plain/{number:05d}.png")
    return folder


@pytest.fixture
def encoder(tmp_path, monkeypatch):
    (tmp_path / "colour_encoder.py").write_text(ENCODER)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "colour_encoder:Colours"


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Fewer dots an inch: most of a figure's time is their compression."""
    monkeypatch.setattr(paper_figure, "DPI", 60)


def figure(*arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["figures", "segments", *map(str, arguments)])
    said = capsys.readouterr()
    assert not ended.value.code, said.err
    file = Path(said.out.strip())
    return file, json.loads(file.with_suffix(".json").read_text()), said.err


def drawn(monkeypatch):
    kept = []
    real = segment_figure.draw
    monkeypatch.setattr(segment_figure, "draw", lambda *given: kept.append(given) or real(*given))
    return kept


def overlay(picture, frame):
    """Return what was laid over a frame at half opacity."""
    grey = 0.25 * frame + 0.75 * (frame @ [0.299, 0.587, 0.114])[..., None]
    return 2.0 * picture - grey


def test_the_objects_are_found_in_the_colours_of_the_ground_truth(root, encoder, tmp_path, capsys, monkeypatch):
    kept = drawn(monkeypatch)
    _, facts, _ = figure(
        *("--ckpt", encoder, "colour_encoder:doubled", "--data", root / "flat", "--k", "ids", "--pca", 0),
        *("--clips", "right clip, left", "--out", tmp_path / "a.png", "--seed", 3),
        capsys=capsys,
    )
    sizes, titles, rows = kept[0]
    assert titles == ["right clip", "left"]
    assert [row.label for row in rows] == ["colour_encoder:\nColours", "colour_encoder:\ndoubled", "ground truth"]
    for number, clip in enumerate(facts["clips"]):
        assert clip["ids"] == {str(i): "#{:02x}{:02x}{:02x}".format(*PALETTE[n]) for n, i in enumerate((0, 1, 3))}
        assert [sorted(row["clusters"].values()) for row in clip["rows"]] == [sorted(clip["ids"].values())] * 2
        truth = rows[-1].clips[number]
        assert len(truth) == 3
        for row in rows[:-1]:
            for own, true in zip(row.clips[number], truth, strict=True):
                assert own.shape == (*sizes.pixels(number), 3)
                assert (np.abs(own.astype(int) - true).max(-1) < 3).mean() > 0.85
        assert clip["frames_shown"] == [clip["frames"][f] for f in (0, 4, 6)]
    # the second encoder sees the same colours, twice as strong: the same clusters in the same colours
    for first, second in zip(rows[0].clips, rows[1].clips, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_colours_over_frames_are_those_of_the_masks(root, encoder, tmp_path, capsys, monkeypatch):
    kept = drawn(monkeypatch)
    _, facts, _ = figure("--ckpt", encoder, "--data", root / "flat", "--out", tmp_path / "a.png", capsys=capsys)
    sizes, _, rows = kept[0]
    for number, name in enumerate(("left", "right clip")):
        for picture, index in zip(rows[-1].clips[number], facts["clips"][number]["frames_shown"], strict=True):
            base = root / "flat" / name
            size = sizes.pixels(number)
            with Image.open(base / f"JPEGImages/{index:05d}.png") as frame:
                seen = overlay(picture, segment_figure.scaled(np.asarray(frame), size))
            with Image.open(base / f"Annotations/{index:05d}.png") as mask:
                ids = segment_figure.scaled_ids(np.asarray(mask), size)
            expected = np.array(PALETTE)[np.searchsorted([0, 1, 3], ids)]
            assert np.abs(seen - expected).max() <= 2


def test_void_and_frames_without_a_mask_are_shown_as_they_are(tmp_path, capsys, monkeypatch):
    kept = drawn(monkeypatch)
    rng = np.random.default_rng(0)
    for number in range(8):
        for kind in ("JPEGImages", "Annotations"):
            (tmp_path / "c" / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(tmp_path / f"c/JPEGImages/{number}.png")
    mask = np.zeros((32, 32), np.uint8)
    mask[:16], mask[16:, :16] = 255, 1
    Image.fromarray(mask).save(tmp_path / "c/Annotations/0.png")
    _, facts, _ = figure(
        *("--ckpt", "random:nano", "--data", tmp_path / "c", "--out", tmp_path / "a.png"), capsys=capsys
    )
    sizes, _, rows = kept[0]
    first, later = rows[-1].clips[0][:2]
    frames = [segment_figure.scaled(np.asarray(Image.open(tmp_path / f"c/JPEGImages/{n}.png")), sizes.pixels(0))
              for n in facts["clips"][0]["frames_shown"]]  # fmt: skip
    half = len(first) // 2
    assert np.array_equal(first[: half - 1], frames[0][: half - 1])
    seen = overlay(first, frames[0])[half + 1 :]
    assert np.abs(seen[:, : half - 1] - PALETTE[1]).max() <= 2
    assert np.abs(seen[:, half + 1 :] - PALETTE[0]).max() <= 2
    assert np.array_equal(later, frames[1])
    assert facts["clips"][0]["ids_change"] is None


def test_flicker_is_the_share_of_pixels_that_change(root, encoder, tmp_path, capsys, monkeypatch):
    made = []
    real = segments.soft_maps
    monkeypatch.setattr(segments, "soft_maps", lambda *given: made.append(real(*given)) or made[-1])
    kept = drawn(monkeypatch)
    _, facts, _ = figure(
        *("--ckpt", encoder, "random:nano", "--data", "davis", "--data-root", root, "--out", tmp_path / "a.png"),
        capsys=capsys,
    )
    rows = kept[0][2]
    assert [row.label for row in rows] == ["colour_encoder:\nColours", "untrained", "ground truth"]
    for number in range(4):
        maps = made[number].maps_THW
        pairs = [float((a != b).mean()) for a, b in itertools.pairwise(maps)]
        told = facts["clips"][number % 2]["rows"][number // 2]["flicker"]
        assert told == pytest.approx(np.mean(pairs))
        assert f"{100 * told:.1f}" in rows[number // 2].note.split(" | ")
    assert facts["clips"][0]["miniature"] is True
    assert kept[0][1][0].endswith(" (miniature)")
    assert facts["clips"][0]["ids_change"] < 0.2


def test_frames_and_maps_are_those_that_the_evaluation_measures(root, tmp_path, capsys):
    task = load.task("seg/davis/overclustering", data="miniature")
    encoder, _ = load_encoder("random:nano")
    run = Run("cpu", 2, root, tmp_path / "cache", workers=1)
    measured = segmentation.evaluate(encoder, task, run).samples.set_index("id")
    _, facts, _ = figure(
        *("--ckpt", "random:nano", "--data", "davis", "--data-root", root, "--seed", 2, "--out", tmp_path / "a.png"),
        capsys=capsys,
    )
    assert len(facts["clips"]) == len(measured) == 2
    for clip in facts["clips"]:
        record = measured.loc[clip["name"]]
        assert clip["frames"] == list(record["frames"])  # numbers from 0 without gaps: places too
        assert 100 * clip["rows"][0]["flicker"] == pytest.approx(record["cluster_changes"], abs=1e-9)


def test_without_masks_there_is_no_last_row(root, encoder, tmp_path, capsys, monkeypatch):
    kept = drawn(monkeypatch)
    _, facts, said = figure(
        *(
            "--ckpt",
            "random:nano",
            "colour_encoder:Colours",
            "--data",
            root / "plain",
            "--labels",
            "one, the other one",
        ),
        *("--columns", 1, "--out", tmp_path / "a.svg"),
        capsys=capsys,
    )
    assert [row.label for row in kept[0][2]] == ["one", "the other one"]
    assert "plain: no masks; colours follow those of the first row" in said
    assert facts["clips"][0]["masks"] == 0
    assert facts["clips"][0]["ids"] == {}
    assert ">the other one<" in (tmp_path / "a.svg").read_text()


def test_the_same_figure_is_the_same_file(root, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["--ckpt", "random:nano", "--data", root / "plain", "--k", 2, "--format", "svg"]
    file, first, _ = figure(*arguments, capsys=capsys)
    assert file == Path("figures/segments.plain.svg")
    before = file.read_bytes()
    assert figure(*arguments, capsys=capsys)[1] == first
    assert file.read_bytes() == before


def test_frames_fill_the_width_and_rows_never_overlap():
    for width in (3.25, 6.875):
        for shapes in ([(480, 854)], [(480, 854), (64, 64)], [(480, 854)] * 4):
            labels = ["a", "SIGMA with\nDINO", "ground truth"]
            sizes = segment_figure.layout(width, labels, shapes, 3)
            inner = sum(sizes.widths) * 3 + 2 * len(shapes) * segment_figure.GAP
            inner += (len(shapes) - 1) * segment_figure.BETWEEN
            assert sizes.labelled + inner + segment_figure.EDGE == pytest.approx(width)
            for (down, across), wide in zip(shapes, sizes.widths, strict=True):
                assert wide / sizes.tall == pytest.approx(across / down)
            large, small = sizes.letters
            assert sizes.pitch >= (2 * large + small) / 72  # two lines of a label and what stands under them


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--clips", "scene"], "--data davis: no clip 'scene'; did you mean 'scene-0"),
        (["--data", "davvis"], "--data davvis: neither a folder nor a data set; did you mean 'davis'?"),
        (["--k", "0"], "--k 0: expected a number of clusters from 1 to 64, or ids"),
        (["--k", "many"], "--k many: expected a number of clusters"),
        (["--data", "PLAIN", "--k", "ids"], "--k ids: plain has no masks to count ids in; give a number"),
        (["--labels", "a,b"], "--labels: found 2 of them for 1 checkpoints"),
        (["--frames", "3"], "3 frames asked of an encoder with tubelets of 2"),
        (["--frames", "16"], "16 frames asked of an encoder that takes 8"),
        (["--out", "a.gif"], "--out a.gif, --format not given: expected a file that ends in .pdf, .png, .svg"),
        (["--columns", "0"], "--columns 0: expected 1 or 2"),
        (["--ckpt", "none.pth"], "none.pth: no such file"),
        (["--data", "EMPTY"], "no clip in it"),
    ],
)
def test_mistakes_are_named(root, tmp_path, arguments, words, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").mkdir()
    given = [a.replace("PLAIN", str(root / "plain")) for a in arguments]
    ckpt = [] if "--ckpt" in given else ["--ckpt", "random:nano"]
    with pytest.raises(SystemExit) as stop:
        main(["figures", "segments", *ckpt, "--data-root", str(root), *given])
    assert stop.value.code == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "figures").exists()


@pytest.mark.slow
def test_real_sequences_are_drawn(shared, tmp_path, capsys):
    _, facts, _ = figure(
        *("--ckpt", "random:nano", "--data", shared / "real/sequences", "--clips", "car-shadow,bmx-trees_480p"),
        *("--out", tmp_path / "a.png"),
        capsys=capsys,
    )
    assert [list(clip["ids"]) for clip in facts["clips"]] == [["0", "1"], ["0", "1", "2"]]
    assert facts["clips"][0]["ids_change"] > 0
    assert facts["clips"][1]["ids_change"] is None  # only its first frame has a mask
