"""The feature cache: what shares an entry, what does not, what a killed process leaves."""

import json
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sigma_bench import feature_cache, features
from sigma_bench.contracts import EncoderSpec, Run, Tokens, UserError
from sigma_bench.data.datasets.ucf101 import read
from sigma_bench.data.index import Index, Sample
from sigma_bench.data.miniatures.ucf101 import write
from sigma_bench.data.subsets import relabel
from sigma_bench.data.views import requests
from sigma_bench.features import Views, extract
from sigma_bench.models.fingerprint import fingerprint
from sigma_bench.models.vit import VideoViT
from sigma_bench.runs.machine import decoder_versions

VIEWS = Views("dense_test", 2, 1, 1, "full", False, 0)


class Colours(nn.Module):
    """Tokens are the mean colours of tubes, times a weight."""

    spec = EncoderSpec("test", "none", 3, 2, 1, 2, 8, 8, 32, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 3, False)

    def __init__(self, weight=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.full((3,), weight))
        self.calls = 0

    def tokens(self, clips, layer=-1, norm=True, visible=None):
        self.calls += 1
        B = len(clips)
        tubes = clips.view(B, 3, 4, 2, 4, 8, 4, 8).mean((3, 5, 7)).permute(0, 2, 3, 4, 1)
        return Tokens(tubes * self.weight, None)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data") / "ucf101"
    write(root, seed=0, groups=8, clips_per_group=1)
    return root


def run(folder, **more):
    return Run("cpu", 0, None, folder, workers=1, **more)


def test_features_are_the_pooled_tokens_of_every_view_and_are_computed_once(root, tmp_path):
    index, encoder = read(root, "train").select(range(6)), Colours()
    found = extract(encoder, index, VIEWS, run(tmp_path))
    assert found.values_NVD.shape == (6, 2, 3)
    assert found.ok_N.all()
    assert found.origin["decoders"] == {"decord": 6} or found.origin["decoders"] == {"pyav": 6}
    import av

    with av.open(str(index.path(4))) as video:
        frames = np.stack([f.to_ndarray(format="rgb24") for f in video.decode(video=0)])
    np.testing.assert_allclose(found.values_NVD[4, 0], frames[:8].mean((0, 1, 2)) / 255, atol=1e-3)
    calls = encoder.calls
    again = extract(encoder, index, VIEWS, run(tmp_path))
    assert encoder.calls == calls
    assert again.origin["cached"]
    assert not found.origin["cached"]
    np.testing.assert_array_equal(again.values_NVD, found.values_NVD)


def test_labels_share_an_entry_and_everything_else_does_not(root, tmp_path):
    index, encoder = read(root, "train").select(range(4)), Colours()
    base = extract(encoder, index, VIEWS, run(tmp_path)).origin["cached"]
    assert base is False

    def cached(encoder=encoder, index=index, views=VIEWS, **more):
        return extract(encoder, index, views, run(tmp_path), **more).origin["cached"]

    assert cached(index=relabel(index, root / "factors.csv", "motion"))
    assert not cached(encoder=Colours(2.0))
    assert not cached(index=index.select(range(3)))
    assert not cached(views=Views("dense_test", 1, 1, 1, "full", False, 0))
    assert not cached(views=replace(VIEWS, order="shuffled"))
    assert not cached(views=replace(VIEWS, order="frozen"))
    assert not cached(layer=0)
    assert cached(layer=1)  # the last, by its other number
    assert not cached(norm=False)


def test_all_that_is_asked_and_where_it_lies_is_part_of_the_key(root, tmp_path):
    import shutil

    copy = shutil.copytree(root, tmp_path / "copy")  # with the times of the files
    index = read(root, "train").select(range(2))
    there = read(copy, "train").select(range(2))
    assert features.content_sha256(there) == features.content_sha256(index)

    def wanted(index=index, pool="mean", **more):
        asked = features.Asked(VIEWS, True, (features.Kind(1, pool),))
        return json.dumps(features._of(features._common(Colours(), index, asked, run(".", **more)), asked.kinds[0]))

    assert len({wanted(), wanted(index=there), wanted(pool="cls"), wanted(precision="bf16")}) == 4


