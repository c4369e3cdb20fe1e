"""Scores of a classifier: the same bytes on any number of processes, and what could not be decoded."""

import threading

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch.distributed import HashStore

from sigma_bench import encoding
from sigma_bench.contracts import Run
from sigma_bench.data.datasets.k400 import read
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.miniatures.k400 import write
from sigma_bench.data.ranks import Ranks
from sigma_bench.data.views import Views, requests, sample_views
from sigma_bench.evaluators.view_scores import scores
from sigma_bench.metrics.views import maximum
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.models.classifier import VideoClassifier

VIEWS = Views(sampling="dense_test", clips=2, crops=1, stride=1, box="full", flip=False, seed=0)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Sixteen clips, two of which are damaged."""
    root = tmp_path_factory.mktemp("data") / "k400"
    write(root, seed=0, train=1, val=2)
    found = read(root, "val").select(range(16))
    found.path(3).write_bytes(b"")
    found.path(12).write_bytes(b"no video")
    return found


@pytest.fixture(scope="module")
def pool():
    with DecodePool("sigma_bench.data.load:load_clips", 2) as pool:
        yield pool


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr(encoding, "VIEWS_AT_A_TIME", 6)


def model():
    torch.manual_seed(0)
    return VideoClassifier(load_encoder("random:nano")[0], 12, init_scale=1.0)


def shared(index, pool, world, folder):
    """Return what each of `world` processes, in threads, gets."""
    store, found, models = HashStore(), {}, [model() for _ in range(world)]

    def work(rank):
        run = Run("cpu", 0, None, folder, pool=pool)
        found[rank] = scores(models[rank], index, VIEWS, run, "fp32", ranks=Ranks(rank, world, store), folder=folder)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(world)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [found[rank] for rank in range(world)]


def test_any_number_of_processes_gives_the_same_bytes(index, pool, tmp_path):
    one = scores(model(), index, VIEWS, Run("cpu", 0, None, tmp_path, pool=pool), "fp32")
    assert list(one.errors) == [index.ids[3], index.ids[12]]
    assert list(np.flatnonzero(~one.ok_N)) == [3, 12]
    assert one.decoders == {"decord": 14}
    for world in (2, 3, 7):  # six batches: of seven processes one has nothing to do
        for found in shared(index, pool, world, tmp_path):
            assert found.values_NC.tobytes() == one.values_NC.tobytes()
            assert found.ok_N.tobytes() == one.ok_N.tobytes()
            assert found.errors == one.errors
            assert found.decoders == one.decoders
    assert not list(tmp_path.iterdir())


def test_scores_are_the_mean_softmax_of_the_views_or_what_is_asked_for(index, pool, tmp_path):
    run, own = Run("cpu", 0, None, tmp_path, pool=pool), model().train()
    found = scores(own, index, VIEWS, run, "fp32")
    assert own.training
    own.eval()
    spec = own.encoder.spec
    (result,) = pool.map(requests(index, VIEWS, spec, [5]))
    clips = torch.stack(sample_views(result, VIEWS, spec, "cpu")).float() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1, 1) for values in (spec.mean, spec.std))
    with torch.inference_mode():
        logits = own((clips - mean) / std).numpy()
    assert np.allclose(found.values_NC[5], softmax(logits, axis=1).mean(0), atol=1e-6)
    greatest = scores(own, index, VIEWS, run, "fp32", aggregate=maximum)
    assert np.allclose(greatest.values_NC[5], logits.max(0), atol=1e-5)


def test_weights_that_give_no_number_are_an_error(index, pool, tmp_path):
    broken = model()
    torch.nn.init.constant_(broken.head.weight, float("nan"))
    with pytest.raises(FloatingPointError, match=r"NaN or infinite logits for .* the first"):
        scores(broken, index, VIEWS, Run("cpu", 0, None, tmp_path, pool=pool), "fp32")


def test_nothing_decoded_leaves_no_score(index, pool, tmp_path):
    found = scores(model(), index.select([3, 12]), VIEWS, Run("cpu", 0, None, tmp_path, pool=pool), "fp32")
    assert found.values_NC.shape == (2, 12)
    assert np.isnan(found.values_NC).all()
    assert not found.ok_N.any()
