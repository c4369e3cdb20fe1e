"""The mean over classes of a linear probe, for tasks whose metric it is."""

import numpy as np
import pytest

from sigma_bench.evaluators import linear
from sigma_bench.evaluators.frozen import Frozen
from sigma_bench.features import Features
from sigma_bench.spec import load


class Lists:
    def __init__(self, labels):
        self.test = type("Index", (), {"labels": np.array(labels)})()


def seen(labels, ok):
    test = Features(np.zeros((len(ok), 1, 1)), np.array(ok), {}, {})
    return Frozen(Lists(labels), test, test, None, ())


def test_classes_count_alike_and_what_was_not_decoded_counts_as_wrong_beside():
    labels, ok = [0, 0, 0, 1, 1], [True, True, True, True, False]
    scores = np.eye(2)[[0, 0, 1, 1, 1]]
    found = linear._by_class(seen(labels, ok), [scores])
    assert found["mean_class_acc"] == pytest.approx((200 / 3 + 100) / 2)
    assert found["mean_class_acc_missing_wrong"] == pytest.approx((200 / 3 + 50) / 2)


@pytest.mark.parametrize("name", ["ssv2", "gym99", "ucf_1e3", "gym_1e3", "fx_s1", "ub_s1", "ucf_rc", "charades"])
def test_every_task_of_severe_has_a_frozen_form_with_the_metric_of_the_whole(name):
    for data in (None, "miniature"):
        whole, frozen = (load.task(f"severe/{name}", data=data, profile=profile) for profile in (None, "frozen"))
        assert frozen.metric == whole.metric
        assert frozen.dataset == whole.dataset
        trains = frozen.finetune or frozen.counting
        assert trains is None or trains.trainable == "head"
