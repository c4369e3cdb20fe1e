"""The picture of masking: colours mean what the legend says, and mistakes are named."""

import numpy as np
import pytest
from PIL import Image

from sigma_bench.cli import main
from sigma_bench.runs import sheet
from sigma_bench.runs.masking_figure import OUTLINE, Masking, dimmed, flow_colours, masking_figure


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """A folder of frames in which a square moves right by four pixels a frame over still ground."""
    folder = tmp_path_factory.mktemp("square")
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (2, 28, 28, 3), dtype=np.uint8)
    ground, square = (np.asarray(Image.fromarray(one).resize((224, 224), Image.Resampling.BICUBIC)) for one in coarse)
    for t in range(40):
        frame = ground.copy()
        frame[64:144, 8 + 2 * t : 88 + 2 * t] = square[:80, :80]
        Image.fromarray(frame).save(folder / f"{t:05d}.png")
    return folder


def strips(monkeypatch, masking: Masking):
    kept = []
    real = sheet.draw
    monkeypatch.setattr(
        sheet, "draw", lambda title, blocks, style: kept.append((title, blocks[0])) or real(title, blocks, style)
    )
    return masking_figure(masking), *kept[0]


def test_flow_colours_are_direction_and_speed():
    flow = np.zeros((2, 1, 5), np.float32)
    flow[:, 0, 1] = (4, 0)
    flow[:, 0, 2] = (-4, 0)
    flow[:, 0, 3] = (2, 0)
    flow[:, 0, 4] = (80, 0)
    colours = flow_colours(flow, 4)[0].tolist()
    assert colours == [[255, 255, 255], [255, 0, 0], [0, 255, 255], [255, 128, 128], [255, 0, 0]]


def test_hidden_tokens_fade_and_visible_ones_keep_their_pixels():
    frame = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    out = dimmed(frame, np.array([[True, False], [True, True]]), 4)
    assert np.array_equal(out[1:3, 5:7], frame[1:3, 5:7])
    assert (out[0, 4:] == OUTLINE).all()
    assert (out[4:] >= int(0.8 * 236)).all()
    assert (out[4:].max(-1) == out[4:].min(-1)).all()


def test_the_figure_shows_both_masks_of_the_clip(frames, tmp_path, monkeypatch):
    file, title, block = strips(monkeypatch, Masking(frames, ratio=0.75, out=tmp_path / "m.png"))
    assert Image.open(file).size[0] > 8 * 224
    assert title.startswith("Masking 75 % of the tokens of ")
    shown, flow, maps, tube, guided = block.strips
    assert [len(strip.pictures) for strip in block.strips] == [8] * 5
    assert shown.captions[4] == "frame 20, base"
    assert (flow.pictures[4][70:130, 70:110].astype(int) @ [1, -1, 0] > 100).all()  # red: the square moves right
    assert (flow.pictures[4][180:, 150:] > 200).all()
    assert maps.pictures[0].shape == (224, 224, 3)
    for strip in (tube, guided):
        assert "392 of 1568" in strip.label
        inner = [picture.reshape(14, 16, 14, 16, 3)[:, 4:12, :, 4:12] for picture in strip.pictures]
        wanted = [picture.reshape(14, 16, 14, 16, 3)[:, 4:12, :, 4:12] for picture in shown.pictures]
        seen = [(a == b).all((1, 3, 4)) for a, b in zip(inner, wanted, strict=True)]
        assert [int(one.sum()) for one in seen] == [49] * 8
        assert all(np.array_equal(one, seen[0]) for one in seen) == (strip is tube)


def test_compat_and_seed_change_the_picture(frames, tmp_path, monkeypatch):
    drawn = [
        np.asarray(Image.open(masking_figure(Masking(frames, out=tmp_path / f"{i}.png", **changes))))
        for i, changes in enumerate([{}, {"seed": 1}, {"mgmae_compat": True}])
    ]
    assert not np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_a_short_clip_is_said_to_repeat_frames(frames, tmp_path, monkeypatch):
    _, _, block = strips(monkeypatch, Masking(frames, stride=9, out=tmp_path / "m.png"))
    assert "the video is short" in block.heading


def test_the_command_takes_a_video_or_a_data_set(frames, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["figures", "masks", str(frames), "--flow", "farneback", "--seed", "2"])
    assert not stop.value.code
    place = f"figures/masks.{frames.name}.farneback.png"
    assert capsys.readouterr().out.strip() == place
    assert (tmp_path / place).is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["./none.mp4"], "none.mp4: no such file"),
        (["none.mp4"], "none.mp4: no such file"),
        (["davis", "--flow", "dis"], "--flow is not for a data set, which 'davis' is taken for"),
        (["none.mp4", "--data-root", "."], "--data-root is not for a video"),
        (["FRAMES", "--ratio", "1"], "--ratio 1.0: expected a share between 0 and 1"),
        (["FRAMES", "--ratio", "0.001"], "--ratio 0.001: expected a share"),
        (["FRAMES", "--flow", "raft"], "--flow raft: expected raft_small, dis, farneback"),
        (["FRAMES", "--weights", "x.pth"], "flow by dis has no weights"),
        (["FRAMES", "--flow", "raft_small", "--weights", "x.pth"], "x.pth: no such file"),
        (["FRAMES", "--out", "m.pdf"], "expected a file that ends in .png"),
    ],
)
def test_mistakes_are_named(arguments, words, frames, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["figures", "masks", *(str(frames) if a == "FRAMES" else a for a in arguments)])
    assert stop.value.code == 2
    assert words in capsys.readouterr().err
