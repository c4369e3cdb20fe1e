"""Training and features over a packed data set are those over the plain one, bit for bit."""

import numpy as np
import pytest
import torch
from torch import nn

from sigma_bench.contracts import EncoderSpec, Run, Tokens
from sigma_bench.data.datasets.ucf101 import read
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.load import ClipRequest
from sigma_bench.data.loader import TrainingLoader
from sigma_bench.data.miniatures.publish import MARKER
from sigma_bench.data.miniatures.ucf101 import write
from sigma_bench.data.packing import pack
from sigma_bench.features import Views, extract


class Colours(nn.Module):
    """Tokens are the mean colours of tubes."""

    spec = EncoderSpec("test", "none", 3, 1, 1, 2, 8, 8, 32, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 0, False)

    def tokens(self, clips, layer=-1, norm=True, visible=None):
        return Tokens(clips.view(len(clips), 3, 4, 2, 4, 8, 4, 8).mean((3, 5, 7)).permute(0, 2, 3, 4, 1), None)


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    base = tmp_path_factory.mktemp("data")
    write(base / "ucf101", seed=0, groups=8, clips_per_group=1)
    pack(base / "ucf101", base / "packed" / "ucf101", 1 << 17)
    return base / "ucf101", base / "packed" / "ucf101"


def epoch(root, offset=0, workers=2):
    index = read(root, "train").select(range(24))

    def request(row, seed):
        return ClipRequest(str(index.path(row)), "pretraining", 8, 2, box="multi_scale", flip=True, size=24, seed=seed)

    with DecodePool("sigma_bench.data.load:load_clips", workers) as pool:
        loader = TrainingLoader(index, pool, request, batch=4, global_batch=8, size=24, seed=3)
        return [(b.clips, b.rows, b.seeds) for b in loader.epoch(1, offset)], loader.decoders


def test_training_clips_are_the_same_and_resume_at_the_same_place(roots):
    before, decoders = epoch(roots[0])
    after, again = epoch(roots[1], workers=1)
    assert len(before) == 6
    assert [b[1:] for b in after] == [b[1:] for b in before]
    assert all(torch.equal(a[0], b[0]) for a, b in zip(after, before, strict=True))
    assert again == decoders
    resumed, _ = epoch(roots[1], offset=4)
    assert [b[1:] for b in resumed] == [b[1:] for b in before[4:]]
    assert all(torch.equal(a[0], b[0]) for a, b in zip(resumed, before[4:], strict=True))


def test_features_are_the_same(roots, tmp_path):
    views = Views("dense_test", 2, 1, 1, "full", False, 0)
    found = []
    for number, root in enumerate(roots):
        index = read(root, "test").select(range(8))
        found.append(extract(Colours(), index, views, Run("cpu", 0, None, tmp_path / str(number), workers=1)))
    assert np.array_equal(found[0].values_NVD, found[1].values_NVD)
    assert found[0].ok_N.all()
    assert found[1].ok_N.all()
    assert found[0].origin["decoders"] == found[1].origin["decoders"]


def test_a_packed_miniature_is_still_that_miniature(roots):
    kept = write(roots[1], seed=0, groups=8, clips_per_group=1)
    assert kept.reused
    assert kept.sha256 == write(roots[0], seed=0, groups=8, clips_per_group=1).sha256
    assert (roots[1] / MARKER).read_bytes() == (roots[0] / MARKER).read_bytes()
