"""The choice of a setting on held-out samples of which none can be read."""

from types import SimpleNamespace

import numpy as np
import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data.index import Index, Sample
from sigma_bench.evaluators import choice
from sigma_bench.evaluators.probes import grid


def chosen(guess):
    index = Index.build(
        "set", "train", "/nowhere", ["a", "b"], [Sample(f"v{n}", f"v{n}", n % 2, f"g{n // 2}") for n in range(40)]
    )
    seen = SimpleNamespace(lists=SimpleNamespace(train=index), train=SimpleNamespace(ok_N=np.ones(40, bool)))
    task = SimpleNamespace(id="a/task", dataset=SimpleNamespace(per_class=None), probe=SimpleNamespace(holdout=0.1))
    return choice.chosen(
        seen,
        0,
        task,
        0,
        grid([0.1, 0.01], [0.0]),
        fit=lambda rows, settings, seed: settings,
        predict=lambda settings, rows: np.stack([guess(index.labels[rows], place) for place in range(len(settings))]),
        finite=lambda settings: [True] * len(settings),
    )


def test_the_better_setting_is_chosen():
    _, how = chosen(lambda labels, place: labels if place == 1 else 1 - labels)
    assert how["rate"] == 0.01
    assert [cell[2] for cell in how["grid"]] == [0, 100]


def test_nothing_is_chosen_where_no_held_out_sample_can_be_read():
    with pytest.raises(UserError, match=r"a/task: none of the \d+ held-out samples could be read"):
        chosen(lambda labels, place: np.full(len(labels), choice.NOT_SEEN))
