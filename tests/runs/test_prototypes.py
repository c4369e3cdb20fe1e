"""The figure of prototypes: tubes are those of highest similarity by brute force, and what is drawn is those tubes."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sigma_bench.cli import main
from sigma_bench.contracts import UserError
from sigma_bench.data.miniatures import davis
from sigma_bench.models.masked import masked_model
from sigma_bench.models.vit import IMAGENET_MEAN, IMAGENET_STD
from sigma_bench.pretrain.projector import MlpProjector
from sigma_bench.pretrain.teacher import frozen_teacher
from sigma_bench.runs import paper_figure, prototype_features, prototype_figure, prototypes
from sigma_bench.spec import load

ENCODER = {"image_size": 32, "patch": 8, "frames": 8, "tubelet": 2, "dim": 96, "depth": 3, "heads": 4}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A data root with a miniature of DAVIS, a run of random weights, and a folder of 40 frames with a space."""
    folder = tmp_path_factory.mktemp("prototypes")
    davis.write(folder / "davis", train=1, val=3)
    davis.write(folder / "miniature/davis", train=1, val=3)
    torch.manual_seed(1)
    head = MlpProjector(384, [256, 256], 64)
    model = masked_model("nano", out_dim=64, image_size=32, frames=8, patch=8, head=head, prototypes=20)
    (folder / "run/checkpoints").mkdir(parents=True)
    torch.save(
        {"format": "sigma-bench/1", "model": model.state_dict(), "encoder": ENCODER, "step": 4},
        folder / "run/checkpoints/step-0000004.pt",
    )
    (folder / "run/recipe.yaml").write_text(load.dump(load.recipe("sigma_mlp", data="miniature", size="nano")))
    (folder / "my clip").mkdir()
    rng = np.random.default_rng(0)
    for number in range(40):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"my clip/{number:05d}.png")
    return folder


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Fewer dots an inch: most of a figure's time is their compression."""
    monkeypatch.setattr(paper_figure, "DPI", 60)


def figure(*arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["figures", "prototypes", *map(str, arguments)])
    said = capsys.readouterr()
    assert not ended.value.code, said.err
    file = Path(said.out.strip())
    return file, json.loads(file.with_suffix(".json").read_text()), said.err


def by_hand(root, frames):
    """Return the similarities (N, K) of the tubes of frames of `my clip` in plain numpy."""
    clip = np.stack([np.asarray(Image.open(root / f"my clip/{n:05d}.png")) for n in frames]) / 255
    state = torch.load(root / "run/checkpoints/step-0000004.pt", weights_only=True)["model"]
    weights = {name: tensor.double().numpy() for name, tensor in state.items()}
    gelu = np.vectorize(lambda v: v * (1 + math.erf(v / math.sqrt(2))) / 2)
    found = []
    for t in range(0, len(frames), 2):
        for y in range(0, 32, 8):
            for x in range(0, 32, 8):
                tube = clip[t : t + 2, y : y + 8, x : x + 8].reshape(-1, 3)
                value = ((tube - tube.mean(0)) / (tube.std(0, ddof=1) + 1e-6)).reshape(-1)
                for layer in (0, 2, 4):
                    value = weights[f"head.{layer}.weight"] @ value + weights[f"head.{layer}.bias"]
                    value = gelu(value) if layer < 4 else value
                c = weights["prototypes"]
                found.append(c @ value / np.linalg.norm(c, axis=1) / np.linalg.norm(value))
    return np.array(found)


def test_tubes_are_those_of_highest_similarity_and_the_first_is_the_arg_max(root, tmp_path, capsys, monkeypatch):
    drawn = []
    real = prototypes.draw
    monkeypatch.setattr(prototypes, "draw", lambda *given: drawn.append(given) or real(*given))
    _, facts, _ = figure(
        *("--ckpt", root / "run", "--video", root / "my clip", "--stride", 3, "--out", tmp_path / "a b.png"),
        capsys=capsys,
    )
    frames = facts["clips"][0]["frames"]
    assert np.diff(frames).tolist() == [3] * 7
    scores = by_hand(root, frames)
    assert facts["searched_tubes"] == len(scores) == 64
    falling = np.sort(scores, 0)[::-1][:25]
    assert [p["id"] for p in facts["prototypes"]] == np.argsort(-falling.mean(0), kind="stable")[:7].tolist()
    source, grids, _, _ = drawn[0]
    pixels = [np.asarray(Image.open(root / f"my clip/{n:05d}.png")) for n in range(40)]
    for grid, told in zip(grids, facts["prototypes"], strict=True):
        k = told["id"]
        assert grid.title == f"Prototype {k}"
        assert told["mean_similarity"] == pytest.approx(falling[:, k].mean(), abs=1e-5)
        order = np.argsort(-scores[:, k], kind="stable")[:25]
        assert [16 * t["slice"] + 4 * t["row"] + t["column"] for t in told["tubes"]] == order.tolist()
        np.testing.assert_allclose([t["similarity"] for t in told["tubes"]], falling[:, k], atol=1e-5)
        for tube, place in zip(grid.tubes, told["tubes"], strict=True):
            assert place["frame"] == frames[2 * place["slice"]]
            y, x = 8 * place["row"], 8 * place["column"]
            assert np.array_equal(tube, pixels[place["frame"]][y : y + 8, x : x + 8])
    assert [np.array_equal(a, pixels[n]) for a, n in zip(source.frames, frames, strict=True)] == [True] * 8
    assert source.title == "my clip"


