"""The attentive probe: tokens from the cache or anew, the choice of a setting, what is not decoded."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sigma_bench import encoding
from sigma_bench.contracts import EncoderSpec, Run, Tokens, UserError
from sigma_bench.data.datasets.ucf101 import read
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.load import ClipRequest, load_clips
from sigma_bench.data.miniatures.ucf101 import write
from sigma_bench.encoding import Asked, Kind
from sigma_bench.evaluators import attentive, attentive_fit
from sigma_bench.evaluators.probes import Setting, grid
from sigma_bench.evaluators.token_sources import Stored, Streamed
from sigma_bench.features import Views
from sigma_bench.spec import load

FAST = (
    *("clips.frames=8", "clips.stride=1", "views.train=2", "views.test_clips=1", "views.test_crops=1"),
    *("views.augment=none", "attentive.epochs=12", "attentive.batch=16", "attentive.rates=[0.003]"),
    *("attentive.weight_decays=[0.01, 0.1]", "dataset.relabel=tone"),
)


class Patches(nn.Module):
    """Tokens are the colours of patches: 2 times of 4 by 4 places, 12 numbers each."""

    spec = EncoderSpec("test", "none", 12, 1, 2, 4, 8, 8, 32, (0.5,) * 3, (0.5,) * 3, 0, False)

    def tokens(self, clips, layer=-1, norm=True, visible=None):
        B = len(clips)
        tubes = clips.view(B, 3, 2, 4, 4, 8, 4, 8)
        parts = [tubes.mean((3, 5, 7)), tubes.std((3, 5, 7)), tubes.amax((3, 5, 7)), tubes.diff(dim=3).mean((3, 5, 7))]
        return Tokens(torch.cat(parts, 1).permute(0, 2, 3, 4, 1), None)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write(root / "ucf101", seed=0, groups=5, clips_per_group=1)
    paths = sorted((root / "ucf101").rglob("*.avi"))
    shades = np.array([load_clips(ClipRequest(str(path), "dense_test", 8))[0][0][..., 0].mean() for path in paths])
    tones = np.where(shades > np.median(shades), "light", "dark")
    lines = [f"{path.stem},{tone}" for path, tone in zip(paths, tones, strict=True)]
    (root / "ucf101" / "factors.csv").write_text("\n".join(["id,tone", *lines]))
    return root


@pytest.fixture(scope="module")
def pool():
    with DecodePool("sigma_bench.data.load:load_clips", 1) as pool:
        yield pool


def evaluate(root, pool, folder, sets=FAST, **more):
    task = load.task("linear/ucf101", profile="attentive", sets=sets)
    return attentive.evaluate(Patches(), task, Run("cpu", 0, root, folder, pool=pool, **more))


@pytest.fixture(scope="module")
def kept(root, pool, tmp_path_factory):
    return evaluate(root, pool, tmp_path_factory.mktemp("kept"))


def test_a_probe_on_kept_tokens_tells_classes_and_how_it_was_chosen(kept, root):
    test = read(root / "ucf101", "test")
    assert kept.metrics["attentive_top1"] > 80  # chance is 50
    assert list(kept.metrics) == ["attentive_top1", "attentive_top1_missing_wrong"]
    counted = (kept.samples["prediction"] == kept.samples["label"]).mean() * 100
    assert counted == pytest.approx(kept.metrics["attentive_top1"])
    (chosen,) = kept.selection["chosen"]
    assert [cell[:2] for cell in chosen["grid"]] == [[0.003, 0.01], [0.003, 0.1]]
    assert chosen["held_out"] > 0
    assert (kept.counts.n_expected, kept.counts.n_decoded, kept.views) == (test.count, test.count, "1x1")
    assert kept.marks == ()
    assert sum(kept.decoders.values()) == test.count


def test_the_same_again_and_another_seed(kept, root, pool, tmp_path):
    again = evaluate(root, pool, tmp_path)
    assert again.selection == kept.selection
    assert again.metrics == kept.metrics


def test_tokens_that_do_not_fit_are_computed_anew_to_the_same_end_and_that_is_said(
    root, pool, tmp_path, monkeypatch, capsys
):
    sets = (*FAST, "attentive.epochs=2")
    kept = evaluate(root, pool, tmp_path / "kept", sets)
    monkeypatch.setenv("SIGMA_BENCH_FEATURES_GB", "0.0001")
    found = evaluate(root, pool, tmp_path, sets)
    said = capsys.readouterr().err
    assert "128 x 2 training views take 0.0 GB, more than SIGMA_BENCH_FEATURES_GB or the disk allow" in said
    assert found.marks == ("tokens of the training views computed anew in each epoch",)
    assert found.selection == kept.selection
    assert found.metrics == kept.metrics
    np.testing.assert_allclose(found.samples["confidence"], kept.samples["confidence"], atol=1e-3)


def test_what_cannot_be_decoded_is_counted_in_either_way(root, pool, tmp_path, monkeypatch):
    import shutil

    copy = tmp_path / "data"
    shutil.copytree(root, copy)
    train, test = (read(copy / "ucf101", split) for split in ("train", "test"))
    train.path(0).write_bytes(b"")
    test.path(3).unlink()
    test.path(4).write_bytes(b"no video")
    for number, bound in enumerate(("500", "0.0001")):
        monkeypatch.setenv("SIGMA_BENCH_FEATURES_GB", bound)
        found = evaluate(copy, pool, tmp_path / str(number), (*FAST, "attentive.epochs=1"))
        n = test.count
        assert (found.counts.n_expected, found.counts.n_present, found.counts.n_decoded) == (n, n - 1, n - 2)
        assert set(found.samples.loc[found.samples["error"].notna(), "id"]) == {test.ids[3], test.ids[4]}
        assert f"1 of {train.count} training files not decoded" in found.marks
        right = found.metrics["attentive_top1"] * (n - 2)
        assert found.metrics["attentive_top1_missing_wrong"] == pytest.approx(right / n)


def test_heads_that_do_not_divide_the_width_are_told(root, pool, tmp_path):
    with pytest.raises(UserError, match=r"attentive\.heads 5 does not divide the width 12"):
        evaluate(root, pool, tmp_path, (*FAST, "attentive.heads=5"))


def test_a_rate_at_which_the_probe_is_no_number_is_no_result(root, pool, tmp_path):
    with pytest.raises(FloatingPointError, match=r"at rate 1e.30 the probe is no number after training"):
        evaluate(root, pool, tmp_path, (*FAST, "attentive.rates=[1.0e+30]", "attentive.weight_decays=[0.0]"))


def stored(count=330, views=2, tokens=6, dim=8, classes=3):
    rng = np.random.default_rng(0)
    labels = np.arange(count) % classes
    values = rng.normal(size=(count, views, tokens, dim))
    values[np.arange(count), :, rng.integers(tokens, size=count), labels] += 6  # one token tells, its place does not
    return Stored(values.astype(np.float16)), labels.astype(np.int64)


GIVEN = {"dim": 8, "heads": 2, "classes": 3, "epochs": 12, "batch": 16, "seed": 3}


def test_one_telling_token_is_found_and_settings_do_not_disturb_each_other():
    source, labels = stored()
    rows = np.arange(300)
    settings = grid([0.01, 0.0003], [0.01])
    both = attentive_fit.fit(source, labels, rows, settings, **GIVEN)
    (alone,) = attentive_fit.fit(source, labels, rows, [settings[1]], **GIVEN)
    for one, other in zip(both[1].parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    found = attentive_fit.probabilities(source, np.arange(300, 330), both, 3, "cpu")
    assert found.shape == (2, 30, 3)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    assert (found[0].argmax(-1) == labels[300:]).mean() > 0.8


def test_a_batch_in_parts_gives_the_same_gradient(monkeypatch):
    source, labels = stored()
    (whole,) = attentive_fit.fit(source, labels, np.arange(40), [Setting(0.003, 0.1)], **{**GIVEN, "epochs": 2})
    monkeypatch.setattr(attentive_fit, "TOKEN_VALUES", 6 * 8 * 5)
    (parts,) = attentive_fit.fit(source, labels, np.arange(40), [Setting(0.003, 0.1)], **{**GIVEN, "epochs": 2})
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    plain = attentive_fit.probabilities(source, np.arange(40), [whole], 3, "cpu")
    monkeypatch.setattr(attentive_fit, "TOKEN_VALUES", 2**25)
    np.testing.assert_allclose(attentive_fit.probabilities(source, np.arange(40), [whole], 3, "cpu"), plain, atol=1e-5)


def test_norms_biases_and_nothing_else_are_free_of_decay():
    head = attentive_fit._head(8, 2, 3, 0, "cpu")
    with_decay, without = attentive_fit._groups(head, Setting(0.1, 0.5))
    names = {id(parameter): name for name, parameter in head.named_parameters()}
    assert {names[id(p)] for p in with_decay["params"]} == {
        *("query", "q.weight", "kv.weight", "proj.weight", "mlp.fc1.weight", "mlp.fc2.weight", "linear.weight"),
    }
    assert (with_decay["weight_decay"], without["weight_decay"]) == (0.5, 0.0)
    assert len(with_decay["params"]) + len(without["params"]) == len(names)


def test_streamed_tokens_are_those_of_the_rows_asked_for_in_any_grouping(root, pool, tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "VIEWS_AT_A_TIME", 6)
    index = read(root / "ucf101", "train").select(range(11))
    views = Views("dense_test", 2, 1, 1, "full", False, 0)
    run = Run("cpu", 0, None, tmp_path, pool=pool)
    asked = Asked(views, True, (Kind(0, "tokens"),))
    broken = index.path(7)
    broken.rename(broken.with_suffix(".hidden"))
    try:
        rows = np.array([9, 2, 7, 4, 1, 0, 10])
        whole = list(Streamed(Patches(), index, asked, run).read(rows, 3))
        shown = np.array([0, 1, 0, 1, 1, 0, 0])
        source = Streamed(Patches(), index, asked, run)
        single = list(source.read(rows, 4, shown))
    finally:
        broken.with_suffix(".hidden").rename(broken)
    assert [tokens.places for tokens in whole] == [[0, 1], [3, 4, 5], [6]]
    assert [tokens.places for tokens in single] == [[0, 1, 3], [4, 5, 6]]
    assert list(source.errors) == [index.ids[7]]
    every = {place: value for tokens in whole for place, value in zip(*tokens, strict=True)}
    for tokens in single:
        for place, value in zip(*tokens, strict=True):
            assert value.shape == (1, 32, 12)
            np.testing.assert_allclose(value[0], every[place][shown[place]], atol=1e-3)
    assert replace(asked).views.count == source.views == 2