def test_another_decoder_or_version_has_an_entry_of_its_own(root, tmp_path, monkeypatch):
    from types import SimpleNamespace

    index = read(root, "train").select(range(2))
    extract(Colours(), index, VIEWS, run(tmp_path))
    newer = SimpleNamespace(name=features.pick("auto").name, version=lambda: "99")
    monkeypatch.setattr(features, "pick", lambda name: newer)
    assert not extract(Colours(), index, VIEWS, run(tmp_path)).origin["cached"]


def test_a_file_that_changed_on_disk_is_not_taken_from_the_cache(root, tmp_path):
    import shutil

    copy = tmp_path / "ucf101"
    shutil.copytree(root, copy)
    index = read(copy, "train").select(range(3))
    first = extract(Colours(), index, VIEWS, run(tmp_path))
    shutil.copyfile(index.path(1), index.path(0))
    second = extract(Colours(), index, VIEWS, run(tmp_path))
    assert not second.origin["cached"]
    assert not np.array_equal(first.values_NVD[0], second.values_NVD[0])


def test_broken_files_have_an_error_and_a_torn_entry_is_computed_anew(root, tmp_path):
    import shutil

    copy = tmp_path / "ucf101"
    shutil.copytree(root, copy)
    index = read(copy, "train").select(range(4))
    index.path(2).write_bytes(b"")
    found = extract(Colours(), index, VIEWS, run(tmp_path))
    assert found.ok_N.tolist() == [True, True, False, True]
    assert list(found.errors) == [index.ids[2]]
    assert "empty" in found.errors[index.ids[2]]
    (entry,) = (tmp_path / "features").glob("*/*/origin.json")
    entry.unlink()  # as after a kill before the entry was complete
    assert not extract(Colours(), index, VIEWS, run(tmp_path)).origin["cached"]
    assert json.loads(entry.read_text())["errors"] == found.errors


def picture(path, shade, size=(32, 32)):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), shade, np.uint8)).save(path)


def test_pictures_and_folders_of_frames_are_samples(tmp_path):
    picture(tmp_path / "stills/a.png", 51)
    for number in range(20):
        picture(tmp_path / f"frames/v/{5 * number:05d}.png", 10 * number)
    samples = [
        Sample("still", "stills/a.png", 0, "still"),
        Sample("frames", "frames/v", 0, "frames"),
        Sample("part", "frames/v", 0, "frames", start_s=1.0, end_s=2.0, fps=10.0),
    ]
    index = Index.build("pictures", "test", tmp_path, ["x"], samples)
    found = extract(Colours(), index, Views("dense_test", 1, 1, 1, "full", False, 0), run(tmp_path))
    assert found.ok_N.all()
    assert found.origin["decoders"] == {"pillow": 3}
    assert decoder_versions(found.origin["decoders"]) == f"pillow {metadata.version('pillow')}"
    np.testing.assert_allclose(found.values_NVD[:, 0, 0] * 255, [51, 95, 145], atol=1e-3)  # 6 to 13, 11 to 18


def test_all_that_says_where_a_sample_lies_is_part_of_the_key(tmp_path):
    picture(tmp_path / "v/00000.png", 1)
    base = Sample("a", "v", 0, "a", None, None, 1.0, 2.0, 24.0)
    changed = [{}, {"start_s": 1.5}, {"end_s": 2.5}, {"fps": 25.0}, {"start_s": None, "end_s": None, "start": 0}]
    changed += [{"id": "b"}, {"path": "w"}]

    def key(sample):
        return features.content_sha256(Index.build("x", "test", tmp_path, ["x", "y"], [sample]))

    assert len({key(base._replace(**change)) for change in changed}) == len(changed)
    assert key(base._replace(label=1)) == key(base)
    before = key(base)
    picture(tmp_path / "v/00001.png", 2)  # the folder has another frame
    assert key(base) != before


def test_every_request_says_where_its_sample_lies(tmp_path):
    sample = Sample("a", "v.mp4", 0, "a", None, None, 1.0, 2.0, 24.0)
    index = Index.build("x", "test", tmp_path, ["x"], [sample])
    [request] = requests(index, VIEWS, Colours.spec, range(1))
    assert (request.path, request.start_s, request.end_s, request.fps) == (str(tmp_path / "v.mp4"), 1.0, 2.0, 24.0)


def test_an_encoder_without_weights_to_hash_is_refused():
    class Plain:
        spec = Colours.spec
        tokens = Colours.tokens

    with pytest.raises(UserError, match="not a torch module"):
        fingerprint(Plain())