def test_the_picture_shows_the_tubes_in_their_places(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (2, 25, 3), dtype=np.uint8)
    grids = [prototype_figure.Grid(f"Prototype {g}", [np.tile(c, (4, 4, 1)) for c in colours[g]]) for g in range(2)]
    source = prototype_figure.Source("clip", [np.full((8, 8, 3), 10 * f, np.uint8) for f in range(8)])
    page = prototype_figure.draw(source, grids, "", 3.25)
    page.figure.savefig(tmp_path / "x.png", dpi=300)
    picture = np.asarray(Image.open(tmp_path / "x.png").convert("RGB")).astype(int)
    boxes = [axes.get_position() for axes in page.figure.axes]
    assert len(boxes) == 10
    height, width = picture.shape[:2]

    def at(box, part_x, part_y):
        x = round((box.x0 + box.width * part_x) * width)
        y = round((1 - box.y1 + box.height * part_y) * height)
        return picture[y, x]

    assert [int(at(box, 0.5, 0.5)[0]) for box in boxes[:8]] == [0, 10, 20, 30, 40, 50, 60, 70]
    for grid, box in zip(colours, boxes[8:], strict=True):
        for number, colour in enumerate(grid):
            row, column = divmod(number, 5)
            assert np.array_equal(at(box, (column + 0.5) / 5, (row + 0.5) / 5), colour)
        lines = [at(box, part / 5, 0.1) for part in range(1, 5)]
        assert np.max(lines) < 140  # dark lines between tubes
    assert all(box.width * width == pytest.approx(box.height * height, abs=1) for box in boxes)


def test_named_prototypes_are_drawn_in_the_order_given(root, tmp_path, capsys):
    file, facts, _ = figure(
        *("--ckpt", root / "run/checkpoints/step-0000004.pt", "--data", "davis", "--data-root", root),
        *("--video", "all", "--prototypes", "17, 3", "--columns", 1, "--out", tmp_path / "a.svg"),
        capsys=capsys,
    )
    assert [p["id"] for p in facts["prototypes"]] == [17, 3]
    assert facts["selection"] == "named"
    assert facts["searched_tubes"] == 3 * 64
    assert facts["miniature"] is True
    text = file.read_text()
    assert text.index(">Prototype 17<") < text.index(">Prototype 3<")
    assert "3 of 3 clips (miniature)" in text
    assert 'width="234pt"' in text


