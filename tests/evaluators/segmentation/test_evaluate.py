"""The evaluation of clips whose objects are told by their colour."""

import numpy as np
import pytest
import torch

from sigma_bench.contracts import Run, UserError
from sigma_bench.data import masks as mask_files
from sigma_bench.data.miniatures.pictures import write_mask
from sigma_bench.evaluators import segmentation
from sigma_bench.metrics.matching import match
from sigma_bench.metrics.resampling import nearest
from sigma_bench.models.floors import KINDS, Floor
from sigma_bench.spec import load
from tests.evaluators.segmentation.made import MASKS, Colours, scene, write_list, write_sequence

FRAMES = "clips.frames=4"


def task(name="seg/davis/clustering", sets=(), **more):
    return load.task(name, sets=[FRAMES, *sets], **more)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three sequences: two objects, one object that moves, three objects."""
    root = tmp_path_factory.mktemp("data")

    def moving(number):
        return np.roll(scene(1, (64, 64)), 4 * (number // 2 % 3), axis=1)

    write_sequence(root / "davis", "two", scene(2))
    write_sequence(root / "davis", "moves", moving)
    write_sequence(root / "davis", "three", scene(3))
    write_list(root / "davis", ["two", "moves", "three"])
    return root


@pytest.fixture
def run(root, tmp_path):
    return Run("cpu", 0, root, tmp_path, workers=1)


def test_what_differs_in_colour_is_found(run):
    found = segmentation.evaluate(Colours(), task(), run)
    assert set(found.metrics) >= {"miou", "miou_nobg", "miou_unreduced", "miou_unreduced_nobg", "davis_j", "davis_f"}
    assert found.metrics["miou"] > 85
    assert found.metrics["miou_nobg"] > 80
    assert found.metrics["davis_j"] > 80
    records = found.samples.set_index("id")
    assert records["k"].to_dict() == {"two": 3, "moves": 2, "three": 4}
    assert records["ids"]["three"] == [0, 1, 2, 3]
    assert sum(records["pixels"]["two"]) == 4 * 28 * 28
    assert records["frames"]["two"] == sorted(records["frames"]["two"])
    assert records["value"].mean() == pytest.approx(found.metrics["miou"])
    assert records["miou_nobg"].mean() == pytest.approx(found.metrics["miou_nobg"])
    assert records["error"].isna().all()
    assert records["cluster_changes"]["two"] < 1 < records["cluster_changes"]["moves"]
    assert found.train_index is None
    assert (found.counts.n_expected, found.counts.n_decoded) == (3, 3)
    assert found.marks == ("features have 3 dimensions, fewer than 50 components: all are kept",)


def test_features_are_computed_once_for_both_tasks_and_anew_for_other_frames(run):
    encoder = Colours()
    assert not segmentation.evaluate(encoder, task(), run).cached
    calls = len(encoder.seen)
    over = segmentation.evaluate(encoder, task("seg/davis/overclustering"), run)
    assert over.cached
    assert len(encoder.seen) == calls
    assert {"miou", "miou_k10", "miou_k10_unreduced_nobg"} <= set(over.metrics)
    assert over.samples["k"].tolist() == [6, 6, 6]
    again = segmentation.evaluate(encoder, task(), Run("cpu", 1, run.data_root, run.folder, workers=1))
    assert not again.cached


def test_both_ways_of_clustering_agree_where_groups_are_clear(run):
    ours = segmentation.evaluate(Colours(), task(sets=["segmentation.kmeans.backend=torch"]), run)
    theirs = segmentation.evaluate(Colours(), task(sets=["segmentation.kmeans.backend=faiss"]), run)
    assert ours.metrics["miou"] == pytest.approx(theirs.metrics["miou"], abs=2)


def test_a_value_can_be_computed_again_from_maps_and_masks(root, run):
    """The whole way of one clip, written out."""
    encoder, asked = Colours(), task(sets=["segmentation.reduce=[none]"])
    found = segmentation.evaluate(encoder, asked, run).samples.set_index("id")
    index = segmentation.samples.read(asked, run).test
    row = index.ids.index("moves")
    clip = segmentation.clips_of(index, asked, shown=4, seed=0)[row]
    frames = [one.frame for one in clip.drawn.frames]
    from PIL import Image

    pixels = torch.stack([torch.from_numpy(np.array(Image.open(f).resize((32, 32), 2))) for f in frames])
    clips = pixels.permute(3, 0, 1, 2)[None].float() / 255
    tokens = encoder.tokens(clips).patch_BTHWD[0]
    maps = segmentation.maps.clustered([tokens], [clip.ids], "ids", asked.segmentation, seed=0, void=255)[0].maps_THW
    masks = nearest(clip.ids, 28, "nearest")
    value = 100 * match(np.repeat(maps, 2, axis=0), masks, "hungarian", 255).miou()
    assert found["value"]["moves"] == pytest.approx(value, abs=0.5)  # Pillow's filter rounds otherwise than torch's


def test_shorter_clips_shorten_the_encoder_and_longer_ones_are_thinned(run):
    long = Colours(frames=8)
    found = segmentation.evaluate(long, task(), run)
    assert {shape[2] for shape, _ in long.seen} == {4}
    assert found.selection["frames"] == 4
    few = Colours(frames=2)
    found = segmentation.evaluate(few, task(), run)
    assert {shape[2] for shape, _ in few.seen} == {2}
    assert "2 frames over the span of 4" in found.marks
    assert [len(frames) for frames in found.samples["frames"]] == [2, 2, 2]


def test_frame_encoders_have_a_map_a_frame(run):
    found = segmentation.evaluate(Colours(tubelet=1), task(), run)
    assert found.selection["grid"] == [4, 8, 8]
    assert found.metrics["miou"] > 85


def test_an_encoder_without_norm_is_refused_or_measured_without(run):
    with pytest.raises(UserError, match=r"no final norm .* --set segmentation.norm=none"):
        segmentation.evaluate(Colours(norm=False), task(), run)
    bare = Colours(norm=False)
    assert segmentation.evaluate(bare, task(sets=["segmentation.norm=none"]), run).metrics["miou"] > 85
    assert {norm for _, norm in bare.seen} == {False}


@pytest.mark.parametrize("kind", KINDS)
def test_floors_are_measured_by_the_same_code(run, kind):
    clustering = segmentation.evaluate(Floor(kind), task(), run)
    assert "a floor: it has seen no training and is no system" in clustering.marks
    values = clustering.samples.set_index("id")
    if kind == "all_background":
        index = segmentation.samples.read(task(), run).test
        for clip in segmentation.clips_of(index, task(), shown=4, seed=0):
            masks = nearest(clip.ids, 28, "nearest")
            share, ids = (masks == 0).mean(), len(np.unique(masks))
            assert values["value"][clip.name] == pytest.approx(100 * share / ids)
        assert clustering.metrics["miou_nobg"] == 0
        assert clustering.metrics["cluster_changes"] == 0
    if kind == "random_labels":
        assert clustering.metrics["miou"] < 35
        again = segmentation.evaluate(Floor(kind), task(), run)
        assert again.metrics["miou"] == clustering.metrics["miou"]
    if kind == "pixel_positions":
        assert clustering.metrics["cluster_changes"] == 0
    if kind == "pixel_colours":
        assert clustering.metrics["miou"] > 85


@pytest.mark.parametrize("scope", ["frame-wise", "dataset-wise"])
def test_other_scopes_cluster_and_match_other_things(run, scope):
    sets = [f"segmentation.scope={scope}", "segmentation.reduce=[none]"]
    found = segmentation.evaluate(Colours(), task(sets=sets), run)
    assert found.metrics["miou"] > (80 if scope == "frame-wise" else 60)
    assert "davis_j" not in found.metrics


def test_the_released_behaviours_run_under_their_name(run):
    asked = task(profile="timetuning")
    settings = asked.segmentation
    assert (settings.scope, settings.clusters, settings.void) == ("frame-wise", (10,), "id")
    assert settings.kmeans.subsample
    found = segmentation.evaluate(Colours(), asked, run)
    assert found.metrics["miou"] > 40


def test_a_clip_that_cannot_be_measured_is_a_record_with_its_reason(tmp_path):
    write_sequence(tmp_path / "davis", "good", scene(2))
    write_sequence(tmp_path / "davis", "bad", scene(2))
    write_sequence(tmp_path / "davis", "lost", scene(2))
    write_list(tmp_path / "davis", ["good", "bad", "lost", "absent"])
    (tmp_path / "davis" / MASKS / "bad" / "00003.png").write_bytes(b"x")
    frame = tmp_path / "davis/JPEGImages/480p/lost/00002.jpg"
    frame.write_bytes(frame.read_bytes()[:700])
    run = Run("cpu", 0, tmp_path, tmp_path / "out", workers=1)
    found = segmentation.evaluate(Colours(frames=8), task(sets=["clips.frames=6"]), run)
    errors = found.samples.set_index("id")["error"].dropna()
    assert set(errors.index) == {"bad", "lost", "absent"}
    assert "bad/00003.png: not a PNG file" in errors["bad"]
    assert "00002.jpg" in errors["lost"]
    assert "no such folder of frames" in errors["absent"]
    assert (found.counts.n_expected, found.counts.n_present, found.counts.n_decoded) == (4, 3, 1)
    assert found.metrics["miou_missing_wrong"] == pytest.approx(found.metrics["miou"] / 4)


def test_no_clip_at_all_gives_no_number(tmp_path):
    write_sequence(tmp_path / "davis", "bad", scene(2))
    write_list(tmp_path / "davis", ["bad"])
    for path in (tmp_path / "davis" / MASKS / "bad").iterdir():
        path.write_bytes(b"x")
    found = segmentation.evaluate(Colours(), task(), Run("cpu", 0, tmp_path, tmp_path / "out", workers=1))
    assert np.isnan(found.metrics["miou"])
    assert found.counts.n_decoded == 0


def test_repeated_and_lacking_frames_are_told(tmp_path):
    write_sequence(tmp_path / "davis", "few", scene(2), frames=8, masked=[0, 4])
    write_list(tmp_path / "davis", ["few"])
    found = segmentation.evaluate(Colours(), task(), Run("cpu", 0, tmp_path, tmp_path / "out", workers=1))
    assert any("1 of 1 clips have fewer than 4 frames with masks" in mark for mark in found.marks)
    assert any("1 of 1 clips lack masks of some frames" in mark for mark in found.marks)


def test_void_takes_part_in_nothing(tmp_path):
    ids = scene(2)
    write_sequence(tmp_path / "davis", "a", ids)
    for path in (tmp_path / "davis" / MASKS / "a").iterdir():
        held = mask_files.read_mask(path)
        held[:, :40] = 255
        write_mask(path, held)
    write_list(tmp_path / "davis", ["a"])
    found = segmentation.evaluate(Colours(), task(), Run("cpu", 0, tmp_path, tmp_path / "out", workers=1))
    (record,) = found.samples.to_dict("records")
    assert 255 not in record["ids"]
    assert sum(record["pixels"]) < 4 * 28 * 28
    assert record["k"] == 3
