"""One pass over the views: eval mode, several layers at once, all tokens in half precision, what is no number."""

import numpy as np
import pytest
import torch
from torch import nn

from sigma_bench import encoding
from sigma_bench.contracts import EncoderSpec, Run, Tokens, UserError
from sigma_bench.data.datasets.ucf101 import read
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.miniatures.ucf101 import write
from sigma_bench.encoding import Asked, Kind, batches, settled
from sigma_bench.features import Views, extract, extract_all
from sigma_bench.models.checkpoints import load_encoder

VIEWS = Views("dense_test", 2, 1, 1, "full", False, 0)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "ucf101"
    write(root, seed=0, groups=8, clips_per_group=1)
    return read(root, "train").select(range(5))


@pytest.fixture(scope="module")
def pool():
    with DecodePool("sigma_bench.data.load:load_clips", 1) as pool:
        yield pool


def run(folder, pool, **more):
    return Run("cpu", 0, None, folder, pool=pool, **more)


class Counted(nn.Module):
    """An encoder that counts its passes."""

    def __init__(self, each=True):
        super().__init__()
        self.inner = load_encoder("random:nano")[0]
        self.spec, self.passes = self.inner.spec, 0
        if each:
            self.each_layer = self._each_layer

    def tokens(self, clips, layer=-1, norm=True, visible=None):
        self.passes += 1
        return self.inner.tokens(clips, layer, norm, visible)

    def _each_layer(self, clips, layers, norm=True):
        self.passes += 1
        return self.inner.each_layer(clips, layers, norm)


ALL = [Kind(layer, pool) for layer in (0, 1, 2) for pool in ("mean", "first", "tokens")]


def test_all_layers_come_from_one_pass_and_each_is_what_it_is_alone(index, pool, tmp_path):
    encoder = Counted()
    found = extract_all(encoder, index, VIEWS, run(tmp_path, pool), ALL)
    assert encoder.passes == 1
    again = extract_all(encoder, index, VIEWS, run(tmp_path, pool), [*reversed(ALL), Kind(-1, "mean")])
    assert encoder.passes == 1
    assert all(one.origin["cached"] for one in again)
    np.testing.assert_array_equal(again[-1].values_NVD, found[6].values_NVD)
    for kind, one in zip(ALL, found, strict=True):
        alone = extract(Counted(), index, VIEWS, run(tmp_path / "alone", pool), layer=kind.layer, pool=kind.pool)
        np.testing.assert_array_equal(one.values_NVD, alone.values_NVD)
        assert one.values_NVD.dtype == (np.float16 if kind.pool == "tokens" else np.float32)
    assert not np.array_equal(found[0].values_NVD, found[3].values_NVD)
    dense, mean = found[2].values_NVD, found[0].values_NVD
    assert dense.shape == (5, 2, 64, 96)
    np.testing.assert_allclose(dense.astype(np.float32).mean(2), mean, atol=2e-3)


def test_only_what_is_not_in_the_cache_is_computed(index, pool, tmp_path):
    encoder = Counted()
    extract(encoder, index, VIEWS, run(tmp_path, pool), layer=1)
    found = extract_all(encoder, index, VIEWS, run(tmp_path, pool), [Kind(0, "mean"), Kind(1, "mean")])
    assert [one.origin["cached"] for one in found] == [False, True]
    assert encoder.passes == 2
    without = Counted(each=False)
    slow = extract_all(without, index, VIEWS, run(tmp_path / "other", pool), [Kind(0, "mean"), Kind(1, "mean")])
    assert without.passes == 2
    for one, other in zip(found, slow, strict=True):
        np.testing.assert_array_equal(one.values_NVD, other.values_NVD)


def test_a_layer_that_is_not_there_is_refused_before_anything_is_decoded(index, pool, tmp_path):
    with pytest.raises(UserError, match="layer 3 asked of an encoder with 3 blocks; expected -3 to 2"):
        extract(Counted(), index, VIEWS, run(tmp_path, pool), layer=3)
    assert not (tmp_path / "features").exists()
    assert settled(Kind(-3, "mean"), Counted().spec) == Kind(0, "mean")