def test_the_same_figure_is_the_same_file(root, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["--ckpt", root / "run", "--video", root / "my clip", "--prototypes", "0"]
    file, first, _ = figure(*arguments, capsys=capsys)
    assert file == Path("figures/prototypes.my clip.pdf")
    before = file.read_bytes()
    assert figure(*arguments, capsys=capsys)[1] == first
    assert file.read_bytes() == before
    assert sorted(p.name for p in file.parent.iterdir()) == ["prototypes.my clip.json", file.name]
    assert b"/FontFile2" in before  # TrueType, embedded
    assert b"/Type3" not in before


def test_what_the_decoder_predicts_may_be_compared(root, tmp_path, capsys):
    ways = [("--features", "decoder", *more) for more in ((), ("--ratio", 0.5))]
    base = ["--ckpt", root / "run", "--video", root / "my clip", "--out", tmp_path / "a.png"]
    found = [figure(*base, *way, capsys=capsys)[1] for way in ((), *ways)]
    assert found[1]["mask_ratio"] == 0.75
    assert found[1]["mask_ratio_from"] == "recipe of the run"
    assert found[2]["mask_ratio"] == 0.5
    means = [[p["mean_similarity"] for p in one["prototypes"]] for one in found]
    assert all(a != b for n, a in enumerate(means) for b in means[:n])


def test_a_file_apart_from_its_run_says_what_is_assumed(root, tmp_path, capsys):
    shutil.copy(root / "run/checkpoints/step-0000004.pt", tmp_path / "alone.pt")
    _, facts, said = figure(
        *("--ckpt", tmp_path / "alone.pt", "--video", root / "my clip", "--out", tmp_path / "a.png"), capsys=capsys
    )
    assert "does not say whether its network phi sees standardised tubes; assumed" in said
    assert facts["tubes_standardised_from"] == "assumed"
    assert facts["clips"][0]["stride"] == 4
    assert "taken 4 apart" not in said


def test_a_short_video_is_taken_at_a_smaller_stride(root, tmp_path, capsys):
    arguments = ("--ckpt", root / "run", "--video", root / "my clip", "--out", tmp_path / "a.png")
    _, facts, said = figure(*arguments, "--stride", 7, capsys=capsys)
    assert "my clip: 40 frames, too few for 8 of them 7 apart; taken 5 apart" in said
    assert facts["clips"][0]["stride"] == 5
    assert np.diff(facts["clips"][0]["frames"]).tolist() == [5] * 7
    (tmp_path / "few").mkdir()
    for number in range(3):
        shutil.copy(root / f"my clip/{number:05d}.png", tmp_path / "few")
    _, facts, said = figure(*arguments[:3], tmp_path / "few", *arguments[4:], capsys=capsys)
    assert "few: fewer frames (3) than 8; the last one stands more than once" in said
    assert facts["clips"][0]["repeats_frames"] is True


def test_prototypes_with_the_same_tubes_are_told_and_can_be_passed_over(root, tmp_path, capsys):
    torch.manual_seed(2)
    state = torch.load(root / "run/checkpoints/step-0000004.pt", weights_only=True)
    state["model"]["prototypes"][1:9] = state["model"]["prototypes"][0] * torch.arange(2.0, 10.0)[:, None]
    torch.save(state, tmp_path / "same.pt")
    arguments = ("--ckpt", tmp_path / "same.pt", "--video", root / "my clip", "--out", tmp_path / "a.png")
    _, facts, said = figure(*arguments, "--overlap", 0.6, capsys=capsys)
    shown = [p["id"] for p in facts["prototypes"]]
    assert len([k for k in shown if k < 9]) <= 1
    for a in facts["prototypes"]:
        for b in facts["prototypes"][: shown.index(a["id"])]:
            tubes = [{(t["slice"], t["row"], t["column"]) for t in p["tubes"]} for p in (a, b)]
            assert len(tubes[0] & tubes[1]) <= 15
    assert ("only" in said) == (len(shown) < 7)


@pytest.mark.slow
def test_a_frozen_teacher_projects_where_there_is_no_network(root, tmp_path, capsys, monkeypatch):
    tiny = ["target.model=vit_tiny_patch16_224.augreg_in21k"]
    recipe = load.recipe("sigma_dino", data="miniature", size="nano", sets=tiny)
    teacher = frozen_teacher(recipe.target, recipe.model, "cpu")
    torch.manual_seed(3)
    model = masked_model("nano", out_dim=192, image_size=32, frames=8, patch=8, prototypes=9)
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    (tmp_path / "run/recipe.yaml").write_text(load.dump(recipe))
    whole = {"format": "sigma-bench/1", "model": model.state_dict(), "encoder": ENCODER}
    place = tmp_path / "run/checkpoints/step-0000001.pt"
    torch.save({**whole, "frozen": {"teacher": "ours", "teacher_digest": teacher.digest}}, place)
    arguments = ("--ckpt", tmp_path / "run", "--video", root / "my clip", "--out", tmp_path / "a.png")
    _, facts, _ = figure(*arguments, capsys=capsys)
    frames = [np.asarray(Image.open(root / f"my clip/{n:05d}.png")) for n in facts["clips"][0]["frames"]]
    clip = torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2)[None] / 255
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    features = teacher.features((clip - mean) / std, IMAGENET_MEAN, IMAGENET_STD)[0].double()
    features = (features - features.mean(0)) / (features.std(0) + 1e-6)
    c = model.prototypes.detach().double()
    scores = (features @ c.T / features.norm(dim=1)[:, None] / c.norm(dim=1)).numpy()
    for told in facts["prototypes"]:
        best = told["tubes"][0]
        assert 16 * best["slice"] + 4 * best["row"] + best["column"] == scores[:, told["id"]].argmax()
        assert best["similarity"] == pytest.approx(scores[:, told["id"]].max(), abs=1e-4)
    assert facts["teacher_digest"] == teacher.digest
    assert facts["teacher_is_the_runs"] is True
    torch.save({**whole, "frozen": {"teacher": "ours", "teacher_digest": "0" * 64}}, place)
    monkeypatch.setattr(prototype_features, "frozen_teacher", lambda *_: teacher)
    with pytest.raises(UserError, match=r"was trained with the teacher ours \(000000000000...\); found"):
        prototypes.prototypes(prototypes.Request(str(tmp_path / "run"), videos=[str(root / "my clip")]))
    shutil.copy(place, tmp_path / "alone.pt")
    with pytest.raises(
        UserError, match=r"frozen teacher 192 wide, which is not in the file; name it \(--teacher TIMM-"
    ):
        prototypes.prototypes(prototypes.Request(str(tmp_path / "alone.pt"), videos=[str(root / "my clip")]))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name what is searched: --video FILE, or --data"),
        (["--video", "none.mp4"], "--video none.mp4: no such file or folder; a clip of a data set needs --data"),
        (["--data", "davis", "--video", "scene-999"], "--data davis: no clip 'scene-999'; did you mean 'scene-0"),
        (["--data", "davs"], "--data davs: neither a folder nor a data set; did you mean 'davis'?"),
        (["--data", "davis", "--prototypes", "20"], "--prototypes 20: "),
        (["--data", "davis", "--prototypes", "1,x"], "--prototypes 1,x: expected whole numbers"),
        (["--data", "davis", "--features", "encoder"], "--features encoder: expected projector or decoder"),
        (["--data", "davis", "--ratio", "0.5"], "--ratio 0.5: is for --features decoder alone"),
        (["--data", "davis", "--features", "decoder", "--ratio", "1"], "--ratio 1.0: expected a share that hides"),
        (["--data", "davis", "--teacher", "vit_tiny"], "has a learned projection network; leave it out"),
        (["--data", "davis", "--columns", "3"], "--columns 3: expected 1 or 2"),
        (["--data", "davis", "--out", "a.jpg"], "--out a.jpg, --format not given: expected a file that ends in .pdf"),
        (["--data", "davis", "--out", "a"], "--out a, --format not given: expected a file that ends in"),
        (["--data", "davis", "--out", "a.pdf", "--format", "svg"], "and the same format"),
        (["--data", "davis", "--ckpt", "random:nano"], "--ckpt random:nano: no such file, run folder or zoo entry"),
        (["--data", "davis", "--ckpt", "EMPTY"], "a folder without checkpoints/step-N.pt"),
        (["--data", "davis", "--ckpt", "GOLDEN/ckpt_videomae.pth"], "holds no tensor 'prototypes'"),
        (["--data", "davis", "--ckpt", "GOLDEN/ckpt_sigma_dino.pth", "--heads", "3"], "which is not in the file"),
        (["--data", "davis", "--frames", "2"], "1 clip of 1x4x4 tubes hold 16, and a grid shows the 25 nearest"),
        (["--video", "EMPTY"], "no clip in it; expected numbered frames, videos, or folders of frames"),
        (["--video", "GOLDEN/mgmae_masks.pt"], "mgmae_masks.pt"),
    ],
)
def test_mistakes_are_named(root, golden, tmp_path, arguments, words, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").mkdir()
    given = [a.replace("GOLDEN", str(golden)) for a in arguments]
    with pytest.raises(SystemExit) as stop:
        main(["figures", "prototypes", "--ckpt", str(root / "run"), "--data-root", str(root), *given])
    assert stop.value.code == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "figures").exists()


@pytest.mark.slow
def test_released_files_are_drawn_on_a_real_video(golden, shared, tmp_path, capsys):
    video = shared / "real/videos/demo_h264_340x256.mp4"
    for name, more in (("ckpt_sigma", ()), ("ckpt_sigma_dino", ("--features", "decoder", "--decoder-heads", 2))):
        arguments = ("--ckpt", golden / f"{name}.pth", "--heads", 3, "--video", video, "--out", tmp_path / "a.png")
        _, facts, _ = figure(*arguments, *more, capsys=capsys)
        assert facts["prototypes_in_it"] == 10
        assert len(facts["prototypes"]) == 7
        assert facts["miniature"] is False