def test_a_file_given_up_for_its_time_is_tried_again(root, tmp_path):
    from types import SimpleNamespace

    class Slow:
        def map(self, requests, ahead=None):
            for number, _ in enumerate(requests):
                yield SimpleNamespace(
                    index=number, arrays=None, info={}, error="deadline of 1 s exceeded", transient=True
                )

    index = read(root, "train").select(range(2))
    slow = extract(Colours(), index, VIEWS, run(tmp_path, pool=Slow()))
    assert not slow.ok_N.any()
    again = extract(Colours(), index, VIEWS, run(tmp_path))
    assert not again.origin["cached"]
    assert again.ok_N.all()


@pytest.mark.parametrize("spoilt", ["nan", "inf"])
def test_features_that_are_no_numbers_are_an_error_and_are_not_kept(root, tmp_path, spoilt):
    encoder, index = Colours(), read(root, "train").select(range(3))
    encoder.weight.data[1] = float(spoilt)
    with pytest.raises(FloatingPointError, match=rf"infinite features for 3 of 3 samples .* first {index.ids[0]}"):
        extract(encoder, index, VIEWS, run(tmp_path))
    assert not list(tmp_path.rglob("origin.json"))


def test_an_entry_is_read_before_its_lock_is_let_go(root, tmp_path, monkeypatch):
    from contextlib import contextmanager

    whole = feature_cache.alone

    @contextmanager
    def taken_over(place):
        """Once the lock is free another process computes the entry anew: for a moment it is not there."""
        with whole(place):
            yield
        place.rename(place.with_name("gone"))

    monkeypatch.setattr(feature_cache, "alone", taken_over)
    assert extract(Colours(), read(root, "train").select(range(2)), VIEWS, run(tmp_path)).values_NVD[1].any()


def test_a_disk_that_is_too_small_is_told_before_computing(root, tmp_path, monkeypatch):
    from types import SimpleNamespace

    monkeypatch.setattr(feature_cache.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(UserError, match="GB are free"):
        extract(Colours(), read(root, "train").select(range(2)), VIEWS, run(tmp_path))


def test_a_second_process_waits_and_says_so(root, tmp_path, capsys):
    import threading
    import time

    from filelock import FileLock

    index = read(root, "train").select(range(2))
    extract(Colours(), index, VIEWS, run(tmp_path))
    (lock,) = (tmp_path / "features").glob("*/*.lock")
    taken = threading.Event()

    def hold():
        with FileLock(lock):
            taken.set()
            time.sleep(1.5)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    assert extract(Colours(), index, VIEWS, run(tmp_path)).origin["cached"]
    thread.join()
    assert "waiting for it" in capsys.readouterr().err


def test_the_print_of_an_encoder_covers_tables_and_epsilons_that_are_no_weights():
    torch.manual_seed(0)
    sizes = (32, 16, 4, 2, 48, 2, 4)
    plain, other = VideoViT(*sizes), VideoViT(*sizes, eps=1e-12)
    other.load_state_dict(plain.state_dict())
    prints = {fingerprint(plain), features.fingerprint(other)}
    assert len(prints) == 2
    other = VideoViT(*sizes)
    other.load_state_dict(plain.state_dict())
    assert fingerprint(other) in prints
    other.positions = other.positions.flip(1)
    assert fingerprint(other) not in prints


def test_the_print_of_an_encoder_covers_the_kinds_of_its_modules():
    encoder = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.GELU())
    before = fingerprint(encoder)
    encoder[1] = torch.nn.ReLU()
    assert fingerprint(encoder) != before


def test_a_picture_decoded_once_has_the_features_of_one_decoded_for_every_frame(tmp_path):
    rng = np.random.default_rng(0)
    from PIL import Image

    for number in range(3):
        Image.fromarray(rng.integers(0, 255, (40, 56, 3), np.uint8)).save(tmp_path / f"{number}.png")
    index = Index.build("pictures", "test", tmp_path, ["x"], [Sample(f"{n}", f"{n}.png", 0, "g") for n in range(3)])
    for clips, box, flip in ((1, "full", False), (3, "random_resized", True)):
        once, always = (
            extract(Colours(), index, Views(rule, clips, 1, 1, box, flip, 5), run(tmp_path)).values_NVD
            for rule in ("still", "dense_test")
        )
        np.testing.assert_array_equal(once, always)
        assert clips == 1 or not np.array_equal(once[:, 0], once[:, 1])