def test_what_a_sweep_holds_open_needs_no_entry(index, pool, tmp_path):
    import shutil

    encoder, holding = Counted(), run(tmp_path, pool, held={})
    first = extract_all(encoder, index, VIEWS, holding, [Kind(0, "mean"), Kind(1, "mean")])
    shutil.rmtree(tmp_path / "features")  # as where the bound leaves no room
    again = extract(encoder, index, VIEWS, holding, layer=1)
    assert encoder.passes == 1
    np.testing.assert_array_equal(again.values_NVD, first[1].values_NVD)
    extract(encoder, index, VIEWS, run(tmp_path, pool), layer=1)
    assert encoder.passes == 2


class Dropping(nn.Module):
    """An encoder with dropout, which a module says of itself when it is in training mode."""

    spec = EncoderSpec("test", "none", 3, 1, 1, 2, 8, 8, 32, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 3, False)

    def __init__(self, factor=1.0):
        super().__init__()
        self.weight, self.drop = nn.Parameter(torch.full((3,), factor)), nn.Dropout(0.5)
        self.grad = []

    def tokens(self, clips, layer=-1, norm=True, visible=None):
        self.grad.append(torch.is_grad_enabled())
        tubes = clips.view(len(clips), 3, 4, 2, 4, 8, 4, 8).mean((3, 5, 7)).permute(0, 2, 3, 4, 1)
        return Tokens(self.drop(tubes * self.weight), None)


def test_the_encoder_is_in_eval_mode_whatever_it_was_in_and_is_given_back_as_it_was(index, pool, tmp_path):
    encoder = Dropping().train()
    encoder.drop.eval()  # part of it was
    trained = Dropping().train()
    found = [extract(one, index, VIEWS, run(tmp_path / str(n), pool)) for n, one in enumerate((encoder, trained))]
    still = extract(Dropping().eval(), index, VIEWS, run(tmp_path / "eval", pool))
    for one in found:
        np.testing.assert_array_equal(one.values_NVD, still.values_NVD)
    assert (encoder.training, encoder.drop.training, trained.drop.training) == (True, False, True)
    assert encoder.grad == [False]


def test_tokens_too_large_for_half_precision_are_told_as_that(index, pool, tmp_path):
    encoder = Dropping(1e6)
    extract(encoder, index, VIEWS, run(tmp_path, pool))
    with pytest.raises(FloatingPointError, match="too large for the half precision"):
        extract(encoder, index, VIEWS, run(tmp_path, pool), pool="tokens")


def test_an_encoder_whose_tokens_are_not_those_of_its_spec_is_refused(index, pool, tmp_path):
    class Other(Dropping):
        spec = EncoderSpec("test", "none", 3, 1, 1, 4, 8, 8, 32, (0.0,) * 3, (1.0,) * 3, 3, False)

    extract(Other(), index, VIEWS, run(tmp_path, pool))
    with pytest.raises(UserError, match=r"shape \(64, 3\) a view \(tokens\), its spec says \(32, 3\)"):
        extract(Other(), index, VIEWS, run(tmp_path, pool), pool="tokens")


def test_one_view_of_each_sample_and_batches_left_out(index, pool, tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "VIEWS_AT_A_TIME", 4)
    asked = Asked(VIEWS, True, (Kind(0, "mean"),))
    encoder = Dropping()
    whole = list(batches(encoder, index, asked, run(tmp_path, pool), range(5)))
    shown = [1, 0, 0, 1, 1]
    one = list(batches(encoder, index, asked, run(tmp_path, pool), range(5), shown=shown))
    assert [batch.done for batch in whole] == [[0, 1], [2, 3], [4]]
    every = np.concatenate([batch.values[0] for batch in whole])
    picked = np.concatenate([batch.values[0] for batch in one])
    np.testing.assert_allclose(picked[:, 0], every[np.arange(5), shown], atol=1e-6)
    part = list(batches(encoder, index, asked, run(tmp_path, pool), range(5), skip=frozenset({2})))
    assert [batch.places.start for batch in part] == [0, 4]
    np.testing.assert_array_equal(part[1].values[0], whole[2].values[0])
