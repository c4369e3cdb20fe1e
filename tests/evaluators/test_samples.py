"""Lists that no classifier can be trained or tested on are refused, and the message says which and why."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from sigma_bench.contracts import UserError
from sigma_bench.data.index import Index, Sample
from sigma_bench.evaluators.samples import Lists, check

TASK = SimpleNamespace(id="linear/toy")


def index(labels, classes=("a", "b"), split="train"):
    return Index.build(
        "toy", split, "/data", classes, [Sample(f"v{n}", f"v{n}.avi", c, "g") for n, c in enumerate(labels)]
    )


GOOD = Lists(index([0, 1, 1]), index([1, 0], split="test"))


def test_lists_that_agree_pass():
    check(TASK, GOOD)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"training": index([])}, "linear/toy: list 'train' of toy in /data is empty"),
        ({"test": index([], split="test")}, "linear/toy: list 'test' of toy in /data is empty"),
        ({"test": index([0, -1, -1], split="test")}, "'test' .* 2 of 3 samples have no label, the first is v1"),
        ({"training": index([1, 1])}, "all 2 samples of list 'train' of toy are of class 'b'"),
        (
            {"test": index([0], ("a", "b", "c"), "test")},
            "has 2 classes, 'test' has 3; class 2 is missing in one and c in",
        ),
        ({"test": index([0], ("a",), "test")}, "has 2 classes, 'test' has 1; class 1 is b in one and missing in the"),
        (
            {"test": index([0], ("b", "a"), "test")},
            "has 2 classes, 'test' has 2; class 0 is a in one and b in the other",
        ),
    ],
)
def test_lists_that_do_not_are_told_apart(change, said):
    with pytest.raises(UserError, match=said):
        check(TASK, replace(GOOD, **change))


def test_a_task_that_trains_nothing_has_no_training_list():
    bare = Lists(None, GOOD.test)
    assert bare.train_sha256 == ""
    assert bare.notes == ()
    with pytest.raises(UserError, match="a task on toy without a training list"):
        check(TASK, bare)


@pytest.mark.parametrize(("label", "kind"), [("b", "str"), (0.5, "float"), (2**70, "int")])
def test_a_label_that_is_no_number_of_a_class_is_told_with_its_row(label, kind):
    said = rf"toy/train: row 1: label is '.*' \({kind}\); expected int64.* Labels are the numbers of their names"
    with pytest.raises(UserError, match=said):
        index([0, label])
