"""The nearest tubes of prototypes: the same as by brute force, in any portions, ties in the order of coming."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.models.masked import masked_model
from sigma_bench.pretrain.similarity import Highest, decoded, places, similarities


def test_similarity_is_the_cosine_whatever_the_lengths():
    features, prototypes = torch.randn(7, 5), torch.randn(3, 5)
    found = similarities(3 * features, 0.1 * prototypes).numpy()
    for n, k in np.ndindex(7, 3):
        a, b = features[n].double().numpy(), prototypes[k].double().numpy()
        assert found[n, k] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-6)


@given(st.lists(st.lists(st.integers(-3, 3), min_size=1, max_size=9), min_size=1, max_size=5), st.integers(1, 12))
def test_portions_do_not_matter_and_the_first_of_equals_goes_first(portions, count):
    kept = Highest(count, 2)
    for portion in portions:
        kept.add(torch.tensor([[value, -value] for value in portion], dtype=torch.float32))
    values = [value for portion in portions for value in portion]
    for k, sign in enumerate((1, -1)):
        expected = sorted(range(len(values)), key=lambda n: (-sign * values[n], n))[:count]
        assert kept.tubes_nK[:, k].tolist() == expected
        assert kept.values_nK[:, k].tolist() == [sign * values[n] for n in expected]
    assert kept.seen == len(values)


def test_the_best_prototypes_have_the_highest_means_and_may_be_made_to_differ():
    kept = Highest(2, 4)
    kept.add(torch.tensor([[0.9, 0.8, 0.1, 0.3], [0.8, 0.8, 0.2, 0.4], [0.1, 0.2, 0.3, 0.9]]))
    means = [0.85, 0.8, 0.25, 0.65]
    assert kept.best(4) == sorted(range(4), key=lambda k: -means[k])
    assert kept.best(2) == [0, 1]
    assert kept.best(2, overlap=0.5) == [0, 3]  # 1 has the very tubes of 0; 3 shares one of two
    assert kept.best(4, overlap=0.4) == [0]
    tied = Highest(1, 3)
    tied.add(torch.ones(1, 3))
    assert tied.best(2) == [0, 1]


@given(st.integers(0, 10**6), st.tuples(*(st.integers(1, 30),) * 3))
def test_places_are_those_of_tokens_in_time_then_rows_then_columns(tube, grid):
    clip, t, y, x = places([tube], grid)[0]
    slices, height, width = grid
    assert ((clip * slices + t) * height + y) * width + x == tube
    assert (t < slices, y < height, x < width) == (True,) * 3


@pytest.mark.parametrize("ratio", [0.9, 0.75, 0.5, 0.25])
def test_every_tube_takes_the_prediction_of_a_mask_that_hides_it(ratio):
    torch.manual_seed(0)
    model = masked_model("nano", out_dim=6, image_size=32, frames=4, patch=8).eval()
    clips = torch.randn(2, 3, 4, 32, 32)
    calls = []
    real = model.forward
    model.forward = lambda c, mask: calls.append((mask[0].clone(), real(c, mask))) or calls[-1][1]
    found = decoded(model, clips, ratio, seed=3)
    assert found.shape == (2, 32, 6)
    count = int(ratio * 16)
    assert len(calls) == -(-16 // count)
    for token in range(32):
        hiding = [out[:, int(mask[:token].sum())] for mask, out in calls if mask[token]]
        assert hiding
        assert any(torch.equal(found[:, token], one) for one in hiding)
    for mask, _ in calls:
        assert int(mask.sum()) == 2 * count
        assert torch.equal(mask[:16], mask[16:])  # the same positions in every slice
    again = decoded(model, clips, ratio, seed=3)
    assert torch.equal(found, again)
    assert not torch.equal(found, decoded(model, clips, ratio, seed=4))
